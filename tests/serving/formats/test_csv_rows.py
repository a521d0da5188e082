"""CSV bodies become a model's inputs, or an error that names row and column."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BodyError
from serving.formats import csv_rows
from serving.formats.csv_rows import CsvRows
from storage import Column, RowError, Signature
from storage.boundary import MISSING_TIME, Blocks, number_of_text
from storage.signature import Kind
from tests.portable import CLASSIFIER

LATE_US = 1_704_067_200_000_000  # 2024-01-01 UTC


def decode(text: str | bytes, signature: Signature = CLASSIFIER) -> Blocks:
    return CsvRows(signature).decode(text if isinstance(text, bytes) else text.encode())


def test_without_a_header_cells_follow_the_signature() -> None:
    """The order is that of the training table; an empty cell is missing."""
    blocks = decode("4.0,Ulm,2,2024-01-01\n,,,\n")
    np.testing.assert_array_equal(blocks.number, [[4.0, 2.0], [np.nan, np.nan]])
    assert blocks.text.tolist() == [["Ulm"], [""]]
    assert blocks.time.tolist() == [[LATE_US], [MISSING_TIME]]


@pytest.mark.parametrize(
    "text",
    [
        "seen,visits,amount,town\n2024-01-01,2,4.0,Ulm\n",
        "paid,seen,id,visits,town,amount\r\nyes,2024-01-01T00:00:00Z,7,2,Ulm,4\r\n",
        '"amount","town","visits","seen"\n"4","Ulm","2","2024-01-01"',
        "\ufeffamount, town ,visits,seen\n4,Ulm, 2 ,2024-01-01\n\n",
    ],
)
def test_with_a_header_columns_stand_in_any_order(text: str) -> None:
    """Ignorable columns may be among them; Excel's byte order mark and line ends do no harm."""
    blocks = decode(text)
    assert blocks.number.tolist() == [[4.0, 2.0]]
    assert blocks.text.tolist() == [["Ulm"]]
    assert blocks.time.tolist() == [[LATE_US]]


def test_quoted_cells_hold_commas_quotes_and_line_ends() -> None:
    """RFC 4180, section 2."""
    assert decode('1,"a ""b"", c\nd",2,\n').text.tolist() == [['a "b", c\nd']]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("1,Ulm,2,\nn/a,Ulm,2,\n", "amount", "row 1 holds 'n/a'. Send a number, or leave the cell empty."),
        ("1,Ulm,1_0,\n", "visits", "row 0 holds '1_0'"),
        ("1,Ulm,2,soon\n", "seen", "row 0 holds 'soon'. Send a date or time"),
        ("amount,town,visits\n1,Ulm,2\n", "seen", "Row 0 lacks column 'seen'"),
        ("amount,town,visits,sene\n1,Ulm,2,\n", "sene", "does not know"),
        ("1,Ulm,2\n", None, "Row 0 has 3 cells; 4 are expected, as the model's columns, 'amount', 'town', 'visits'"),
        ("amount,town,visits,seen\n1,Ulm,2,,\n", None, "Row 0 has 5 cells; 4 are expected, as the header"),
    ],
)
def test_a_wrong_row_is_named_with_its_column(text: str, column: str | None, message: str) -> None:
    """Rows count from 0 and without the header."""
    with pytest.raises(RowError) as caught:
        decode(text)
    assert message in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no rows"),
        (b"\n\n", "no rows"),
        (b"amount,town,visits,seen\n", "no rows"),
        (b'1,"Ulm,2,', "no CSV"),
        (b"1,\xff,2,", r"no UTF-8: invalid start byte \(byte 2\)"),
        (b"amount,amount,town,visits,seen\n1,1,Ulm,2,", "twice"),
    ],
)
def test_a_body_that_holds_no_rows_is_refused(body: bytes, message: str) -> None:
    """What is wrong, and how to send it."""
    with pytest.raises(BodyError, match=message):
        decode(body)


def test_whole_numbers_written_by_pandas_stay_categories() -> None:
    """A column of whole numbers with a missing one is written as floats."""
    signature = Signature("regression", "y", (Column("zone", "category", "Int64"), Column("s", "text", "String")))
    assert decode("5.0,5.0\n-3,x\n,\n", signature).text.tolist() == [["5", "5.0"], ["-3", "x"], ["", ""]]


def test_booleans_are_numbers_where_training_had_booleans() -> None:
    """As Polars writes them; elsewhere `true` is no number."""
    signature = Signature("regression", "y", (Column("on", "number", "Boolean"), Column("x", "number", "Float64")))
    assert decode("true,1\nFalse,2\n", signature).number.tolist() == [[1.0, 1.0], [0.0, 2.0]]
    with pytest.raises(RowError, match="'x'"):
        decode("true,true\n", signature)


def test_cells_are_read_by_the_formats_of_training() -> None:
    """Epochs and local dates; codes whose zeros were lost or added."""
    signature = Signature(
        "regression",
        "y",
        (
            Column("ts", "time", "Int64", format="s"),
            Column("day", "time", "String", format="%d/%m/%Y"),
            Column("zone", "category", "Int64"),
        ),
    )
    blocks = decode("1704067200,1/1/2024,05\n 1704067200.0 ,2024-01-01,5\n", signature)
    assert blocks.time.tolist() == [[LATE_US, LATE_US], [LATE_US, LATE_US]]
    assert blocks.text.tolist() == [["5"], ["5"]]


def test_an_empty_line_is_the_missing_value_of_a_lone_column() -> None:
    """There is no other way to write it without quotes."""
    signature = Signature("regression", "y", (Column("x", "number", "Float64"),))
    np.testing.assert_array_equal(decode("1\n\n3\n", signature).number, [[1.0], [np.nan], [3.0]])


@given(st.lists(st.tuples(st.none() | st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))), min_size=1))
def test_what_a_csv_writer_wrote_is_read(rows: list[tuple[float | None, str]]) -> None:
    """Numbers and text come back as they were; the empty text is missing text."""
    file = io.StringIO()
    csv.writer(file).writerows([amount, town, "", ""] for amount, town in rows)
    blocks = decode(file.getvalue())
    expected = [np.nan if amount is None else amount for amount, _ in rows]
    np.testing.assert_array_equal(blocks.number[:, 0], expected)
    assert blocks.text[:, 0].tolist() == [town for _, town in rows]


@given(token=st.text("bcdghkqwxz", min_size=12, max_size=90), kind=st.sampled_from(["number", "time"]))
def test_a_sensitive_cell_is_refused_without_its_value(token: str, kind: Kind) -> None:
    """The message tells where it is and how long, and so do the errors behind it."""
    signature = Signature("regression", "y", (Column("secret", kind, "any", sensitive=True),))
    expected = f"row 1 holds a string of {len(token)} characters. Send a .*, or leave the cell empty.$"
    with pytest.raises(RowError, match=expected) as caught:
        decode(f"\n{token}\n", signature)
    assert token[:7] not in f"{caught.value}{caught.value.__cause__}"


@given(
    st.lists(st.sampled_from(["a", ",", "\n", "\r", "\r\n", " ", "\x0b", "\x1c", "\u2028", "\x85", "é", "'"])).map(
        "".join
    )
)
def test_text_without_quotes_is_split_as_the_csv_module_reads_it(text: str) -> None:
    """Which takes ten times as long."""
    assert csv_rows._split(text) == list(csv.reader(io.StringIO(text, newline=""), strict=True))


@given(
    st.lists(
        st.sampled_from(
            ["", "1", " 2.5 ", "-1e3", "nan", "inf", "-Infinity", "1_0", "٣", "true", "x", "\u20031", "+", "0x1"]
        )
    )
)
def test_numbers_are_read_at_once_as_one_by_one(cells: list[str]) -> None:
    """Whatever stands in a column."""
    for dtype in ("Float64", "Boolean"):
        column = Column("x", "number", dtype)
        one_by_one = [number_of_text(column, cell) for cell in cells]
        if None in one_by_one:
            with pytest.raises(RowError):
                csv_rows._numbers(column, cells)
        else:
            np.testing.assert_array_equal(csv_rows._numbers(column, cells), np.array(one_by_one, dtype=np.float64))
