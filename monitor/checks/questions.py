"""What is asked of a window's column: one function for each constraint, each of which knows how to count what breaks
it, and what chance explains of that.

A new constraint is a class in `baseline.py`, a rule in `suggest.py` and a function here that `_ASKED` lists.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import polars as pl

from monitor.checks import chance
from monitor.checks.suggest import micros_of
from monitor.checks.violation import Check
from monitor.drift import Kind
from storage.baselines.baseline import ColumnBaseline, Limits

#: The two sides of a `Reading`, as the frame that is counted names them.
given, value = pl.col("given"), pl.col("value")


class Question(NamedTuple):
    """One constraint, ready to be counted and judged.

    which: Boolean (rows), over `given` and `value`: whether the row breaks it. hits: how many do; None: as many.
    base: what the share is of: all rows, values given or values read.
    at_most, strict: as in the baseline. baseline_hits, baseline_rows: what it held.
    p_value: P(as many or more hits without a change) of (hits, rows of the base, the values read).
    broken: how a row that breaks it is told: "are above 88, the largest of the baseline".
    """

    check: Check
    which: pl.Expr
    base: Literal["rows", "given", "read"]
    at_most: float
    strict: bool
    baseline_hits: int
    baseline_rows: int
    p_value: Callable[[int, int, pl.Series], float]
    broken: str
    hits: pl.Expr | None = None

    def allowed(self, rows: int) -> float:
        """The share that may break it in a window of so many rows: repeats become more common as a window grows."""
        if self.strict or self.check != "unique":
            return self.at_most
        return self.at_most * chance.growth(rows, self.baseline_rows)


def questions(column: ColumnBaseline, *, now: datetime | None, hidden: bool) -> list[Question]:
    """All that is asked of a column. hidden: no value of it may be told."""
    return [question for ask in _ASKED for question in ask(column, now, hidden)]


def _completeness(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.completeness, column.statistics
    if asked:
        rows = facts.missing + facts.present
        at_most = 1 - asked.at_least
        yield _often(
            "completeness", given.is_null(), "rows", at_most, asked.strict, facts.missing, rows, "have no value"
        )


def _type(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.type, column.statistics
    if asked is None:
        return
    which, hits, words = given.is_not_null() & value.is_null(), facts.unreadable, f"are no {column.kind}"
    if column.kind == "number" and asked.type == "Integral":
        fractional = value.is_finite() & (value != value.floor())
        which, hits, words = which | fractional.fill_null(value=False), hits + facts.fractional, "are no whole number"
    yield _often("type", which, "given", asked.at_most, asked.strict, hits, facts.present, words)


def _range(column: ColumnBaseline, _now: datetime | None, hidden: bool) -> Iterator[Question]:
    asked, is_time = column.constraints.range, column.kind == "time"
    if asked is None:
        return
    number = value.to_physical().cast(pl.Float64) if is_time else value
    # An infinite number and a negative one are told by checks of their own.
    finite, lowest = number.is_finite(), 0.0 if column.constraints.non_negative else float("-inf")
    yield from _beyond("range", column, asked, finite & (number >= lowest), number, hidden=hidden)


def _length(column: ColumnBaseline, _now: datetime | None, hidden: bool) -> Iterator[Question]:
    if asked := column.constraints.length:
        yield from _beyond("length", column, asked, value.is_not_null(), value.str.len_chars(), hidden=hidden)


def _domain(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.domain, column.statistics
    if asked is None:
        return
    known = pl.DataFrame({"level": list(facts.levels), "known": list(facts.levels.values())}, schema=_LEVELS)

    def p_value(hits: int, rows: int, values: pl.Series) -> float:
        counts = values.drop_nulls().alias("level").value_counts(name="rows")
        both = counts.join(known, on="level", how="full", coalesce=True).fill_null(0)
        level_rows = (both["rows"].cast(pl.Int64) + both["known"]).to_numpy()
        return chance.unseen(hits, rows, facts.readable, level_rows)

    which = ~value.is_in(list(asked.levels))
    words = f"are none of the {len(asked.levels):,} levels of the baseline"
    yield Question("domain", which, "read", asked.at_most, asked.strict, 0, facts.readable, p_value, words)


_LEVELS = {"level": pl.String, "known": pl.Int64}


def _non_negative(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.non_negative, column.statistics
    if asked:
        words = "are negative"
        yield _often(
            "non_negative", value < 0, "read", asked.at_most, asked.strict, facts.negative, facts.readable, words
        )


def _finite(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.finite, column.statistics
    if asked:
        which, words = value.is_infinite(), "are infinite"
        yield _often("finite", which, "read", asked.at_most, asked.strict, facts.infinite, facts.readable, words)


def _unique(column: ColumnBaseline, _now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.unique, column.statistics
    if asked is None:
        return

    def p_value(hits: int, rows: int, _: pl.Series) -> float:
        return chance.repeated(hits, rows, facts.repeated, facts.readable)

    which = value.is_duplicated() & value.is_not_null()
    hits = value.count() - value.drop_nulls().n_unique()
    words = "repeat an earlier one"
    yield Question(
        "unique", which, "read", asked.at_most, asked.strict, facts.repeated, facts.readable, p_value, words, hits
    )


def _past(column: ColumnBaseline, now: datetime | None, _hidden: bool) -> Iterator[Question]:
    asked, facts = column.constraints.past, column.statistics
    if asked and now:
        which, words = value.to_physical() > micros_of(now), f"are later than now, {now:%Y-%m-%d %H:%M} {now.tzname()}"
        yield _often("past", which, "read", asked.at_most, asked.strict, facts.future, facts.readable, words)


_ASKED = (_completeness, _type, _range, _length, _domain, _non_negative, _finite, _unique, _past)


def _often(
    check: Check,
    which: pl.Expr,
    base: Literal["rows", "given", "read"],
    at_most: float,
    strict: bool,
    hits: int,
    rows: int,
    words: str,
) -> Question:
    """A question whose hits were known before there was a baseline."""

    def p_value(found: int, of: int, _: pl.Series) -> float:
        return chance.more_often(found, of, hits, rows)

    return Question(check, which, base, at_most, strict, hits, rows, p_value, words)


def _beyond(
    check: Check, column: ColumnBaseline, asked: Limits, counted: pl.Expr, number: pl.Expr, *, hidden: bool
) -> Iterator[Question]:
    """Below the minimum, and above the maximum: two questions whose hits the baseline defined."""
    rows = column.statistics.readable

    def p_value(hits: int, of: int, _: pl.Series) -> float:
        return chance.beyond(hits, of, rows)

    sides = ((asked.minimum, "below"), (asked.maximum, "above"))
    for limit, side in sides:
        if limit is not None:
            which = counted & (number < limit if side == "below" else number > limit)
            relation, extreme = _SIDES["text" if check == "length" else column.kind, side]
            words = f"are {relation} {_limit(column, check, limit, hidden)}"
            words = words.rstrip(", ") if asked.strict else f"{words}the {extreme} of the baseline"
            yield Question(check, which, "read", asked.at_most, asked.strict, 0, rows, p_value, words)


#: What a value beyond a limit is, and what the limit was.
_SIDES: dict[tuple[Kind, str], tuple[str, str]] = {
    ("number", "below"): ("below", "smallest"),
    ("number", "above"): ("above", "largest"),
    ("time", "below"): ("earlier than", "earliest"),
    ("time", "above"): ("later than", "latest"),
    ("text", "below"): ("shorter than", "shortest"),
    ("text", "above"): ("longer than", "longest"),
}


def _limit(column: ColumnBaseline, check: Check, limit: float, hidden: bool) -> str:
    """A limit as people write it, with a comma; nothing where it is a value that may not be told. Lengths are none."""
    if check == "length":
        return f"{limit:,.0f} characters, "
    if hidden:
        return ""
    if column.kind == "time":
        return f"{(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=limit)):%Y-%m-%d %H:%M:%S} UTC, "
    return f"{limit:.12g}, "
