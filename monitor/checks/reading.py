"""Columns as what the baseline says they are: by the rules by which serving reads them.

A value that those rules do not take is unreadable: it is counted by the check of types, and by no other.
"""

from typing import NamedTuple

import polars as pl

from monitor.drift import Kind
from storage.boundary.numbers import number_cells
from storage.boundary.texts import text_cells
from storage.boundary.times import time_cells
from storage.signature import Column

_READERS = {"number": number_cells, "category": text_cells, "text": text_cells, "time": time_cells}


class Reading(NamedTuple):
    """A column that was read. given: null where nothing was sent. values: null where nothing could be read.

    values: Float64 for numbers, String for categories and text, Datetime("us") without a zone for times; of other
    kinds, as they came.
    """

    given: pl.Series
    values: pl.Series

    @property
    def wrong(self) -> pl.Series:
        """Boolean (rows): whether a value was given that could not be read."""
        return self.given.is_not_null() & self.values.is_null()


def read(series: pl.Series, kind: Kind, dtype: str) -> Reading:
    """A column as its kind. dtype: the type that it had in the baseline, as text; it decides how levels are written.

    Where nobody knows the dtype, it is empty, and of a category times count too, as their text by ISO 8601.

    >>> reading = read(pl.Series("age", ["31", "n/a", None]), "number", "Int64")
    >>> reading.values.to_list(), reading.wrong.to_list()
    ([31.0, None, None], [False, True, False])
    """
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if not dtype and kind == "category" and series.dtype.is_temporal():
        series = series.dt.to_string("iso")
    if kind == "other":
        return Reading(series, series)
    cells = _READERS[kind](Column(series.name, kind, dtype), series)
    return Reading(cells.given, cells.values)
