"""Parameters that several commands share, and what they mean."""

from typing import Annotated

from cyclopts import Parameter

from storage.settings import Settings
from storage.store import Store

StorePath = Annotated[str | None, Parameter(name="--store", help="Folder of the store; default: the setting `store`.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]


def open_store(store: str | None) -> Store:
    """The store of a `--store`, or of the settings."""
    return Store.open(Settings.load().store if store is None else store)
