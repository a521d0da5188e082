"""Two exact tails without `scipy.stats`, which takes a tenth of the CPU of a report on a million rows of 40 columns to
load. The tests hold them to SciPy's."""

import math
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

_FEW = 140  # below, SciPy has the exact distribution by other ways
_MANY = 100_000
_UPPER = 2.2  # of size times distance², from where twice the one-sided tail is the two-sided one to 1e-12
_LOWER = 1.4  # of size times distance^1.5, up to where the series is not good enough; the tail is 1 - 1e-6 there
_NOTHING = 370.0  # of size times distance²: below 1e-320
_DEVIATIONS = 45.0  # beyond them all together is less than the smallest number
_AS_LIKELY = 1 + 1e-7  # tables that differ by less in their chance are equally far out, as R's `fisher.test` has it


def kolmogorov_tail(distance: float, size: int) -> float:
    """The chance that the distribution function of `size` values is further than `distance` from the true one.

    Simard & L'Ecuyer 2011, Computing the two-sided Kolmogorov-Smirnov distribution: twice the one-sided tail where it
    is small, else the series of Pelz & Good 1976; what these do not cover is left to SciPy. Exact to 1e-10 or better.

    >>> round(kolmogorov_tail(0.001, 1_000_000), 6)
    0.269821
    """
    from scipy.special import smirnov

    if size * distance <= 0.5:  # the least that there is
        return 1.0
    square = size * distance * distance
    if size <= _FEW or (size <= _MANY and square < _UPPER and size * distance**1.5 <= _LOWER):
        return _left_to_scipy(distance, size)
    if square >= _NOTHING:
        return 0.0
    if square >= _UPPER:
        return min(1.0, 2 * float(smirnov(size, distance)))
    return min(1.0, max(0.0, 1 - _series(math.sqrt(square), size)))


@lru_cache(1024)
def _left_to_scipy(distance: float, size: int) -> float:
    """Kept, for it takes milliseconds, and columns of as many rows have few distances: 100 beside 100 rows have 100."""
    from scipy.stats import kstwo

    return float(kstwo.sf(distance, size))


def _series(z: float, size: int) -> float:
    """The chance of a distance below z / √size, by the four terms of Pelz & Good; z: up to 1.5."""
    terms = np.arange(1, math.ceil(16 * z / math.pi) + 1)
    odd, whole = (2 * terms - 1) ** 2 * math.pi**2 / 4, terms**2 * math.pi**2
    by_odd, by_whole = np.exp(-odd / (2 * z**2)), np.exp(-whole / (2 * z**2))
    sums = (
        by_odd.sum() / z,
        ((odd - z**2) * by_odd).sum() / (6 * z**4),
        ((6 * z**6 + 2 * z**4 + (2 * z**4 - 5 * z**2) * odd + (1 - 2 * z**2) * odd**2) * by_odd).sum() / (72 * z**7)
        - (whole * by_whole).sum() / (36 * z**3),
        (
            (
                (5 - 30 * z**2) * odd**3
                + (212 * z**4 - 60 * z**2) * odd**2
                + (135 * z**4 - 96 * z**6) * odd
                - 30 * z**6
                - 90 * z**8
            )
            * by_odd
        ).sum()
        / (6480 * z**10)
        + ((3 * z**2 - whole) * whole * by_whole).sum() / (216 * z**6),
    )
    return math.sqrt(2 * math.pi) * float(sum(term / size ** (at / 2) for at, term in enumerate(sums)))


def fisher_tail(table: NDArray[np.int64]) -> float:
    """The chance, among all tables of two by two with its margins, of one that is no likelier: Fisher's exact test of
    two sides. 1 where a row or a column is empty.

    >>> round(fisher_tail(np.array([[8, 2], [1, 5]])), 6)
    0.034965
    """
    from scipy.special import gammaln

    (first, second), (left, _) = table.sum(axis=1).tolist(), table.sum(axis=0).tolist()
    total, seen = first + second, int(table[0, 0])
    if not 0 < first < total or not 0 < left < total:
        return 1.0
    mean = first * left / total
    deviation = math.sqrt(mean * second * (total - left) / total / (total - 1))
    reach = max(_DEVIATIONS * (deviation + 1), abs(seen - mean) + 1)
    cells = np.arange(max(0, left - second, math.floor(mean - reach)), min(first, left, math.ceil(mean + reach)) + 1)
    counts = np.array([cells, first - cells, left - cells, second - left + cells])
    logarithms = -cast("NDArray[np.float64]", gammaln(counts + 1)).sum(axis=0)
    chances = np.exp(logarithms - logarithms.max())
    return float(chances[chances <= chances[seen - cells[0]] * _AS_LIKELY].sum() / chances.sum())
