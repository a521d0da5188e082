"""A file is read in chunks, from any of them on, whatever its format."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from storage.batch.chunks import Place, Table, chunks_of
from storage.errors import DataError
from storage.formats import format_of
from tests.refusals import raises
from tests.storage.batch.files import CHUNK_ROWS, write

NAMES = ["t.csv", "t.tsv", "t.ndjson", "t.parquet", "t.arrow", "t.stream.arrow"]


def table(path: Path, *, sensitive: bool = False) -> Table:
    """The file as it is read; what is unpacked goes beside it."""
    return Table(path, path.name, format_of(path.name), path.parent, sensitive=sensitive)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", NAMES)
def test_chunks_are_the_rows_from_any_of_them_on(name: str, packing: str, rows: pl.DataFrame, tmp_path: Path) -> None:
    """Each knows its rows' numbers, and where the next begins."""
    path = write(rows, tmp_path / (name + packing))
    chunks = list(chunks_of(table(path), Place()))
    texts = pl.concat([chunk.frame.cast(pl.String) for chunk in chunks])
    assert texts.equals(rows.cast(pl.String).with_columns(amount=texts["amount"]))
    assert texts["amount"].cast(pl.Float64).equals(rows["amount"])
    assert len(chunks) > 3
    assert chunks[-1].share == 1.0 or "stream" in name
    for before, chunk in pairwise(chunks):
        assert chunk.first_row == before.first_row + before.frame.height
        again = list(chunks_of(table(path), Place(chunk.first_row, before.end)))
        assert again[0].frame.equals(chunk.frame)
        assert [one.end for one in again] == [one.end for one in chunks[-len(again) :]]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_rows_has_one_chunk_with_its_columns(name: str, rows: pl.DataFrame, tmp_path: Path) -> None:
    """JSON lines have none without rows."""
    path = write(rows.head(0), tmp_path / name)
    if name == "t.ndjson":
        with raises(DataError, "'t.ndjson' is empty. Give a file with rows."):
            list(chunks_of(table(path), Place()))
        return
    (chunk,) = chunks_of(table(path), Place())
    assert (chunk.frame.height, chunk.frame.columns) == (0, rows.columns)


@pytest.mark.usefixtures("small_chunks")
def test_small_batches_make_chunks_of_one_size(rows: pl.DataFrame, tmp_path: Path) -> None:
    """A stream of one row a message is not scored row by row."""
    with (tmp_path / "t.parquet").open("wb") as file:
        rows.write_parquet(file, row_group_size=7)
    heights = [chunk.frame.height for chunk in chunks_of(table(tmp_path / "t.parquet"), Place())]
    assert heights == [CHUNK_ROWS] * 10


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.csv", b"", "'t.csv' is empty. Give a file with a header and rows."),
        ("t.csv", b" \n", "'t.csv' is empty."),
        ("t.csv", b"a,b,a\n1,2,3\n", "'t.csv' has more than one column 'a'. Give each column a name of its own."),
        ("t.csv", b"a,\xfc\n1,2\n", "'t.csv' has no csv header in its first line"),
        ("t.ndjson", b"\n", "'t.ndjson' is empty."),
        ("t.parquet", b"PAR1 no", "'t.parquet' cannot be read: "),
        ("t.arrow", b"ARROW1 no", "'t.arrow' cannot be read: "),
        ("t.arrow", b"a,b\n1,2\n", "'t.arrow' is no Arrow file and no stream. Check the file and its ending."),
        ("t.csv.gz", b"\x1f\x8bnothing", "'t.csv.gz' cannot be unpacked: "),
        ("t.parquet.zst", b"\x28\xb5\x2f\xfd", "'t.parquet.zst' cannot be unpacked: it ends too early. Copy it again."),
    ],
)
def test_a_file_that_is_no_table_is_told(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    """By its name, with what to do."""
    (tmp_path / name).write_bytes(data)
    with raises(DataError, words):
        list(chunks_of(table(tmp_path / name), Place()))


@pytest.mark.usefixtures("small_chunks")
def test_a_file_that_breaks_off_is_told_with_the_rows_before(rows: pl.DataFrame, tmp_path: Path) -> None:
    """Those were given."""
    many = pl.concat([rows] * 40).with_columns(id=pl.int_range(40_000).hash().cast(pl.String))
    path = write(many, tmp_path / "t.csv.gz")
    path.write_bytes(path.read_bytes()[:-2_000])
    heights: list[int] = []
    with raises(DataError, "'t.csv.gz' cannot be unpacked after ") as caught:
        heights.extend(chunk.frame.height for chunk in chunks_of(table(path), Place()))
    assert f" after {sum(heights):,} rows: " in str(caught.value)
    assert heights


def test_what_a_library_says_of_a_sensitive_file_is_not_told(tmp_path: Path) -> None:
    """It may quote a cell."""
    (tmp_path / "t.ndjson").write_bytes(b'{"name": 4711}\n{"name": {"first": "Jane"}}\n')
    with pytest.raises(DataError) as caught:
        list(chunks_of(table(tmp_path / "t.ndjson", sensitive=True), Place()))
    assert "cannot be read" in str(caught.value)
    assert "4711" not in f"{caught.value} {caught.value.__context__} {caught.value.__cause__}"


def test_a_broken_row_is_told_by_its_number(tmp_path: Path) -> None:
    """In the file, whatever chunk it is in."""
    lines = [b"a,b"] + [b"1,2"] * 10 + [b"1"] + [b"1,"] * 2
    (tmp_path / "t.csv").write_bytes(b"".join(line + b"\n" for line in lines))
    (chunk,) = chunks_of(table(tmp_path / "t.csv"), Place())
    told = (
        "Row 10 of 't.csv' is broken. It has 1 cell, and the header has 2. Correct the line, or the quotes before it."
    )
    assert chunk.faults == {10: told}
