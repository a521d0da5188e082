"""Raw values become a model's inputs the same way from frames and from rows, or an error names the cell."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from storage import Column, DataError, InputError, RowError, Signature
from storage.boundary import MISSING_TIME, Blocks, blocks_of_frame, blocks_of_rows, parse_times, typed
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


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan"), pd.NaT, Decimal("NaN")])
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
        ("age", "30", "Column 'age' was number in training; row 0 holds '30'. Send a number or null."),
        ("age", [1], "Column 'age' was number in training; row 0 holds [1]. Send a number or null."),
        ("age", 10**400, "Column 'age' was number in training; row 0 holds 1000000000"),
        ("age", 1j, "Column 'age' was number in training; row 0 holds 1j. Send a number or null."),
        ("age", pd.NA, "Column 'age' was number in training; row 0 holds <NA>. Send a number or null."),
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
        ("seen", "", "Column 'seen' was time in training; row 0 holds ''. Send a date or time such as 2024-05-01 or "),
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
        ("age", pl.Series([date(2024, 5, 1)]), "Column 'age' was number (Int64) in training; here it is Date. Conv"),
        ("age", pl.Series([[1]]), "Column 'age' was number (Int64) in training; here it is List(Int64). Convert"),
        ("paid", pl.Series(["yes"]), "Column 'paid' was number in training; row 0 holds 'yes'. Send a number or null."),
        ("town", pl.Series([0.5]), "Column 'town' was category (String) in training; here it is Float64. Convert"),
        ("town", pl.Series([1e300]), "Column 'town' was category (String) in training; here it is Float64."),
        ("town", pl.Series([float("inf")]), "Column 'town' was category (String) in training; here it is Float64."),
        ("town", pl.Series([b"a"]), "Column 'town' was category (String) in training; here it is Binary."),
        ("note", pl.Series([date(2024, 5, 1)]), "Column 'note' was text (String) in training; here it is Date."),
        ("seen", pl.Series(["2024-05-01", "soon"]), "Column 'seen' was time in training; row 1 holds 'soon'. Send a d"),
        ("seen", pl.Series([0.5]), "Column 'seen' was time (Date) in training; here it is Float64. Convert it"),
        ("seen", pl.Series([True]), "Column 'seen' was time (Date) in training; here it is Boolean. Convert it"),
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
