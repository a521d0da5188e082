"""Twelve ways in which rows arrive dirty: each turns clean raw rows into ones that a careless pipeline gets wrong."""

from collections.abc import Callable
from datetime import datetime

import polars as pl
import polars.selectors as cs

#: Times before 1970, in a leap year, and beyond what calendars are tested for.
_TIMES = [datetime(1905, 2, 28, 23, 59), datetime(1969, 12, 31), datetime(2000, 2, 29), datetime(2150, 1, 1)]  # noqa: DTZ001
_TEXTS = ["\U0001f600 never seen", "a\0b", "e\u0301", "ÄÖÜ İß", "\t\n", "  two  spaces ", "NaN", "None"]

_numbers = cs.numeric()
_texts = cs.string() | cs.categorical() | cs.enum()
_times = cs.datetime() | cs.date()


def _each(frame: pl.DataFrame, columns: cs.Selector, values: list[object]) -> pl.DataFrame:
    """Every third row gets the next of the values in each of these columns, as the column's type or a wider one."""
    changed = frame
    for name in frame.select(columns).columns:
        column = frame.get_column(name)
        wide = (
            pl.Float64
            if column.dtype.is_numeric()
            else pl.String
            if not column.dtype.is_temporal()
            else pl.Datetime("us")
        )
        cells = column.cast(wide).to_list()
        for row in range(0, len(cells), 3):
            cells[row] = values[(row // 3) % len(values)]
        changed = changed.with_columns(pl.Series(name, cells, dtype=wide))
    return changed


def _numbers_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(_numbers.cast(pl.String))


def _other_order(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(reversed(frame.columns)).with_columns(pl.lit("more").alias("a column that nobody knows"))


MUTATIONS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "nulls": lambda frame: _each(frame, cs.all(), [None]),
    "nothing but nulls": lambda frame: frame.with_columns(
        pl.lit(None, dtype=t).alias(n) for n, t in frame.schema.items()
    ),
    "NaN": lambda frame: _each(frame, _numbers, [float("nan")]),
    "infinities": lambda frame: _each(frame, _numbers, [float("inf"), float("-inf")]),
    "huge numbers": lambda frame: _each(frame, _numbers, [1e308, -1e308, 3.5e38, 16_777_217.0]),
    "tiny numbers": lambda frame: _each(frame, _numbers, [5e-324, -1e-40, -0.0, 1e-300]),
    "unseen levels": lambda frame: _each(frame, _texts, ["never seen before", "x" * 1000]),
    "odd text": lambda frame: _each(frame, _texts, list(_TEXTS)),
    "empty text": lambda frame: _each(frame, _texts, [""]),
    "odd times": lambda frame: _each(frame, _times, list(_TIMES)),
    "numbers as text": _numbers_as_text,
    "another order and one more": _other_order,
}
