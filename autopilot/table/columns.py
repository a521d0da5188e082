"""What one column becomes: a kind, or a reason to drop it, and what the user should know about the decision.

Whole numbers stay numbers. Trees cut an ordered number better than they guess at levels, and so other AutoML tools
decide too: AutoGluon, FLAML and H2O take integers as numbers whatever their number of levels. The exception is a
column whose name ends as codes are named (`zip`, `*_code`, `*_id`, `*_type`, `*_key`), which has at least three levels
and, in the mean, two rows of each: there the order says nothing, and means of the target by level say much. Months,
hours, ratings, rooms and counts have no such names.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, cast, get_args

import polars as pl

from autopilot.table.findings import Finding
from autopilot.table.instants import Written, are_dates, epoch_unit, is_whole, swapped, unit_in_range, words_of, written
from autopilot.table.read import LEADING_ZERO
from autopilot.table.target import MIN_ROWS
from storage.boundary import EPOCH_UNITS, TIME_FORMATS, held, parse_times, typed
from storage.boundary.numbers import NUMBER, SPACE
from storage.errors import DataError, InputError
from storage.signature import Column, Kind, Signature

#: Text that holds this many distinct numbers, or fewer, names levels.
_MAX_NUMBER_LEVELS = 20
#: A text column with at least this many words in the mean is prose.
_PROSE_WORDS = 3.0
_PROSE_SAMPLE_ROWS = 10_000
#: Share of distinct values from which text, or numbers that are named so, are taken for identifiers.
_IDENTIFIER_SHARE = 0.95
#: Of cells that are no number, or no time, in a column of them: up to here they are typing mistakes.
_MISTAKE_SHARE = 0.05
#: uuid, and the lengths of MongoDB's ids, MD5, SHA-1 and SHA-256 in hexadecimal.
_HASH = "^(?i:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$"
_CODE_WORDS = {"zip", "zipcode", "postcode", "plz", "code", "id", "key", "type", "sku", "category", "cluster"}
_ID_WORDS = {"id", "ids", "uuid", "guid", "key"}
_NUMBER = f"^(?:{NUMBER})$"
_TOLD = "is different in nearly every row, as an identifier is"


class Facts(NamedTuple):
    """What was counted over a whole column. distinct: without null. low, high: of numbers, else None.

    sensitive: whether no message may show a cell of it.
    """

    rows: int
    distinct: int
    nulls: int
    low: float | None
    high: float | None
    sensitive: bool = False

    @property
    def is_identifier(self) -> bool:
        """Whether nearly each row has its own value."""
        return self.distinct >= _IDENTIFIER_SHARE * (self.rows - self.nulls) and self.distinct > MIN_ROWS


class Verdict(NamedTuple):
    """What a column becomes. reason: why it is dropped, or None. format: as of `Column`."""

    kind: Kind
    format: str | None = None
    reason: str | None = None
    finding: Finding | None = None


def count(frame: pl.DataFrame, sensitive: Collection[str] = ()) -> dict[str, Facts]:
    """The facts of each column, in one pass over the table. sensitive: names of such columns.

    Not as one lazy query: with 3,000 columns its optimizer takes 20 s, and the counting half a second.
    """
    if not frame.width:
        return {}
    numbers = frame.select(pl.selectors.numeric())
    distinct, nulls = frame.select(pl.all().n_unique()).row(0), frame.null_count().row(0)
    low, high = ({} if not numbers.width else part.row(0, named=True) for part in (numbers.min(), numbers.max()))
    return {
        name: Facts(
            frame.height,
            distinct[index] - bool(nulls[index]),
            nulls[index],
            _as_float(low.get(name)),
            _as_float(high.get(name)),
            name in sensitive,
        )
        for index, name in enumerate(frame.columns)
    }


def _as_float(value: Any) -> float | None:
    return None if value is None else float(value)


def judge(values: pl.Series, facts: Facts, rows: pl.Series) -> Verdict:
    """What a column becomes by its cells. rows: the cells' numbers in the table, for messages.

    Raises DataError if nearly all cells are numbers, or times, and some are not: that is a mistake in the table.
    """
    if reason := without_content(facts):
        return Verdict("number", reason=reason)
    dtype = values.dtype
    if dtype == pl.List:
        return Verdict("text")
    if dtype == pl.String:
        return _judge_text(values, facts, rows)
    if dtype in (pl.Categorical, pl.Enum):
        return Verdict("category", reason=_TOLD if facts.is_identifier else None)
    if dtype in (pl.Date, pl.Datetime):
        return Verdict("time", finding=_zoned(values))
    if dtype in (pl.Duration, pl.Time):
        return Verdict("number", finding=_in_microseconds(values))
    return _judge_number(values, facts) if dtype.is_numeric() else Verdict("number")


def without_content(facts: Facts) -> str | None:
    """A reason to drop a column that tells nothing, whatever it was asked to be."""
    if facts.distinct == 0:
        return "holds only nulls"
    return "is the same in every row" if facts.distinct == 1 and not facts.nulls else None


def _zoned(values: pl.Series) -> Finding | None:
    zone = cast("str | None", getattr(values.dtype, "time_zone", None))
    if zone in (None, "UTC"):
        return None
    message = f"{values.name!r} has times in {zone}; they are read in UTC, so that hours and days are those of UTC."
    return Finding("info", "zone", message, values.name)


def _in_microseconds(values: pl.Series) -> Finding:
    what = "durations" if values.dtype == pl.Duration else "times of day"
    message = f"{values.name!r} holds {what}; they are read as microseconds."
    return Finding("info", "microseconds", message, values.name)


# -------------------------------------------------------------------------------------------------------- numbers


def _judge_number(values: pl.Series, facts: Facts) -> Verdict:
    if reason := _row_number(values, facts):
        return Verdict("number", reason=reason)
    low, high = facts.low or 0.0, facts.high or 0.0
    if unit := epoch_unit(values, low, high):
        return Verdict("time", unit, finding=_epoch(values, facts, unit))
    if are_dates(values, low, high, facts.distinct):
        return Verdict("time", "%Y%m%d", finding=_read_by(values, facts, "%Y%m%d"))
    if reason := _identifier(values, facts):
        return Verdict("number", reason=reason)
    if _is_code(values, facts):
        return Verdict("category", finding=_code(values, facts))
    return Verdict("number", finding=_rounded(values, facts))


def _row_number(values: pl.Series, facts: Facts) -> str | None:
    """A reason to drop a column that only counts rows."""
    if not values.dtype.is_integer() or facts.nulls or facts.distinct < max(facts.rows, MIN_ROWS):
        return None
    low, high = cast("int", values.min()), cast("int", values.max())
    return "counts the rows" if high - low == facts.rows - 1 and values.is_sorted() else None


def _identifier(values: pl.Series, facts: Facts) -> str | None:
    """A reason to drop whole numbers that are named as identifiers are, or that float64 cannot tell apart."""
    too_large = values.dtype.is_integer() and _beyond(facts, 2.0**53)
    if facts.is_identifier and (too_large or _ends_in(values.name, _ID_WORDS)) and is_whole(values):
        return _TOLD
    return None


def _is_code(values: pl.Series, facts: Facts) -> bool:
    known = facts.rows - facts.nulls
    return _ends_in(values.name, _CODE_WORDS) and 3 <= facts.distinct <= known / 2 and is_whole(values)


def _ends_in(name: str, words: set[str]) -> bool:
    """Whether the last word of a name that is none of digits is one of these."""
    found = [word for word in words_of(name) if not word.isdigit()]
    return bool(found) and found[-1] in words


def _beyond(facts: Facts, limit: float) -> bool:
    return max(abs(facts.low or 0.0), abs(facts.high or 0.0)) > limit


def _epoch(values: pl.Series, facts: Facts, unit: str) -> Finding:
    words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
    message = (
        f"{values.name!r} holds {words} since 1970{_such_as(values, facts, ', such as')}; they are read as times. "
        f"If they are not, say --column {values.name}=number."
    )
    return Finding("info", "epoch", message, values.name)


def _code(values: pl.Series, facts: Facts) -> Finding:
    message = (
        f"{values.name!r} is named as a code and has {facts.distinct} levels; its numbers are read as names of levels. "
        f"If their order means something, say --column {values.name}=number."
    )
    return Finding("info", "code", message, values.name)


def _rounded(values: pl.Series, facts: Facts) -> Finding | None:
    """A finding for numbers that features, which are float32, do not all tell apart."""
    if not _beyond(facts, 2.0**24) or not (values.dtype.is_integer() or values.dtype.is_decimal() or is_whole(values)):
        return None
    doubles = values.cast(pl.Float64)
    left = doubles.cast(pl.Float32).drop_nulls().n_unique()
    if left == facts.distinct:
        return None
    beyond = doubles.drop_nulls().n_unique() < facts.distinct
    message = (
        f"{values.name!r} holds numbers{_such_as(values, facts, ' as large as')}; "
        + ("the model's input keeps 53 bits of them, its features 24" if beyond else "features keep 24 bits of them")
        + f", so that {facts.distinct} distinct ones become {left}. "
        f"If they are codes, say --column {values.name}=category; if they are not, subtract what they have in common."
    )
    return Finding("warning" if beyond else "info", "rounded", message, values.name)


def _such_as(values: pl.Series, facts: Facts, words: str = " such as", show: Callable[[object], str] = str) -> str:
    """The first value after these words, inside a message; nothing of a sensitive column."""
    return "" if facts.sensitive else f"{words} {show(values.drop_nulls()[0])}"


# ----------------------------------------------------------------------------------------------------------- text


def _judge_text(values: pl.Series, facts: Facts, rows: pl.Series) -> Verdict:
    bare = _bare(values)
    distinct = bare.drop_nulls().unique(maintain_order=True)
    if not len(distinct):
        return Verdict("category", reason="holds only blank text")
    if found := written(distinct, bare):
        if found.share == 1:
            return Verdict("time", found.format, finding=_told_time(bare, facts, found))
        _refuse_mistakes(values, facts, bare, parse_times(bare, found.format).is_not_null(), "time", rows)
    numbers = distinct.str.contains(_NUMBER)
    if numbers.all():
        if len(distinct) > _MAX_NUMBER_LEVELS and not distinct.str.contains(LEADING_ZERO).any():
            return Verdict("number", finding=_numbers_as_text(values, facts))
    elif numbers.any():
        _refuse_mistakes(values, facts, bare, bare.str.contains(_NUMBER), "number", rows)
    return _judge_words(bare.drop_nulls(), distinct, facts)


def _bare(values: pl.Series) -> pl.Series:
    """Text without spaces around it; blank text is null."""
    bare = values.str.strip_chars(SPACE)
    return bare.set(bare == "", None)


def _judge_words(present: pl.Series, distinct: pl.Series, facts: Facts) -> Verdict:
    sample = present.gather_every(max(1, len(present) // _PROSE_SAMPLE_ROWS))
    words = cast("float", (sample.str.count_matches(" +") + 1).mean())
    if words >= _PROSE_WORDS and len(distinct) > _MAX_NUMBER_LEVELS:
        return Verdict("text")
    if facts.is_identifier:
        return Verdict("category", reason=_TOLD)
    if 2 * len(distinct) >= len(present) and len(distinct) > MIN_ROWS and distinct.str.contains(_HASH).all():
        return Verdict("category", reason="holds hashes or uuids, most of them once")
    return Verdict("category")


def _refuse_mistakes(
    values: pl.Series, facts: Facts, bare: pl.Series, fits: pl.Series, kind: Kind, rows: pl.Series
) -> None:
    """Raise if nearly all cells fit a kind: the others are typing mistakes, which would make it a category."""
    wrong = (bare.is_not_null() & ~fits).arg_true()
    known = bare.count()
    if len(wrong) > _MISTAKE_SHARE * known:
        return
    told = held(values[wrong[0]], sensitive=facts.sensitive)
    raise DataError(
        f"Column {values.name!r} is a {kind} in {known - len(wrong)} rows, but row {rows[wrong[0]]} holds {told}. "
        f"Correct or empty that cell, or say what the column is: --column {values.name}=category, or --ignore "
        f"{values.name}."
    )


def _told_time(values: pl.Series, facts: Facts, found: Written) -> Finding | None:
    """What is told of a time that was text: nothing where it is ISO 8601, a warning where day and month are guessed."""
    if found.format is None:
        return None
    if found.doubt is None:
        return _read_by(values, facts, found.format)
    first, name = ("day" if found.format.startswith("%d") else "month"), values.name
    message = (
        f"{name!r} holds dates{_such_as(values, facts)}, with the day or the month first; the {first} was taken as the "
        f"first, since {found.doubt}. If it is not, say --column {name}=time:{swapped(found.format)}."
    )
    return Finding("warning", "day_or_month", message, name)


def _read_by(values: pl.Series, facts: Facts, time_format: str) -> Finding:
    message = (
        f"{values.name!r} holds dates{_such_as(values, facts)}; they are read as times by {time_format}. "
        f"If they are none, say --column {values.name}=category."
    )
    return Finding("info", "time_format", message, values.name)


def _numbers_as_text(values: pl.Series, facts: Facts) -> Finding:
    example = _such_as(values, facts, ", such as", repr)
    message = (
        f"{values.name!r} is text that holds numbers{example}; they are read as numbers. "
        f"If they are codes, say --column {values.name}=category."
    )
    return Finding("info", "numbers_as_text", message, values.name)


# ---------------------------------------------------------------------------------------------------------- asked


def asked(values: pl.Series, facts: Facts, wish: str) -> Verdict:
    """What a column becomes by the user's word: a kind, or `time:` and a format or unit such as `time:%d/%m/%Y`.

    It wins over each rule, but not over a column without content. Raises InputError for a kind or format that there is
    not, DataError if a cell cannot be read so.
    """
    kind, time_format = _wished(values.name, wish)
    if reason := without_content(facts):
        return Verdict(kind, reason=reason)
    verdict = Verdict(kind, time_format)
    if kind == "time" and time_format is None:
        verdict = _asked_time(values, facts)
    elif kind == "number" and values.dtype.is_numeric():
        verdict = Verdict(kind, finding=_rounded(values, facts))
    _refuse_kind(values, facts, verdict, wish)
    return verdict


def _wished(name: str, wish: str) -> tuple[Kind, str | None]:
    kind, mark, time_format = wish.partition(":")
    if kind not in get_args(Kind) or (mark and kind != "time"):
        raise InputError(
            f"Column {name!r} cannot be {wish!r}. Kinds are {', '.join(get_args(Kind))}; a time's format may follow, "
            "as in time:%d/%m/%Y."
        )
    if mark and time_format not in (*TIME_FORMATS, *EPOCH_UNITS):
        raise InputError(
            f"Column {name!r} cannot be {wish!r}. Formats of times are {', '.join(TIME_FORMATS)}; units since 1970 are "
            f"{', '.join(EPOCH_UNITS)}."
        )
    return cast("Kind", kind), time_format or None


def _asked_time(values: pl.Series, facts: Facts) -> Verdict:
    """A column that shall be a time, with the format that it has: by its range, or by how its text is written."""
    if values.dtype == pl.String:
        bare = _bare(values)
        found = written(bare.drop_nulls().unique(maintain_order=True), bare)
        return Verdict("time", found and found.format, finding=_told_time(bare, facts, found) if found else None)
    if not values.dtype.is_numeric():
        return Verdict("time", finding=_zoned(values))
    low, high = facts.low or 0.0, facts.high or 0.0
    if are_dates(values, low, high, facts.distinct):
        return Verdict("time", "%Y%m%d", finding=_read_by(values, facts, "%Y%m%d"))
    unit = unit_in_range(low, high)
    return Verdict("time", unit, finding=_epoch(values, facts, unit or "us"))


def _refuse_kind(values: pl.Series, facts: Facts, verdict: Verdict, wish: str) -> None:
    """Raise if not every cell can be read so."""
    column = Column(values.name, verdict.kind, str(values.dtype), format=verdict.format, sensitive=facts.sensitive)
    try:
        typed(Signature("regression", "", (column,)), values.to_frame())
    except DataError as error:
        raise DataError(
            f"Column {values.name!r} is {values.dtype}, and not every cell can be read as {wish}. Convert it, or let "
            "its kind be inferred."
        ) from error
