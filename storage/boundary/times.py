"""Times: int64 microseconds since 1970 UTC, with the smallest int64 for missing.

ISO 8601 is always read. What else is read depends on how training's times were written (`Column.format`), and never on
the single value: 01/02/2024 is the first of February where training had `%d/%m/%Y`, and refused where it had another
format. Whole numbers are microseconds, or what the format says: another unit, or dates as 20240501.
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.boundary.blocks import MISSING_TIME
from storage.boundary.faults import Cells, is_missing, wrong_value
from storage.boundary.numbers import NUMBER, SPACE, without_nan
from storage.boundary.written_times import TIME_FORMATS, micros_of_datetime, micros_of_text, parse_times
from storage.signature import Column

if TYPE_CHECKING:
    import polars as pl

_REMEDY = "Send a date or time such as 2024-05-01 or 2024-05-01T13:30:00Z"

#: Units of an epoch, and how many make a microsecond or microseconds make one: (times, divided by).
EPOCH_UNITS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}

# ------------------------------------------------------------------------------------------------------------ rows


def time_value(column: Column, value: Any, row: int) -> int:
    """A value of a row in microseconds since 1970 UTC: the smallest int64 for None and blank text.

    Takes dates, datetimes, text by ISO 8601 or the column's format, and whole numbers: microseconds, or what the
    column's format says. Raises RowError.

    >>> seen = Column("seen", "time", "String", format="%d/%m/%Y")
    >>> time_value(seen, "02/01/1970", 0) == time_value(seen, "1970-01-02T00:00Z", 0) == 86_400_000_000
    True
    """
    if isinstance(value, str):
        found = micros_of_text(value)
        if found is None:
            found = _micros_of_other_text(column, value.strip(SPACE))
    elif is_missing(value):
        return MISSING_TIME
    elif isinstance(value, bool | np.bool_):
        found = None
    elif isinstance(value, int | np.integer):
        found = _micros_of_whole(column, int(value))
    elif isinstance(value, float | np.floating):
        found = _micros_of_float(column, float(value))
    elif isinstance(value, datetime):
        found = micros_of_datetime(value)
    elif isinstance(value, date):
        found = micros_of_datetime(datetime(value.year, value.month, value.day, tzinfo=UTC))
    else:
        found = None
    if found is None or not MISSING_TIME <= found < 2**63:
        raise wrong_value(column, row, value, f"{_REMEDY}, or null.")
    return found


def _micros_of_other_text(column: Column, text: str) -> int | None:
    """Text that is not ISO 8601: blank, or as the column's times were written in training."""
    if not text:
        return MISSING_TIME
    if column.format in TIME_FORMATS:
        return micros_of_text(text, column.format)
    if column.format is None or not text.isascii() or "_" in text:
        return None
    return _micros_of_number(column, text)


def _micros_of_number(column: Column, text: str) -> int | None:
    """Text that holds a number, in a column of an epoch's unit or of dates as 20240501."""
    try:
        return _micros_of_whole(column, int(text))
    except ValueError:
        pass
    try:
        return _micros_of_float(column, float(text))
    except ValueError:
        return None


def _micros_of_whole(column: Column, number: int) -> int | None:
    if column.format == "%Y%m%d":
        return micros_of_text(str(number), "%Y%m%d")
    times, divided = EPOCH_UNITS.get(column.format or "us", (1, 1))
    return number * times // divided if abs(number) < 2**63 else None


def _micros_of_float(column: Column, number: float) -> int | None:
    """Seconds and milliseconds may have fractions, to the nearest microsecond; elsewhere floats must be whole."""
    if not abs(number) < 2.0**63:
        return None
    if column.format in ("s", "ms"):
        return int(np.floor(number * EPOCH_UNITS[column.format][0] + 0.5))
    return _micros_of_whole(column, int(number)) if number == int(number) else None


# ---------------------------------------------------------------------------------------------------------- frames


def time_cells(column: Column, series: "pl.Series") -> Cells:
    """A column of a frame as Datetime("us") in UTC without a zone, by the rules of `time_value`."""
    import polars as pl

    dtype, given = series.dtype, series
    if dtype == pl.Datetime("us"):  # without a zone: as it is to become
        return Cells(series, series, _REMEDY)
    if dtype == pl.String:
        bare = series.str.strip_chars(SPACE)
        given = bare.set(bare == "", None)
        micros = _micros_of_texts(column, given)
    elif dtype.is_float():
        given = without_nan(series)
        micros = _micros_of_floats(column, given.cast(pl.Float64))
    elif dtype.is_integer():
        micros = _micros_of_wholes(column, series)
    elif dtype in (pl.Datetime, pl.Date, pl.Null):
        micros = _in_microseconds(series).to_physical()
    else:
        micros = pl.Series(series.name, [None] * len(series), dtype=pl.Int64)
    return Cells(given, micros.cast(pl.Datetime("us")), f"{_REMEDY}, or null.")


def _in_microseconds(times: "pl.Series") -> "pl.Series":
    """Dates and datetimes in microseconds; milliseconds beyond them end at the last one, 292,000 years from now."""
    import polars as pl

    if getattr(times.dtype, "time_zone", None):
        times = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if times.dtype == pl.Datetime("ms"):
        most = (2**63 - 1) // 1000
        return (times.to_physical().clip(-most, most) * 1000).cast(pl.Datetime("us"))
    return times.cast(pl.Datetime("us"))


def _micros_of_texts(column: Column, given: "pl.Series") -> "pl.Series":
    micros = parse_times(given).to_physical()
    left = given.set(micros.is_not_null(), None)
    if column.format is None or not left.count():
        return micros
    if column.format in TIME_FORMATS:
        return micros.zip_with(micros.is_not_null(), parse_times(left, column.format).to_physical())
    return micros.zip_with(micros.is_not_null(), _micros_of_numbers(column, left))


def _micros_of_numbers(column: Column, text: "pl.Series") -> "pl.Series":
    import polars as pl

    whole = text.str.contains("^[+-]?[0-9]+$")
    floats = text.set(whole | ~text.str.contains(f"^(?:{NUMBER})$"), None).cast(pl.Float64)
    return _micros_of_wholes(
        column, text.set(~whole, None).str.replace(r"^\+", "").cast(pl.Int64, strict=False)
    ).zip_with(whole.fill_null(value=False), _micros_of_floats(column, floats))


def _micros_of_wholes(column: Column, numbers: "pl.Series") -> "pl.Series":
    import polars as pl

    if column.format == "%Y%m%d":
        return parse_times(numbers.cast(pl.String), column.format).to_physical()
    times, divided = EPOCH_UNITS.get(column.format or "us", (1, 1))
    most = (2**63 - 1) // times
    bounded = numbers.cast(pl.Int64, strict=False)
    bounded = bounded.set(~bounded.is_between(-most, most), None)
    return bounded * times // divided


def _micros_of_floats(column: Column, numbers: "pl.Series") -> "pl.Series":
    import polars as pl

    if column.format in ("s", "ms"):
        scaled = (numbers * float(EPOCH_UNITS[column.format][0]) + 0.5).floor()
        return scaled.set(numbers.abs() >= 2.0**63, None).cast(pl.Int64, strict=False)
    whole = numbers.cast(pl.Int64, strict=False)
    return _micros_of_wholes(column, whole.set(whole.cast(pl.Float64) != numbers, None))
