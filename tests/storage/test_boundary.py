"""Raw values become a model's inputs the same way from frames and from rows, or an error names the cell."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from storage import Column, DataError, InputError, RowError, Signature
from storage.boundary import (
    EPOCH_UNITS,
    MISSING_TIME,
    TIME_FORMATS,
    Blocks,
    RowReader,
    blocks_of_frame,
    blocks_of_rows,
    checked,
    parse_times,
    typed,
)
from storage.signature import Dropped
from storage.traffic import frame_of_blocks
from tests.refusals import raises
from tests.strategies import frames, levels, numbers, signature_of, times

COLUMNS = (
    Column("age", "number", "Int64"),
    Column("town", "category", "String"),
    Column("note", "text", "String"),
    Column("seen", "time", "Date"),
    Column("paid", "number", "Boolean"),
)
SIGNATURE = Signature("regression", "y", COLUMNS, (Dropped("id", "counts the rows"),))
ROW: dict[str, Any] = {"age": 30, "town": "Ulm", "note": "a b", "seen": "2024-05-01", "paid": True}
MAY_US = 1_714_521_600_000_000  # date -d 2024-05-01Z +%s


def of_frame(signature: Signature = SIGNATURE, **values: Any) -> Blocks:
    """Blocks of a frame with one row, some of its values replaced."""
    row = {**ROW, **values} if signature is SIGNATURE else values
    frame = pl.DataFrame({name: value if isinstance(value, pl.Series) else [value] for name, value in row.items()})
    return blocks_of_frame(signature, typed(signature, frame))


def of_row(signature: Signature = SIGNATURE, **values: Any) -> Blocks:
    """Blocks of one row, some of its values replaced."""
    return blocks_of_rows(signature, [{**ROW, **values} if signature is SIGNATURE else values])


def _bits(numbers: NDArray[np.float64]) -> bytes:
    """All bits, with one NaN for all."""
    return np.where(np.isnan(numbers), np.nan, numbers).tobytes()


def same(left: Blocks, right: Blocks) -> bool:
    """To the bit, types and shapes too; a NaN equals a NaN."""
    return (
        _bits(left.number) == _bits(right.number)
        and left.text.tolist() == right.text.tolist()
        and left.time.tolist() == right.time.tolist()
        and [block.dtype for block in left] == [block.dtype for block in right]
        and [block.shape for block in left] == [block.shape for block in right]
    )


# ------------------------------------------------------------------------------------------- what values become


def test_blocks_hold_like_columns_in_the_signatures_order() -> None:
    """Numbers and booleans as float64, text as str, times as microseconds."""
    blocks = of_row()
    assert blocks.number.tolist() == [[30.0, 1.0]]
    assert blocks.text.tolist() == [["Ulm", "a b"]]
    assert blocks.time.tolist() == [[MAY_US]]
    assert blocks.rows == 1
    assert same(blocks, of_frame())


@pytest.mark.parametrize("of", [of_frame, of_row])
def test_null_becomes_the_blocks_sentinel(of: Any) -> None:
    """NaN, the empty string, the smallest int64."""
    blocks = of(age=None, town=None, note=None, seen=None, paid=None)
    assert np.isnan(blocks.number).all()
    assert blocks.text.tolist() == [["", ""]]
    assert blocks.time.tolist() == [[-9_223_372_036_854_775_808]]


@given(rows=st.lists(st.tuples(numbers, levels, times, numbers, levels), max_size=8))
def test_frames_and_rows_give_identical_blocks(rows: list[tuple[Any, ...]]) -> None:
    """Whatever the cells hold, with no rows too."""
    kinds = ("number", "category", "time", "number", "category")
    signature = signature_of(kinds)
    schema = {"c0": pl.Float64, "c1": pl.String, "c2": pl.Int64, "c3": pl.Float64, "c4": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    mappings = [dict(zip(schema, row, strict=True)) for row in rows]
    assert same(blocks_of_frame(signature, typed(signature, frame)), blocks_of_rows(signature, mappings))


@given(frame=frames(("number", "category", "text", "time")))
def test_typed_frames_survive_the_way_through_blocks(frame: pl.DataFrame) -> None:
    """So that traffic which was captured as blocks is typed as the reference sample is."""
    signature = signature_of(("number", "category", "text", "time"))
    assert_frame_equal(frame_of_blocks(signature, blocks_of_frame(signature, frame)), frame)


@given(frame=frames(("number", "category", "text", "time")))
def test_typing_twice_changes_nothing(frame: pl.DataFrame) -> None:
    """A typed frame is as it should be."""
    assert_frame_equal(typed(signature_of(("number", "category", "text", "time")), frame), frame)


@pytest.mark.parametrize("of", [of_frame, of_row])
@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (7, "7"), (7.0, "7"), (-(2**40), "-1099511627776"), (True, "true"), (False, "false"), ("", "")],
)
def test_numbers_and_booleans_can_be_categories(of: Any, value: Any, text: str) -> None:
    """Whole numbers are written without a point, booleans in lower case, as Polars writes them."""
    assert of(town=value).text.tolist() == [[text, "a b"]]


def test_category_types_of_frames_are_read_as_their_text() -> None:
    """Categorical and Enum."""
    for dtype in (pl.Categorical, pl.Enum(["Ulm", "Bonn"])):
        assert of_frame(town=pl.Series(["Bonn"], dtype=dtype)).text.tolist() == [["Bonn", "a b"]]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (pl.Series(["1e3"]), 1000.0),
        (pl.Series([7], dtype=pl.UInt8), 7.0),
        (pl.Series([True]), 1.0),
        (pl.Series([Decimal("1.25")]), 1.25),
        (pl.Series([timedelta(seconds=2)]), 2_000_000.0),
        (pl.Series([datetime(2024, 1, 1, 0, 0, 3)]).dt.time(), 3_000_000.0),  # noqa: DTZ001 - a frame without zone
        (pl.Series([2**60], dtype=pl.Int128), 2.0**60),
        (pl.Series([None], dtype=pl.Null), None),
    ],
)
def test_columns_of_numbers_come_in_many_types(value: pl.Series, number: float | None) -> None:
    """Strings that are numbers, durations and times of day in microseconds."""
    found = of_frame(age=value).number[0, 0]
    assert np.isnan(found) if number is None else found == number


@pytest.mark.parametrize(
    ("text", "number"), [("true", 1.0), ("True", 1.0), ("FALSE", 0.0), ("1", 1.0), ("0", 0.0), (None, None)]
)
def test_a_boolean_may_be_written_in_words(text: str | None, number: float | None) -> None:
    """As csv files hold them."""
    found = of_frame(paid=pl.Series([text], dtype=pl.String)).number[0, 1]
    assert np.isnan(found) if number is None else found == number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.bool_(True), 1.0),
        (Decimal("1.25"), 1.25),
        (float("inf"), float("inf")),
        (2**70, 2.0**70),
        (timedelta(seconds=2), 2_000_000.0),
        (time(0, 0, 3), 3_000_000.0),
    ],
)
def test_numbers_of_rows_come_in_many_types(value: Any, number: float) -> None:
    """NumPy's and decimals among them; durations and times of day in microseconds, as in frames."""
    assert of_row(age=value).number[0, 0] == number


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan"), pd.NaT, pd.NA, Decimal("NaN")])
def test_none_nan_and_nat_are_missing_in_rows(missing: Any) -> None:
    """In each kind of column."""
    blocks = of_row(age=missing, town=missing, seen=missing)
    assert np.isnan(blocks.number[0, 0])
    assert blocks.text[0, 0] == ""
    assert blocks.time[0, 0] == MISSING_TIME


# ------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("of", [of_frame, of_row])
@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (MAY_US, MAY_US),
        (0, 0),
        (date(2024, 5, 1), MAY_US),
        (datetime(2024, 5, 1, 2, tzinfo=UTC), MAY_US + 7_200_000_000),
        (datetime(2024, 5, 1, 2), MAY_US + 7_200_000_000),  # noqa: DTZ001 - without a zone it counts as UTC
        (datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), MAY_US),
        ("2024-05-01", MAY_US),
        (" 2024-05-01 ", MAY_US),
        ("2024-05-01T00:00", MAY_US),
        ("2024-05-01 00:00:00", MAY_US),
        ("2024-05-01T00:00:00Z", MAY_US),
        ("2024-05-01T02:00:00+02:00", MAY_US),
        ("2024-05-01T00:00:00.5", MAY_US + 500_000),
        ("2024-05-01T00:00:00.123456789Z", MAY_US + 123_456),
        ("1969-12-31T23:59:59.999999", -1),
        ("0001-01-01", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999", 253_402_300_799_999_999),
    ],
)
def test_times_come_as_microseconds_dates_datetimes_or_iso_strings(of: Any, value: Any, micros: int) -> None:
    """From frames and from rows, without a zone as UTC."""
    assert of(seen=value).time.tolist() == [[micros]]


@pytest.mark.parametrize(
    ("series", "micros"),
    [
        (pl.Series([-1500], dtype=pl.Int64).cast(pl.Datetime("ns")), -2),
        (pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ms", "Asia/Tokyo")), 1000),
        (pl.Series([2**62], dtype=pl.Int64).cast(pl.Datetime("ms")), 9_223_372_036_854_775_000),
        (pl.Series([5], dtype=pl.Int8), 5),
        (pl.Series([None], dtype=pl.Null), MISSING_TIME),
    ],
)
def test_times_of_frames_come_in_many_units(series: pl.Series, micros: int) -> None:
    """Nanoseconds are rounded down, milliseconds beyond the calendar end at its end."""
    assert of_frame(seen=series).time.tolist() == [[micros]]


ISO = st.builds(
    lambda day, clock, zone: day.isoformat() + (clock + zone if clock else ""),
    st.dates(),
    st.sampled_from(["", "T00:00", " 23:59", "T07:30:15", " 07:30:15.5", "T07:30:15.123456", " 07:30:15.123456789"]),
    st.sampled_from(["", "Z", "+00:00", "-11:30", "+14:00"]),
)


@given(text=ISO)
@example("2024-05-01T07:30:15.123456-11:30")
def test_strings_are_parsed_as_python_parses_iso_8601(text: str) -> None:
    """A date, or a date and a time with or without a zone."""
    when = datetime.fromisoformat(text)
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    micros = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_times(pl.Series([text])).to_physical().to_list() == [micros]
    assert of_row(seen=text).time.tolist() == [[micros]]


@given(text=st.text("0123456789-:.TZ+ ", max_size=26) | ISO.map(lambda text: text[:-1]) | st.text(max_size=8))
def test_frames_and_rows_never_read_a_string_as_different_times(text: str) -> None:
    """Where one of them refuses a spelling, there is an error and no other time."""
    found: set[int] = set()
    for of in (of_row, of_frame):
        with suppress(InputError):
            found.add(of(seen=text).time[0, 0])
    assert len(found) <= 1


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", "n/a", "Column 'age' was number in training; row 0 holds 'n/a'. Send a number or null."),
        ("age", "1,5", "Column 'age' was number in training; row 0 holds '1,5'. Send a number or null."),
        ("age", "1_000", "Column 'age' was number in training; row 0 holds '1_000'. Send a number or null."),
        ("age", "true", "Column 'age' was number in training; row 0 holds 'true'. Send a number or null."),
        ("age", [1], "Column 'age' was number in training; row 0 holds [1]. Send a number or null."),
        ("age", 10**400, "Column 'age' was number in training; row 0 holds 1000000000"),
        ("age", 1j, "Column 'age' was number in training; row 0 holds 1j. Send a number or null."),
        ("age", np.array([1, 2]), "Column 'age' was number in training; row 0 holds array([1, 2]). Send a number"),
        ("town", {"a": 1}, "Column 'town' was category in training; row 0 holds {'a': 1}. Send a string or null."),
        ("town", 0.5, "Column 'town' was category in training; row 0 holds 0.5. Send a string or null."),
        ("note", float("inf"), "Column 'note' was text in training; row 0 holds inf. Send a string or null."),
        ("note", b"a", "Column 'note' was text in training; row 0 holds b'a'. Send a string or null."),
        (
            "note",
            "\ud800",
            "Column 'note' was text in training; row 0 holds '\\ud800'. Send text that UTF-8 can hold.",
        ),
        ("seen", "1.5.2024", "Column 'seen' was time in training; row 0 holds '1.5.2024'. Send a date or time such as"),
        ("seen", "20240501", "Column 'seen' was time in training; row 0 holds '20240501'. Send a date or time such"),
        ("seen", "1714521600", "Column 'seen' was time in training; row 0 holds '1714521600'. Send a date or time"),
        ("seen", True, "Column 'seen' was time in training; row 0 holds True. Send a date or time such as"),
        ("seen", 1.5, "Column 'seen' was time in training; row 0 holds 1.5. Send a date or time such as"),
        ("seen", 2**63, "Column 'seen' was time in training; row 0 holds 9223372036854775808. Send a date"),
    ],
)
def test_a_wrong_value_of_a_row_is_named_with_row_and_column(column: str, value: Any, message: str) -> None:
    """In the words of the training table, with what to send instead."""
    with raises(RowError, message) as caught:
        of_row(**{column: value})
    assert (caught.value.row, caught.value.column) == (0, column)


def test_the_row_that_is_named_counts_from_zero() -> None:
    """In the request's order."""
    with raises(RowError, "row 2 holds 'x'"):
        blocks_of_rows(SIGNATURE, [ROW, ROW, {**ROW, "age": "x"}])


def test_a_row_without_a_column_is_refused() -> None:
    """Leaving it out is not the same as null."""
    row = {name: value for name, value in ROW.items() if name != "town"}
    with raises(RowError, "Row 1 lacks column 'town'. Send it, or null if it is unknown."):
        blocks_of_rows(SIGNATURE, [ROW, row])


def test_a_row_with_an_unknown_column_is_refused() -> None:
    """It is a misspelling."""
    message = "Row 0 has a column 'Town' that the model does not know. It takes 'age', 'town', 'note', 'seen', 'paid'."
    with raises(RowError, message):
        of_row(Town="Ulm")


def test_a_row_may_carry_the_target_and_dropped_columns() -> None:
    """Whatever they hold."""
    assert same(of_row(y="?", id=[1]), of_row())


@pytest.mark.parametrize(
    ("column", "series", "message"),
    [
        ("age", pl.Series(["1", "n/a"]), "Column 'age' was number in training; row 1 holds 'n/a'. Send a number or"),
        ("age", pl.Series([None, date(2024, 5, 1)]), "Column 'age' was number in training; row 1 holds datetime.date("),
        ("age", pl.Series([[1]]), "Column 'age' was number in training; row 0 holds [1]. Send a number or null."),
        ("age", pl.Series([{"a": 1}]), "Column 'age' was number in training; row 0 holds {'a': 1}. Send a number or"),
        ("paid", pl.Series(["yes"]), "Column 'paid' was number in training; row 0 holds 'yes'. Send a number or null."),
        ("town", pl.Series([1.0, 0.5]), "Column 'town' was category in training; row 1 holds 0.5. Send a string or"),
        ("town", pl.Series([1e300]), "Column 'town' was category in training; row 0 holds 1e+300. Send a string or"),
        ("town", pl.Series([float("inf")]), "Column 'town' was category in training; row 0 holds inf. Send a string"),
        ("town", pl.Series([b"a"]), "Column 'town' was category in training; row 0 holds b'a'. Send a string or null."),
        ("note", pl.Series([date(2024, 5, 1)]), "Column 'note' was text in training; row 0 holds datetime.date(2024"),
        ("note", pl.Series([["a"]]), "Column 'note' was text in training; row 0 holds ['a']. Send a string or null."),
        ("seen", pl.Series(["2024-05-01", "soon"]), "Column 'seen' was time in training; row 1 holds 'soon'. Send a d"),
        ("seen", pl.Series([0.5]), "Column 'seen' was time in training; row 0 holds 0.5. Send a date or time such as"),
        ("seen", pl.Series([True]), "Column 'seen' was time in training; row 0 holds True. Send a date or time such"),
        (
            "seen",
            pl.Series([2**63], dtype=pl.UInt64),
            "Column 'seen' was time in training; row 0 holds 922337203685477",
        ),
    ],
)
def test_a_wrong_column_of_a_frame_is_named(column: str, series: pl.Series, message: str) -> None:
    """With the type or the first cell that is at fault."""
    frame = pl.DataFrame({name: [value] * len(series) for name, value in ROW.items()})
    with raises(DataError, message):
        typed(SIGNATURE, frame.with_columns(series.alias(column)))


def test_a_cells_row_number_counts_from_the_first_row_given() -> None:
    """So that a file that is read in parts names the row of the file."""
    frame = pl.DataFrame({**{name: [value] * 2 for name, value in ROW.items()}, "age": ["1", "x"]})
    with raises(DataError, "row 50001 holds 'x'"):
        typed(SIGNATURE, frame, first_row=50_000)


def test_absent_columns_are_all_named_beside_those_that_are_there() -> None:
    """Long lists are cut."""
    message = "The data lacks 'note', 'seen', which the model takes. It has 'age', 'town', 'paid'. Add the column;"
    with raises(DataError, message):
        typed(SIGNATURE, pl.DataFrame({"age": [1], "town": ["a"], "paid": [True]}))
    with raises(DataError, "'x6', 'x7' and 4 more."):
        typed(SIGNATURE, pl.DataFrame({f"x{number}": [1] for number in range(12)}))


def test_columns_that_the_model_does_not_take_are_left_out() -> None:
    """A frame may have more, in any order."""
    frame = pl.DataFrame({"y": [1], **{name: [value] for name, value in reversed(ROW.items())}})
    assert typed(SIGNATURE, frame).columns == ["age", "town", "note", "seen", "paid"]


# ------------------------------------------------------------------------------------------ frames and rows agree

KINDS = [
    Column("x", "number", "Float64"),
    Column("x", "number", "Boolean"),
    Column("x", "category", "String"),
    Column("x", "category", "Int64"),
    Column("x", "category", "Boolean"),
    Column("x", "text", "List(String)"),
    *(Column("x", "time", "any", format=name) for name in (None, *EPOCH_UNITS, *TIME_FORMATS)),
]
CLOCKS = st.sampled_from(
    [
        "",
        "",
        " 7:05",
        "T23:59:59",
        " 12:00 AM",
        " 12:30pm",
        " 13:00 PM",
        " 10:00:00.123456789Z",
        " 1:02 +02:30",
        ":1:02",
    ]
)
PLAIN_TEXT = st.one_of(
    st.sampled_from(
        ["", " ", "true", "False", " TRUE", "1", "0", "05", "5.0", "+5", "-0", "-0.0", "1e5", ".5", "5.", "5. "]
    ),
    st.sampled_from(["nan", "NaN", "inf", "-Infinity", "1_0", "٣", "1e400", "0x10", "\u00a05", "5\x1f", "1,5", "--1"]),
    st.sampled_from(["1714521600", "1714521600000", "20240501", "20240532", "1714521600.5", "9" * 19, "9" * 400]),
    st.integers(-(2**64), 2**64).map(str),
    st.floats().map(str),
    st.text(max_size=4),
)
PARTS = st.tuples(
    st.sampled_from(["1", "01", "5", "12", "13", "29", "30", "31", "00", "May", "sept.", "December", "Mayor"]),
    st.sampled_from(["2", "02", "4", "12", "13", "31", "Feb", "February"]),
    st.sampled_from(["24", "69", "68", "1999", "2024", "0000", "12024"]),
)
DATED = st.builds(
    lambda parts, order, mark, day, clock: day + mark.join(parts[at] for at in order) + clock,
    PARTS,
    st.sampled_from([(0, 1, 2), (2, 1, 0), (2, 0), (1, 2), (2,)]),
    st.sampled_from(["/", ".", "-", " ", "", ", "]),
    st.sampled_from(["", "", "Tue, ", "Tuesday "]),
    CLOCKS,
)
SPELLED = st.builds(
    lambda day, name, clock: day.strftime("%Y-%m-%d" if name is None else name).replace("  ", " ") + clock,
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.sampled_from([None, *TIME_FORMATS]),
    CLOCKS,
)
ANY_CELL = st.one_of(
    PLAIN_TEXT,
    DATED,
    SPELLED,
    st.none(),
    st.booleans(),
    st.integers(-(2**100), 2**100),
    st.integers(10**9, 2 * 10**9),
    st.integers(19_000_000, 21_000_000),
    st.floats(),
    st.integers(10**9, 2 * 10**9).map(lambda number: number + 0.25),
    st.dates(),
    st.datetimes() | st.datetimes(timezones=st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))),
    st.timedeltas(timedelta(-1000), timedelta(1000)),
    st.times(),
    st.decimals(-(10**6), 10**6, places=2),
    st.binary(max_size=2),
    st.lists(st.none() | st.text(max_size=2), max_size=3),
    st.lists(st.integers(0, 3), min_size=1, max_size=2),
    st.just({"a": 1}),
)


def read(of: Any, signature: Signature, value: Any) -> Blocks | None:
    """The blocks of one cell; None where it is refused."""
    try:
        return of(signature, value)
    except InputError:
        return None


def frame_cell(signature: Signature, value: Any) -> Blocks:
    """One cell as a column of a frame."""
    frame = pl.DataFrame([pl.Series("x", [value])])
    return blocks_of_frame(signature, typed(signature, frame))


def row_cell(signature: Signature, value: Any) -> Blocks:
    """One cell as a row."""
    return blocks_of_rows(signature, [{"x": value}])


@given(column=st.sampled_from(KINDS), value=ANY_CELL)
@example(column=Column("x", "time", "any"), value="2024-05-01 7:30 PM")
@example(column=Column("x", "time", "any", format="%d/%m/%Y"), value="29/02/2023")
@example(column=Column("x", "time", "any", format="%d/%m/%y"), value="31/12/69")
@example(column=Column("x", "time", "any", format="s"), value=1e300)
@example(column=Column("x", "category", "Int64"), value="-0.00")
@example(column=Column("x", "number", "Boolean"), value="\uff34\uff32\uff35\uff25")
@settings(max_examples=600)
def test_a_cell_means_the_same_in_a_frame_and_in_a_row(column: Column, value: Any) -> None:
    """The same inputs to the bit, or refused both times, whatever it is."""
    signature = Signature("regression", "y", (column,))
    try:
        pl.Series("x", [value])
    except (pl.exceptions.PolarsError, OverflowError, TypeError, ValueError):
        return  # no frame can hold it
    in_frame, in_row = read(frame_cell, signature, value), read(row_cell, signature, value)
    if in_frame is None or in_row is None:
        assert in_frame is in_row
    else:
        assert same(in_frame, in_row)


@given(column=st.sampled_from(KINDS), cells=st.lists(st.none() | PLAIN_TEXT | DATED | SPELLED, min_size=2, max_size=8))
@settings(max_examples=200)
def test_a_cell_means_the_same_alone_and_among_others(column: Column, cells: list[str | None]) -> None:
    """No cell's meaning is guessed from its neighbours, and each wrong one is told for its row."""
    signature = Signature("regression", "y", (column,))
    clean, errors = checked(signature, pl.DataFrame({"x": pl.Series(cells, dtype=pl.String)}))
    blocks, told = RowReader(signature).checked([{"x": cell} for cell in cells])
    assert errors.to_list() == told
    assert same(blocks_of_frame(signature, clean.filter(errors.is_null())), blocks)
    for row, (cell, error) in enumerate(zip(cells, told, strict=True)):
        alone = read(row_cell, signature, cell)
        assert (alone is None) == (error is not None), row


@pytest.mark.parametrize(
    ("time_format", "text", "moment"),
    [
        ("%d/%m/%Y", "1/5/2024", "2024-05-01"),
        ("%m/%d/%Y", "1/5/2024", "2024-01-05"),
        ("%d/%m/%Y", "01/05/2024 07:30", "2024-05-01T07:30"),
        ("%d/%m/%y", "31/12/68", "2068-12-31"),
        ("%d/%m/%y", "31/12/69", "1969-12-31"),
        ("%d.%m.%Y", "29.02.2024 12:00 AM", "2024-02-29"),
        ("%d-%m-%Y", "01-05-2024T23:59:59.5+02:00", "2024-05-01T21:59:59.5"),
        ("%Y/%m/%d", "2024/5/1, 1:02 p.m.", "2024-05-01T13:02"),
        ("%Y%m%d", "20240501T0:00", "2024-05-01"),
        ("%d %B %Y", "Tue, 01 Oct 2024 10:00:00 GMT", "2024-10-01T10:00"),
        ("%d %B %Y", "1-oct-2024", "2024-10-01"),
        ("%B %d, %Y", "Sept. 5, 2024 6 PM", None),
        ("%B %d, %Y", "September 5 2024 6:00 PM -0500", "2024-09-05T23:00"),
        ("%B %Y", "May 2024", "2024-05-01"),
        ("%Y %B", "1982 Apr", "1982-04-01"),
        ("%m/%Y", "12/2024", "2024-12-01"),
        ("%Y-%m", "2024-12", "2024-12-01"),
        ("%Y-%m", "2024-13", None),
        ("%d/%m/%Y", "2024-05-01", "2024-05-01"),
        ("%d/%m/%Y", "01.05.2024", None),
        ("%d/%m/%Y", "31/04/2024", None),
        ("%d/%m/%Y", "01/05/2024 24:00", None),
        ("s", "1714521600", "2024-05-01"),
        ("s", "1714521600.25", "2024-05-01T00:00:00.25"),
        ("ms", "1714521600250", "2024-05-01T00:00:00.25"),
        ("us", "1714521600250000.0", "2024-05-01T00:00:00.25"),
        ("ns", "1714521600250000999", "2024-05-01T00:00:00.25"),
        ("s", "2024-05-01T00:00", "2024-05-01"),
        ("us", "1.5", None),
    ],
)
def test_times_are_read_by_the_format_of_training(time_format: str, text: str, moment: str | None) -> None:
    """Or by ISO 8601; by no other."""
    signature = Signature("regression", "y", (Column("x", "time", "String", format=time_format),))
    expected = None if moment is None else int(np.datetime64(moment, "us").astype(np.int64))
    for of in (frame_cell, row_cell):
        found = read(of, signature, text)
        assert (None if found is None else found.time[0, 0]) == expected


@pytest.mark.parametrize(
    ("time_format", "value", "micros"),
    [
        (None, 5, 5),
        ("us", 5, 5),
        ("s", 5, 5_000_000),
        ("s", 0.25, 250_000),
        ("ms", 5, 5_000),
        ("ns", 5_999, 5),
        ("ns", -1, -1),
        ("%Y%m%d", 20240501, MAY_US),
        ("%Y%m%d", 20240501.0, MAY_US),
        ("%d/%m/%Y", 5, 5),
        (None, 5.0, 5),
    ],
)
def test_whole_numbers_are_microseconds_or_what_the_format_says(
    time_format: str | None, value: float, micros: int
) -> None:
    """A unit since 1970, or a date's digits."""
    signature = Signature("regression", "y", (Column("x", "time", "Int64", format=time_format),))
    assert frame_cell(signature, value).time.tolist() == row_cell(signature, value).time.tolist() == [[micros]]


@pytest.mark.parametrize(
    ("dtype", "value", "level"),
    [
        ("Int64", "05", "5"),
        ("Int64", " 5.0 ", "5"),
        ("Int64", 5.0, "5"),
        ("Int64", "-0", "0"),
        ("Int64", "north", "north"),
        ("Int64", "5.5", "5.5"),
        ("Float64", "5.0", "5"),
        ("Boolean", "True", "true"),
        ("Boolean", 1, "true"),
        ("Boolean", "0", "false"),
        ("Boolean", "maybe", "maybe"),
        ("String", "05", "05"),
        ("String", "5.0", "5.0"),
        ("String", 5.0, "5"),
        ("String", "", ""),
        ("List(String)", ["a", None, "b"], "a b"),
        ("List(String)", [], ""),
        ("List(String)", "a b", "a b"),
    ],
)
def test_a_level_is_the_same_however_it_is_written(dtype: str, value: Any, level: str) -> None:
    """Where training had numbers, booleans or lists; text stays as it is."""
    signature = Signature("regression", "y", (Column("x", "category", dtype),))
    assert frame_cell(signature, value).text.tolist() == row_cell(signature, value).text.tolist() == [[level]]


# ---------------------------------------------------------------------------------------- structs, lists, many rows

NESTED = Signature(
    "regression",
    "y",
    (
        Column("home.zip", "category", "String", path=("home", "zip")),
        Column("home.at.lat", "number", "Float64", path=("home", "at", "lat")),
        Column("emb[0]", "number", "Float64", path=("emb", 0)),
        Column("emb[2]", "number", "Float64", path=("emb", 2)),
        Column("x", "number", "Float64"),
    ),
    (Dropped("emb[1]", "is the same in every row", ("emb", 1)), Dropped("home.id", "counts", ("home", "id"))),
)
WHOLE: dict[str, Any] = {"home": {"zip": "1", "at": {"lat": 2.5}, "id": 7}, "emb": [1.0, 2.0, 3.0], "x": 4.0}
FLAT = {"home.zip": "1", "home.at.lat": 2.5, "emb[0]": 1.0, "emb[2]": 3.0, "x": 4.0}


@pytest.mark.parametrize("row", [WHOLE, FLAT, {**WHOLE, "emb": (1, 2, 3)}, {**WHOLE, "emb": np.array([1, 2, 3])}])
def test_rows_may_be_nested_or_flat(row: dict[str, Any]) -> None:
    """Dictionaries and lists as in the training table, or the columns' own names."""
    blocks = blocks_of_rows(NESTED, [row])
    assert blocks.number.tolist() == [[2.5, 1.0, 3.0, 4.0]]
    assert blocks.text.tolist() == [["1"]]


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float64, 3)])
def test_frames_may_be_nested_or_flat(dtype: Any) -> None:
    """Structs, lists and arrays, or the columns' own names."""
    nested = pl.DataFrame([WHOLE]).with_columns(pl.col("emb").cast(dtype))
    assert typed(NESTED, nested).to_dicts() == [FLAT]
    assert typed(NESTED, pl.DataFrame([FLAT])).to_dicts() == [FLAT]
    assert typed(NESTED, nested.with_columns(pl.lit(9.0).alias("emb[0]"))).get_column("emb[0]").to_list() == [9.0]


def test_a_missing_struct_or_list_is_missing_in_all_its_parts() -> None:
    """As are columns of nulls alone."""
    row = {"home": None, "emb": None, "x": None}
    expected = blocks_of_rows(NESTED, [dict.fromkeys(FLAT)])
    assert same(blocks_of_rows(NESTED, [row]), expected)
    assert same(blocks_of_frame(NESTED, typed(NESTED, pl.DataFrame([row]))), expected)
    half = {"home": {"zip": "1", "at": None, "id": None}, "emb": [None, None, 1.0], "x": None}
    assert typed(NESTED, pl.DataFrame([half])).row(0) == ("1", None, None, 1.0, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emb": [1.0]}, "Column 'emb' had 3 values in training; row 0 holds 1. Send 3 values or null."),
        ({"emb": [1.0] * 4}, "Column 'emb' had 3 values in training; row 0 holds 4. Send 3 values or null."),
        ({"emb": 5}, "Column 'emb' was a list in training; row 0 holds 5. Send 3 values or null."),
        (
            {"home": 5},
            "Column 'home' was a struct in training; row 0 holds 5. Send an object with its fields, or null.",
        ),
        ({"home": {"zip": "1"}}, "Row 0 lacks column 'home.at.lat'. Send it, or null if it is unknown."),
        ({"home": {**WHOLE["home"], "zap": 1}}, "Row 0 has a column 'home.zap' that the model does not know."),
        ({"emb": [1.0, 2.0, "x"]}, "Column 'emb[2]' was number in training; row 0 holds 'x'. Send a number or null."),
    ],
)
def test_a_wrong_part_of_a_row_is_named(change: dict[str, Any], message: str) -> None:
    """By its flat name."""
    with raises(RowError, message):
        blocks_of_rows(NESTED, [{**WHOLE, **change}])


def test_a_wrong_part_of_a_frame_is_named() -> None:
    """A list of another length by its row, an absent field as an absent column."""
    frame = pl.DataFrame([WHOLE, WHOLE]).with_columns(emb=pl.Series([[1.0, 2.0, 3.0], [1.0]]))
    with raises(DataError, "Column 'emb' had 3 values in training; row 1 holds 1. Send 3 values or null."):
        typed(NESTED, frame)
    with raises(DataError, "The data lacks 'home.at.lat', which the model takes. It has 'home', 'emb', 'x'."):
        typed(NESTED, frame.with_columns(home=pl.struct(pl.lit("1").alias("zip"))))


def test_each_wrong_row_of_a_frame_is_told() -> None:
    """By its first wrong column; the others are clean."""
    frame = pl.DataFrame(
        {"age": ["1", "x", "y", None], "town": 0.5, "note": None, "seen": [None, None, "?", "?"], "paid": 1}
    )
    frame = frame.with_columns(town=pl.Series([1.0, 0.5, 2.0, 3.0]))
    clean, errors = checked(SIGNATURE, frame, first_row=10)
    assert errors.to_list() == [
        None,
        "Column 'age' was number in training; row 11 holds 'x'. Send a number or null.",
        "Column 'age' was number in training; row 12 holds 'y'. Send a number or null.",
        "Column 'seen' was time in training; row 13 holds '?'. Send a date or time such as 2024-05-01 or "
        "2024-05-01T13:30:00Z, or null.",
    ]
    assert clean.get_column("age").to_list() == [1.0, None, None, None]
    assert clean.get_column("town").to_list() == ["1", None, "2", "3"]


def test_an_absent_column_is_no_rows_fault() -> None:
    """The whole frame is refused."""
    with raises(DataError, "The data lacks 'town'"):
        checked(SIGNATURE, pl.DataFrame([ROW]).drop("town"))


def test_each_wrong_row_of_dictionaries_is_told() -> None:
    """And nothing of it is among the inputs."""
    rows: list[Any] = [ROW, {**ROW, "paid": "?"}, {}, 5, [1], {**ROW, "more": 1}, {**ROW, "age": 31}]
    blocks, errors = RowReader(SIGNATURE).checked(rows)
    assert blocks.number[:, 0].tolist() == [30.0, 31.0]
    assert blocks.rows == 2
    assert errors == [
        None,
        "Column 'paid' was number in training; row 1 holds '?'. Send a number or null.",
        "Row 2 lacks column 'age'. Send it, or null if it is unknown.",
        "Row 3 is 5. Send a dictionary with a value for each column.",
        "Row 4 is [1]. Send a dictionary with a value for each column.",
        "Row 5 has a column 'more' that the model does not know. It takes 'age', 'town', 'note', 'seen', 'paid'.",
        None,
    ]
