"""The calibrated method: tests whose false alarms are counted beforehand.

A column undergoes up to three tests, each of what the others cannot see:

    values         numbers: Kolmogorov-Smirnov, or chi-square of groups where many values are equal; text: the same of
                   its length; categories: chi-square of levels. Times: none, since instants always move forward.
    missing        Fisher's exact test of rows with and without a value; left out where no value is missing, or all are.
    unseen levels  Fisher's exact test of rows whose level the reference does not have; only for categories of which
                   rare levels are a good part, since frequent ones are told apart by the chi-square test.

Rows that depend on their neighbours count as what they are worth (`serial.py`). Where that is too little, the test is
left out and the note says so.

Bonferroni over the tests of a column: its p-value is the smallest one times their number. Over columns there is a
choice of what is promised (`CONTROLS`):

    bonferroni          without drift, the chance of any alarm is at most `level`. Each of k columns has level / k.
    benjamini-hochberg  of the columns that alarm, at most `level` are false on average; and without any drift the
                        chance of an alarm is at most `level`, as above. Where many columns drift, more are found: the
                        k-th smallest p-value may be k times as large. Holds for columns that are independent or rise
                        and fall together (Benjamini & Yekutieli 2001).

Whether a test is made depends on both samples together, never on how they differ, so that the promise holds. A test
whose effect is too small has the p-value 1 for this purpose, so that the promise holds for what alarms.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.drift import (
    MINIMUM_EFFECT,
    UNTESTED,
    Bars,
    ColumnDrift,
    ColumnVerdict,
    Control,
    Counts,
    Histogram,
    Kind,
)
from monitor.pair import BREAKS, Pair, present_of, why_broken, without_nulls
from monitor.serial import MINIMUM_WORTH, Worth, in_order_of_levels, in_order_of_values, weigh
from monitor.text import ROWS as TEXT_ROWS
from monitor.text import words
from monitor.two_sample import LEAST_EXPECTED, Outcome, contingency, expected_share, kolmogorov_smirnov
from storage.errors import SettingError

#: A number whose commonest value holds this share of all values is compared by groups. Measured at windows of 500: a
#: shift of 0.2 standard deviations is found in 70% of windows by Kolmogorov-Smirnov and in 58% by groups; with values
#: rounded until the commonest holds 0.1 of them, in 57 and 56%; 0.34 of them, in 41 and 64%; and of zeros with a tail
#: whose share grows from 0.07 to 0.12, in 1 and 81%: ties make Kolmogorov-Smirnov conservative.
TIED_SHARE = 0.1

#: Groups into which tied numbers, and a category's rare levels, are put. More of them find less: 8 found a shift in 56%
#: of windows, 12 in 48%, 20 in 41%.
GROUPS = 8


class Finding(NamedTuple):
    """A column's verdict, as `ColumnDrift` has it; `note` says why there is none.

    unjudged: as `ColumnDrift` has it.
    """

    method: str
    statistic: float | None
    p_value: float | None
    effect: float | None
    threshold: float | None
    drifted: bool
    note: str = ""
    unjudged: float | None = None

    def verdict(self, minimum_effect: float) -> ColumnVerdict:
        """Of a column that nothing alarms, what was left out tells whether anybody can say that it has not drifted."""
        if self.drifted:
            return "drift"
        if self.unjudged is not None and self.unjudged >= minimum_effect:
            return "not judged"
        return "not tested" if self.method == UNTESTED else "no drift"

    def of(
        self,
        name: str,
        kind: Kind,
        missing: Counts,
        *,
        note: str,
        chart: Histogram | Bars | None = None,
        minimum_effect: float = MINIMUM_EFFECT,
    ) -> ColumnDrift:
        """What a report tells of the column. note: all of it, with the finding's own."""
        return ColumnDrift(
            name=name,
            kind=kind,
            method=self.method,
            statistic=self.statistic,
            p_value=self.p_value,
            effect=self.effect,
            threshold=self.threshold,
            drifted=self.drifted,
            note=note,
            missing=missing,
            chart=chart,
            unjudged=self.unjudged,
            verdict=self.verdict(minimum_effect),
        )


class Examined(NamedTuple):
    """The tests that a column underwent, and what is to be said of those that were left out or counted fewer rows.

    unjudged: the largest effect of those that were left out because rows are worth too little; None if none was.
    """

    outcomes: list[Outcome]
    note: str
    unjudged: float | None


def calibrated(
    pairs: Iterable[Pair],
    level: float,
    *,
    control: Control = "bonferroni",
    minimum_effect: float = MINIMUM_EFFECT,
) -> list[Finding]:
    """Judge all columns so that without drift the chance of any alarm is at most `level`.

    pairs: of which one at a time is held.
    control: what `level` means where some columns drift, a name of `CONTROLS`. minimum_effect: 0..1, what an alarm
    needs beside its p-value.

    >>> from monitor.pair import pair_up
    >>> rows = np.random.default_rng(0).permutation(100)
    >>> moved = pair_up(pl.Series("x", rows), pl.Series("x", rows + 50))
    >>> same = pair_up(pl.Series("y", rows % 2 < 1), pl.Series("y", rows[::-1] % 2 < 1))
    >>> for finding in calibrated([moved, same], level=0.05):
    ...     print(finding.method, finding.effect, finding.threshold, finding.drifted)
    Kolmogorov-Smirnov 0.5 0.025 True
    Fisher exact 0.0 0.025 False
    """
    columns = [examine(pair) for pair in pairs]
    columns = [column._replace(outcomes=corrected(column.outcomes)) for column in columns]
    p_values = [_least(column.outcomes, minimum_effect) for column in columns if column.outcomes]
    threshold = CONTROLS[control](p_values, level)
    return [finding_on(column, threshold, minimum_effect) for column in columns]


def check_level(level: float) -> None:
    """Raise SettingError for a level that is no chance of an alarm."""
    if not 0 < level < 1:
        raise SettingError(f"level is {level!r}, which is no chance of an alarm. Use a number above 0 and below 1.")


def bonferroni(p_values: Sequence[float], level: float) -> float:
    """The threshold at which the chance of any false alarm is at most `level`, whatever columns have in common."""
    return level / max(len(p_values), 1)


def benjamini_hochberg(p_values: Sequence[float], level: float) -> float:
    """The threshold at which false alarms are at most `level` of all alarms on average (Benjamini & Hochberg 1995).

    It is k times that of `bonferroni`, with the largest k such that k p-values reach it; and for none, the same.

    >>> benjamini_hochberg([0.01, 0.02, 0.9, 0.022], 0.04)
    0.03
    """
    steps = level * np.arange(1, len(p_values) + 1) / max(len(p_values), 1)
    reached = steps[np.sort(p_values) <= steps]
    return float(reached[-1]) if len(reached) else bonferroni(p_values, level)


CONTROLS: dict[Control, Callable[[Sequence[float], float], float]] = {
    "bonferroni": bonferroni,
    "benjamini-hochberg": benjamini_hochberg,
}


def examine(pair: Pair) -> Examined:
    """All tests that a column undergoes; none of one that breaks them."""
    order = Order(pair)
    try:
        outcomes = [*_VALUES[pair.kind](order), *_missing_outcomes(order)]
    except BREAKS as error:
        return Examined([], why_broken(pair.name, "tested", error), None)
    note = " ".join(dict.fromkeys(order.notes))
    if not outcomes and not note:
        return Examined([], _why_untested(pair), None)
    return Examined(outcomes, note, order.unjudged)


def corrected(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of a column, with p-values that may be chosen from."""
    return [outcome._replace(p_value=min(outcome.p_value * len(outcomes), 1.0)) for outcome in outcomes]


def _least(outcomes: Sequence[Outcome], minimum_effect: float) -> float:
    return min((outcome.p_value for outcome in outcomes if outcome.effect >= minimum_effect), default=1.0)


def finding_on(column: Examined, threshold: float, minimum_effect: float) -> Finding:
    """What was found in a column, whose p-values are `corrected`; the note also tells what nobody can judge."""
    found = _decisive(column.outcomes, threshold, minimum_effect) if column.outcomes else untested()
    found = found._replace(note=" ".join(filter(None, [found.note, column.note])), unjudged=column.unjudged)
    if found.verdict(minimum_effect) != "not judged":
        return found
    usual = f"A difference of {column.unjudged:.1%} may be usual there; rows of a longer time would tell."
    return found._replace(note=f"{column.note} {usual}")


def untested(why: str = "") -> Finding:
    """The finding on a column of which nothing was tested."""
    return Finding(UNTESTED, None, None, None, None, drifted=False, note=why)


def _decisive(outcomes: Sequence[Outcome], threshold: float, minimum_effect: float) -> Finding:
    """That of the test that alarms with the largest effect, which says how far the column has drifted; where none
    alarms, of the smallest p-value. There is one at least."""
    alarming = [outcome for outcome in outcomes if outcome.p_value <= threshold and outcome.effect >= minimum_effect]
    if not alarming:
        decisive = min(outcomes, key=lambda outcome: (outcome.p_value, -outcome.effect))
        return Finding(*decisive, threshold, drifted=False)
    decisive = max(alarming, key=lambda outcome: (outcome.effect, -outcome.p_value))
    others = [
        f"{one.method} alarms too, with an effect of {one.effect:.3f}." for one in alarming if one is not decisive
    ]
    return Finding(*decisive, threshold, drifted=True, note=" ".join(others))


def _why_untested(pair: Pair) -> str:
    if not (pair.present.reference or pair.present.current):
        return "There is no value on either side."
    if pair.kind == "time":
        return ""  # no finding on this column: later rows have later times, whatever has changed
    return f"Values of type {pair.reference.dtype} are not compared."


# ----------------------------------------------------------------------------------------------------------- order


class Order:
    """A pair, and what its rows are worth in the order in which they came. `notes` collects what people should know,
    `unjudged` is as `Examined` has it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.notes: list[str] = []
        self.unjudged: float | None = None

    def judged(self, outcomes: list[Outcome], worth: Worth | None) -> list[Outcome]:
        """The outcomes; none where rows are worth too few for them, and then the largest effect is kept."""
        if worth is None or worth.enough:
            return outcomes
        self.unjudged = max(self.unjudged or 0.0, *(outcome.effect for outcome in outcomes))
        return []

    def worth_of_numbers(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Worth | None:
        """To a test of numbers, which are handed in ascending; None for independent rows."""
        cuts, of = _quartiles(x, y), "length" if self.pair.kind == "text" else "values"
        return self._weigh(lambda values: _at_most(without_nulls(values), cuts), self.pair.present, of)

    def worth_of_levels(self) -> Worth | None:
        """To a test of levels; there must be some."""
        scores = _levels_scored(self.pair.levels)
        return self._weigh(lambda values: scores(without_nulls(values)), self.pair.present, "values")

    def worth_of_gaps(self) -> Worth | None:
        """To a test of missing values."""
        return self._weigh(_is_missing, Counts(len(self.pair.reference), len(self.pair.current)), "missing values")

    def note(self, worth: Worth | None, rows: Counts, of: str) -> None:
        """Take down what people should know of rows that are worth less than they are. of: what is tested."""
        if worth and (said := note_of(worth, rows, of)):
            self.notes.append(said)

    def _weigh(self, scores: Callable[[pl.Series], NDArray[np.float64]], rows: Counts, of: str) -> Worth | None:
        before, after = self.pair.stretches
        step = max(len(self.pair.current) / max(len(after), 1), 1.0)
        worth = weigh(scores(before), scores(after), (rows.reference, rows.current), step)
        self.note(worth, rows, of)
        return worth


#: In the note of a test that was left out because rows are worth too few independent ones.
STARVED = f"; a comparison needs {MINIMUM_WORTH}."


def note_of(worth: Worth, rows: Counts, of: str) -> str:
    """What people should know of rows that are worth less than they are to a test: of the side that is worth less, if
    that lost any. Empty where no side lost a whole row. of: what is tested, such as missing values."""
    current, reference = (worth.current, rows.current, "current"), (worth.reference, rows.reference, "reference")
    sides = [current, reference] if worth.current <= worth.reference else [reference, current]
    lost = [side for side in sides if round(side[0]) < side[1]]
    if worth.enough and not lost:
        return ""
    least, count, side = lost[0] if worth.enough else sides[0]
    counted = math.floor(least)  # 9.6 are less than the 10 that a comparison needs
    said = f"{count:,} {side} rows count as {counted:,} to the test of {of}"
    return f"Rows depend on their neighbours: {said}{'.' if worth.enough else STARVED}"


# ---------------------------------------------------------------------------------------------------------- values


def _number_outcomes(order: Order) -> list[Outcome]:
    """Numbers by groups if many are equal, else by Kolmogorov-Smirnov."""
    x, y = ascending(order.pair.reference), ascending(order.pair.current)
    if not len(x) + len(y):
        return []
    worth = order.worth_of_numbers(x, y)
    if not is_tied(x, y):
        return order.judged([kolmogorov_smirnov(x, y, worth)], worth)
    return order.judged([_named(contingency(*grouped(x, y), worth), "of groups")], worth)


def _text_outcomes(order: Order) -> list[Outcome]:
    lengths = [_named(outcome, "of length in characters") for outcome in _number_outcomes(order)]
    return [*lengths, *_word_outcomes(order)]


def _word_outcomes(order: Order) -> list[Outcome]:
    if not order.pair.present.reference + order.pair.present.current:
        return []
    outcome, worth = words(*order.pair.texts)
    order.note(worth, Counts(*(min(side.count(), TEXT_ROWS) for side in order.pair.texts)), "words")
    return order.judged([outcome], worth)


def _category_outcomes(order: Order) -> list[Outcome]:
    """The test of levels, and that of unseen ones where rare levels are a good part."""
    levels = order.pair.levels
    reference, current = levels.get_column("reference").to_numpy(), levels.get_column("current").to_numpy()
    rows = reference + current
    if not len(rows):
        return []
    worth = order.worth_of_levels()
    expected = rows * expected_share(reference, current)
    frequent = int(np.count_nonzero(expected >= LEAST_EXPECTED))
    outcomes = [contingency(*grouped_tail(reference, current, expected, frequent), worth)]
    if rows[frequent:].sum() >= MINIMUM_EFFECT * rows.sum():
        outcomes.append(_unseen_outcome(reference, current, worth))
    return order.judged(outcomes, worth)


def _no_outcomes(_: Order) -> list[Outcome]:
    return []


_VALUES: dict[Kind, Callable[[Order], list[Outcome]]] = {
    "number": _number_outcomes,
    "text": _text_outcomes,
    "category": _category_outcomes,
    "time": _no_outcomes,
    "other": _no_outcomes,
}


def _named(outcome: Outcome, what: str) -> Outcome:
    return outcome._replace(method=f"{outcome.method} {what}")


# --------------------------------------------------------------------------------------------------------- numbers


def ascending(series: pl.Series) -> NDArray[np.float64]:
    """The values of a side of numbers, which a pair has sorted."""
    return present_of(series).to_numpy()


def is_tied(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether one value holds `TIED_SHARE` of both samples together.

    Such a value holds that share of one sample at least, so it stands at one of a few evenly spaced places there.
    """
    places = np.arange(0, 1, TIED_SHARE / 2)
    candidates = np.unique(np.concatenate([v[(places * len(v)).astype(np.int64)] for v in (x, y) if len(v)]))
    rows = sum(np.searchsorted(v, candidates, "right") - np.searchsorted(v, candidates, "left") for v in (x, y))
    return bool(np.max(rows) >= TIED_SHARE * (len(x) + len(y)))


def grouped(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of both samples in up to `GROUPS` groups, cut at quantiles of both together.

    A value that holds many rows is the upper end of its group, which it nearly fills.
    """
    both = np.sort(np.concatenate([x, y]), kind="stable")  # joins two sorted runs in linear time
    edges = np.unique(both[np.arange(1, GROUPS) * len(both) // GROUPS])
    edges = edges[edges < both[-1]]
    counts = [np.bincount(np.searchsorted(edges, v, "left"), minlength=len(edges) + 1) for v in (x, y)]
    return counts[0], counts[1]


def _quartiles(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of both samples together, to a ten-thousandth of the rows."""
    step = 1 + (len(x) + len(y)) // 10_000
    both = np.sort(np.concatenate([x[::step], y[::step]]), kind="stable")
    return np.unique(both[np.arange(1, 4) * len(both) // 4])


def _at_most(values: pl.Series, cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whether each value is at or below each cut, (rows, cuts): what a distribution function averages."""
    numbers = values.to_numpy()
    if in_order_of_values(numbers):
        numbers = numbers[:0]
    return (numbers[:, None] <= cuts).astype(np.float64)


# ---------------------------------------------------------------------------------------------------------- levels


def grouped_tail(
    reference: NDArray[np.int64], current: NDArray[np.int64], expected: NDArray[np.float64], frequent: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The frequent levels' counts as they are, and the rare ones' in up to `GROUPS` groups of neighbours."""
    tail = expected[frequent:]
    if not len(tail):
        return reference, current
    # Each rare level expects fewer than LEAST_EXPECTED rows, so a group of twice as many keeps that many for sure.
    size = max(2 * LEAST_EXPECTED, float(tail.sum()) / GROUPS)
    starts = np.unique((np.cumsum(tail) - tail) // size, return_index=True)[1] + frequent
    starts = np.concatenate([np.arange(frequent), starts])
    return np.add.reduceat(reference, starts), np.add.reduceat(current, starts)


def _levels_scored(levels: pl.DataFrame) -> Callable[[pl.Series], NDArray[np.float64]]:
    """What a chi-square test averages: in which of up to `GROUPS` groups of like rows a level is, over their √share."""
    rows = levels.get_column("reference").to_numpy() + levels.get_column("current").to_numpy()
    groups = np.unique((np.cumsum(rows) - rows) * GROUPS // rows.sum(), return_inverse=True)[1]
    shares = np.bincount(groups, weights=rows) / rows.sum()
    table = np.eye(len(shares)) / np.sqrt(shares)
    places = {level: number for number, level in enumerate(levels.get_column("level").to_list())}

    def scored(values: pl.Series) -> NDArray[np.float64]:
        numbers = np.array([places[value] for value in values.to_list()], dtype=np.int64)
        return table[:0] if in_order_of_levels(numbers) else table[groups[numbers]]

    return scored


def _unseen_outcome(reference: NDArray[np.int64], current: NDArray[np.int64], worth: Worth | None) -> Outcome:
    """Do current rows hold levels that the reference lacks more often than its own rows do?

    A reference has by definition no level that it lacks. So one half of it, drawn at random, says which levels are
    known, and the other half is compared with the current rows. The seed is fixed: the same tables, the same half.
    """
    half = np.random.default_rng(0).multivariate_hypergeometric(
        reference, int(reference.sum()) // 2, method="marginals"
    )
    known, rest = half > 0, reference - half
    outcome = contingency(
        np.array([rest[known].sum(), rest[~known].sum()]),
        np.array([current[known].sum(), current[~known].sum()]),
        worth and worth._replace(reference=worth.reference / 2),
    )
    return _named(outcome, "of unseen levels")


# --------------------------------------------------------------------------------------------------------- missing


def _missing_outcomes(order: Order) -> list[Outcome]:
    missing, present = order.pair.missing, order.pair.present
    if not missing.reference + missing.current or not present.reference + present.current:
        return []
    worth = order.worth_of_gaps()
    outcome = contingency(
        np.array([missing.reference, present.reference]), np.array([missing.current, present.current]), worth
    )
    return order.judged([_named(outcome, "of missing values")], worth)


def _is_missing(values: pl.Series) -> NDArray[np.float64]:
    missing = values.is_null().to_numpy().astype(np.int64)
    if in_order_of_levels(missing):
        missing = missing[:0]
    return missing[:, None].astype(np.float64)
