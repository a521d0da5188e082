"""Check a window of rows against a data-quality baseline."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from monitor.calibrated import check_level
from monitor.checks import chance
from monitor.checks.questions import Question, questions
from monitor.checks.reading import Reading, read
from monitor.checks.suggest import distinct_rows
from monitor.checks.violation import Quality, QualityVerdict, Unchecked, Violation
from storage.baselines.baseline import Baseline, ColumnBaseline
from storage.boundary import held
from storage.errors import agreed, counted
from storage.traffic import OUTPUT_PREFIX

#: With fewer rows, that nothing was found says nothing. As many as a comparison needs.
LEAST_ROWS = 30

#: Values of a violation that are shown.
EXAMPLES = 5

#: The columns of captured traffic that together name one answer.
_ANSWER = (OUTPUT_PREFIX + "inference_id", OUTPUT_PREFIX + "row")

#: What Polars raises for a column that it cannot convert.
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, TypeError)


def check(
    frame: pl.DataFrame,
    baseline: Baseline,
    *,
    level: float = 0.05,
    now: datetime | None = None,
    sensitive: Collection[str] = (),
    absent: Collection[str] = (),
) -> Quality:
    """Which constraints of a baseline does a window break?

    frame: the window's rows; captured traffic as it is, whose own columns (`autopilot.…`) count as neither missing nor
        extra; among them, that an answer was captured twice is a violation.
    level: the chance of any false violation, over all columns and constraints, if the window's rows were drawn as the
        baseline's were. Missing and extra columns, repeated inference ids and strict constraints need no test.
    now: the moment of the check, aware: without it, times in the future are not looked for.
    sensitive: columns of which no value may be told.
    absent: columns that are not there on purpose, such as redacted ones.

    A column that cannot be read is told under `unchecked` and costs no other one. An empty window breaks nothing but
    what its columns break.

    Raises SettingError for a level that is no chance.

    >>> from monitor.checks import suggest
    >>> baseline = suggest(pl.DataFrame({"age": [20, 31, 45, 58] * 250, "town": ["Ulm", "Bonn"] * 500}))
    >>> window = pl.DataFrame({"age": [None] * 20 + [31] * 80, "town": ["Ulm", "Rome"] * 50})
    >>> quality = check(window, baseline)
    >>> quality.verdict, [(one.column, one.check, one.rows) for one in quality.violations]
    ('violations', [('age', 'completeness', 20), ('town', 'domain', 50)])
    >>> print(quality.violations[1].sentence)
    Column 'town': 50 of 100 values (50%) are none of the 2 levels of the baseline. Of the baseline's 1,000, none did.
    """
    check_level(level)
    there = [column for column in baseline.columns if column.name in frame.columns and column.name not in absent]
    found, unchecked = _read(frame, there, sensitive)
    asked = [_Asked(one, questions(one.column, now=now, hidden=one.column.name in sensitive)) for one in found]
    tests = sum(one.tests for one in asked) + bool(baseline.distinct_rows and not baseline.distinct_rows.strict)
    threshold = level / max(tests, 1)
    counts = _counted(asked)
    unchecked += [
        Unchecked(one.column.name, "Its constraints do not fit what it is." if one.column.name in sensitive else hits)
        for (one, _), hits in zip(asked, counts, strict=True)
        if isinstance(hits, str)
    ]
    violations = [
        *_columns(frame, baseline, absent),
        *_judged(asked, counts, threshold, sensitive),
        *_repeated_rows(frame.select(column.name for column in there), baseline, threshold),
        *_repeated_answers(frame),
    ]
    verdict = _verdict(frame.height, baseline.rows if tests else LEAST_ROWS, violations)
    is_short = verdict in ("no rows", "too few rows")
    return Quality(
        verdict=verdict,
        rows=frame.height,
        baseline_rows=baseline.rows,
        level=level,
        tests=tests,
        threshold=threshold,
        violations=tuple(violations),
        unchecked=tuple(unchecked),
        note=_why_nothing_is_said(frame.height, baseline.rows) if is_short else "",
    )


def _verdict(rows: int, baseline_rows: int, violations: Sequence[Violation]) -> QualityVerdict:
    if violations:
        return "violations"
    return "no rows" if not rows else "too few rows" if min(rows, baseline_rows) < LEAST_ROWS else "no violations"


def _why_nothing_is_said(rows: int, baseline_rows: int) -> str:
    there = f"There {agreed(rows, 'are')} {counted(rows, 'row')}, and the baseline has {baseline_rows:,}"
    return f"{there}: that nothing was found in fewer than {LEAST_ROWS} says nothing."


# --------------------------------------------------------------------------------------------------------- columns


class _Read(NamedTuple):
    """A column of the window, read as what the baseline says it is."""

    column: ColumnBaseline
    reading: Reading

    @property
    def frame(self) -> pl.DataFrame:
        """What questions are asked of."""
        return pl.DataFrame([self.reading.given.alias("given"), self.reading.values.alias("value")])

    def base(self, question: Question) -> int:
        """How many rows the share of a question is of."""
        given, values = self.reading
        return {"rows": len(given), "given": given.count(), "read": values.count()}[question.base]


def _read(
    frame: pl.DataFrame, columns: Sequence[ColumnBaseline], sensitive: Collection[str]
) -> tuple[list[_Read], list[Unchecked]]:
    """The columns that could be read, and why others could not."""
    found, unchecked = list[_Read](), list[Unchecked]()
    for column in columns:
        try:
            found.append(_Read(column, read(frame[column.name], column.kind, column.dtype)))
        except _UNREADABLE as error:
            why = type(error).__name__ if column.name in sensitive else error  # which may hold values
            unchecked.append(Unchecked(column.name, f"It cannot be read as {column.kind}: {why}"))
    return found, unchecked


def _columns(frame: pl.DataFrame, baseline: Baseline, absent: Collection[str]) -> Iterator[Violation]:
    """Columns that are missing, and columns that are new."""
    there, known = set(frame.columns), {column.name for column in baseline.columns}
    for column in baseline.columns:
        if column.constraints.required and column.name not in there and column.name not in absent:
            yield Violation(column.name, "missing_column", f"Column {column.name!r} is missing.")
    if not baseline.extra_columns:
        for name in frame.columns:
            if name not in known and not name.startswith(OUTPUT_PREFIX):
                yield Violation(name, "extra_column", f"Column {name!r} is new: the baseline does not have it.")


# ---------------------------------------------------------------------------------------------------------- values


class _Asked(NamedTuple):
    """A column and what is asked of it."""

    one: _Read
    questions: list[Question]

    @property
    def tests(self) -> int:
        """How many of the questions chance can answer."""
        return sum(not question.strict for question in self.questions)


def _counted(asked: Sequence[_Asked]) -> list[Sequence[int] | str]:
    """How many rows break each constraint of each column, or why they cannot be counted.

    All columns are counted in one lazy pass. A baseline that people edited may ask what a column cannot answer, such as
    the length of a number: then each is counted alone.
    """
    plans = [
        one.frame.lazy().select((q.which.sum() if q.hits is None else q.hits).alias(str(i)) for i, q in enumerate(all_))
        for one, all_ in asked
    ]
    try:
        return [_hits(counts) for counts in pl.collect_all(plans)]
    except _UNREADABLE:
        return [_counted_alone(plan) for plan in plans]


def _counted_alone(plan: pl.LazyFrame) -> Sequence[int] | str:
    try:
        return _hits(plan.collect())
    except _UNREADABLE as error:
        return f"Its constraints do not fit what it is: {error}"


def _hits(counts: pl.DataFrame) -> tuple[int, ...]:
    return tuple(int(hits or 0) for hits in counts.row(0)) if counts.width else ()


def _judged(
    asked: Sequence[_Asked], counts: Sequence[Sequence[int] | str], threshold: float, sensitive: Collection[str]
) -> Iterator[Violation]:
    """The violations of columns' values."""
    for (one, all_), hits in zip(asked, counts, strict=True):
        if not isinstance(hits, str):
            for question, found in zip(all_, hits, strict=True):
                if violation := _violation(one, question, found, threshold, hidden=one.column.name in sensitive):
                    yield violation


def _violation(one: _Read, question: Question, hits: int, threshold: float, *, hidden: bool) -> Violation | None:
    """A violation if more rows break the constraint than it allows, and more than chance explains."""
    rows, name = one.base(question), one.column.name
    if not hits or hits <= question.allowed(rows) * rows:
        return None
    p_value = None if question.strict else question.p_value(hits, rows, one.reading.values)
    if p_value is not None and p_value > threshold:
        return None
    return Violation(
        column=name,
        check=question.check,
        sentence=f"Column {name!r}: {_told(hits, rows, question)}",
        rows=hits,
        looked_at=rows,
        observed=hits / rows,
        expected=question.baseline_hits / max(question.baseline_rows, 1),
        p_value=p_value,
        examples=() if hidden or question.check == "completeness" else _examples(one, question),
    )


def _told(hits: int, rows: int, question: Question) -> str:
    of = counted(rows, "row" if question.base == "rows" else "value")
    told = f"{hits:,} of {of} ({_percent(hits / rows)}) {agreed(hits, question.broken)}."
    if question.strict:
        return f"{told} {_percent(question.at_most)} may." if question.at_most else f"{told} None may."
    before, of = question.baseline_hits, question.baseline_rows
    return f"{told} Of the baseline's {of:,}, {f'{before:,}' if before else 'none'} did."


def _percent(share: float) -> str:
    """A share as a percentage with three digits.

    >>> _percent(0.5), _percent(1 / 3), _percent(0.00012)
    ('50%', '33.3%', '0.012%')
    """
    return f"{share * 100:.3g}%"


def _examples(one: _Read, question: Question) -> tuple[str, ...]:
    """Different values that break the constraint, as they were sent, the first ones of a thousand rows first."""
    broken = one.frame.filter(question.which)["given"].head(1000)
    return tuple(dict.fromkeys(_shown(value) for value in broken))[:EXAMPLES]


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return held(value.to_list() if isinstance(value, pl.Series) else value, sensitive=False)


# ------------------------------------------------------------------------------------------------------------ rows


def _repeated_rows(frame: pl.DataFrame, baseline: Baseline, threshold: float) -> Iterator[Violation]:
    """Rows that repeat an earlier one of the window as a whole."""
    asked, rows = baseline.distinct_rows, frame.height
    if asked is None or not rows or frame.width < len(baseline.columns):
        return
    hits = rows - distinct_rows(frame)
    allowed = asked.at_most * (1 if asked.strict else chance.growth(rows, baseline.rows))
    if hits <= allowed * rows:
        return
    p_value = None if asked.strict else chance.repeated(hits, rows, baseline.repeated, baseline.rows)
    if p_value is not None and p_value > threshold:
        return
    share = baseline.repeated / max(baseline.rows, 1)
    sentence = (
        f"{hits:,} of {counted(rows, 'row')} ({_percent(hits / rows)}) {agreed(hits, 'repeat an earlier one')} as a "
        "whole. "
        f"Of the baseline's {baseline.rows:,}, {baseline.repeated:,} did."
    )
    yield Violation(None, "distinct_rows", sentence, hits, rows, hits / rows, share, p_value)


def _repeated_answers(frame: pl.DataFrame) -> Iterator[Violation]:
    """Answers that were captured more than once: their inference id, and their row where there is one, are the same."""
    names = [name for name in _ANSWER if name in frame.columns]
    if _ANSWER[0] not in names or not frame.height:
        return
    answers = frame.select(names).drop_nulls(_ANSWER[0])
    if hits := answers.height - answers.n_unique():
        sentence = (
            f"{hits:,} of {counted(answers.height, 'row')} {agreed(hits, 'have')} an inference id that an earlier row "
            "has. Labels cannot tell which of them they belong to."
        )
        share = hits / answers.height
        yield Violation(None, "inference_ids", sentence, hits, answers.height, share, 0.0)
