"""Arrow streams are read batch by batch, whoever wrote them."""

import io
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from storage.batch.arrow_stream import batches_of
from storage.errors import DataError

TABLE = pa.table({"n": list(range(10)), "level": pa.array(["x", None, "y", "z", "x"] * 2).dictionary_encode()})


def written(table: pa.Table, batch_rows: int) -> bytes:
    """A stream by Arrow itself."""
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return file.getvalue()


@pytest.mark.parametrize("end", [b"", b"\xff\xff\xff\xff\0\0\0\0"], ids=["no end", "end"])
def test_batches_are_those_of_the_stream(end: bytes, tmp_path: Path) -> None:
    """With their dictionaries; the end may be left out."""
    path = tmp_path / "t.arrow"
    path.write_bytes(written(TABLE, 4).removesuffix(b"\xff\xff\xff\xff\0\0\0\0") + end)
    frames = list(batches_of(path))
    assert [frame.height for frame in frames] == [4, 4, 2]
    assert_frame_equal(pl.concat(frames), pl.from_arrow(TABLE), categorical_as_str=True)  # type: ignore[arg-type]


def test_a_stream_without_batches_has_columns(tmp_path: Path) -> None:
    """And no rows."""
    path = tmp_path / "t.arrow"
    path.write_bytes(written(TABLE.slice(0, 0), 4))
    assert [(frame.height, frame.columns) for frame in batches_of(path)] == [(0, ["n", "level"])]


@given(at=st.integers(min_value=0), change=st.binary(max_size=9), cut=st.booleans())
def test_a_damaged_stream_is_told(at: int, change: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By one of the errors that the reader of chunks knows, or read as another stream."""
    data = written(TABLE, 4)
    at %= len(data)
    path = tmp_path_factory.getbasetemp() / "damaged.arrow"
    path.write_bytes(data[:at] + change + (b"" if cut else data[at + len(change) :]))
    with suppress(DataError, EOFError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        list(batches_of(path))
