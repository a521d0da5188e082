"""The numbers of some training rows, drawn by the seed: enough to fit the statistics of a column by."""

import numpy as np
from numpy.typing import NDArray

from autopilot.plan.op import Rows, Values

_LEAST_ROWS = 10_000
_MOST_ROWS = 100_000
#: 160 MB of float64: a table of 3,000 columns is known by 10,000 rows, one of 30 by 100,000.
_MOST_CELLS = 20_000_000
#: Numbers beyond are taken as these, so that the difference of two is finite.
_LARGEST = 1e300


def sample_rows(rows: Rows, most: int) -> NDArray[np.int64]:
    """The numbers of at most so many rows, in their order."""
    if rows.frame.height <= most:
        return np.arange(rows.frame.height)
    return np.sort(np.random.default_rng(rows.seed).choice(rows.frame.height, most, replace=False))


def numbers_of(rows: Rows, columns: tuple[str, ...], at: NDArray[np.int64]) -> Values:
    """float64 (columns, rows) of the rows `at`; missing and infinite are NaN, others end at +-1e300."""
    x = rows.frame.select(columns)[at].to_numpy(order="fortran").T
    return np.clip(np.where(np.isinf(x), np.nan, x), -_LARGEST, _LARGEST)


def ordered_sample(rows: Rows, columns: tuple[str, ...]) -> Values:
    """float64 (columns, rows): each column's known numbers in ascending order, then NaN; of 10,000 to 100,000 rows."""
    most = min(max(_MOST_CELLS // max(len(columns), 1), _LEAST_ROWS), _MOST_ROWS)
    return np.sort(numbers_of(rows, columns, sample_rows(rows, most)), axis=1)


def quantiles(ordered: Values, levels: Values) -> Values:
    """float64 (columns, levels) of an ordered sample, linear between two numbers; NaN where a column has none."""
    known = np.sum(~np.isnan(ordered), axis=1, keepdims=True)
    place = levels * np.maximum(known - 1, 0)
    below = np.floor(place).astype(np.int64)
    low = np.take_along_axis(ordered, below, axis=1)
    high = np.take_along_axis(ordered, np.minimum(below + 1, np.maximum(known - 1, 0)), axis=1)
    return np.minimum(low + (high - low) * (place - below), high)
