"""An empty store of each kind there is, and records with made-up figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Store


@pytest.fixture(params=["folder"])  # a new kind of store is a line here: all tests of this folder are its contract
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store.open(tmp_path / "store")
    yield store
    store.close()
