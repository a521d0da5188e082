"""What a schedule will find: the smallest drift of each column that windows of so many rows show with 80% power.

Said at baseline time, when nobody has seen a window: the reference tells how its values vary, and what a window of its
rows is worth. Drift of a certain kind is made larger until four of five windows alarm at the threshold that the column
will have:

    numbers, lengths    every value moves by the same amount, up or down, whichever is harder to find: of whole numbers
                        a whole one, of others a multiple of the smallest step between two values. Kolmogorov-
                        Smirnov's D is then |F(x) - F(x - shift)| and two Brownian bridges, one for each sample's chance
                        (Donsker): their maxima are drawn 1,000 times.
    categories, and     a share of rows, whatever they were, turns into the second commonest level or group of values
    tied numbers        (of a single one, into a new one). Counts are drawn 1,000 times, and with them whether the level
                        has a cell of its own; of two levels, Fisher's test is summed up over all outcomes.
    missing values      a share of rows loses its value: as two cells.

Both sides vary: a reference is a sample, too. What the test of unseen levels finds beside that of levels is left out:
where nearly all levels are of one row, less drift is found than is said. Held against simulated windows in
`tests/monitor/test_power.py` and by `python -m bench.alarms --tables stated`.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.calibrated import GROUPS, MINIMUM_EFFECT, Order, ascending, grouped, is_tied
from monitor.compare import MINIMUM_ROWS
from monitor.drift import Kind
from monitor.pair import Pair, pair_up
from monitor.serial import Worth, before_studentising
from monitor.two_sample import LEAST_EXPECTED, contingency
from storage.errors import DataError, SettingError

#: Of what is told when a schedule or a baseline is made.
POWER = 0.8
#: Columns that are told of then: five seconds of work.
MOST_COLUMNS = 100

_DRAWN = 1000
_PLACES = 256  # where the bridges are looked at
_STEPS = 14  # of a bisection: to a thousandth of where it began
_SAME = 1e-9  # of the range of numbers, or of a step: what is apart by less counts as the same

#: How much less a maximum over points that are 1/_PLACES apart is than that of a Brownian path (Broadie, Glasserman &
#: Kou 1997), in units of 1/√rows.
_BETWEEN = 0.5826 / _PLACES**0.5


class Smallest(Struct, frozen=True):
    """The smallest drift of a column that is found with the power asked for.

    rows: of a window. counted: how many independent rows its values are worth. shift: of numbers in their own unit, a
    multiple of the smallest step between two of them; of text in characters. shift_sd: the same in the reference's
    standard deviations. moved: share of rows that turn into the second commonest level, or group of tied numbers.
    missing: share of rows that lose their value, beside those that have none in the reference. None where it does not
    apply or no such drift is found; `note` says why.
    """

    name: str
    kind: Kind
    rows: int
    counted: float
    shift: float | None
    shift_sd: float | None
    moved: float | None
    missing: float | None
    note: str


class Finds(Struct, frozen=True):
    """What reports on windows of so many rows find with this power.

    rows: of a window; None where nobody knows, and then there are no columns. windows: of the past, in which they were
    counted; 0 where they were given. level: of a report. left_out: columns that were not looked at.
    """

    rows: int | None
    windows: int
    level: float
    power: float
    columns: tuple[Smallest, ...]
    left_out: int


def finds_of(
    reference: pl.DataFrame, rows: int, *, level: float, kinds: Mapping[str, Kind] | None = None, windows: int = 0
) -> Finds:
    """What is told of a schedule or a baseline when it is made: the first 100 columns, at a power of 80%.

    Arguments and errors are those of `smallest_drifts` and `Finds`.
    """
    found = smallest_drifts(reference, rows, level=level, power=POWER, kinds=kinds, most=MOST_COLUMNS)
    return Finds(rows, windows, level, POWER, found, reference.width - len(found))


def smallest_drifts(
    reference: pl.DataFrame,
    rows: int,
    *,
    level: float = 0.05,
    power: float = POWER,
    kinds: Mapping[str, Kind] | None = None,
    minimum_effect: float = MINIMUM_EFFECT,
    most: int | None = None,
) -> tuple[Smallest, ...]:
    """For each column, the smallest drift that reports on windows of so many rows find with this power.

    level, kinds, minimum_effect: as `compare` has them, with control `bonferroni`: `benjamini-hochberg` finds as much.
    rows: that a window is expected to have. power: above 0 and below 1. most: columns that are told of, from the first
    on; each takes about 50 ms. The others share the level all the same.

    Raises DataError for a reference without columns, and SettingError for numbers out of their ranges.

    >>> found = smallest_drifts(pl.DataFrame({"x": np.random.default_rng(0).normal(size=5000)}), 500)[0]
    >>> 0.15 < found.shift_sd < 0.2
    True
    """
    if not reference.width:
        raise DataError("The reference table has no columns. Give the rows that windows will be compared with.")
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise SettingError(f"{name} is {value!r}. Use a number above 0 and below 1.")
    if rows < 1:
        raise SettingError(f"rows is {rows!r}. Give the rows that a window is expected to have.")
    if not reference.height:
        return tuple(
            _nothing(name, (kinds or {}).get(name, "other"), rows, "The reference is empty.")
            for name in reference.columns[:most]
        )
    expected = reference[np.arange(rows) % reference.height]
    pairs = [pair_up(reference[name], expected[name], (kinds or {}).get(name)) for name in reference.columns]
    threshold = level / max(sum(_is_tested(pair) for pair in pairs), 1)
    asked = _Asked(rows, threshold, power, minimum_effect)
    return tuple(_of_column(pair, asked) for pair in pairs[:most])


class _Asked(NamedTuple):
    """rows: of a window. threshold: p-value at which a column alarms."""

    rows: int
    threshold: float
    power: float
    minimum_effect: float


class _Test(NamedTuple):
    """A test as it will be made: rows that both samples are worth, and the p-value at which it alarms."""

    reference_rows: float
    rows: float
    p_value: float
    minimum_effect: float
    power: float


def _is_tested(pair: Pair) -> bool:
    has_values = pair.kind in ("number", "text", "category") and pair.present.reference > 0
    return has_values or 0 < pair.missing.reference < len(pair.reference)


def _nothing(name: str, kind: Kind, rows: int, note: str) -> Smallest:
    return Smallest(name, kind, rows, float(rows), None, None, None, None, note)


def _of_column(pair: Pair, asked: _Asked) -> Smallest:
    found = _nothing(pair.name, pair.kind, asked.rows, "")
    if min(asked.rows, len(pair.reference)) < MINIMUM_ROWS:
        return replace(found, note=f"A comparison needs {MINIMUM_ROWS} rows on either side.")
    order = Order(pair._replace(levels=_of_reference(pair.levels)))
    tests = 1 + (pair.missing.reference > 0)
    if pair.present.reference:
        found = _VALUES.get(pair.kind, _untold)(found, order, asked, tests)
        found = replace(found, missing=_smallest_gap(order, asked, 1 + (pair.kind not in ("time", "other"))))
    return replace(found, note=" ".join(dict.fromkeys(order.notes)))


def _untold(found: Smallest, _: Order, __: _Asked, ___: int) -> Smallest:
    return found


def _test(worth: Worth | None, pair: Pair, asked: _Asked, tests: int) -> _Test:
    """Of values: a window misses as many as the reference does."""
    rows = pair.present
    expected = max(round(asked.rows * rows.reference / len(pair.reference)), 1)
    counted = Worth(rows.reference, expected, 1.0, math.inf)
    if worth and rows.current:
        counted = worth._replace(current=worth.current * expected / rows.current)
    return _made(counted, asked, tests)


def _made(worth: Worth, asked: _Asked, tests: int) -> _Test:
    p_value = before_studentising(asked.threshold / tests, worth.freedom)
    return _Test(worth.reference, worth.current, p_value, asked.minimum_effect, asked.power)


def _bisect(power: Callable[[float], float], most: float, wanted: float) -> float | None:
    """The smallest drift from 0 to `most` with the power that is wanted; None if there is none."""
    if power(most) < wanted:
        return None
    least = 0.0
    for _ in range(_STEPS):
        middle = (least + most) / 2
        least, most = (least, middle) if power(middle) >= wanted else (middle, most)
    return most


# --------------------------------------------------------------------------------------------------------- numbers


def _of_numbers(found: Smallest, order: Order, asked: _Asked, tests: int) -> Smallest:
    x, y = ascending(order.pair.reference), ascending(order.pair.current)
    worth = order.worth_of_numbers(x, y)
    test = _test(worth, order.pair, asked, tests)
    found = replace(found, counted=test.rows)
    if worth and not worth.enough:
        return found
    if is_tied(x, y):
        return replace(found, moved=_smallest_move(grouped(x, x)[0], test))
    shift = _smallest_shift(x[np.isfinite(x)], test)
    deviation = float(x[np.isfinite(x)].std()) if shift else 0.0
    return replace(found, shift=shift, shift_sd=shift / deviation if shift and deviation else None)


def _smallest_shift(x: NDArray[np.float64], test: _Test) -> float | None:
    """In the unit of the numbers, which are ascending; the larger one of up and down.

    It is a multiple of the smallest step between two of them: whole numbers move by whole numbers.
    """
    from scipy.stats import kstwo

    if not len(x):
        return None
    most, values = float(x[-1] - x[0]) or 1.0, np.unique(x)
    gaps = np.diff(values)
    step = float(f"{gaps.min(initial=most, where=gaps > most * _SAME):.9g}")  # 0.1 without the noise of floats
    size = test.reference_rows * test.rows / (test.reference_rows + test.rows)
    least = max(float(kstwo.isf(test.p_value, max(round(size), 1))), test.minimum_effect)
    if len(values) > _PLACES and least > test.minimum_effect:
        least -= _BETWEEN / math.sqrt(size)
    quantiles = x[((np.arange(_PLACES) + 0.5) / _PLACES * len(x)).astype(np.int64)]
    for_window, for_reference = _bridges(test)

    def stepped(shift: float) -> float:
        return math.ceil(shift / step - _SAME) * step

    def power(shift: float) -> float:
        # The functions are furthest apart at a value of the sample that lies lower.
        shift = math.copysign(stepped(abs(shift)), shift)
        places = quantiles + min(shift, 0.0)
        before, after = (_at_or_below(x, at + step / 1000) for at in (places, places - shift))
        distances = after - before + for_window[:, _column(after)] - for_reference[:, _column(before)]
        return float((abs(distances).max(axis=1) >= least).mean())

    # Most columns need a small part of their range, so the search begins where it can be precise.
    def smallest(sign: float) -> float | None:
        reach = most
        while reach > most * _SAME and power(sign * reach / 4) >= test.power:
            reach /= 4
        return _bisect(lambda shift: power(sign * shift), reach, test.power)

    both = [smallest(sign) for sign in (1.0, -1.0)]
    return None if None in both else max(stepped(shift) for shift in both if shift is not None)


def _at_or_below(x: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of ascending numbers."""
    return np.searchsorted(x, places, "right") / len(x)


def _column(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where in bridges a share of the rows is."""
    return np.rint(shares * _PLACES).astype(np.int64)


def _bridges(test: _Test) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Brownian bridges for the window and the reference, (_DRAWN, _PLACES + 1), over the roots of their rows."""
    rng = np.random.default_rng(0)
    ends = np.arange(_PLACES + 1) / _PLACES
    sides: list[NDArray[np.float64]] = []
    for rows in (test.rows, test.reference_rows):
        steps = rng.normal(scale=math.sqrt(1 / _PLACES), size=(_DRAWN, _PLACES))
        paths = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
        sides.append((paths - paths[:, -1:] * ends) / math.sqrt(rows))
    return sides[0], sides[1]


# ---------------------------------------------------------------------------------------------------------- levels


def _of_levels(found: Smallest, order: Order, asked: _Asked, tests: int) -> Smallest:
    counts = order.pair.levels.get_column("reference").to_numpy()
    worth = order.worth_of_levels()
    is_rare = counts * min(asked.rows / len(order.pair.reference), 1.0) < LEAST_EXPECTED
    tests += bool(counts[is_rare].sum() >= MINIMUM_EFFECT * counts.sum())  # the test of unseen levels
    test = _test(worth, order.pair, asked, tests)
    found = replace(found, counted=test.rows)
    return found if worth and not worth.enough else replace(found, moved=_smallest_move(counts, test))


def _of_reference(levels: pl.DataFrame) -> pl.DataFrame:
    """The levels as `Pair` has them, of the reference alone. The rows that stand for a window are its first: by both
    together, rare levels would be ranked by whether they are among those, and seem to depend on their neighbours."""
    alone = levels.with_columns(current=pl.lit(0, dtype=pl.Int64)).filter(pl.col("reference") > 0)
    return alone.sort("reference", "level", descending=[True, False])


def _smallest_move(counts: NDArray[np.int64], test: _Test) -> float | None:
    """Share of rows that turn into the second commonest cell, of (K,) counts."""
    counts = np.sort(counts)[::-1]
    if len(counts) > 2:
        return _bisect(_power_of_table(counts, test), 1.0, test.power)
    share = float(counts[1] / counts.sum()) if len(counts) > 1 else 0.0
    grown = _smallest_growth(share, test)
    return None if grown is None else grown / (1 - share)


def _power_of_table(counts: NDArray[np.int64], test: _Test) -> Callable[[float], float]:
    """Of a chi-square test, by the share of rows that turn into the second of these levels; counts: (K,), descending.

    The statistic is that of two cells, the level's and all others, and that of the others among themselves, which keep
    their shares: the former is drawn, and the latter is a sum of squares of normal numbers. The level has its own cell
    only in the draws in which both samples together have rows enough of it, as `calibrated.grouped_tail` has it; in
    the others it is with rare levels, among which it is hard to see.
    """
    from scipy.special import chdtri
    from scipy.stats import binom

    rng = np.random.default_rng(0)
    rows = np.array([round(test.reference_rows), round(test.rows)])
    variance, smaller = float((1 / rows).sum()), int(rows.min())
    cells = _Cells.of(np.delete(counts, 1) / counts.sum() * smaller)
    shares = cells.shares
    before, share = _drawn_second(counts, rows[0], LEAST_EXPECTED / smaller, rng)
    chance = rng.random(_DRAWN)
    in_cell, among = rng.normal(size=_DRAWN), rng.normal(size=(_DRAWN, len(shares)))
    among -= np.outer(among @ np.sqrt(shares), np.sqrt(shares))  # differences of shares add up to 0
    squares = (among**2).sum(axis=1) / max(len(shares) - 1, 1)

    def power(moved: float) -> float:
        after = binom.ppf(chance, rows[1], np.minimum(share + moved * (1 - share), 1.0))
        total = (before + after) / rows.sum()
        # Where rows moved, fewer others are left in the window, and their shares vary by less than the test supposes.
        rest = (1 - total).clip(min=1e-12)
        spread = (1 - before / rows[0]) / rows[0] + (1 - after / rows[1]) / rows[1]

        beside, count = cells.joined_by(total * smaller)
        part = beside / smaller / rest
        grown = (after / rows[1] - before / rows[0]) * (1 - part) + in_cell * np.sqrt(part * (1 - part) * spread)
        total = (total + beside / smaller).clip(1e-12, 1 - 1e-12)
        # Of two cells, Fisher's test is near to Yates' correction.
        seen = (abs(grown) - np.where(count == 2, variance / 2, 0)).clip(min=0)
        statistic = seen**2 / (total * (1 - total) * variance) + squares * (count - 2) * spread / (rest * variance)

        lost = among * np.sqrt(np.outer(spread, shares)) - np.outer(grown, shares)
        effect = (abs(grown) + abs(lost).sum(axis=1)) / 2
        return float(((statistic >= chdtri(count - 1, test.p_value)) & (effect >= test.minimum_effect)).mean())

    return power


def _drawn_second(
    counts: NDArray[np.int64], rows: int, frequent: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the second commonest level in references of so many rows, and the share that it has in truth, (_DRAWN,).

    Of levels with like counts, chance says which is the second, and the more of them there are, the more rows it has
    by chance alone. So those within three standard deviations are drawn together, with shares that are nearer to one
    another than their counts by as much as chance drives these apart (James & Stein 1961). counts: (K,), descending.
    frequent: the share from which on a level has a cell of its own; rarer ones are not drawn.
    """
    second, total = counts[1], counts.sum()
    like = counts[(abs(counts - second) <= 3 * np.sqrt(counts + second)) & (counts >= frequent * total)]
    if len(like) < 2:
        like = counts[1:2]
    mean, variance = float(like.mean()), float(like.var(ddof=1)) if len(like) > 1 else math.inf
    shares = (mean + max(1 - mean / max(variance, mean), 0.0) * (like - mean)) / total
    drawn = rng.binomial(rows, shares, size=(_DRAWN, len(like)))
    rank = int(len(like) > 1 and like[0] == counts[0])
    chosen = np.argsort(-drawn, axis=1, kind="stable")[:, rank]
    return drawn[np.arange(_DRAWN), chosen], shares[chosen]


class _Cells(NamedTuple):
    """The cells in which a window's test will count the levels that rows do not turn into.

    frequent: rows that those with a cell of their own expect in the smaller sample, descending. rare: that all others
    do, together.
    """

    frequent: NDArray[np.float64]
    rare: float

    @classmethod
    def of(cls, expected: NDArray[np.float64]) -> "_Cells":
        """Of (K,) levels' expected rows, descending."""
        is_frequent = expected >= LEAST_EXPECTED
        return cls(expected[is_frequent], float(expected[~is_frequent].sum()))

    @property
    def shares(self) -> NDArray[np.float64]:
        """The cells' shares of all these levels, where the level that rows turn into has a cell of its own."""
        groups = int(_groups(np.array([self.rare]))[0])
        if not groups:
            kept = np.r_[self.frequent[:-1], self.frequent[-1:] + self.rare]
            return kept / kept.sum() if len(kept) else np.ones(1)
        return np.r_[self.frequent, np.full(groups, self.rare / groups)] / (self.frequent.sum() + self.rare)

    def joined_by(self, expected: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Where the level that rows turn into expects so many rows, (N,): rows of others that its cell expects, and how
        many cells there are."""
        is_own = expected >= LEAST_EXPECTED
        # Rare ones too few for a group are with the least frequent level, which may be this one.
        is_last = expected < min(self.frequent, default=0.0)
        left_over = np.where(is_last & (_groups(np.array([self.rare])) == 0), self.rare, 0.0)
        tail = self.rare + expected
        beside = np.minimum(np.maximum(_group_size(tail), expected), tail) - expected
        groups, several = _groups(tail), len(self.frequent) > 1
        if several:
            beside = np.where(groups == 0, self.rare + self.frequent[-1], beside)
        count = len(self.frequent) + (groups if several else groups.clip(min=1))
        return np.where(is_own, left_over, beside), np.where(is_own, 1 + len(self.shares), count).clip(min=2)


def _group_size(tail: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that a group of rare levels expects, as `calibrated.grouped_tail` has it, if all expect so many."""
    return np.maximum(2 * LEAST_EXPECTED, tail / GROUPS)


def _groups(tail: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many groups they make; one with too few rows is joined to the one before it."""
    whole, rest = np.divmod(tail, _group_size(tail))
    return (whole + (rest >= LEAST_EXPECTED)).astype(np.int64)


# ------------------------------------------------------------------------------------------------------- two cells


def _smallest_gap(order: Order, asked: _Asked, tests: int) -> float | None:
    """Share of rows that lose their value."""
    rows = len(order.pair.reference)
    worth = order.worth_of_gaps()
    if worth and not worth.enough:
        return None
    independent = Worth(rows, asked.rows, 1.0, math.inf)
    return _smallest_growth(order.pair.missing.reference / rows, _made(worth or independent, asked, tests))


def _smallest_growth(share: float, test: _Test) -> float | None:
    """By how much a share of rows has to grow for Fisher's test.

    The count from which on it alarms is that for the reference's share as it is; windows then vary by the binomial
    distribution, the reference's chance added (beta-binomial).
    """
    from scipy.stats import betabinom, binom

    n, m = round(test.rows), round(test.reference_rows)
    least = _least_alarming(round(share * m), m, n, test)
    if least is None:
        return None

    def power(grown: float) -> float:
        q = min(share + grown, 1.0)
        if share <= 0 or q >= 1:
            return float(binom.sf(least - 1, n, q))
        weight = q * (1 - q) * m / (share * (1 - share))
        return float(betabinom.sf(least - 1, n, q * weight, (1 - q) * weight))

    return _bisect(power, 1 - share, test.power)


def _least_alarming(before: int, m: int, n: int, test: _Test) -> int | None:
    """The smallest of n counts that is too many where the reference has `before` of m."""
    least, most = n * before // m, n + 1
    while most - least > 1:
        middle = (least + most) // 2
        outcome = contingency(np.array([before, m - before]), np.array([middle, n - middle]))
        alarms = outcome.p_value <= test.p_value and outcome.effect >= test.minimum_effect
        least, most = (least, middle) if alarms else (middle, most)
    return most if most <= n else None


_VALUES: dict[Kind, Callable[[Smallest, Order, _Asked, int], Smallest]] = {
    "number": _of_numbers,
    "text": _of_numbers,
    "category": _of_levels,
}
