"""What one column becomes: codes, identifiers, large numbers, times as numbers and as text; and the user's word."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from autopilot.table.findings import Finding
from autopilot.table.infer import Table, infer
from storage import Column, DataError, InputError
from storage.signature import Dropped
from tests.refusals import raises

N = 120
MAY_S = 1_714_521_600  # date -d 2024-05-01Z +%s


def infer_one(name: str, values: Any, **options: Any) -> Table:
    """A table of one column beside another that is always kept."""
    series = (values if isinstance(values, pl.Series) else pl.Series(values, strict=False)).alias(name)
    kept = [row / 7 for row in range(len(series))]
    return infer(pl.DataFrame({"kept": kept, name: series, "y": ["a", "b"] * (len(series) // 2)}), "y", **options)


def column_of(name: str, values: Any, **options: Any) -> Column | Dropped:
    """What the column became."""
    signature = infer_one(name, values, **options).signature
    found = [part for part in (*signature.columns, *signature.dropped) if part.name == name]
    return found[0]


def kind_of(name: str, values: Any, **options: Any) -> str:
    """Its kind, with the format if it has one; or the reason why it was dropped."""
    found = column_of(name, values, **options)
    if isinstance(found, Dropped):
        return found.reason
    return found.kind if found.format is None else f"{found.kind} {found.format}"


def findings_of(name: str, values: Any, **options: Any) -> list[Finding]:
    """What is told about the column."""
    return [finding for finding in infer_one(name, values, **options).findings if finding.column == name]


# ---------------------------------------------------------------------------------------------- codes, identifiers

LEVELS = [(row * 7) % 5 + 10 for row in range(N)]
MANY = [(row * 7919) % 1_000_003 for row in range(N)]
IDENTIFIER = "is different in nearly every row, as an identifier is"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("zip", [12345, 50667, 89073] * 40, "category"),
        ("zip", [12345.0, 50667.0, None] * 20 + [89073.0, 12345.0, 50667.0] * 20, "category"),
        ("area_code", LEVELS, "category"),
        ("roomType", LEVELS, "category"),
        ("store_id", LEVELS, "category"),
        ("address.postcode", LEVELS, "category"),
        ("code_2", LEVELS, "category"),
        ("hour", LEVELS, "number"),
        ("rating", [1, 2, 3, 4, 5] * 24, "number"),
        ("rooms", LEVELS, "number"),
        ("month", [row % 12 + 1 for row in range(N)], "number"),
        ("paid", LEVELS, "number"),
        ("id_count", LEVELS, "number"),
        ("coder", LEVELS, "number"),
        ("is_type", [0, 1] * 60, "number"),
        ("type", [0.5, 1.0, 2.5] * 40, "number"),
        ("zip", [row if row % 4 else 7 for row in range(N)], "number"),
        ("customer_id", MANY, IDENTIFIER),
        ("customerId", [float(value) for value in MANY], IDENTIFIER),
        ("amount", MANY, "number"),
        ("amount", [value + 2**60 for value in MANY], IDENTIFIER),
        ("amount", [float(value) + 2**60 for value in MANY], "number"),
        ("token", [f"{value:032x}" for value in MANY], IDENTIFIER),
        ("token", [f"{value:032x}" for value in MANY[:80] + MANY[:40]], "holds hashes or uuids, most of them once"),
        (
            "token",
            [f"{value:08x}-0000-4000-8000-000000000000" for value in MANY[:80] + MANY[:40]],
            "holds hashes or uuids, most of them once",
        ),
        ("token", [f"{value:032x}" for value in MANY[:40] * 3], "category"),
        ("user", [f"user {value}" for value in MANY[:80] + MANY[:40]], "category"),
        ("user", pl.Series([f"user {value}" for value in MANY], dtype=pl.Categorical), IDENTIFIER),
    ],
)
def test_whole_numbers_are_levels_only_where_the_name_says_so(name: str, values: Any, kind: str) -> None:
    """Codes with repeated levels are categories, unique ones identifiers; counts, ratings and hours stay numbers."""
    assert kind_of(name, values) == kind


def test_a_code_is_told_with_what_would_make_it_a_number() -> None:
    """The levels are the numbers' digits."""
    message = (
        "'zip' is named as a code and has 3 levels; its numbers are read as names of levels. If their order means "
        "something, say --column zip=number."
    )
    values = [12345, 50667, 89073] * 40
    assert findings_of("zip", values) == [Finding("info", "code", message, "zip")]
    assert column_of("zip", values) == Column("zip", "category", "Int64", levels=("12345", "50667", "89073"))
    assert kind_of("zip", values, columns={"zip": "number"}) == "number"


def test_an_identifier_is_kept_when_it_is_asked_for() -> None:
    """As any kind that its cells allow."""
    assert kind_of("customer_id", MANY, columns={"customer_id": "number"}) == "number"
    assert kind_of("customer_id", MANY, columns={"customer_id": "category"}) == "category"


# -------------------------------------------------------------------------------------------------- large numbers


def test_whole_numbers_that_features_cannot_tell_apart_are_told() -> None:
    """Features are float32: 24 bits. Numbers beyond that which differ enough are not told."""
    close = [2**30 + row for row in MANY[:60] * 2]
    (finding,) = findings_of("x", [2**30 + row % 60 for row in range(N)])
    assert (finding.severity, finding.code) == ("info", "rounded")
    assert "features keep 24 bits of them, so that 60 distinct ones become 1." in finding.message
    assert "If they are codes, say --column x=category" in finding.message
    assert findings_of("x", [2**30 + 1000 * row for row in MANY]) == []
    assert findings_of("x", [row % 60 for row in range(N)]) == []
    assert kind_of("x", close) == "number"


@pytest.mark.parametrize(
    "values",
    [
        [2**60 + row % 60 for row in range(N)],
        pl.Series([Decimal(2**60 + row % 60) for row in range(N)], dtype=pl.Decimal(30, 2)),
        pl.Series([2**60 + row % 60 for row in range(N)], dtype=pl.Int128),
    ],
    ids=["Int64", "Decimal", "Int128"],
)
def test_whole_numbers_that_the_input_cannot_tell_apart_are_a_warning(values: Any) -> None:
    """Inputs are float64: 53 bits."""
    (finding,) = findings_of("x", values)
    assert finding.severity == "warning"
    assert "the model's input keeps 53 bits of them, its features 24, so that 60 distinct ones become 1." in (
        finding.message
    )


# ---------------------------------------------------------------------------------------------- numbers that are times


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("created_at", [MAY_S + 17 * row for row in range(N)], "time s"),
        ("timestamp", [MAY_S * 1000 + 17 * row for row in range(N)], "time ms"),
        ("ts", [MAY_S * 10**6 + 17 * row for row in range(N)], "time us"),
        ("updated", [MAY_S * 10**9 + 17 * row for row in range(N)], "time ns"),
        ("eventTime", [MAY_S + row / 8 for row in range(N)], "time s"),
        ("ts", [float(MAY_S + 17 * row) if row % 3 else None for row in range(N)], "time s"),
        ("x", [MAY_S + 60 * row for row in range(N)], "time s"),
        ("x", [1000 * (MAY_S + 3600 * row) for row in range(N)], "time ms"),
        ("x", [MAY_S + 17 * row for row in range(N)], "number"),
        ("x", [MAY_S + 60 * (row % 5) for row in range(N)], "number"),
        ("time", [17 * row for row in range(N)], "number"),
        ("ts", [MAY_S + 17 * row for row in range(N - 1)] + [3], "number"),
        ("what", [MAY_S + 17 * row for row in range(N)], "number"),
        ("d", [20240101 + row % 31 for row in range(N)], "time %Y%m%d"),
        ("d", [20240101.0 + row % 31 if row % 7 else None for row in range(N)], "time %Y%m%d"),
        ("d", [20240101 + row % 32 for row in range(N)], "number"),
        ("d", [20240101 + row % 5 for row in range(N)], "number"),
        ("date", [20240101 + row % 5 for row in range(N)], "time %Y%m%d"),
        ("year", [1990 + row % 30 for row in range(N)], "number"),
    ],
)
def test_numbers_are_times_where_range_and_name_agree(name: str, values: Any, kind: str) -> None:
    """Or where each is a full minute, or a day of the calendar, which is no accident."""
    assert kind_of(name, values) == kind


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_epochs_of_each_unit_are_the_same_instants(unit: int) -> None:
    """Two readings of one clock."""
    frame = infer_one("ts", [(MAY_S + 17 * row) * unit for row in range(N)]).frame
    assert frame.get_column("ts").head(2).to_list() == [datetime(2024, 5, 1), datetime(2024, 5, 1, 0, 0, 17)]  # noqa: DTZ001


def test_an_epoch_is_told_and_can_be_overruled() -> None:
    """With an example of its cells."""
    values = [MAY_S + 17 * row for row in range(N)]
    message = (
        f"'ts' holds seconds since 1970, such as {MAY_S}; they are read as times. If they are not, say --column "
        "ts=number."
    )
    assert findings_of("ts", values) == [Finding("info", "epoch", message, "ts")]
    assert kind_of("ts", values, columns={"ts": "number"}) == "number"
    assert kind_of("x", values, columns={"x": "time"}) == "time s"
    assert kind_of("x", values, columns={"x": "time:ms"}) == "time ms"
    assert kind_of("x", [row % 3 for row in range(N)], columns={"x": "time"}) == "time"


def test_zones_durations_and_times_of_day_are_told() -> None:
    """What the model sees is in UTC, or in microseconds."""
    moments = pl.Series([datetime(2024, 5, 1, row % 24, row // 24, tzinfo=UTC) for row in range(N)])
    (finding,) = findings_of("t", moments.dt.convert_time_zone("Asia/Tokyo"))
    assert (
        finding.message == "'t' has times in Asia/Tokyo; they are read in UTC, so that hours and days are those of UTC."
    )
    assert findings_of("t", moments) == []
    (finding,) = findings_of("d", [timedelta(seconds=row) for row in range(N)])
    assert finding.message == "'d' holds durations; they are read as microseconds."
    (finding,) = findings_of("d", moments.dt.time())
    assert finding.message == "'d' holds times of day; they are read as microseconds."


# ----------------------------------------------------------------------------------------------------------- text

DAYS = [datetime(2024, 1, 1, 13, 5, tzinfo=UTC) + timedelta(days=3 * row) for row in range(N)]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("%Y-%m-%d", "time"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "time"),
        ("%d/%m/%Y", "time %d/%m/%Y"),
        ("%m/%d/%Y", "time %m/%d/%Y"),
        ("%-m/%-d/%y", "time %m/%d/%y"),
        ("%d.%m.%Y %H:%M", "time %d.%m.%Y"),
        ("%d.%m.%y", "time %d.%m.%y"),
        ("%d-%m-%Y %H:%M:%S", "time %d-%m-%Y"),
        ("%Y/%m/%d", "time %Y/%m/%d"),
        ("%Y.%m.%d", "time %Y.%m.%d"),
        ("%Y%m%d", "time %Y%m%d"),
        ("%Y%m%dT%H:%M", "time %Y%m%d"),
        ("%m/%d/%Y %I:%M %p", "time %m/%d/%Y"),
        ("%d %B %Y", "time %d %B %Y"),
        ("%d-%b-%Y", "time %d %B %Y"),
        ("%b %d, %Y", "time %B %d, %Y"),
        ("%a, %d %b %Y %H:%M:%S GMT", "time %d %B %Y"),
        ("%B %Y", "time %B %Y"),
        ("%Y %b", "time %Y %B"),
        ("%m/%Y", "time %m/%Y"),
        ("%Y-%m", "time %Y-%m"),
    ],
)
def test_dates_as_people_write_them_are_times(written: str, kind: str) -> None:
    """One format for the whole column; times of day may follow."""
    cells = [day.strftime(written) if row % 10 else None for row, day in enumerate(DAYS)]
    assert kind_of("d", cells) == kind


@pytest.mark.parametrize(
    "cells",
    [
        [f"{row % 28 + 1}.{row % 12 + 1}.{row % 30}" for row in range(N)],
        [f"{row % 40 + 1}/{row % 40 + 1}/2024" for row in range(N)],
        [f"{row % 9}/{row % 12 + 1}/2024" for row in range(N)],
        ["31/02/2024", "30/02/2024"] * 60,
        [f"12:{row % 60:02}" for row in range(N)],
        [f"192.168.{row % 9}.{row % 99}" for row in range(N)],
    ],
    ids=["versions", "beyond the calendar", "a day 0", "no day of February", "times of day", "addresses"],
)
def test_what_only_resembles_dates_stays_text(cells: list[str]) -> None:
    """Each cell has to be a day of the calendar."""
    assert not kind_of("d", cells).startswith("time")


def test_dates_that_are_read_by_a_format_are_told() -> None:
    """Not those of ISO 8601, which cannot mean another day."""
    cells = [day.strftime("%d/%m/%Y") for day in DAYS]
    message = (
        "'d' holds dates such as 01/01/2024; they are read as times by %d/%m/%Y. If they are none, say --column "
        "d=category."
    )
    assert findings_of("d", cells) == [Finding("info", "time_format", message, "d")]
    assert findings_of("d", [f"{day:%Y-%m-%d}" for day in DAYS]) == []


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        ([f"01/{row % 12 + 1:02}/2024" for row in range(N)], "time %d/%m/%Y", "each is then the same day of its month"),
        ([f"{row % 12 + 1:02}/01/2024" for row in range(N)], "time %m/%d/%Y", "each is then the same day of its month"),
        (
            [f"{row % 5 + 1:02}/{row // 5 % 12 + 1:02}/{2020 + row // 60}" for row in range(N)],
            "time %d/%m/%Y",
            "the rows are then in the order of time",
        ),
        (
            [f"{row % 5 + 1:02}/{row % 7 + 1:02}/2024" for row in range(N)],
            "time %m/%d/%Y",
            "nothing in the column tells",
        ),
        (
            [f"{row % 5 + 1:02}.{row % 7 + 1:02}.2024" for row in range(N)],
            "time %d.%m.%Y",
            "nothing in the column tells",
        ),
        (
            [f"{row % 5 + 1:02}-{row % 7 + 1:02}-2024" for row in range(N)],
            "time %d-%m-%Y",
            "nothing in the column tells",
        ),
        ([f"{row % 5 + 1:02}/{row % 7 + 1:02}/24" for row in range(N)], "time %m/%d/%y", "nothing in the column tells"),
    ],
)
def test_day_and_month_that_could_be_swapped_are_decided_by_a_rule_with_a_warning(
    cells: list[str], kind: str, reason: str
) -> None:
    """The rows' order, then the first of months, then the mark between the numbers."""
    assert kind_of("d", cells) == kind
    (finding,) = findings_of("d", cells)
    assert (finding.severity, finding.code) == ("warning", "day_or_month")
    assert reason in finding.message
    other = kind.removeprefix("time ").translate(str.maketrans("dm", "md"))
    assert finding.message.endswith(f"If it is not, say --column d=time:{other}.")
    assert kind_of("d", cells, columns={"d": "time"}) == kind
    assert kind_of("d", cells, columns={"d": f"time:{other}"}) == f"time {other}"
    assert kind_of("d", cells, columns={"d": "category"}) == "category"


def test_a_stray_word_among_dates_is_named() -> None:
    """As among numbers: it would make a category of a time."""
    cells = [f"{day:%d/%m/%Y}" for day in DAYS]
    cells[77] = "unknown"
    with raises(DataError, "Column 'd' is a time in 119 rows, but row 77 holds 'unknown'. Correct or empty that cell"):
        infer_one("d", cells)
    assert kind_of("d", cells, columns={"d": "category"}) == "category"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f" {row * 1.5} " for row in range(N)], "number"),
        ([f"{row * 1.5}" if row % 2 else "  " for row in range(N)], "number"),
        ([f"{row:02}" for row in range(60)] * 2, "number"),
        ([f"{row:03}" for row in range(60)] * 2, "category"),
        (["yes", "no"] * 60, "category"),
        (["true", "false", None] * 40, "category"),
    ],
)
def test_text_that_holds_numbers_is_read_as_numbers(cells: list[str], kind: str) -> None:
    """But for codes, which have zeros before three digits or more; two digits are a padded hour or month."""
    assert kind_of("x", cells) == kind


def test_numbers_as_text_are_told() -> None:
    """With what keeps them as levels."""
    (finding,) = findings_of("x", [f"{row * 1.5}" for row in range(N)])
    assert finding.message == (
        "'x' is text that holds numbers, such as '0.0'; they are read as numbers. If they are codes, say --column "
        "x=category."
    )


# ---------------------------------------------------------------------------------------------------------- asked


@pytest.mark.parametrize(
    ("wish", "error", "message"),
    [
        ("colour", InputError, "Column 'x' cannot be 'colour'. Kinds are number, category, text, time;"),
        ("number:s", InputError, "Column 'x' cannot be 'number:s'. Kinds are"),
        ("time:%Y:%d", InputError, "Column 'x' cannot be 'time:%Y:%d'. Formats of times are %d/%m/%Y, "),
        ("time:h", InputError, "units since 1970 are s, ms, us, ns."),
        ("time:%d/%m/%Y", DataError, "Column 'x' is String, and not every cell can be read as time:%d/%m/%Y. Convert"),
        ("number", DataError, "Column 'x' is String, and not every cell can be read as number. Convert it"),
    ],
)
def test_what_a_column_cannot_be_is_refused(wish: str, error: type[InputError], message: str) -> None:
    """With what there is."""
    with raises(error, message):
        infer_one("x", ["some", "words"] * 60, columns={"x": wish})
