"""The calibrated method: tests whose false alarms are counted beforehand.

A column undergoes up to three tests, each of what the others cannot see:

    values         numbers: Kolmogorov-Smirnov, or chi-square of groups where many values are equal; text: the same of
                   its length; categories: chi-square of levels. Times: none, since instants always move forward.
    missing        Fisher's exact test of rows with and without a value; left out where no value is missing, or all are.
    unseen levels  Fisher's exact test of rows whose level the reference does not have; only for categories of which
                   rare levels are a good part, since frequent ones are told apart by the chi-square test.

Bonferroni, twice: over the tests of a column (its p-value is the smallest one times their number) and over columns
(each alarms at level / tested columns). Whether a test is made depends on both samples together, never on how they
differ, so that the promise holds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.drift import Kind
from monitor.pair import Pair
from monitor.two_sample import LEAST_EXPECTED, Outcome, contingency, expected_share, kolmogorov_smirnov

#: An alarm needs at least this effect: two rows in a hundred have another value, level or gap. A normal column reaches
#: it when it moves by 0.05 standard deviations, about the least that any shift of scores could be traced to; and with
#: a reference of 5,000 rows the test itself finds nothing smaller.
MINIMUM_EFFECT = 0.02

#: A number whose commonest value holds this share of all values is compared by groups. Measured at windows of 500: a
#: shift of 0.2 standard deviations is found in 70% of windows by Kolmogorov-Smirnov and in 58% by groups; with values
#: rounded until the commonest holds 0.1 of them, in 57 and 56%; 0.34 of them, in 41 and 64%; and of zeros with a tail
#: whose share grows from 0.07 to 0.12, in 1 and 81%: ties make Kolmogorov-Smirnov conservative.
TIED_SHARE = 0.1

#: Groups into which tied numbers, and a category's rare levels, are put. More of them find less: 8 found a shift in 56%
#: of windows, 12 in 48%, 20 in 41%.
GROUPS = 8


class Finding(NamedTuple):
    """A column's verdict, as `ColumnDrift` has it; `note` says why there is none."""

    method: str
    statistic: float | None
    p_value: float | None
    effect: float | None
    threshold: float | None
    drifted: bool
    note: str = ""


def calibrated(pairs: Sequence[Pair], level: float) -> list[Finding]:
    """Judge all columns so that without drift the chance of any alarm is at most `level`.

    >>> from monitor.pair import pair_up
    >>> moved = pair_up(pl.Series("x", range(100)), pl.Series("x", range(50, 150)))
    >>> same = pair_up(pl.Series("y", ["a", "b"] * 50), pl.Series("y", ["b", "a"] * 50))
    >>> for finding in calibrated([moved, same], level=0.05):
    ...     print(finding.method, finding.effect, finding.threshold, finding.drifted)
    Kolmogorov-Smirnov 0.5 0.025 True
    Fisher exact 0.0 0.025 False
    """
    outcomes = [examine(pair) for pair in pairs]
    threshold = level / max(sum(bool(found) for found in outcomes), 1)
    return [_judge(pair, found, threshold) for pair, found in zip(pairs, outcomes, strict=True)]


def examine(pair: Pair) -> list[Outcome]:
    """All tests that a column undergoes."""
    return [*_VALUES[pair.kind](pair), *_missing_outcomes(pair)]


def _judge(pair: Pair, outcomes: Sequence[Outcome], threshold: float) -> Finding:
    """The verdict of the test that alarms with the smallest p-value; where none alarms, of the smallest p-value."""
    if not outcomes:
        return Finding("none", None, None, None, None, drifted=False, note=_why_untested(pair))
    found = [outcome._replace(p_value=min(outcome.p_value * len(outcomes), 1.0)) for outcome in outcomes]
    alarming = [outcome for outcome in found if outcome.p_value <= threshold and outcome.effect >= MINIMUM_EFFECT]
    decisive = min(alarming or found, key=lambda outcome: (outcome.p_value, -outcome.effect))
    return Finding(*decisive, threshold, drifted=bool(alarming))


def _why_untested(pair: Pair) -> str:
    if pair.kind == "time":
        return "Instants always move forward, so they are not compared."
    if pair.kind == "other" and (pair.present.reference or pair.present.current):
        return f"Values of type {pair.reference.dtype} are not compared."
    return "There is no value on either side."


# ---------------------------------------------------------------------------------------------------------- values


def _number_outcomes(pair: Pair) -> list[Outcome]:
    """Numbers by groups if many are equal, else by Kolmogorov-Smirnov."""
    x, y = _ascending(pair.reference), _ascending(pair.current)
    if not len(x) + len(y):
        return []
    if not _is_tied(x, y):
        return [kolmogorov_smirnov(x, y)]
    return [_named(contingency(*_grouped(x, y)), "of groups")]


def _text_outcomes(pair: Pair) -> list[Outcome]:
    return [_named(outcome, "of length in characters") for outcome in _number_outcomes(pair)]


def _category_outcomes(pair: Pair) -> list[Outcome]:
    """The test of levels, and that of unseen ones where rare levels are a good part."""
    reference, current = pair.levels.get_column("reference").to_numpy(), pair.levels.get_column("current").to_numpy()
    rows = reference + current
    if not len(rows):
        return []
    expected = rows * expected_share(reference, current)
    frequent = int(np.count_nonzero(expected >= LEAST_EXPECTED))
    outcomes = [contingency(*_grouped_tail(reference, current, expected, frequent))]
    if rows[frequent:].sum() >= MINIMUM_EFFECT * rows.sum():
        outcomes.append(_unseen_outcome(reference, current))
    return outcomes


def _no_outcomes(_: Pair) -> list[Outcome]:
    return []


_VALUES: dict[Kind, Callable[[Pair], list[Outcome]]] = {
    "number": _number_outcomes,
    "text": _text_outcomes,
    "category": _category_outcomes,
    "time": _no_outcomes,
    "other": _no_outcomes,
}


def _named(outcome: Outcome, what: str) -> Outcome:
    return outcome._replace(method=f"{outcome.method} {what}")


# --------------------------------------------------------------------------------------------------------- numbers


def _ascending(series: pl.Series) -> NDArray[np.float64]:
    return series.drop_nulls().to_numpy()  # a pair's numbers are sorted


def _is_tied(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether one value holds `TIED_SHARE` of both samples together.

    Such a value holds that share of one sample at least, so it stands at one of a few evenly spaced places there.
    """
    places = np.arange(0, 1, TIED_SHARE / 2)
    candidates = np.unique(np.concatenate([v[(places * len(v)).astype(np.int64)] for v in (x, y) if len(v)]))
    rows = sum(np.searchsorted(v, candidates, "right") - np.searchsorted(v, candidates, "left") for v in (x, y))
    return bool(np.max(rows) >= TIED_SHARE * (len(x) + len(y)))


def _grouped(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of both samples in up to `GROUPS` groups, cut at quantiles of both together.

    A value that holds many rows is the upper end of its group, which it nearly fills.
    """
    both = np.sort(np.concatenate([x, y]), kind="stable")  # joins two sorted runs in linear time
    edges = np.unique(both[np.arange(1, GROUPS) * len(both) // GROUPS])
    edges = edges[edges < both[-1]]
    counts = [np.bincount(np.searchsorted(edges, v, "left"), minlength=len(edges) + 1) for v in (x, y)]
    return counts[0], counts[1]


# ---------------------------------------------------------------------------------------------------------- levels


def _grouped_tail(
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


def _unseen_outcome(reference: NDArray[np.int64], current: NDArray[np.int64]) -> Outcome:
    """Do current rows hold levels that the reference lacks more often than its own rows do?

    A reference has by definition no level that it lacks. So one half of it, drawn at random, says which levels are
    known, and the other half is compared with the current rows. The seed is fixed: the same tables, the same half.
    """
    half = np.random.default_rng(0).multivariate_hypergeometric(
        reference, int(reference.sum()) // 2, method="marginals"
    )
    known, rest = half > 0, reference - half
    outcome = contingency(
        np.array([rest[known].sum(), rest[~known].sum()]), np.array([current[known].sum(), current[~known].sum()])
    )
    return _named(outcome, "of unseen levels")


# --------------------------------------------------------------------------------------------------------- missing


def _missing_outcomes(pair: Pair) -> list[Outcome]:
    missing, present = pair.missing, pair.present
    if not missing.reference + missing.current or not present.reference + present.current:
        return []
    outcome = contingency(
        np.array([missing.reference, present.reference]), np.array([missing.current, present.current])
    )
    return [_named(outcome, "of missing values")]
