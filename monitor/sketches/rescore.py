"""Verdicts from profiles: the calibrated method over counts, without the rows.

As `monitor.calibrated` judges rows, with the same tests, effect floor and shares of the level; only what is tested is
the counts over the baseline's cells:

    numbers        Kolmogorov-Smirnov at the cuts, whose distance is by `NumberCells.error` at most below the exact one;
                   where a point holds `TIED_SHARE` of the rows, groups of cells instead
    text           the same of its length
    categories     frequent levels and the tail's cells; and, where one half of the reference chose the levels, rows
                   whose level that half lacks
    missing        rows with and without a value

Rows that depend on their neighbours count as what they are worth (`worth.py`).

Measured: of windows of 50 to 5,000 rows without drift, of references of 1,000 and 5,000 (numbers of any tail, whole,
mostly zero; 2 to 10,000 levels), one column at a level of 0.05 alarms in 0 to 1.1 times as many as that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.calibrated import (
    GROUPS,
    MINIMUM_EFFECT,
    TIED_SHARE,
    Examined,
    Finding,
    check_level,
    corrected,
    finding_on,
    note_of,
)
from monitor.compare import MINIMUM_ROWS, too_few
from monitor.drift import ColumnDrift, Counts, DriftReport
from monitor.serial import BLOCKS
from monitor.sketches.baseline import COUNTERS, Baseline, BaselineColumn
from monitor.sketches.blocks import OF_VALUES, gaps_of, stacked, values_of
from monitor.sketches.cells import NumberCells
from monitor.sketches.neighbours import GAP_SCORES, Grouping, Neighbours
from monitor.sketches.questions import Question, ask_contingency, ask_smirnov, commonest_first, grouped
from monitor.sketches.window import Profile, column_counts
from monitor.sketches.worth import Tallied, Worths
from monitor.two_sample import Outcome
from storage.errors import DataError, agreed, counted


class Verdicts(NamedTuple):
    """What was found in W windows of C columns.

    tested, drifted: (W, C). effects: (W, C), of the test with the largest one; 0 where none was made. enough: (W,),
    whether a window and the reference have `MINIMUM_ROWS`, and some column's are worth enough; where not, nothing is
    tested.
    """

    tested: NDArray[np.bool_]
    drifted: NDArray[np.bool_]
    effects: NDArray[np.float64]
    enough: NDArray[np.bool_]


class Counted(NamedTuple):
    """What W windows, or the hours of one in the order of time, have of a column: counts, (W, K), and blocks, (W, B,
    `WIDTH`)."""

    counts: NDArray[np.int64]
    blocks: NDArray[np.int64]


class Column(NamedTuple):
    """A column of W windows. hours_of: those of one of them."""

    counted: Counted
    hours_of: Callable[[int], Counted]


def report_on(
    window: Profile, baseline: Baseline, *, level: float = 0.05, hours: Sequence[Profile] = ()
) -> DriftReport:
    """The drift report on a window, or on several that were merged, from its profile alone.

    hours: those that were merged, in the order of time; without them, drift that began within the window looks like
    rows that depend on their neighbours, and more of it is needed for an alarm. Raises DataError if another baseline
    made the profile, and SettingError for a level out of its range.

    >>> import polars as pl
    >>> from monitor.sketches.window import profile
    >>> baseline = Baseline.of(pl.DataFrame({"age": range(1000), "town": ["Ulm", "Bonn"] * 500}))
    >>> window = profile(pl.DataFrame({"age": range(300, 1300), "town": ["Bonn", "Ulm"] * 500}), baseline)
    >>> for column in report_on(window, baseline).columns:
    ...     print(column.name, column.method, round(column.effect, 3), column.drifted)
    age Kolmogorov-Smirnov 0.3 True
    town Fisher exact of levels 0.0 False
    """
    check(window, baseline, level)
    places = range(len(baseline.columns))
    enough = min(window.rows, baseline.rows) >= MINIMUM_ROWS
    found = [_examined(window, hours or [window], baseline, place) for place in places]
    threshold = level / max(sum(bool(column.outcomes) for column in found), 1)
    columns = tuple(
        _column(
            column_counts(window, baseline, place),
            baseline.columns[place],
            _finding(found[place], threshold) if enough else too_few(baseline.rows, window.rows),
        )
        for place in places
    )
    drifted = any(column.drifted for column in columns)
    enough &= any(column.outcomes for column in found) or all(column.unjudged is None for column in found)
    return DriftReport(
        verdict="drift" if drifted else "no drift" if enough else "too few rows",
        drifted=drifted,
        rows=window.rows,
        reference_rows=baseline.rows,
        method="calibrated",
        level=level,
        columns=columns,
        extra=window.extra,
    )


def judge(
    baseline: Baseline,
    rows: NDArray[np.int64],
    columns_of: Callable[[int], Column],
    *,
    levels: NDArray[np.float64],
) -> Verdicts:
    """The verdicts of `report_on` for W windows together.

    rows, levels: (W,). columns_of: a column of them by its place.
    """
    windows, width = len(rows), len(baseline.columns)
    enough = np.minimum(rows, baseline.rows) >= MINIMUM_ROWS
    asked: list[list[Question]] = []
    starved = np.zeros(windows, bool)
    for place in range(width):
        column = columns_of(place)
        worths = _worths(column, baseline, place)
        asked.append(_questions(column.counted.counts, baseline.columns[place], worths))
        starved |= worths.values.starved | worths.gaps.starved
    tested = np.zeros((windows, width), bool)
    effects = np.zeros((windows, width))
    for place, questions in enumerate(asked):
        for question in questions:
            tested[:, place] |= question.asked & enough
            effects[:, place] = np.maximum(effects[:, place], question.effect * question.asked)
    thresholds = levels / np.maximum(tested.sum(axis=1), 1)
    alarms = [_alarms(questions, thresholds) for questions in asked]
    drifted = np.stack(alarms, axis=1) & tested if width else np.zeros((windows, 0), bool)
    return Verdicts(tested, drifted, effects * tested, enough & (tested.any(axis=1) | ~starved))


def check(window: Profile, baseline: Baseline, level: float) -> None:
    """Raises DataError if another baseline made the profile, and SettingError for a level out of its range."""
    if window.baseline != baseline.digest:
        raise DataError(
            f"The profile was made by baseline {window.baseline[:12]}, and this one is {baseline.digest[:12]}: their "
            "cells differ. Profile the rows by this one."
        )
    check_level(level)


class _Worths(NamedTuple):
    """Of a column's rows, to tests of values and of missing ones."""

    values: Worths
    gaps: Worths


def _worths(windows: Column, baseline: Baseline, place: int) -> _Worths:
    column, grouping = baseline.columns[place], baseline.groupings[place]
    before = baseline.neighbours[place] if baseline.neighbours else Neighbours()

    def values(counted: Counted) -> Tallied:
        return _tallied_values(counted, grouping, column)

    return _Worths(
        Worths(
            before.values,
            column.present,
            values(windows.counted),
            grouping.scores,
            lambda at: values(windows.hours_of(at)),
        ),
        Worths(
            before.gaps,
            column.missing + column.present,
            _tallied_gaps(windows.counted),
            GAP_SCORES,
            lambda at: _tallied_gaps(windows.hours_of(at)),
        ),
    )


def _tallied_values(counted: Counted, grouping: Grouping, column: BaselineColumn) -> Tallied:
    cells = counted.counts[:, len(COUNTERS) :]
    totals = np.stack([cells[:, grouping.groups == group].sum(axis=1) for group in range(OF_VALUES)], axis=1)
    # Of sorted levels each is in one place, but for one of them at most.
    changes = np.full(len(cells), BLOCKS) if column.measured else (cells > 0).sum(axis=1)
    return Tallied(values_of(counted.blocks), cells.sum(axis=1), totals, changes)


def _tallied_gaps(counted: Counted) -> Tallied:
    rows, missing = counted.counts[:, 0], counted.counts[:, 1:2]
    lengths = counted.blocks.shape[1] if missing.any() else 0  # most columns miss no value
    return Tallied(gaps_of(counted.blocks)[:, :lengths], rows, missing, np.full(len(rows), 2))


def _questions(counts: NDArray[np.int64], column: BaselineColumn, worths: _Worths) -> list[Question]:
    """The tests of one column in W windows; counts: (W, K) `COUNTERS` and cells."""
    rows, missing, _, _, _, unknown = counts[:, : len(COUNTERS)].T
    cells = counts[:, len(COUNTERS) :]
    present = rows - missing
    there = np.ones(len(rows), bool)
    tested = np.array(column.tested, np.int64)
    questions: list[Question] = []
    if isinstance(column.cells, NumberCells):
        questions = _ask_numbers(tested, cells, column.cells, worths.values)
        if column.kind == "text":
            questions = [_named(question, "of length in characters") for question in questions]
    elif column.cells is not None:
        questions = [ask_contingency(*commonest_first(tested, cells), there, "of levels", worths.values)]
        if column.halved:
            known = np.array([tested.sum() - column.unknown, column.unknown])
            counted = np.stack([present - unknown, unknown], axis=1)
            questions.append(ask_contingency(known, counted, there, "of unseen levels", worths.values))
    some = (missing + column.missing > 0) & (present + column.present > 0)
    gaps = np.array([column.missing, column.present])
    counted = np.stack([missing, present], axis=1)
    return [*questions, ask_contingency(gaps, counted, some, "of missing values", worths.gaps)]


def _ask_numbers(
    reference: NDArray[np.int64], cells: NDArray[np.int64], grid: NumberCells, worths: Worths
) -> list[Question]:
    totals = reference + cells
    points = totals[:, list(grid.points)].max(axis=1, initial=0)
    tied = points >= TIED_SHARE * totals.sum(axis=1)
    questions = [ask_smirnov(reference, cells, ~tied, worths)]
    if tied.any():
        questions.append(ask_contingency(*grouped(reference, cells, GROUPS), tied, "of groups", worths))
    return questions


def _named(question: Question, what: str) -> Question:
    def exact(at: int) -> Outcome:
        outcome = question.exact(at)
        return outcome._replace(method=f"{outcome.method} {what}")

    return question._replace(exact=exact)


def _alarms(questions: Sequence[Question], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(W,), whether any test of a column alarms."""
    made = np.sum([question.asked for question in questions], axis=0)
    alarms = np.zeros(len(thresholds), bool)
    for question in questions:
        able = question.asked & (question.effect >= MINIMUM_EFFECT)
        alarms |= able & (question.high * made <= thresholds)
        unsure = able & ~alarms & (question.low * made <= thresholds)
        for at in np.flatnonzero(unsure).tolist():
            outcome = question.exact(at)
            alarms[at] = outcome.p_value * made[at] <= thresholds[at] and outcome.effect >= MINIMUM_EFFECT
    return alarms


# ------------------------------------------------------------------------------------------------------- one window


def _counted(profiles: Sequence[Profile], baseline: Baseline, place: int) -> Counted:
    counts = [column_counts(one, baseline, place) for one in profiles]
    return Counted(np.stack(counts), stacked([one.blocks[place] for one in profiles]))


def _examined(window: Profile, hours: Sequence[Profile], baseline: Baseline, place: int) -> Examined:
    """The tests that a column of a window undergoes, and what its rows are worth."""
    column, counted = baseline.columns[place], _counted([window], baseline, place)
    counts = counted.counts

    def hours_of(_: int) -> Counted:
        return _counted(hours, baseline, place)

    worths = _worths(Column(counted, hours_of), baseline, place)
    questions = _questions(counts, column, worths)
    outcomes = [question.exact(0) for question in questions if question.asked[0]]
    rows, missing = counts[0, :2].tolist()
    notes = (
        _note(worths.values, Counts(column.present, rows - missing), "length" if column.kind == "text" else "values"),
        _note(worths.gaps, Counts(column.missing + column.present, rows), "missing values"),
    )
    return Examined(outcomes, " ".join(dict.fromkeys(filter(None, notes))), _unjudged(questions, worths))


def _unjudged(questions: Sequence[Question], worths: _Worths) -> float | None:
    """Of one window, the largest effect among the questions that its rows are worth too little for; the last question
    is that of gaps."""
    left_out = [
        *(question for question in questions[:-1] if worths.values.starved[0]),
        *(question for question in questions[-1:] if worths.gaps.starved[0]),
    ]
    return max((float(question.effect[0]) for question in left_out), default=None)


def _note(worths: Worths, rows: Counts, of: str) -> str:
    worth = worths.at(0)
    return note_of(worth, rows, of) if worth else ""


def _finding(column: Examined, threshold: float) -> Finding:
    return finding_on(column._replace(outcomes=corrected(column.outcomes)), threshold, MINIMUM_EFFECT)


def _column(counts: NDArray[np.int64], column: BaselineColumn, finding: Finding) -> ColumnDrift:
    rows, missing, lost, infinite, unseen, _ = counts[: len(COUNTERS)].tolist()
    notes = (
        finding.note,
        "The column was in none of the rows." if not rows else "",
        _told(lost, "value", f"are no {column.kind}", "count as missing"),
        _told(infinite, "value", "are infinite, or too large to be squared"),
        _told(unseen, "row", "have a level that the reference lacks"),
    )
    return finding.of(column.name, column.kind, Counts(column.missing, missing), note=" ".join(filter(None, notes)))


def _told(count: int, what: str, *said: str) -> str:
    """A sentence on so many of them, each part of which begins with a verb; empty without any."""
    return f"{counted(count, what)} {' and '.join(agreed(count, one) for one in said)}." if count else ""
