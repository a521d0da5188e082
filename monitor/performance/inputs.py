"""Inputs as numbers, for models of errors, of calibration and of what makes a window differ."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.pair import level_rows
from storage.signature import Column

Matrix = NDArray[np.float64]

#: A level with fewer rows, or beyond the largest ones, is one of `other`.
_LEAST_LEVEL_ROWS = 5
_MOST_LEVELS = 100
#: A number this far outside the reference's range, as a share of it, is nowhere near it.
_BEYOND = 0.1
#: Where more of the next rows than this are expected to hold a level that no row had, unseen levels say nothing.
_USUAL_UNSEEN = 0.01


class Inputs:
    """Encodes input columns as the reference knows them: numbers as they are, categories by their number among
    the reference's frequent levels by name, text by its length. Times are left out, since instants always move forward.

    >>> reference = pl.DataFrame({"age": [20.0, 30.0] * 5, "town": ["Ulm"] * 5 + ["Bonn"] * 5})
    >>> columns = [Column("age", "number", "Float64"), Column("town", "category", "String")]
    >>> inputs = Inputs(columns, reference)
    >>> inputs.matrix(pl.DataFrame({"age": [25.0, None], "town": ["Ulm", "Rome"]})).tolist()
    [[25.0, 2.0], [nan, 3.0]]
    >>> inputs.beyond(pl.DataFrame({"age": [25.0, 40.0], "town": ["Ulm", "Ulm"]})).tolist()
    [False, True]
    """

    def __init__(self, columns: Sequence[Column], reference: pl.DataFrame) -> None:
        self._columns = [column for column in columns if column.kind != "time"]
        self._levels = {c.name: _levels(reference[c.name]) for c in self._columns if c.kind == "category"}
        self._checked = {name for name in self._levels if _unseen_share(reference[name]) <= _USUAL_UNSEEN}
        self._known = {name: reference[name].cast(pl.String).unique() for name in self._checked}
        self._ranges = {c.name: _range(_numbers(reference[c.name])) for c in self._columns if c.kind == "number"}

    @property
    def categories(self) -> list[int]:
        """Which columns of the matrix are categories."""
        return [number for number, column in enumerate(self._columns) if column.kind == "category"]

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """Rows as float64 (rows, columns); missing is NaN."""
        if not self._columns:
            return np.zeros((frame.height, 1))
        return np.column_stack([self._encoded(column, frame[column.name]) for column in self._columns])

    def beyond(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        """Rows with a number far outside the reference's range, or a level that it lacks.

        A column of which new levels come all the time, such as of names, is not asked.
        """
        found = np.zeros(frame.height, dtype=np.bool_)
        for name, (low, high) in self._ranges.items():
            values = _numbers(frame[name])
            margin = _BEYOND * (high - low)
            found |= (values < low - margin) | (values > high + margin)  # NaN is neither
        for name, known in self._known.items():
            text = frame[name].cast(pl.String)
            found |= (text.is_not_null() & ~text.is_in(known.implode())).to_numpy()
        return found

    def _encoded(self, column: Column, series: pl.Series) -> Matrix:
        if column.kind == "category":
            levels = self._levels[column.name]
            codes = series.cast(pl.String).replace_strict(levels, default=len(levels) + 1, return_dtype=pl.Float64)
            return pl.select(pl.when(series.is_null()).then(0.0).otherwise(codes)).to_series().to_numpy()
        if column.kind == "text":
            return series.cast(pl.String).str.len_chars().cast(pl.Float64).fill_null(0.0).to_numpy()
        return _numbers(series)


def _numbers(series: pl.Series) -> Matrix:
    return series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()


def _levels(series: pl.Series) -> dict[str, int]:
    """The most frequent levels, each with its number from 1 in the order of names."""
    frequent = level_rows(series.cast(pl.String)).filter(pl.col("rows") >= _LEAST_LEVEL_ROWS)
    names = frequent.get_column("level").head(_MOST_LEVELS).to_list()
    return {cast("str", name): number for number, name in enumerate(sorted(names), 1)}


def _unseen_share(series: pl.Series) -> float:
    """Which share of further rows has a level that none of these has: of those with a level of one row (Good,
    Biometrika 40 (1953))."""
    counts = series.drop_nulls().cast(pl.String).value_counts(name="rows").get_column("rows")
    return float((counts == 1).sum()) / max(len(series), 1)


def _range(values: Matrix) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (-np.inf, np.inf)
