"""Rows to score, a model, and chunks so small that there are several."""

import polars as pl
import pytest

from storage import Predictor
from storage.batch import chunks, parts
from tests.portable import classifier
from tests.storage.batch.files import CHUNK_ROWS


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """A thousand rows, none of them wrong."""
    return pl.DataFrame(
        {
            "id": range(1000),
            "amount": [float(i % 9) for i in range(1000)],
            "town": ["Ulm", 'B"onn', None, "é,\n"] * 250,
            "visits": [i % 5 for i in range(1000)],
            "seen": ["2023-05-01", "2024-02-29T10:00:00Z", None, "1999-12-31"] * 250,
        }
    )


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The classifier of `tests/portable.py`."""
    return Predictor(classifier())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of about a hundred rows, each kept on disk at once."""
    monkeypatch.setattr(parts, "_EVERY_S", 0.0)
    monkeypatch.setattr(chunks, "_BLOCK_BYTES", 4_000)
    monkeypatch.setattr(chunks, "_LEAST_ROWS", CHUNK_ROWS)
    monkeypatch.setattr(chunks, "_MOST_ROWS", CHUNK_ROWS)
