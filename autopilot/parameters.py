"""Parameters that several commands share, and what they mean."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token

from storage.settings import Settings
from storage.store import Store


def _delimiter(_: type, tokens: Sequence[Token]) -> str:
    """A tab may be typed as messages name it."""
    return tokens[0].value.replace(r"\t", "\t")


StorePath = Annotated[str | None, Parameter(name="--store", help="Folder of the store; default: the setting `store`.")]
Delimiter = Annotated[str, Parameter(help=r"Between the cells of a csv file; \t is a tab.", converter=_delimiter)]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]


def open_store(store: str | None) -> Store:
    """The store of a `--store`, or of the settings."""
    return Store.open(Settings.load().store if store is None else store)
