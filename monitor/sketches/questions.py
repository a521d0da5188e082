"""Tests over counts, asked of many windows at once.

The exact p-values of Kolmogorov-Smirnov and Fisher cost 0.5 and 1 ms each in SciPy; 90 days of hours of 100 columns are
216,000 of them. A verdict seldom needs one: bounds that NumPy computes for all windows together tell on which side of
the threshold the p-value is, and where they do not, the exact test is asked. So the verdict is always the exact test's.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.calibrated import GROUPS
from monitor.serial import Worth, studentised
from monitor.sketches.worth import Worths
from monitor.tails import kolmogorov_tail
from monitor.two_sample import LEAST_EXPECTED, Outcome, contingency

#: Kolmogorov's law at (√N + 0.12 + 0.11/√N)·D (Stephens 1970), over the exact p-value, is at least 0.949; and at most,
#: for p >= 1e-8, so much from these N on: 11.4 from 15, 1.08 from 100. Bounds keep a distance from that.
_STEPHENS_LEAST = 0.9
_STEPHENS_MOST = {15: 20.0, 100: 1.2}
_STEPHENS_P = 1e-8

#: Tables that are added up one by one, of those further out than what was seen.
_OUTWARDS = 16

#: How far on the other side of what is expected a table is looked for that is still likelier.
_ACROSS = (0.8, 0.5, 0.2)

#: The logarithms of factorials of millions of rows are right within this.
_ROUNDING = 1e-6

#: Cells that expect more rows are not joined with their neighbours: from here on chi-square's far tail is right.
MOST_EXPECTED = 50


class Question(NamedTuple):
    """One test of one column, asked of W windows.

    asked: (W,), where there is anything to test, and rows are worth enough. effect: as if they were independent; it is
    exact where they are. low, high: bounds of the p-value. exact: the outcome in a window.
    """

    asked: NDArray[np.bool_]
    effect: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    exact: Callable[[int], Outcome]


def ask_smirnov(
    reference: NDArray[np.int64], current: NDArray[np.int64], asked: NDArray[np.bool_], worths: Worths
) -> Question:
    """Kolmogorov-Smirnov at the cuts between cells: D, the p-value and the effect as `kolmogorov_smirnov` has them.

    reference: (K,) rows in each cell; current: (W, K). Seen at cuts only, D is never larger than the exact one, so the
    p-value never smaller: a promise on false alarms holds. Rows that are worth less than they are never tell more: what
    independent ones would tell bounds their p-value.
    """
    from scipy.special import kolmogorov

    ours, theirs = int(reference.sum()), current.sum(axis=1)
    asked = asked & (theirs > 0) & (ours > 0) & ~worths.starved
    shares = np.cumsum(current, axis=1) / np.maximum(theirs, 1)[:, None]
    distance = abs(shares - np.cumsum(reference) / max(ours, 1)).max(axis=1)
    size = np.maximum(np.rint(ours * theirs / np.maximum(ours + theirs, 1)), 1)
    root = np.sqrt(size)
    usual = kolmogorov((root + 0.12 + 0.11 / root) * distance)
    low = np.zeros(len(usual))
    for least, most in _STEPHENS_MOST.items():
        low = np.where((size >= least) & (usual >= _STEPHENS_P), usual / most, low)
    high = np.where(size >= min(_STEPHENS_MOST), np.minimum(usual / _STEPHENS_LEAST, 1.0), 1.0)
    high[worths.dependent] = 1.0

    def exact(at: int) -> Outcome:
        return _smirnov(float(distance[at]), float(size[at]), worths.of_part(at, ours))

    return Question(asked, distance, low, high, exact)


def _smirnov(distance: float, size: float, worth: Worth | None) -> Outcome:
    if worth is None:
        return Outcome("Kolmogorov-Smirnov", distance, kolmogorov_tail(distance, round(size)), distance)
    m, n = worth.reference, worth.current
    p_value = studentised(kolmogorov_tail(distance, max(round(m * n / (m + n)), 1)), worth.freedom)
    return Outcome("Kolmogorov-Smirnov", distance, p_value, distance)


def ask_contingency(
    reference: NDArray[np.int64], current: NDArray[np.int64], asked: NDArray[np.bool_], what: str, worths: Worths
) -> Question:
    """Whether rows share themselves out over cells alike: chi-square, or Fisher's exact test of two cells.

    reference: (K,) or (W, K) rows in each cell; current: (W, K). what: is said after the test's name. Neighbours are
    joined until each cell expects an eighth of the smaller sample's rows, or `MOST_EXPECTED`: an alarm needs an effect,
    which cells of fewer rows do not reach alone, and chi-square's far tail is then nearly right. What it still lacks is
    made up for by `_sparse`, so that no permutations are needed.
    """
    from scipy.special import chdtrc

    before = np.broadcast_to(reference, current.shape)
    asked = asked & (before.sum(axis=1) > 0) & (current.sum(axis=1) > 0) & ~worths.starved
    first, second = _joined(before, current)
    rows = np.maximum(first.sum(axis=1), 1), np.maximum(second.sum(axis=1), 1)
    totals = first + second
    cells = (totals > 0).sum(axis=1)
    share = (rows[1] / (rows[0] + rows[1]))[:, None]
    variance = np.where(totals > 0, totals * share * (1 - share), 1.0)
    statistic = ((second - totals * share) ** 2 / variance).sum(axis=1)
    effect = abs(first / rows[0][:, None] - second / rows[1][:, None]).sum(axis=1) / 2
    least = np.where(totals > 0, totals, np.inf).min(axis=1) * np.minimum(share, 1 - share)[:, 0]
    usual = _sparse(chdtrc(np.maximum(cells - 1, 1), statistic), least)
    low, high = usual.copy(), usual.copy()
    pairs, alone = cells == 2, cells < 2
    low[pairs], high[pairs] = _fisher_bounds(first[pairs], second[pairs])
    statistic[alone], effect[alone], low[alone], high[alone] = 0.0, 0.0, 1.0, 1.0
    high[worths.dependent] = 1.0

    def exact(at: int) -> Outcome:
        worth, held = worths.of_part(at, int(rows[0][at])), totals[at] > 0
        outcome = Outcome("chi-square", float(statistic[at]), float(low[at]), float(effect[at]))
        if worth or pairs[at]:
            outcome = contingency(first[at][held], second[at][held], worth)
            outcome = outcome._replace(p_value=max(outcome.p_value, float(low[at])))
        return outcome._replace(method=f"{outcome.method} {what}".strip())

    return Question(asked, effect, low, high, exact)


def _sparse(p_values: NDArray[np.float64], least: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chi-square's p-values, made larger where the sparsest cell expects few rows.

    Of 2 million tables without drift, with 3-8 cells and a reference of 5,000, plain chi-square calls so many times as
    many as it says (the worst of them), and so many times is a p-value raised:

        rows    least expected    at 0.005        0.0005          0.00005
          40           5          1.4   2.3       2.0   3.4       3.9   4.9
          60           7.5        1.2   1.9       1.8   2.6       3.7   3.6
         100          12.5        1.2   1.6       1.5   2.0       2.6   2.4
         200          25          1.0   1.3       1.3   1.5       1.5   1.7
       1,000          50          1.0   1.2       1.1   1.2       1.5   1.3
    """
    return p_values ** (1 - np.log10(1 + 12 / np.maximum(least, 1e-9)) / 3.3).clip(0)


def commonest_first(
    reference: NDArray[np.int64], current: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells, of which any may be neighbours, by the rows of both samples together: (W, K) each.

    An order by the reference's own rows would join cells that have fewer rows than they should, and call that drift: of
    windows of 5,000 rows, 5 times as many as it says, with 20 levels and a reference of 1,000.
    """
    order = np.argsort(-(reference + current), axis=1, kind="stable")
    before = np.broadcast_to(reference, current.shape)
    return np.take_along_axis(before, order, axis=1), np.take_along_axis(current, order, axis=1)


def grouped(
    reference: NDArray[np.int64], current: NDArray[np.int64], groups: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells in their order, put into groups of about as many rows of both samples together: each (W, groups).

    As `monitor.calibrated` groups tied numbers: a group ends with the cell that holds a quantile of both.
    """
    totals = reference + current
    reached = np.cumsum(totals, axis=1)
    rows = reached[:, -1]
    places = [(reached <= (i * rows // groups)[:, None]).sum(axis=1) for i in range(1, groups)]
    last = (reached < rows[:, None]).sum(axis=1)
    ends = np.zeros(totals.shape, bool)
    windows = np.arange(len(totals))
    for place in places:
        ends[windows, np.minimum(place, totals.shape[1] - 1)] |= place < last
    group = np.cumsum(ends, axis=1) - ends
    return _summed(np.broadcast_to(reference, totals.shape), group, groups), _summed(current, group, groups)


def _joined(reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both samples, (W, K) each, with neighbours joined; of the cells that are left over none has rows.

    As `contingency` does it: what is left at the end belongs to the last; if one cell remains, the largest is compared
    with all others; two cells with rows are never joined.
    """
    totals = reference + current
    ours, theirs = reference.sum(axis=1), current.sum(axis=1)
    expected = totals * (np.minimum(ours, theirs) / np.maximum(ours + theirs, 1))[:, None]
    enough = np.clip(np.minimum(ours, theirs) / GROUPS, LEAST_EXPECTED, MOST_EXPECTED)
    windows, cells = totals.shape
    group = np.zeros(totals.shape, np.int64)
    filled, at = np.zeros(windows), np.zeros(windows, np.int64)
    for cell in range(cells):
        starts = (filled >= enough) & (totals[:, cell] > 0)
        at += starts
        filled = np.where(starts, 0.0, filled) + expected[:, cell]
        group[:, cell] = at
    short = (filled < enough) & (at > 0)
    group -= (short[:, None]) & (group == at[:, None])
    _part_alone(group, totals, expected)
    _leave_pairs(group, totals)
    return _summed(reference, group, cells), _summed(current, group, cells)


def _part_alone(group: NDArray[np.int64], totals: NDArray[np.int64], expected: NDArray[np.float64]) -> None:
    """Where all cells were joined into one, compare the largest with all others."""
    alone = group.max(axis=1) == 0
    largest = np.argmax(expected[alone], axis=1)
    group[alone] = np.arange(totals.shape[1]) != largest[:, None]


def _leave_pairs(group: NDArray[np.int64], totals: NDArray[np.int64]) -> None:
    """Two cells are never joined: they are tested exactly, however few their rows."""
    held = totals > 0
    pairs = held.sum(axis=1) <= 2
    group[pairs] = np.cumsum(held[pairs], axis=1).clip(1) - 1


def _summed(counts: NDArray[np.int64], group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Counts (W, K) added up by group: (W, groups)."""
    windows = len(counts)
    flat = (group + groups * np.arange(windows)[:, None]).ravel()
    summed = np.bincount(flat, weights=counts.ravel(), minlength=groups * windows)
    return summed.astype(np.int64).reshape(windows, groups)


def _fisher_bounds(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of Fisher's p-value of tables with two cells that hold rows.

    It is the sum of the chances of all tables that are at most as likely as this one. Outwards, each is less likely
    than the one before by a factor that falls too: some are added up, and what lies beyond the last is at most its
    chance over 1 - factor. On the other side, the factor at a table that is still likelier does.
    """
    held = np.argsort(first + second == 0, axis=1, kind="stable")[:, :2]
    table = np.stack([np.take_along_axis(side, held, axis=1) for side in (first, second)], axis=1)
    chance = _chance(table)
    rows = table.sum(axis=2)
    excess = table[:, 0, 0] - rows[:, 0] * table[:, :, 0].sum(axis=1) / np.maximum(rows.sum(axis=1), 1)
    least, beyond = _outwards(table, excess)
    across = np.full(len(table), np.inf)
    for share in _ACROSS:
        moved = np.trunc(excess * (1 + share)).astype(np.int64)[:, None, None] * np.array([[-1, 1], [1, -1]])
        other = np.maximum(table + moved, 0)
        sound = (table + moved >= 0).all(axis=(1, 2)) & (_chance(other) >= chance)
        found = 1 / (1 - np.minimum(_factor(other, -excess), 1 - 1e-9))
        across = np.where(sound, np.minimum(across, found), across)
    margins = np.concatenate([table.sum(axis=1), rows], axis=1)
    tables = np.minimum(beyond + across, margins.min(axis=1) + 1)
    return chance * least * (1 - _ROUNDING), np.minimum(chance * (1 + _ROUNDING) * tables, 1.0)


def _outwards(table: NDArray[np.int64], excess: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The chance of a table and of all further out, over its own: at least, and at most."""
    step = np.where(excess >= 0, 1, -1)[:, None, None] * np.array([[1, -1], [-1, 1]])
    reached, total = np.ones(len(table)), np.ones(len(table))
    for number in range(_OUTWARDS):
        reached = reached * _factor(np.maximum(table + number * step, 0), excess)
        total += reached
    factor = _factor(np.maximum(table + _OUTWARDS * step, 0), excess)
    return total, total + reached * factor / (1 - np.minimum(factor, 1 - 1e-9))


def _chance(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each table (W, 2, 2) among those with its margins."""
    from scipy.special import gammaln

    margins = np.concatenate([table.sum(axis=1), table.sum(axis=2)], axis=1)
    logarithm = gammaln(margins + 1).sum(axis=1) - gammaln(table.sum(axis=(1, 2)) + 1)
    return np.exp(logarithm - gammaln(table + 1).sum(axis=(1, 2)))


def _factor(table: NDArray[np.int64], excess: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chance of the next table outwards, where the first cell has more if its excess is positive, over this one's.

    >>> _factor(np.array([[[9, 1], [5, 5]]]), np.array([2.0]))
    array([0.08333333])
    """
    (a, b), (c, d) = table[:, 0].T, table[:, 1].T
    return np.where(excess >= 0, b * c / ((a + 1) * (d + 1)), a * d / ((b + 1) * (c + 1)))
