"""Tests of one question: were these two samples drawn from the same distribution?

Pure functions over NumPy arrays. Each gives an `Outcome` whose p-value keeps its promise, P(p <= α) <= α without drift,
at each size of sample that a window of traffic may have. How well it is kept is measured in `tests/monitor/` and by
`python -m bench.alarms`. Rows that depend on one another are told by what they are worth (`serial.py`).
"""

import math
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from monitor.serial import Worth, studentised
from monitor.tails import fisher_tail, kolmogorov_tail

#: Rows that a cell of a contingency table must expect in the smaller sample (Cochran 1954). Cells that expect fewer
#: are joined with their neighbours.
LEAST_EXPECTED = 5

# With fewer values on a side, the one-sample distribution says too little: 0 for 3 values beside 3 others, which lie
# apart in one of ten cases; a tenth of the truth in the far tail of 10 beside 10. So paths are counted (SciPy's exact
# method, below 1 ms), up to the longer side at which that stops to matter.
_COUNTED_VALUES = 30
_COUNTED_BESIDE = 10_000

# Values of the shorter sample at which the distance of two functions is looked for first.
_FIRST_PLACES = 16_384

# Where few rows are expected in a cell, the chi-square distribution's far tail is too thin: of windows of 500 rows with
# four cells of 5, it calls 2.9 times as many as it says at 0.0005 (1.8 times at 0.0025). From 50 on it is right within
# 10%. So a p-value small enough to matter is there replaced by that of permutations: of 50,000, which takes 12-250 ms,
# or fewer once 100 of them part the samples as far, which tells the p-value to a tenth. Above 40 cells the tail is
# right again, and below 1e-6 permutations could not tell.
_SPARSE_EXPECTED = 50
_PERMUTED_CELLS = 40
_PERMUTED_P = (1e-6, 0.02)
_PERMUTATIONS = 50_000
_REACHED = 100


class Outcome(NamedTuple):
    """What a test found.

    method: the test's name. statistic: in the test's own unit. p_value: 0..1, two-sided. effect: how far apart the
    samples are, 0 (alike) to 1 (nothing in common) whatever their sizes: the share of rows that would have to change.
    """

    method: str
    statistic: float
    p_value: float
    effect: float


def alike(method: str) -> Outcome:
    """The outcome where there is nothing to tell apart."""
    return Outcome(method, 0.0, 1.0, 0.0)


def kolmogorov_smirnov(x: NDArray[np.float64], y: NDArray[np.float64], worth: Worth | None = None) -> Outcome:
    """The two-sample Kolmogorov-Smirnov test: the largest distance D between the two distribution functions.

    x, y: ascending, without NaN; infinities are the smallest and largest values. Without a value on either side the
    samples count as alike: that values are missing is for another test. The p-value is that of one sample of mn/(m+n)
    values, by the exact distribution of D (Simard & L'Ecuyer 2011), as SciPy's `ks_2samp(method="asymp")` has it; with
    few values on a side that of both samples, as its `method="exact"` has it. Ties make it conservative. D is also the
    effect: a normal column that moves by δ standard deviations gives D = 2Φ(δ/2) - 1, about 0.4 δ. worth: None for
    independent rows; others count as what they are worth.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])).statistic
    0.5
    """
    if not len(x) or not len(y):
        return alike("Kolmogorov-Smirnov")
    distance = _largest_distance(x, y)
    if worth is None and min(len(x), len(y)) < _COUNTED_VALUES and max(len(x), len(y)) <= _COUNTED_BESIDE:
        return Outcome("Kolmogorov-Smirnov", distance, _counted_p(x, y, distance), distance)
    m, n, freedom = (worth.reference, worth.current, worth.freedom) if worth else (len(x), len(y), math.inf)
    p_value = kolmogorov_tail(distance, max(round(m * n / (m + n)), 1))
    return Outcome("Kolmogorov-Smirnov", distance, studentised(p_value, freedom), distance)


def _counted_p(x: NDArray[np.float64], y: NDArray[np.float64], distance: float) -> float:
    """Of all orders of both samples' values, the share in which they lie as far apart."""
    from scipy.stats import ks_2samp

    if distance * max(len(x), len(y)) <= 1 + 1e-9:  # no order brings them nearer; SciPy's sum may be 1 + 2e-16 there
        return 1.0
    return float(cast("tuple[float, float]", ks_2samp(x, y, method="exact"))[1])


class Area(NamedTuple):
    """The chance that a value of one sample is above one of another, ties counted as halves: the area under the ROC
    curve. deviation: of samples of one distribution, without ties (Mann & Whitney 1947); with ties it is less."""

    value: float
    deviation: float


def area_of(low: NDArray[np.float64], high: NDArray[np.float64]) -> Area:
    """The area of two samples without NaN, of one value at least; 0.5 where they are alike, 1 where all of `high` are
    above all of `low`.

    >>> area_of(np.array([1.0, 2.0]), np.array([2.0, 3.0])).value
    0.875
    """
    n, m = len(low), len(high)
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return Area(int(below.sum()) / (2 * n * m), math.sqrt((n + m + 1) / (12 * n * m)))


def contingency(reference: NDArray[np.int64], current: NDArray[np.int64], worth: Worth | None = None) -> Outcome:
    """Pearson's test of a table of two rows: do both samples share their rows out over the cells alike?

    reference, current: (K,) counts of rows in each cell, in an order where neighbours may be joined. Both are taken as
    samples: a test that takes the reference for the truth alarms in 32-79% of windows of the reference's size.
    Neighbours are joined until each cell expects `LEAST_EXPECTED` rows in the smaller sample; if one cell remains, the
    largest is compared to all others. Two cells are tested exactly (Fisher), so that zeros need no care.

    The statistic is X² = Σ (O - E)² / E over the joined cells, the effect their total variation distance ½ Σ |p - q|.
    worth: None for independent rows. Others count as what they are worth: X² is corrected by its mean and its variance
    (Rao & Scott 1984).

    >>> contingency(np.array([10, 10]), np.array([10, 10]))
    Outcome(method='Fisher exact', statistic=0.0, p_value=1.0, effect=0.0)
    >>> outcome = contingency(np.array([300, 300, 400]), np.array([200, 300, 500]))
    >>> outcome.method, round(outcome.statistic, 3), round(outcome.p_value, 8), round(outcome.effect, 3)
    ('chi-square', 31.111, 1.8e-07, 0.1)
    """
    excess = _excess(reference, current, worth)
    table = joined(np.stack([reference, current]), LEAST_EXPECTED * excess)
    rows = table.sum(axis=1)
    if table.shape[1] < 2 or not rows.all():
        return alike("chi-square")
    statistic = float(_pearson(table[0] + table[1], rows, table[1:])[0])
    effect = float(abs(table[0] / rows[0] - table[1] / rows[1]).sum() / 2)
    method = "Fisher exact" if table.shape[1] == 2 else "chi-square"
    p_value = _discounted_p(table, statistic / excess, worth) if worth else _table_p(table, statistic)
    return Outcome(method, statistic, p_value, effect)


def expected_share(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """The smaller sample's share of all rows: times a cell's total, the rows that it expects there."""
    rows = (int(reference.sum()), int(current.sum()))
    return min(rows) / max(sum(rows), 1)


def _excess(reference: NDArray[np.int64], current: NDArray[np.int64], worth: Worth | None) -> float:
    """By how much the variance of a difference of shares exceeds that of independent rows."""
    rows = int(reference.sum()), int(current.sum())
    if worth is None or not all(rows):
        return 1.0
    return max((1 / worth.reference + 1 / worth.current) / (1 / rows[0] + 1 / rows[1]), 1.0)


def _largest_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """D, looked for at the shorter sample's values only: there the difference of the two functions is extreme.

    Of many values, some are looked at first, evenly spaced; between two of them the functions rise by what is known, so
    that most stretches cannot hold a greater distance. Of a million values beside a million, a twentieth of the time.
    """
    long, short = (x, y) if len(x) >= len(y) else (y, x)
    places = np.unique(np.linspace(0, len(short) - 1, _FIRST_PLACES).astype(np.int64))
    above, below = _distances(long, short, places)
    largest = max(above.max(), below.max(), 0.0)
    # Up to the next place the shorter one's function is at most as there, and the longer one's at least as here.
    first, last = places[:-1], places[1:]
    reach = (last - first) / len(short)
    possible = np.maximum(above[:-1] + reach, below[1:] + reach)
    rest = [np.arange(first[at] + 1, last[at]) for at in np.flatnonzero(possible > largest)]
    if rest:
        above, below = _distances(long, short, np.concatenate(rest))
        largest = max(largest, above.max(initial=0.0), below.max(initial=0.0))
    return float(largest)


def _distances(
    long: NDArray[np.float64], short: NDArray[np.float64], places: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At places in the shorter sample: by how much its function is above the other's, and just before, below it."""
    values = short[places]
    at_or_below = np.searchsorted(long, values, side="right") / len(long)
    below = np.searchsorted(long, values, side="left") / len(long)
    return (places + 1) / len(short) - at_or_below, below - places / len(short)


def joined(table: NDArray[np.int64], least: float) -> NDArray[np.int64]:
    """The table with neighbouring cells joined until each expects that many rows; empty cells are gone."""
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] <= 2:
        return table
    expected = table.sum(axis=0) * expected_share(table[0], table[1])
    if expected.min() >= least:
        return table
    starts = _group_starts(expected, least)
    if len(starts) > 1:
        return np.add.reduceat(table, starts, axis=1)
    largest = int(np.argmax(expected))
    return np.stack([table[:, largest], table.sum(axis=1) - table[:, largest]], axis=1)


def _group_starts(expected: NDArray[np.float64], least: float) -> list[int]:
    """Where each group of neighbours that together expect enough begins; what is left over belongs to the last."""
    starts, filled = [0], 0.0
    for index, rows in enumerate(expected.tolist()):
        if filled >= least:
            starts.append(index)
            filled = 0.0
        filled += rows
    return starts[:-1] if filled < least and len(starts) > 1 else starts


def _pearson(totals: NDArray[np.int64], rows: NDArray[np.int64], current: NDArray[np.int64]) -> NDArray[np.float64]:
    """X², (R,), of R tables with these margins; of each, `current` (R, K) holds the second row."""
    share = rows[1] / rows.sum()
    return ((current - totals * share) ** 2 / (totals * share * (1 - share))).sum(axis=1)


def _table_p(table: NDArray[np.int64], statistic: float) -> float:
    from scipy.special import chdtrc

    cells = table.shape[1]
    if cells == 2:
        return fisher_tail(table)
    p_value = float(chdtrc(cells - 1, statistic))
    least = table.sum(axis=0).min() * expected_share(table[0], table[1])
    if least < _SPARSE_EXPECTED and cells <= _PERMUTED_CELLS and _PERMUTED_P[0] < p_value < _PERMUTED_P[1]:
        return _permuted_p(table, statistic)
    return p_value


def _discounted_p(table: NDArray[np.int64], statistic: float, worth: Worth) -> float:
    """The p-value of a table whose rows are worth less than they are; `statistic` is X² over their excess."""
    from scipy.special import chdtrc

    cells = table.shape[1]
    if cells == 2:  # small counts of independent rows with the same shares
        whole = np.array([[worth.reference], [worth.current]])
        first = np.rint(whole * table[:, :1] / table.sum(axis=1, keepdims=True))
        small = np.hstack([first, np.rint(whole) - first]).astype(np.int64)
        p_value = fisher_tail(small)
    else:
        p_value = float(chdtrc((cells - 1) / worth.spread, statistic / worth.spread))
    return studentised(p_value, worth.freedom)


def _permuted_p(table: NDArray[np.int64], statistic: float) -> float:
    """The share of permutations of the rows' labels that part the samples at least as far; the table counts as one.

    Once enough of them did, no more are drawn (Besag & Clifford 1991). The seed is fixed, so that the same table always
    has the same p-value.
    """
    totals, rows, rng = table.sum(axis=0), table.sum(axis=1), np.random.default_rng(0)
    drawn = reached = 0
    while drawn < _PERMUTATIONS and reached < _REACHED:
        tables = rng.multivariate_hypergeometric(totals, int(rows[1]), size=_PERMUTATIONS // 20)
        # Equal tables may differ in the last bits.
        reached += int(np.count_nonzero(_pearson(totals, rows, tables) >= statistic * (1 - 1e-9)))
        drawn += len(tables)
    return (reached + 1) / (drawn + 1)
