"""A baseline from a table: what its columns hold, and the constraints that this suggests."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

import polars as pl
from msgspec.structs import replace

from monitor.checks.chance import wilson
from monitor.checks.reading import Reading, read
from monitor.drift import Kind
from monitor.pair import kind_of, level_rows
from storage.baselines.baseline import (
    Baseline,
    ColumnBaseline,
    Completeness,
    Constraints,
    Domain,
    Limits,
    OfType,
    Share,
    Statistics,
    ValueType,
)
from storage.errors import DataError, listed
from storage.signature import Signature

#: A category with more levels has no domain; a signature keeps as many.
MOST_LEVELS = 1000

#: Nor has one of which this share of values came only once: that share is about the chance that the next value is a
#: level never seen (Good 1953), so that new levels are its nature.
MOST_SINGLE = 0.01

#: Values or rows of which this share repeats do so by nature: their repeats are not watched.
MOST_REPEATED = 0.1


def suggest(
    frame: pl.DataFrame,
    kinds: Mapping[str, Kind] | None = None,
    *,
    now: datetime | None = None,
    sensitive: Collection[str] = (),
) -> Baseline:
    """A baseline from any table: a reference sample, or a file.

    kinds: what columns are, where the caller knows better than their types tell.
    now: aware; with it, columns of times are asked to hold none that is later.
    sensitive: columns of which no value is to be told. They get neither limits nor a domain, so that the baseline
        holds no value of them.

    Suggested are, as far as the table itself keeps them: completeness, the type, limits of numbers and of the lengths
    of text, the earliest time, no negative and no infinite number, a domain of levels, values and rows that do not
    repeat. A column that cannot be read has a note instead. An empty table suggests its columns and nothing else.

    Raises DataError for a table without columns.

    >>> baseline = suggest(pl.DataFrame({"age": [20, 31, None] * 100, "town": ["Ulm", "Bonn", "Ulm"] * 100}))
    >>> age, town = (column.constraints for column in baseline.columns)
    >>> age.type.type, age.range.minimum, age.range.maximum, round(age.completeness.at_least, 3)
    ('Integral', 20.0, 31.0, 0.612)
    >>> town.domain.levels, town.completeness.at_least > 0.98
    (('Ulm', 'Bonn'), True)
    """
    if not frame.width:
        raise DataError("The table has no columns, so there is nothing to suggest constraints from. Give another one.")
    columns = tuple(
        _column(series, (kinds or {}).get(series.name), now, hidden=series.name in sensitive)
        for series in frame.iter_columns()
    )
    repeated = frame.height - distinct_rows(frame)
    is_distinct = frame.height > 0 and repeated <= MOST_REPEATED * frame.height
    share = Share(wilson(repeated, frame.height)[1]) if is_distinct else None
    return Baseline(rows=frame.height, repeated=repeated, columns=columns, distinct_rows=share)


def suggested_of(signature: Signature, frame: pl.DataFrame, now: datetime | None = None) -> Baseline:
    """What a table suggests of the columns that a model takes, as the model reads them; the others are left aside.

    frame: a reference sample, or another table. now: as of `suggest`. Raises DataError for a column that it lacks.
    """
    if lacking := [name for name in signature.names if name not in frame.columns]:
        raise DataError(
            f"The table lacks column {lacking[0]!r}, which the model takes. It has {listed(frame.columns)}: give one "
            f"with all of {listed(list(signature.names))}."
        )
    kinds: dict[str, Kind] = {column.name: column.kind for column in signature.columns}
    hidden = {column.name for column in signature.columns if column.sensitive}
    return suggest(frame.select(signature.names), kinds, now=now, sensitive=hidden)


def distinct_rows(frame: pl.DataFrame) -> int:
    """Different rows, by a hash of 64 bits; columns that cannot be hashed make each row different."""
    try:
        return frame.hash_rows().n_unique() if frame.height else 0
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return frame.height


def _column(series: pl.Series, kind: Kind | None, now: datetime | None, *, hidden: bool) -> ColumnBaseline:
    kind, dtype = kind or kind_of(series, series), str(series.dtype)
    try:
        statistics = describe(read(series, kind, dtype), kind, now)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, TypeError) as error:
        return ColumnBaseline(series.name, kind, dtype, Statistics(), Constraints(), f"It cannot be read: {error}")
    constraints = _constraints(kind, dtype, statistics, now) if len(series) else Constraints()
    if hidden:
        statistics, constraints = _without_values(statistics, constraints, kind)
    return ColumnBaseline(series.name, kind, dtype, statistics, constraints)


# ------------------------------------------------------------------------------------------------------ statistics


def describe(reading: Reading, kind: Kind, now: datetime | None = None) -> Statistics:
    """What a column holds."""
    given, values = reading
    if kind == "other":
        return Statistics(missing=given.null_count(), present=given.count())
    distinct = values.drop_nulls().n_unique()
    return replace(
        _FACTS[kind](values, now),
        missing=given.null_count(),
        present=given.count(),
        unreadable=values.null_count() - given.null_count(),
        repeated=values.count() - distinct,
        distinct=distinct,
    )


def _number_facts(values: pl.Series, _: datetime | None) -> Statistics:
    value = pl.col(values.name)
    finite = pl.when(value.is_finite()).then(value)
    facts = values.to_frame().select(
        fractional=(finite != finite.floor()).sum(),
        negative=(value < 0).sum(),
        infinite=value.is_infinite().sum(),
        minimum=finite.min(),
        maximum=finite.max(),
        mean=finite.mean(),
        std_dev=finite.std(ddof=0),
    )
    found: dict[str, Any] = facts.row(0, named=True)
    for name in ("mean", "std_dev"):
        if found[name] is not None and not isfinite(found[name]):  # of numbers too large to be added
            found[name] = None
    return Statistics(**found)


def _category_facts(values: pl.Series, now: datetime | None) -> Statistics:
    counts = level_rows(values)
    levels: dict[str, int] = dict(counts.iter_rows()) if counts.height <= MOST_LEVELS else {}
    return replace(_text_facts(values, now), levels=levels)


def _text_facts(values: pl.Series, _: datetime | None) -> Statistics:
    lengths = values.str.len_chars()
    return Statistics(minimum=cast("float | None", lengths.min()), maximum=cast("float | None", lengths.max()))


def _time_facts(values: pl.Series, now: datetime | None) -> Statistics:
    micros = values.to_physical()
    future = int((micros > micros_of(now)).sum()) if now else 0
    least, most = cast("float | None", micros.min()), cast("float | None", micros.max())
    return Statistics(minimum=least, maximum=most, future=future)


_FACTS: dict[Kind, Callable[[pl.Series, datetime | None], Statistics]] = {
    "number": _number_facts,
    "category": _category_facts,
    "text": _text_facts,
    "time": _time_facts,
}


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware moment."""
    return round(moment.astimezone(UTC).timestamp() * 1e6)


# ----------------------------------------------------------------------------------------------------- constraints


def _constraints(kind: Kind, dtype: str, facts: Statistics, now: datetime | None) -> Constraints:
    """What the column itself keeps, but for what chance could have spared the sample."""
    type_ = _type(kind, dtype, facts)
    domain = _domain(kind, facts)
    nothing = wilson(0, facts.readable)[1]
    is_number, has_length = kind == "number", kind == "text" or (kind == "category" and domain is None)
    return Constraints(
        completeness=Completeness(wilson(facts.present, facts.present + facts.missing)[0]),
        type=OfType(type_, wilson(facts.unreadable, facts.present)[1]) if type_ != "Unknown" else None,
        range=_limits(kind, facts, nothing) if kind in ("number", "time") else None,
        length=_limits(kind, facts, nothing) if has_length else None,
        domain=domain,
        non_negative=Share(nothing) if is_number and facts.minimum is not None and not facts.negative else None,
        finite=Share(wilson(facts.infinite, facts.readable)[1]) if is_number and facts.readable else None,
        unique=Share(nothing) if _is_unique(type_, facts) else None,
        past=Share(nothing) if kind == "time" and now and facts.readable and not facts.future else None,
    )


def _type(kind: Kind, dtype: str, facts: Statistics) -> ValueType:
    if not facts.readable or kind == "other":
        return "Unknown"
    if kind == "number":
        return "Fractional" if facts.fractional or facts.minimum is None else "Integral"
    return "Time" if kind == "time" else "Boolean" if dtype == "Boolean" else "String"


def _limits(kind: Kind, facts: Statistics, at_most: float) -> Limits | None:
    """What lies between the extremes; of times only the earliest, since instants always move forward."""
    if facts.minimum is None or facts.maximum is None:
        return None
    return Limits(facts.minimum, None if kind == "time" else facts.maximum, at_most)


def _domain(kind: Kind, facts: Statistics) -> Domain | None:
    single = sum(rows == 1 for rows in facts.levels.values())
    if kind != "category" or not facts.levels or single > MOST_SINGLE * facts.readable:
        return None
    return Domain(tuple(facts.levels), wilson(0, facts.readable)[1])


def _is_unique(type_: ValueType, facts: Statistics) -> bool:
    """Whether a column looks like an identifier. That measured fractions all differ says nothing."""
    return type_ in ("Integral", "String") and facts.distinct > 1 and not facts.repeated


def _without_values(facts: Statistics, asked: Constraints, kind: Kind) -> tuple[Statistics, Constraints]:
    """Both without any value of the column: a length is none."""
    kept = {"missing", "present", "unreadable", "fractional", "negative", "infinite", "future", "repeated", "distinct"}
    kept |= {"minimum", "maximum"} if kind == "text" else set()
    return (
        Statistics(**{name: getattr(facts, name) for name in kept}),
        Constraints(
            completeness=asked.completeness,
            type=asked.type,
            length=asked.length if kind == "text" else None,
            non_negative=asked.non_negative,
            finite=asked.finite,
            unique=asked.unique,
            past=asked.past,
        ),
    )
