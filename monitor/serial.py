"""Rows that depend on their neighbours: how many independent rows is a stretch of traffic worth?

Traffic of one hour is alike because it is of one hour. The shares of a window of such rows vary more from window to
window than those of as many independent rows, by a factor that is called the variance inflation here (the design effect
of surveys). A test that divides its rows by it keeps its promise; one that does not, alarms: an autoregression of 0.9
makes Kolmogorov-Smirnov at 5% cry wolf in most windows of 500 rows.

The factor is measured by blocks, as the block bootstrap has it: all blocks of L neighbouring rows are laid over the
column, and the variance of their shares is compared with that of L independent rows (overlapping batch means: Meketon &
Schmeiser 1984). A reference in the order of time, eight times as long as the window, has blocks as long as the window
itself, so that a season counts as what it does to such a window. Else blocks end where longer ones no longer vary
more, and what they still miss is made up for (lugsail: Vats & Flegal 2022). The window itself is asked, too, where the
reference is not four times as long, is independent, or has neighbours that are less alike than the window's.

Drift that begins in the middle of a window makes its rows alike, too. Where one or two changes of the mean are all that
there is, rows count as independent, so that it is found at once.

What cannot be seen: dependence that lasts longer than an eighth of the longer side. A reference whose order is not that
of traffic, because somebody shuffled or sorted it, is noticed by the window that does not follow it, and counts as
independent rows.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Blocks are at most this part of the rows: fewer of them tell no variance.
BLOCKS = 8

#: Rows that a window must be worth. A window shorter than its own dependence looks independent around its own mean:
#: with fewer, the measured factor is mostly too small.
MINIMUM_WORTH = 10

# How many standard deviations above 1 the inflation of some block length must be for rows to count as dependent. Where
# it happens by chance, some power is lost and nothing else: the factor is then near 1.
_NOTICED = 3.0

# Blocks of four times the length that vary by less than this factor more end the search for a length.
_LEVELLED = 1.2

# The lugsail estimate is V(L) + (V(L) - V(L/3)) with Vats & Flegal's r = 3, c = 1/2.
_LUGSAIL = 3

# Changes in the middle of a column that are taken for drift and not for dependence: one, or there and back again. What
# is left around the parts' means must then be as near to independent rows as this many standard deviations.
_CHANGES = 2
_EXPLAINED = 2.0

# Blocks at which the reference's order and the window's are held against each other, and standard deviations apart.
_SHARED_BLOCK = 8
_CONTRADICTED = 3.0


class Inflation(NamedTuple):
    """How much more a window's shares vary than those of independent rows.

    factor: >= 1, of the variance. spread: >= 1, how unevenly over the cells: of a statistic Σ λᵢ χ²₁, the mean of λ²
    over the square of the mean (Satterthwaite 1946). freedom: degrees of freedom with which the factor is known.
    """

    factor: float = 1.0
    spread: float = 1.0
    freedom: float = math.inf


INDEPENDENT = Inflation()


class Worth(NamedTuple):
    """How many independent rows each sample of a test is worth; `spread` and `freedom` as `Inflation` has them.

    A p-value that was computed with these rows as if they were known is made honest by `studentised`.
    """

    reference: float
    current: float
    spread: float
    freedom: float

    @property
    def enough(self) -> bool:
        """Whether both samples are worth enough rows to be compared."""
        return min(self.reference, self.current) >= MINIMUM_WORTH


class Curve(NamedTuple):
    """Inflation by block length.

    rows: of the column. lengths: (B,) ascending, from 2 on; empty for a constant, or too few rows. factors: (B,)
    inflation of each, in expectation 1 for independent rows. deviations: (B,) the standard deviations that independent
    rows would have. spreads: (B,).
    """

    rows: int
    lengths: NDArray[np.int64]
    factors: NDArray[np.float64]
    deviations: NDArray[np.float64]
    spreads: NDArray[np.float64]

    @property
    def dependent(self) -> bool:
        """Whether blocks of some length vary more than independent rows would let them."""
        return self.beyond(_NOTICED)

    def beyond(self, deviations: float) -> bool:
        """Whether some inflation is so many standard deviations above 1."""
        return bool(np.any(beyond(self.factors, self.deviations, deviations)))

    def at(self, length: float) -> float:
        """Inflation at a block length, between those that were measured."""
        return float(np.interp(math.log(length), np.log(np.r_[1, self.lengths]), np.r_[1.0, self.factors]))


#: Of a column whose order says nothing.
UNKNOWN = Curve(0, np.array([], dtype=np.int64), *(np.array([]) for _ in range(3)))


def beyond(factors: NDArray[np.float64], deviations: NDArray[np.float64], most: float = _NOTICED) -> NDArray[np.bool_]:
    """Which inflations are more than so many standard deviations above 1, by the chi-square distribution of a variance.

    As normal deviations by Wilson & Hilferty (1931): its upper tail is heavy where blocks are few.
    """
    small = deviations**2 / 9  # 2 / 9 over the degrees of freedom
    return np.cbrt(factors) - 1 + small > most * np.sqrt(small)


def weigh(
    reference: NDArray[np.float64], current: NDArray[np.float64], rows: tuple[int, int], step: float = 1.0
) -> Worth | None:
    """What both samples are worth; None if nothing speaks against independent rows.

    reference, current: (rows, D) what of each row is averaged by the test, such as in which cell it is, in the order
    of the rows; of the reference the latest ones. Empty where the order says nothing. rows: of the whole samples. step:
    of how many rows one was taken, on both sides.
    """
    if not all(rows):
        return None
    before, after = (curve_of(scores, round(rows[1] / step)) for scores in (reference, current))
    return worth_of(before, after, rows, step)


def worth_of(before: Curve, after: Curve, rows: tuple[int, int], step: float = 1.0) -> Worth | None:
    """As `weigh`, of the reference's and the window's inflation by block length; there are rows on both sides."""
    if before.dependent and _differs(after, before, less=True):
        before = UNKNOWN
    known = before.dependent and before.rows >= BLOCKS / 2 * after.rows and not _differs(after, before, less=False)
    windows = [inflation(curve, rows[1] / step) for curve in ((before,) if known else (before, after))]
    sides = inflation(before, rows[0] / step), max(windows, key=lambda found: found.factor)
    if sides == (INDEPENDENT, INDEPENDENT):
        return None
    worth = [
        count if side == INDEPENDENT else count / step / side.factor for count, side in zip(rows, sides, strict=True)
    ]
    # Of a sum of two variances that were estimated apart (Welch & Satterthwaite).
    shares = [1 / each / sum(1 / one for one in worth) for each in worth]
    freedom = 1 / sum(share**2 / side.freedom for share, side in zip(shares, sides, strict=True))
    return Worth(worth[0], worth[1], max(side.spread for side in sides), freedom)


def curve_of(scores: NDArray[np.float64], window_rows: int) -> Curve:
    """As `measure`; `UNKNOWN` where a few changes explain it all: then drift began, and shall be found."""
    return unless_explained(
        measure(scores, window_rows),
        lambda: measure(scores - means_by_changes(scores, np.ones(len(scores))), window_rows),
    )


def unless_explained(curve: Curve, without_changes: Callable[[], Curve]) -> Curve:
    """A curve; `UNKNOWN` where what is left without a few changes of the mean is near to independent rows."""
    return UNKNOWN if curve.dependent and not without_changes().beyond(_EXPLAINED) else curve


def means_by_changes(sums: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the part in which each bundle of rows is, (N, D), if the sharpest changes divide all of them.

    sums: (N, D) of scores, of bundles with so many rows each, (N,) > 0, in their order.
    """
    bounds = [0, len(sums)]
    for _ in range(_CHANGES):
        found = [_sharpest(sums[start:end], rows[start:end]) for start, end in itertools.pairwise(bounds)]
        part = int(np.argmax([sharpness for sharpness, _ in found]))
        bounds.insert(part + 1, bounds[part] + found[part][1])
    means = np.empty_like(sums)
    for start, end in itertools.pairwise(bounds):
        means[start:end] = sums[start:end].sum(axis=0) / max(rows[start:end].sum(), 1.0)
    return means


def _sharpest(sums: NDArray[np.float64], rows: NDArray[np.float64]) -> tuple[float, int]:
    """By how much two means describe a part better than one does (its sum of squares), and where the second begins."""
    if len(sums) < 2:
        return 0.0, 0
    total = rows.sum()
    away = np.cumsum(sums - rows[:, None] * sums.sum(axis=0) / total, axis=0)[:-1]
    first = np.cumsum(rows)[:-1]
    gains = (away**2).sum(axis=1) * total / (first * (total - first))
    place = int(np.argmax(gains))
    return float(gains[place]), place + 1


def in_order_of_values(numbers: NDArray[np.float64]) -> bool:
    """Whether somebody sorted these numbers, or a few parts of them: they turn less often than a stretch has blocks.

    >>> in_order_of_values(np.array([1.0, 2.0, 2.0, 7.0, 1.0, 3.0])), in_order_of_values(np.arange(40) % 3.0)
    (True, False)
    """
    return turns_of(numbers) <= BLOCKS


def turns_of(numbers: NDArray[np.float64]) -> int:
    """How often numbers that rose fall, or the other way round."""
    rising = numbers[1:] > numbers[:-1]
    rising = rising[numbers[1:] != numbers[:-1]]
    return int(np.count_nonzero(rising[1:] != rising[:-1]))


def in_order_of_levels(levels: NDArray[np.int64]) -> bool:
    """Whether somebody sorted these levels: each is in one place, but for one of them at most.

    >>> in_order_of_levels(np.array([1, 1, 0, 0])), in_order_of_levels(np.array([1, 0, 1, 0, 1]))
    (True, False)
    """
    return changes_of(levels) <= len(np.unique(levels))


def changes_of(levels: NDArray[np.int64]) -> int:
    """How often a row has another level than the one before."""
    return int(np.count_nonzero(np.diff(levels)))


def studentised(p_value: float, freedom: float) -> float:
    """A p-value of a test whose variance was estimated with so many degrees of freedom: normal tails become t's.

    >>> round(studentised(0.05, 10), 4), studentised(0.05, math.inf)
    (0.0784, 0.05)
    """
    from scipy.special import ndtri, stdtr

    if math.isinf(freedom) or p_value <= 0:
        return p_value
    return float(min(2 * stdtr(freedom, ndtri(p_value / 2)), 1.0))


def before_studentising(p_value: float, freedom: float) -> float:
    """The p-value of which `studentised` makes this one.

    >>> round(before_studentising(studentised(0.003, 12), 12), 6)
    0.003
    """
    from scipy.special import ndtr, stdtrit

    return p_value if math.isinf(freedom) else float(2 * ndtr(stdtrit(freedom, p_value / 2)))


def measure(scores: NDArray[np.float64], window_rows: int) -> Curve:
    """The inflation of a column's blocks of 2, 4, 8... rows, up to an eighth of it, and of the window's rows.

    scores: (rows, D) what of each row is averaged, in the order of the rows.

    >>> curve = measure(np.repeat([[0.0], [1.0]] * 40, 4, axis=0), 1000)
    >>> curve.lengths.tolist(), curve.dependent
    ([2, 8, 32, 40], True)
    """
    rows = len(scores)
    longest = rows // BLOCKS
    centred = scores - scores.mean(axis=0) if rows else scores
    variance = float((centred**2).sum()) / max(rows, 1)
    if longest < 2 or variance <= 0:
        return UNKNOWN._replace(rows=rows)
    lengths = np.unique(
        [*(2**power for power in range(1, longest.bit_length(), 2)), longest, min(window_rows, longest)]
    )
    lengths = lengths[lengths >= 2]
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(centred, axis=0)])
    factors, spreads = zip(*(_factor(sums, int(length), variance) for length in lengths), strict=True)
    covariance = _products(centred) / rows
    dimension = variance**2 / float((covariance**2).sum())
    return Curve(rows, lengths, np.array(factors), chance_deviations(lengths, rows * dimension), np.array(spreads))


def chance_deviations(lengths: NDArray[np.int64], rows: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviations of the inflation of independent rows; rows: times the dimension of their scores.

    Of Σ 2 (1 - k/L) ρ̂ₖ over lags k < L, where independent rows have ρ̂ₖ ~ N(0, 1/rows).
    """
    return np.sqrt(4 * (lengths - 1) * (2 * lengths - 1) / (6 * lengths) / rows)


def _factor(sums: NDArray[np.float64], length: int, variance: float) -> tuple[float, float]:
    """Inflation, and its spread over the cells, of blocks that begin each quarter of a length."""
    rows = len(sums) - 1
    step = max(1, length // 4)
    blocks = sums[length::step] - sums[: rows - length + 1 : step]
    covariance = _products(blocks) / len(blocks) / length
    total = float(np.trace(covariance))
    spread = _rank(sums) * float((covariance**2).sum()) / total**2 if total > 0 else 1.0
    return total / variance / (1 - length / rows), max(spread, 1.0)


def _products(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """scores.T @ scores, without BLAS: its threads wait for one another longer than so few columns take.

    On two busy cores they were a third of the CPU seconds of comparing 40 columns of 1,000,000 rows.
    """
    columns = np.ascontiguousarray(scores.T)
    return np.einsum("ji,ki->jk", columns, columns)


def _rank(sums: NDArray[np.float64]) -> int:
    """In how many directions the scores vary: shares of cells add up to one, so they have one direction less."""
    return max(sums.shape[1] - 1, 1)


def inflation(curve: Curve, window_rows: float) -> Inflation:
    """What a column says of windows of so many rows."""
    if not curve.dependent or window_rows < 1:
        return INDEPENDENT
    if window_rows <= curve.lengths[-1]:
        return _measured(curve, window_rows)
    longest = _measured(curve, int(curve.lengths[-1]))
    length = _levelled(curve)
    levelled = _measured(curve, length)
    missed = max(levelled.factor - curve.at(max(length / _LUGSAIL, 1)), 0.0)
    levelled = levelled._replace(factor=levelled.factor + missed)
    # A season evens itself out over long blocks: they say so even after a generous allowance for their own variance.
    allowed = longest._replace(factor=longest.factor * (1 + 3 * math.sqrt(2 / longest.freedom)))
    return min(levelled, allowed, key=lambda found: found.factor)


def _measured(curve: Curve, length: float) -> Inflation:
    """As it was measured at a length. Overlapping blocks know a variance half again as well as blocks side by side."""
    spread = float(np.interp(length, curve.lengths, curve.spreads))
    return Inflation(max(curve.at(length), 1.0), spread, 1.5 * (curve.rows / length - 1))


def _levelled(curve: Curve) -> int:
    """The shortest block that does not vary notably more than one of a quarter of its length; else the longest."""
    for shorter, longer, length in zip(curve.factors, curve.factors[1:], curve.lengths[1:], strict=False):
        if longer <= _LEVELLED * shorter and length >= math.sqrt(curve.rows) / 2:
            return int(length)
    return int(curve.lengths[-1])


def _differs(window: Curve, reference: Curve, *, less: bool) -> bool:
    """Whether the window's neighbours are clearly less alike than the reference's, or more: by half, or twice."""
    if not len(window.lengths) or not len(reference.lengths):
        return False
    block = min(_SHARED_BLOCK, int(window.lengths[-1]), int(reference.lengths[-1]))
    expected, found = reference.at(block), window.at(block)
    clear = _CONTRADICTED * math.hypot(
        *(np.interp(block, curve.lengths, curve.deviations) for curve in (window, reference))
    )
    if less:
        return found < expected * (1 - clear) and found - 1 < (expected - 1) / 2
    return found > expected * (1 + clear) and found - 1 > (expected - 1) * 2
