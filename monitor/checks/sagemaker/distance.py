"""Deequ's distances between a baseline and a window (analyzers/Distance.scala), over values of many rows each."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

#: c(0.003) of the two-sample Kolmogorov-Smirnov test (Knuth, TAOCP 2, 3.3.1, equation 15), as Deequ rounds it.
_C = 1.8
#: A table of two levels has to expect this many rows in each (Cochran 1952), a larger one this many in all but a fifth.
_COCHRAN, _YATES, _YATES_SHARE = 10, 5, 0.2


def value_distance(
    x: NDArray[np.float64], x_rows: NDArray[np.int64], y: NDArray[np.float64], y_rows: NDArray[np.int64]
) -> float:
    """L-infinity: the largest difference of the distribution functions, at any value of either side.

    x, y: ascending, different values; x_rows, y_rows: the rows that each stands for.

    >>> value_distance(np.array([1.0, 2.0]), np.array([1, 1]), np.array([1.0, 3.0]), np.array([3, 1]))
    0.25
    """
    at = np.union1d(x, y)
    return float(abs(_distribution(x, x_rows, at) - _distribution(y, y_rows, at)).max())


def _distribution(values: NDArray[np.float64], rows: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    cumulated = np.concatenate([[0], np.cumsum(rows)])
    return cumulated[np.searchsorted(values, at, side="right")] / cumulated[-1]


def level_distance(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """L-infinity of levels: the largest difference of a level's shares.

    >>> level_distance({"a": 3, "b": 1}, {"a": 1, "c": 1})
    0.5
    """
    n, m = sum(before.values()), sum(now.values())
    return max(abs(before.get(level, 0) / n - now.get(level, 0) / m) for level in {*before, *now})


def robust(distance: float, n: int, m: int) -> float:
    """The distance less what chance makes of samples so small: max(0, d - 1.8 sqrt((n + m) / (n m))).

    >>> round(robust(0.5, 100, 100), 4), robust(0.1, 100, 100)
    (0.2454, 0.0)
    """
    return max(0.0, distance - _C * math.sqrt((n + m) / (n * m)))


def chi_square(sample: Mapping[str, int], expected: Mapping[str, int]) -> float | None:
    """The p-value of Pearson's test that the sample has the expected shares; None where fewer than two levels are left.

    Levels that are not expected do not count. The level that expects least is joined with the next one until enough of
    them expect enough. It takes the baseline for the truth, not for a sample.

    >>> round(chi_square({"a": 60, "b": 40}, {"a": 500, "b": 500}), 4)
    0.0455
    """
    from scipy.stats import chi2

    rows = sum(count for level, count in sample.items() if level in expected)
    total = sum(expected.values())
    expects = {level: count / total * rows for level, count in expected.items()}
    has = {level: float(sample.get(level, 0)) for level in expected}
    while len(expects) >= 2 and _are_sparse(expects):
        least = min(expects, key=lambda level: expects[level])
        moved, held = expects.pop(least), has.pop(least)
        least = min(expects, key=lambda level: expects[level])
        expects[least], has[least] = expects[least] + moved, has[least] + held
    if len(expects) < 2:
        return None
    statistic = sum((has[level] - expects[level]) ** 2 / expects[level] for level in expects)
    return float(chi2.sf(statistic, len(expects) - 1))


def _are_sparse(expects: Mapping[str, float]) -> bool:
    """Whether too many levels expect too few rows."""
    if len(expects) == 2:
        return any(rows < _COCHRAN for rows in expects.values())
    return sum(rows < _YATES for rows in expects.values()) > int(_YATES_SHARE * len(expects))
