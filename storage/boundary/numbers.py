"""Numbers: float64, with NaN for missing.

Booleans are 0 and 1, durations and times of day microseconds. Text that is a number counts as that number, with spaces
around it or not, so that a csv cell, a form field and a JSON string mean what they show; blank text is missing. Where
training had booleans, `true` and `false` are numbers too, in any case.
"""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.boundary.faults import Cells, is_missing, wrong_value
from storage.signature import Column

if TYPE_CHECKING:
    import polars as pl

_NUMBERS = (int, float, np.integer, np.floating, np.bool_, Decimal)
_WORDS = {"true": 1.0, "false": 0.0}
_NAN = float("nan")
_REMEDY = "Send a number or null."
_MICROSECOND = timedelta(microseconds=1)
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)
#: What Python's `str.strip` takes away and ASCII has.
SPACE = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
#: Text that is a number in both languages. Python alone would also read 1_000 and digits of other scripts.
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity|nan)"


def number_value(column: Column, value: Any, row: int) -> float:
    """A value of a row as float64: NaN for None and blank text.

    Raises RowError for other text, for whole numbers beyond float64, and for what is no number at all.

    >>> on = Column("on", "number", "Boolean")
    >>> number_value(on, " 12.5 ", 0), number_value(on, True, 0), number_value(on, "True", 0), number_value(on, "", 0)
    (12.5, 1.0, 1.0, nan)
    """
    if value is None:
        return _NAN
    if isinstance(value, _NUMBERS):
        try:
            return float(value)
        except (OverflowError, ValueError):  # 10**400, a signalling NaN
            pass
    elif isinstance(value, str):
        number = number_of_text(column, value)
        if number is not None:
            return number
    elif isinstance(value, timedelta):
        return float(value // _MICROSECOND)
    elif isinstance(value, time):
        return float((datetime.combine(_MIDNIGHT, value, UTC) - _MIDNIGHT) // _MICROSECOND)
    elif is_missing(value):
        return _NAN
    raise wrong_value(column, row, value, _REMEDY)


def number_of_text(column: Column, text: str) -> float | None:
    """The number that text holds; NaN if it is blank, None if it holds another thing."""
    bare = text.strip(SPACE)
    if not bare:
        return _NAN
    try:
        if bare.isascii() and "_" not in bare:  # with these two float() reads exactly NUMBER
            return float(bare)
    except ValueError:
        pass
    return _WORDS.get(bare.lower()) if column.dtype == "Boolean" and bare.isascii() else None


def number_cells(column: Column, series: "pl.Series") -> Cells:
    """A column of a frame as Float64 without NaN, by the rules of `number_value`."""
    import polars as pl

    dtype = series.dtype
    if dtype == pl.Duration:
        return Cells(series, series.dt.total_microseconds().cast(pl.Float64), _REMEDY)
    if dtype == pl.Time:
        return Cells(series, (series.to_physical() // 1000).cast(pl.Float64), _REMEDY)
    if dtype == pl.String:
        return _numbers_of_texts(column, series)
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        return Cells(series, pl.Series(series.name, [None] * len(series), dtype=pl.Float64), _REMEDY)
    given = without_nan(series) if dtype.is_float() else series
    return Cells(given, given if dtype == pl.Float64 else given.cast(pl.Float64), _REMEDY)


def without_nan(floats: "pl.Series") -> "pl.Series":
    """Floats with null for NaN. Mostly there is none, and to look takes a third of what to replace does."""
    return floats.fill_nan(None) if floats.is_nan().any() else floats


def _numbers_of_texts(column: Column, series: "pl.Series") -> Cells:
    import polars as pl

    bare = series.str.strip_chars(SPACE)
    given = bare.set(bare == "", None)
    numbers = given.set(~given.str.contains(f"^(?:{NUMBER})$"), None)
    if column.dtype == "Boolean":
        words = given.str.to_lowercase()
        numbers = numbers.set(words == "true", "1").set(words == "false", "0")
    values = numbers.cast(pl.Float64)
    is_nan = values.is_nan()
    return Cells(given.set(is_nan, None), values.set(is_nan, None), _REMEDY)
