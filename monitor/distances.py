"""How far apart are two samples? Each distance by its own name, with its formula and where it comes from.

Pure functions over NumPy arrays, of two families:

    samples  x of the reference, y of the current rows: ascending, finite, float64, a value each at least.
    counts   rows in each of K cells, `reference` and `current` alike in order, a row each at least. p and q are the
             shares. Numbers are put into cells by `quantile_cuts` and `counts_between`.

A distance has no verdict: how large one is without drift depends on the rows (`calibrated.py` has tests). Kolmogorov-
Smirnov and chi-square are in `two_sample.py`; so is the largest distance of two distribution functions, which is
L-infinity for numbers.

Four things are called Jensen-Shannon. With D = ½ KL(p, m) + ½ KL(q, m) and m = (p + q) / 2:

    jensen_shannon_divergence      D in nats, 0..ln 2        SageMaker Clarify
    jensen_shannon_divergence_2    D in bits, 0..1           TensorFlow Data Validation, Vertex AI
    jensen_shannon_distance        √D in nats, 0..√ln 2      Evidently, SciPy's default
    jensen_shannon_distance_2      √D in bits, 0..1          NannyML
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from monitor.two_sample import Outcome, alike, kolmogorov_smirnov

Floats = NDArray[np.float64]
Counted = NDArray[np.int64]

#: What an empty cell's share counts as in `psi`, so that its logarithm is a number. Evidently's choice; Deequ leaves
#: the cell empty, and the index is infinite.
SMALLEST_SHARE = 1e-4

#: Below this, the reference's standard deviation counts as this much: Evidently's choice.
_LEAST_DEVIATION = 1e-3

#: Below this, T is the same whatever the values, and its deviation is 0.
_CRAMER_VON_MISES_ROWS = 3

#: Below this, the deviation of A² is not defined.
_ANDERSON_DARLING_ROWS = 4

# --------------------------------------------------------------------------------------------------------- samples


def wasserstein(x: Floats, y: Floats) -> float:
    """How far values have to move on average to turn one sample into the other, in their unit (Wasserstein-1).

    W = ∫ |F⁻¹(u) - G⁻¹(u)| du over 0..1, which is ∫ |F - G|. Both quantile functions are steps, so the integral is an
    exact sum over the steps of both together. Of a million rows a side it takes 25-30 ms, SciPy's 120-260.

    >>> wasserstein(np.array([0.0, 1.0, 3.0]), np.array([5.0, 6.0, 8.0]))
    5.0
    """
    if len(x) == len(y):
        return float(np.abs(x - y).mean())
    # Steps end at i/m and j/n: counted in units of 1/(mn), these are whole numbers.
    ends = np.concatenate([np.arange(1, len(x) + 1) * len(y), np.arange(1, len(y) + 1) * len(x)])
    ends.sort(kind="stable")  # joins two sorted runs in linear time
    starts = np.concatenate([[0], ends[:-1]])
    gaps = np.abs(x[np.minimum(starts // len(y), len(x) - 1)] - y[np.minimum(starts // len(x), len(y) - 1)])
    return float(np.dot(gaps, ends - starts) / (len(x) * len(y)))


def wasserstein_normalised(x: Floats, y: Floats) -> float:
    """`wasserstein` in standard deviations of the reference, W / max(σ(x), 0.001), as Evidently has it.

    >>> round(wasserstein_normalised(np.array([-1.0, 1.0]), np.array([0.0, 3.0])), 3)
    1.5
    """
    return wasserstein(x, y) / max(float(np.std(x)), _LEAST_DEVIATION)


def cramer_von_mises(x: Floats, y: Floats) -> Outcome:
    """The two-sample Cramér-von Mises test: the mean square of the distance of the two distribution functions.

    T = mn / N² Σ (F - G)² over all N rows (Anderson 1962), 1/6 on average without drift. The p-value is that of its
    limit, at T shifted and stretched to the limit's mean and variance, as in SciPy. With ties, SciPy's formula by
    midranks makes T larger, of whole numbers by ten; this one is about right, but for a column of two values 0.05 may
    be 0.08. The effect is the largest distance of the two functions. Two rows in all count as alike.

    >>> outcome = cramer_von_mises(np.arange(0.0, 20.0), np.arange(10.5, 30.5))
    >>> round(outcome.statistic, 4), round(outcome.p_value, 6), outcome.effect
    (1.8, 3.3e-05, 0.55)
    """
    m, n, rows = len(x), len(y), len(x) + len(y)
    if rows < _CRAMER_VON_MISES_ROWS:
        return alike("Cramér-von Mises")
    steps = _steps(x, y)
    apart = steps.x_at_or_below / m - (steps.at_or_below - steps.x_at_or_below) / n
    statistic = m * n / rows**2 * float((steps.rows * apart**2).sum())
    mean = (1 + 1 / rows) / 6
    variance = (rows + 1) * (4 * m * n * rows - 3 * (m * m + n * n) - 2 * m * n) / (180 * rows**2 * m * n)
    limit = 1 / 6 + (statistic - mean) / math.sqrt(45 * variance)
    return Outcome("Cramér-von Mises", statistic, _cramer_von_mises_tail(limit), largest_distance(x, y))


def anderson_darling(x: Floats, y: Floats) -> Outcome:
    """The two-sample Anderson-Darling test: as Cramér-von Mises, with more weight on the tails.

    A² by midranks (Scholz & Stephens 1987, formula 7), less its mean 1 and over its standard deviation, which is what
    SciPy's `anderson_ksamp` gives; the p-value is that of its limit, stretched alike. It asks for few ties: of normal
    values that are rounded to whole standard deviations, 0.05 is 0.08. The effect is the largest distance of the two
    distribution functions. Fewer than four rows in all count as alike.

    >>> outcome = anderson_darling(np.arange(20.0), np.arange(10.0, 30.0))
    >>> round(outcome.statistic, 4), round(outcome.p_value, 6), outcome.effect
    (10.7031, 3.4e-05, 0.5)
    """
    m, n, rows = len(x), len(y), len(x) + len(y)
    if rows < _ANDERSON_DARLING_ROWS:
        return alike("Anderson-Darling")
    steps = _steps(x, y)
    at = steps.at_or_below - steps.rows / 2
    x_at = steps.x_at_or_below - steps.x / 2
    weights = at * (rows - at) - rows * steps.rows / 4
    told = weights > 0  # a single value on both sides tells nothing
    squares = np.sum((steps.rows * (rows * x_at - at * m) ** 2)[told] / weights[told])  # the same for y
    statistic = (rows - 1) / rows**2 * float(squares) * (1 / m + 1 / n)
    deviation = _anderson_darling_deviation(m, n)
    standard = (statistic - 1) / deviation
    limit = 1 + standard * math.sqrt(2 * math.pi**2 / 3 - 6)
    return Outcome("Anderson-Darling", standard, _anderson_darling_tail(limit), largest_distance(x, y))


class _Steps(NamedTuple):
    """At each distinct value of both samples, ascending: rows that have it, how many of x, and those up to it."""

    rows: Floats
    x: Floats
    at_or_below: Floats
    x_at_or_below: Floats


def _steps(x: Floats, y: Floats) -> _Steps:
    both = np.concatenate([x, y])
    order = np.argsort(both, kind="stable")  # joins two sorted runs in linear time
    both = both[order]
    last = np.append(np.flatnonzero(both[1:] != both[:-1]), len(both) - 1)
    at_or_below = last + 1.0
    x_at_or_below = np.cumsum(order < len(x))[last].astype(np.float64)
    return _Steps(np.diff(at_or_below, prepend=0), np.diff(x_at_or_below, prepend=0), at_or_below, x_at_or_below)


def largest_distance(x: Floats, y: Floats) -> float:
    """Of the two distribution functions, 0 to 1. x, y: ascending, without NaN."""
    return kolmogorov_smirnov(x, y).effect


def _anderson_darling_deviation(m: int, n: int) -> float:
    """The standard deviation of A² for two samples without ties (Scholz & Stephens 1987, formula 4)."""
    rows, inverse = m + n, 1 / m + 1 / n
    harmonics = np.cumsum(1 / np.arange(1, rows))
    h = harmonics[-1]
    g = float(((h - harmonics[: rows - 2]) / (rows - np.arange(1, rows - 1))).sum())
    a = (4 * g - 6) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * 4 + 16 * h + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * 4 - 8 * h
    return math.sqrt((a * rows**3 + b * rows**2 + c * rows + d) / ((rows - 1) * (rows - 2) * (rows - 3)))


def _cramer_von_mises_tail(statistic: float) -> float:
    """P(Σ χ²₁ / (jπ)² > statistic)."""
    ends = (np.arange(1, 2 * _INTERVALS + 1) * math.pi) ** 2 / 2
    return _tail(statistic, ends, lambda u: np.sin(np.sqrt(2 * u)) / np.sqrt(2 * u))


def _anderson_darling_tail(statistic: float) -> float:
    """P(Σ χ²₁ / (j (j + 1)) > statistic)."""
    place = np.arange(1, 2 * _INTERVALS + 1)
    return _tail(statistic, place * (place + 1) / 2, lambda u: np.cos(np.sqrt(1 + 8 * u) * math.pi / 2) / u / math.tau)


_INTERVALS = 40
_NODES = 40


def _tail(statistic: float, ends: Floats, product: Callable[[Floats], Floats]) -> float:
    """P(Σ λⱼ χ²₁ > statistic) by Smirnov's formula (1937), to 1e-9 of itself.

    ends: 1 / (2 λⱼ), ascending. product: Π (1 - 2 λⱼ u), whatever its sign. The sum goes over the intervals between the
    first end and the second, the third and the fourth..., with alternating signs:
    ± 1/π ∫ exp(-u · statistic) / (u √|product|) du. The root is zero at an interval's ends, hence Chebyshev's nodes.
    """
    if statistic * ends[0] < _SURE:
        return 1.0
    low, high = ends[0::2, None], ends[1::2, None]
    half = (high - low) / 2
    u = low + half * (1 + np.cos((np.arange(_NODES) + 0.5) * math.pi / _NODES))
    around = (u - low) * (high - u)
    each = np.exp(-u * statistic) / u * np.sqrt(around / np.abs(product(u)))
    signs = np.where(np.arange(len(low)) % 2, -1.0, 1.0)
    return float(min(max((each.mean(axis=1) * signs).sum(), 0.0), 1.0))


#: Below this, in units of the largest term's, the probability is 1 to nine digits, and the sum would need more terms.
_SURE = 0.05

# ---------------------------------------------------------------------------------------------------------- counts


def quantile_cuts(x: Floats, bins: int) -> Floats:
    """Where to cut numbers so that each of `bins` bins holds as many reference rows: at its quantiles, ascending.

    x: ascending. Fewer cuts where values repeat: a value that holds more rows than a bin has one of its own. If that is
    the smallest one and `bins` leaves room, a cut right below it keeps smaller ones of other rows apart. Quantiles lie
    between two values in proportion, as NumPy's and pandas' do; infinities count as the largest numbers there.

    >>> quantile_cuts(np.arange(9.0), 4), quantile_cuts(np.array([2.0, 2.0, 2.0, 7.0]), 4).round(9)
    (array([2., 4., 6.]), array([2.  , 2.  , 3.25]))
    """
    numbers = np.finfo(np.float64)
    finite = np.clip(x, numbers.min / 2, numbers.max / 2)  # halves, whose difference is a number too
    cuts = np.unique(np.quantile(finite, np.arange(1, bins) / bins))
    if cuts[0] > finite[0] or len(cuts) == bins - 1:
        return cuts
    return np.concatenate([[np.nextafter(finite[0], -np.inf)], cuts])


def counts_between(values: Floats, cuts: Floats) -> Counted:
    """Rows up to the first cut, above it up to the second... and above the last: one count more than cuts.

    values: ascending; infinities are the smallest and the largest.

    >>> counts_between(np.array([1.0, 2.0, 2.5, 9.0]), np.array([2.0, 3.0]))
    array([2, 1, 1])
    """
    return np.diff(np.searchsorted(values, cuts, "right"), prepend=0, append=len(values)).astype(np.int64)


def jensen_shannon_divergence(reference: Counted, current: Counted) -> float:
    """D in nats: 0 where the shares are equal, ln 2 where no cell is shared. SageMaker Clarify's.

    >>> round(jensen_shannon_divergence(np.array([1, 0]), np.array([0, 1])), 6)
    0.693147
    """
    from scipy.special import rel_entr

    p, q = _shares(reference, current)
    middle = (p + q) / 2
    return float((np.sum(rel_entr(p, middle)) + np.sum(rel_entr(q, middle))) / 2)


def jensen_shannon_divergence_2(reference: Counted, current: Counted) -> float:
    """D in bits, 0..1. TensorFlow Data Validation's and Vertex AI's.

    >>> jensen_shannon_divergence_2(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    return jensen_shannon_divergence(reference, current) / math.log(2)


def jensen_shannon_distance(reference: Counted, current: Counted) -> float:
    """√D in nats, 0..0.833. Evidently's.

    >>> round(jensen_shannon_distance(np.array([1, 0]), np.array([0, 1])), 6)
    0.832555
    """
    return math.sqrt(max(jensen_shannon_divergence(reference, current), 0.0))


def jensen_shannon_distance_2(reference: Counted, current: Counted) -> float:
    """√D in bits, 0..1. NannyML's.

    >>> jensen_shannon_distance_2(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    return math.sqrt(max(jensen_shannon_divergence_2(reference, current), 0.0))


def kullback_leibler(reference: Counted, current: Counted) -> float:
    """Σ p ln(p / q) in nats; infinite where the current rows lack a cell that the reference has.

    >>> round(kullback_leibler(np.array([1, 3]), np.array([2, 2])), 6)
    0.130812
    """
    from scipy.special import rel_entr

    p, q = _shares(reference, current)
    return float(np.sum(rel_entr(p, q)))


def hellinger(reference: Counted, current: Counted) -> float:
    """√(½ Σ (√p - √q)²), 0..1.

    >>> round(hellinger(np.array([1, 0]), np.array([1, 1])), 6)
    0.541196
    """
    p, q = _shares(reference, current)
    return float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2))


def psi(reference: Counted, current: Counted, smallest: float = SMALLEST_SHARE) -> float:
    """The population stability index Σ (p - q) ln(p / q).

    Shares below `smallest` count as this much, so that an empty cell of either side adds at most about its share times
    9; with 0, the index is infinite there. Without drift it is near (1/m + 1/n) χ² of K - 1 degrees of freedom
    (Yurdakul 2018): the usual thresholds, 0.1 and 0.2, know no rows.

    >>> round(psi(np.array([50, 50]), np.array([70, 30])), 6), psi(np.array([1, 1]), np.array([2, 0]), smallest=0)
    (0.16946, inf)
    """
    p, q = (np.maximum(shares, smallest) for shares in _shares(reference, current))
    shared = (p > 0) | (q > 0)
    p, q = p[shared], q[shared]
    with np.errstate(divide="ignore"):
        return float(np.sum((p - q) * np.log(p / q)))


def total_variation(reference: Counted, current: Counted) -> float:
    """½ Σ |p - q|, 0..1: the share of rows that would have to change their cell.

    >>> total_variation(np.array([2, 1, 1]), np.array([2, 2, 0]))
    0.25
    """
    p, q = _shares(reference, current)
    return min(float(np.abs(p - q).sum() / 2), 1.0)


def l_infinity(reference: Counted, current: Counted) -> float:
    """max |p - q|, 0..1: what Deequ, SageMaker Model Monitor and TensorFlow Data Validation compare categories by.

    >>> l_infinity(np.array([10, 20, 25, 10, 5]), np.array([11, 20, 25, 10, 10]))
    0.06015037593984962
    """
    p, q = _shares(reference, current)
    return float(np.abs(p - q).max())


def cramers_v(reference: Counted, current: Counted) -> float:
    """√(X² / N), 0..1: how much a row's cell tells of its side. X² is Pearson's of the table of both rows of counts.

    >>> round(cramers_v(np.array([10, 0]), np.array([0, 30])), 6)
    1.0
    """
    return math.sqrt(_mean_square(reference, current))


def cramers_v_corrected(reference: Counted, current: Counted) -> float:
    """`cramers_v` without the part that chance alone gives it (Bergsma 2013), as Deepchecks has it.

    With φ² = X² / N of K cells: √(max(0, φ² - (K - 1) / (N - 1)) / min(K - (K - 1)² / (N - 1) - 1, 1 - 1 / (N - 1))).

    >>> cramers_v_corrected(np.array([50, 50]), np.array([52, 48]))
    0.0
    """
    rows = int(reference.sum() + current.sum())
    cells = int(np.count_nonzero(reference + current))
    if cells < 2 or rows < 3:
        return 0.0
    excess = max(0.0, _mean_square(reference, current) - (cells - 1) / (rows - 1))
    corrected = min(cells - (cells - 1) ** 2 / (rows - 1) - 1, 1 - 1 / (rows - 1))
    return math.sqrt(excess / corrected) if corrected > 0 else 0.0


def _mean_square(reference: Counted, current: Counted) -> float:
    """X² / N of the table that has both as rows: mn/N² Σ (p - q)² / (share of both together)."""
    both = reference + current
    p, q = _shares(reference, current)
    share = cast("Floats", both / both.sum())
    seen = both > 0
    weight = float(reference.sum()) * float(current.sum()) / float(both.sum()) ** 2
    return weight * float(((p - q)[seen] ** 2 / share[seen]).sum())


def _shares(reference: Counted, current: Counted) -> tuple[Floats, Floats]:
    return reference / reference.sum(), current / current.sum()
