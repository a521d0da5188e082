"""What a sample's chance explains: is a window worse than the baseline, or was it only drawn so?

Each function gives P(a window as bad or worse), exactly or from above, if the window's rows and the baseline's were
drawn from the same distribution. So an alarm at p <= a is false with a chance of at most a, whatever the sizes.

What is counted differs in how it was defined, and that decides the test:

    known beforehand, such as a missing value        Fisher's exact test, one-sided           `more_often`
    by the baseline, such as a value beyond its      how often all of the k largest of both   `beyond`
        largest one                                      come from the window
    by the baseline, such as a level that it lacks   Chernoff's bound over the levels         `unseen`
    by pairs of rows, such as a row that repeats     binomial, with the pairs as exposure     `repeated`
"""

import math

import numpy as np
from numpy.typing import NDArray

#: Of a Wilson interval: 95% two-sided.
_Z = 1.959963984540054


def wilson(hits: int, rows: int, z: float = _Z) -> tuple[float, float]:
    """The interval of shares that `hits` of `rows` leaves plausible (Wilson 1927), 95% unless z says otherwise.

    Inside 0..1 also where nothing or everything was hit, which the plain normal interval is not. Without rows, 0 to 1.

    >>> [round(bound, 4) for bound in wilson(0, 1000)], [round(bound, 4) for bound in wilson(980, 1000)]
    ([0.0, 0.0038], [0.9693, 0.987])
    """
    if not rows:
        return 0.0, 1.0
    share = hits / rows
    centre = share + z**2 / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    low, high = (centre - half) / (1 + z**2 / rows), (centre + half) / (1 + z**2 / rows)
    return (0.0 if hits == 0 else max(low, 0.0)), (1.0 if hits == rows else min(high, 1.0))


def more_often(hits: int, rows: int, baseline_hits: int, baseline_rows: int) -> float:
    """P(at least `hits` in the window) given how many are in both together: Fisher's exact test, one-sided.

    >>> round(more_often(6, 1000, 0, 5000), 7)
    2.12e-05
    """
    from scipy.stats import hypergeom

    if not hits:
        return 1.0
    both = hits + baseline_hits
    return min(float(hypergeom.sf(hits - 1, rows + baseline_rows, both, rows)), 1.0)


def beyond(hits: int, rows: int, baseline_rows: int) -> float:
    """P(at least `hits` of the window's values are beyond the baseline's extreme one).

    It asks that the `hits` most extreme of all values are the window's: n/(n+m) (n-1)/(n+m-1) ... Nothing is assumed of
    the distribution; ties make it smaller. One value beyond the extreme of 5,000 is nothing in a window of 1,000.

    >>> round(beyond(1, 1000, 5000), 4), round(beyond(6, 1000, 5000), 7)
    (0.1667, 2.12e-05)
    """
    if hits > rows:
        return 0.0
    total = rows + baseline_rows
    return math.exp(
        math.lgamma(rows + 1) - math.lgamma(rows - hits + 1) - math.lgamma(total + 1) + math.lgamma(total - hits + 1)
    )


def unseen(hits: int, rows: int, baseline_rows: int, level_rows: NDArray[np.int64]) -> float:
    """A bound on P(at least `hits` of the window's rows have a level that the baseline lacks).

    level_rows: (levels,) how many rows each level has in both together, those of unseen levels too. Were labels of the
    samples dealt out anew, a level of c rows would be unseen with the chance q(c) of `beyond`, and then count c. Such
    events are negatively associated (Joag-Dev & Proschan 1983), so that Chernoff's bound

        P(sum >= hits) <= exp(-t hits) * product of (1 - q(c) + q(c) exp(t c))

    holds as for independent ones, for each t > 0; the least over a grid of t is taken.

    >>> once = np.ones(50, dtype=np.int64)  # 50 levels that came once, four of them in the window of 1,000
    >>> unseen(4, 1000, 5000, once) == 1.0, unseen(1000, 1000, 5000, np.array([1000, 5000])) < 1e-300
    (True, True)
    """
    sizes, levels = np.unique(level_rows[level_rows > 0], return_counts=True)
    if not hits or not len(sizes):
        return 1.0
    chances = np.array([beyond(int(size), rows, baseline_rows) for size in sizes])
    possible = chances > 0
    sizes, levels, chances = sizes[possible], levels[possible], chances[possible]
    t = np.geomspace(1e-3 / hits, 700, 400)[:, None]
    grown = np.logaddexp(np.log1p(-np.minimum(chances, 1 - 1e-16)), np.log(chances) + t * sizes)
    bounds = (levels * grown).sum(axis=1) - t[:, 0] * hits
    return float(min(np.exp(bounds.min()), 1.0))


def repeated(hits: int, rows: int, baseline_hits: int, baseline_rows: int) -> float:
    """P(at least `hits` of the window's rows repeat an earlier one of it), given how many of both together do.

    The larger a sample, the more of it repeats: at most in proportion to its pairs of rows, at least in proportion to
    its rows. So a window that is smaller than the baseline is taken to expect as many for each row, a larger one as
    many for each pair, and given the sum of both, a repeat is the window's with the chance of its part.

    >>> repeated(0, 1000, 0, 5000), round(repeated(6, 1000, 0, 5000), 7), round(repeated(6, 10_000, 0, 5000), 2)
    (1.0, 2.14e-05, 0.26)
    """
    from scipy.stats import binom

    if not hits:
        return 1.0
    exposure = rows * growth(rows, baseline_rows)
    return float(binom.sf(hits - 1, hits + baseline_hits, exposure / (exposure + max(baseline_rows, 1))))


def growth(rows: int, baseline_rows: int) -> float:
    """By how much the share of repeats may grow with a window that is larger than the baseline."""
    return max(1.0, rows / max(baseline_rows, 1))
