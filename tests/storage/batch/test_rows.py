"""A broken row is one row's fault."""

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Column, Signature
from storage.batch.rows import csv_rows, ndjson_rows
from storage.boundary import blocks_of_frame, checked
from storage.formats import NULL_WORDS

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8).filter(
    lambda cell: cell not in NULL_WORDS
)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS.filter(bool)), min_size=1, max_size=8))
def test_rows_are_what_was_written(rows: list[tuple[str, ...]]) -> None:
    """Whatever their cells hold; blank cells are missing."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    found = csv_rows(written.getvalue().encode(), ["a", "b", "c"], ",")
    assert not found.faults
    assert [tuple(cell or "" for cell in row) for row in found.frame.rows()] == rows


@pytest.mark.parametrize(
    ("text", "rows", "faults"),
    [
        (b"1,2,3\n4,5\n6,7,8\n", [("1", "2", "3"), None, ("6", "7", "8")], {1: "It has 2 cells"}),
        (b"1,2,3\n4,5,6,7\n", [("1", "2", "3"), None], {1: "It has 4 cells"}),
        (b'1,"2,x",\n4,"5"\n', [("1", "2,x", None), None], {1: "It has 2 cells"}),
        (b"1,M\xfc,3\n4,5,6\n", [None, ("4", "5", "6")], {0: "It is not UTF-8."}),
        (b'1,5" pipe,3\n4,5,NA\n', [("1", '5" pipe', "3"), ("4", "5", None)], {}),
        (b"1,2,3\n\n4,5,\n\n", [("1", "2", "3"), ("4", "5", None)], {}),
        (b"1,2,3\r\n4,5,\r\n", [("1", "2", "3"), ("4", "5", None)], {}),
        (b"4,a\rb,6\n1,,\n", [("4", "a\rb", "6"), ("1", None, None)], {}),
    ],
    ids=["short", "long", "short with quotes", "latin-1", "stray quote", "blank lines", "windows", "carriage return"],
)
def test_the_others_are_read(text: bytes, rows: list[tuple[str, ...] | None], faults: dict[int, str]) -> None:
    """The broken one is null, and told."""
    found = csv_rows(text, ["a", "b", "c"], ",")
    assert found.frame.rows() == [row or (None, None, None) for row in rows]
    assert found.faults.keys() == faults.keys()
    assert all(found.faults[at].startswith(words) for at, words in faults.items())


NUMERALS = st.one_of(
    st.text("0123456789.+-eE_ xinfa\t", max_size=8),
    st.floats().map(str),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["", "NA", "nan", "inf", "-Infinity", "1e400", "true", " 5 ", "٣", "0x1", "1_0", "5.", ".5"]),
)


@given(cells=st.lists(NUMERALS, min_size=1, max_size=5), quote=st.sampled_from(['"', ""]))
@pytest.mark.slow
def test_numbers_are_the_same_whichever_way_they_are_read(cells: list[str], quote: str) -> None:
    """At once, or as text that is judged cell by cell: to the bit, and as wrong."""
    signature = Signature("regression", "y", (Column("x", "number", "Float64"),))
    data = "".join(f"{quote}{cell}{quote},end\n" for cell in cells).encode()
    fast, slow = (csv_rows(data, ["x", "other"], ",", numbers).frame for numbers in (("x",), ()))
    found = [checked(signature, frame) for frame in (fast, slow)]
    assert found[0][1].equals(found[1][1])
    blocks = [blocks_of_frame(signature, clean).number.tobytes() for clean, _ in found]
    assert blocks[0] == blocks[1]


def test_a_blank_line_is_a_missing_value_where_there_is_one_column() -> None:
    """Otherwise it is no row."""
    assert csv_rows(b"1\n\n3\n", ["a"], ",").frame.rows() == [("1",), (None,), ("3",)]
    assert csv_rows(b"\n", ["a", "b"], ",").frame.height == 0


def test_a_line_that_is_no_object_is_told() -> None:
    """Others are read, whatever their columns."""
    found = ndjson_rows(b'{"a": 1}\n{"a": \n[1]\n\n{"b": "x"}\n7\n', None)
    assert found.frame.select("a", "b").rows() == [(1, None), (None, None), (None, None), (None, "x"), (None, None)]
    assert sorted(found.faults) == [1, 2, 4]
    assert found.faults[2] == "It is no JSON object: it is list."


def test_numbers_and_text_of_one_column_are_text() -> None:
    """The model's own rules then say which of it is a number."""
    assert ndjson_rows(b'{"a": 1}\n{"a": "n/a"}\n', None).frame.to_series().to_list() == ["1", "n/a"]


def test_columns_that_other_rows_had_are_null() -> None:
    """A block has the columns of the file."""
    found = ndjson_rows(b'{"a": 1}\n', ["a", "b"])
    assert found.frame.columns == ["a", "b"]
    assert ndjson_rows(b"", ["a"]).frame.schema == {"a": pl.Null}
