"""Times that were written as text or as whole numbers: which format a column has, decided over all of its cells."""

import re
from typing import NamedTuple

import polars as pl

from storage.boundary import EPOCH_UNITS, TIME_FORMATS, micros_of_text, parse_times

#: Seconds of 1990 and of 2050: what epochs in tables of our time lie between.
_EPOCH_FROM_S, _EPOCH_TO_S = 631_152_000, 2_524_608_000
_DATES_FROM, _DATES_TO = 19_000_101, 20_991_231
#: Distinct values from which it is no accident that all are calendar dates, or full minutes.
_MANY = 10
_TIME_WORDS = {
    *("date", "time", "timestamp", "ts", "datetime", "epoch", "unixtime", "created", "updated", "modified", "at"),
    *("when", "since", "until"),
}
_LOOKED_AT = 20
_SAMPLE = 400


class Written(NamedTuple):
    """How a text column's times are written. format: None is ISO 8601. share: of its distinct cells.

    doubt: why this reading was chosen though day and month could be the other way round; None where they cannot.
    """

    format: str | None
    share: float
    doubt: str | None = None


def words_of(name: str) -> list[str]:
    """The words of a column's name, in lower case.

    >>> words_of("createdAt"), words_of("ZIP_code"), words_of("customerID"), words_of("address.zip")
    (['created', 'at'], ['zip', 'code'], ['customer', 'id'], ['address', 'zip'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[0-9]+", name)]


# ------------------------------------------------------------------------------------------------------- numbers


def epoch_unit(values: pl.Series, low: float, high: float) -> str | None:
    """The unit of a column of whole numbers, or of seconds with fractions, that are instants; None if they are none.

    All lie between 1990 and 2050 in that unit, and either the name speaks of time or each falls on a full minute, which
    identifiers and amounts of that size do not. low, high: the column's range.
    """
    unit = unit_in_range(low, high)
    if unit is None:
        return None
    if unit in ("us", "ns") and not is_whole(values):
        return None
    if _TIME_WORDS & set(words_of(values.name)):
        return unit
    times, divided = EPOCH_UNITS[unit]
    minute = 60_000_000 * divided // times
    known = values.drop_nulls().unique()
    plain = known.cast(pl.Int64 if known.dtype.is_integer() else pl.Float64)
    return unit if len(known) >= _MANY and bool((plain % minute == 0).all()) else None


def unit_in_range(low: float, high: float) -> str | None:
    """The unit in which a range lies between 1990 and 2050; None if it does in none."""
    for unit, (times, divided) in EPOCH_UNITS.items():
        in_second = 1_000_000 * divided / times
        if _EPOCH_FROM_S * in_second <= low and high <= _EPOCH_TO_S * in_second:
            return unit
    return None


def are_dates(values: pl.Series, low: float, high: float, distinct: int) -> bool:
    """Whether whole numbers are dates as 20240501: each a day of the calendar, which 4 in 100 other numbers are."""
    if low < _DATES_FROM or high > _DATES_TO or not is_whole(values):
        return False
    if distinct < _MANY and not _TIME_WORDS & set(words_of(values.name)):
        return False
    text = values.drop_nulls().unique().cast(pl.Int64).cast(pl.String)
    return parse_times(text, "%Y%m%d").null_count() == 0


def is_whole(values: pl.Series) -> bool:
    """Whether no number has a fraction; infinities have one."""
    return values.dtype.is_integer() or bool((values.drop_nulls() % 1 == 0).all())


# ---------------------------------------------------------------------------------------------------------- text


def written(distinct: pl.Series, values: pl.Series) -> Written | None:
    """How most of a text column's cells are written as times; None if nearly none of them are.

    distinct: its cells, each once, without nulls and blanks. values: all of them, in the rows' order. Each format is
    tried on a few cells, the likely ones on more, and the best on all.
    """
    few = distinct.head(_LOOKED_AT).to_list()
    if not any(any(letter.isdigit() for letter in cell) for cell in few):
        return None
    likely = [name for name in (None, *TIME_FORMATS) if any(micros_of_text(cell, name) is not None for cell in few)]
    more = distinct.gather_every(max(1, len(distinct) // _SAMPLE))
    counts = {name: parse_times(more, name).count() for name in likely}
    best = max(counts, key=lambda name: counts[name], default=None)
    if not counts or 2 * counts[best] < len(more):
        return None
    share = parse_times(distinct, best).count() / len(distinct)
    other = swapped(best)
    if other is None or other not in counts:
        return Written(best, share)
    other_share = parse_times(distinct, other).count() / len(distinct)
    if share != other_share:  # a number above 12 is a day
        return Written(best, share) if share > other_share else Written(other, other_share)
    return _choose(sorted((str(best), str(other))), share, values)


def swapped(time_format: str | None) -> str | None:
    """The same format with day and month the other way round, or None if it has no such sister.

    >>> swapped("%d/%m/%Y"), swapped("%Y/%m/%d")
    ('%m/%d/%Y', None)
    """
    words = str(time_format)
    other = words.translate(str.maketrans("dm", "md"))
    return other if words[:2] in ("%d", "%m") and other in TIME_FORMATS and other != words else None


def _choose(formats: list[str], share: float, values: pl.Series) -> Written:
    """Day first or month first, where each cell could be either. formats: the two, day first.

    Rows in the order of time under one reading alone have that reading. Else days that are always the same, with
    months that are not, are the first of each month. Else the mark decides: month first between slashes, as pandas and
    spreadsheets in English take it, day first between points and hyphens.
    """
    readings = [parse_times(values, name).drop_nulls() for name in formats]
    in_order = [times.is_sorted() or times.is_sorted(descending=True) for times in readings]
    if in_order[0] != in_order[1]:
        return Written(formats[in_order.index(True)], share, "the rows are then in the order of time")
    one_day = [times.dt.day().n_unique() == 1 for times in readings]
    if one_day[0] != one_day[1]:
        return Written(formats[one_day.index(True)], share, "each is then the same day of its month")
    month_first = "/" in formats[0]
    return Written(formats[month_first], share, "nothing in the column tells")
