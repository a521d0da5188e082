"""What monitor's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a folder of its own."""
    opened = Store.open(tmp_path / "store")
    yield opened
    opened.close()
