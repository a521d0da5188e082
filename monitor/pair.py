"""A pair: one column of both tables, brought to the same type, so that they can be compared.

The reference decides what a column is. A current value that cannot be read as such counts as missing: a column that
changed its type then shows as one whose values went missing, and its note says why.
"""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import polars as pl

from monitor.drift import Counts, Kind
from storage.boundary import parse_times

#: Free text has at least this many words on average, as in training, and more than half of its values differ: where
#: they repeat, their shares tell more than their lengths.
_TEXT_WORDS = 3
_TEXT_DISTINCT = 0.5

#: Strings that tell what a column is: enough, and bounded.
_TOLD_BY = 10_000

#: Rows of each side that are kept in their order. Of larger windows, evenly spaced ones are kept: what depends on
#: closer neighbours only is then worth 32,768 rows at least, whose chance differences are below `MINIMUM_EFFECT`.
STRETCH_ROWS = 32_768

#: What a column may raise that is not as its type says, such as a date of the year five million: Polars panics, which
#: is no Exception.
BREAKS = (Exception, pl.exceptions.PanicException)

_log = logging.getLogger("monitor")

_NO_LEVELS = pl.DataFrame(schema={"level": pl.String, "reference": pl.Int64, "current": pl.Int64})
_SORTED = ("number", "text", "time")
_STRINGS = (pl.String, pl.Categorical, pl.Enum)
_NOTHING = pl.Series(dtype=pl.Float64)
_NO_TEXT = pl.Series(dtype=pl.String)


class Pair(NamedTuple):
    """One column of both tables.

    reference, current: null is missing. Float64 for numbers (no NaN), String for categories, Float64 lengths in
    characters for text, Datetime("us") in UTC for times; of kind `other`, as they came. All but categories and others
    are sorted, nulls first: most tests ask for no other order, and sorting is most of the work.
    levels: what `count_levels` gives for a category; for other kinds without rows.
    note: what happened on the way, for people; empty where nothing did.
    stretches: of both sides the values in the order in which the rows came, for what tests ask of neighbours: the
        latest `STRETCH_ROWS`, one of so many that the current side fits in. Empty where nobody knows the order.
    texts: of text, both sides as strings in the order in which the rows came; empty for other kinds.
    """

    name: str
    kind: Kind
    reference: pl.Series
    current: pl.Series
    note: str
    levels: pl.DataFrame
    stretches: tuple[pl.Series, pl.Series] = (_NOTHING, _NOTHING)
    texts: tuple[pl.Series, pl.Series] = (_NO_TEXT, _NO_TEXT)

    @property
    def missing(self) -> Counts:
        """Rows without a value."""
        return Counts(self.reference.null_count(), self.current.null_count())

    @property
    def present(self) -> Counts:
        """Rows with a value."""
        return Counts(self.reference.count(), self.current.count())


def pair_up(reference: pl.Series, current: pl.Series, kind: Kind | None = None) -> Pair:
    """Both sides of a column as a pair; `kind` says what it is where the caller knows.

    >>> pair = pair_up(pl.Series("age", [20, 30, 40]), pl.Series("age", ["31", "n/a", None]))
    >>> pair.kind, pair.current.to_list()
    ('number', [None, None, 31.0])
    >>> pair.note
    '1 current value is no number (it is String now) and counts as missing.'
    """
    kind = kind or kind_of(reference, current)
    step = max(1, math.ceil(len(current) / STRETCH_ROWS))
    sides = [_side(series, kind, step) for series in (reference, current)]
    note = " ".join(
        filter(
            None,
            [_note(sides[0], "reference", kind, ""), _note(sides[1], "current", kind, f" (it is {current.dtype} now)")],
        )
    )
    before, after = sides[0].values, sides[1].values
    levels = count_levels(before, after) if kind == "category" else _NO_LEVELS
    stretches = sides[0].stretch, sides[1].stretch
    texts = (_as_category(reference), _as_category(current)) if kind == "text" else (_NO_TEXT, _NO_TEXT)
    return Pair(reference.name, kind, before, after, note, levels, stretches, texts)


def paired(reference: pl.Series, current: pl.Series, kind: Kind | None = None) -> Pair:
    """As `pair_up`; a column that breaks it is a pair of kind `other`, as it came, and the note says so."""
    try:
        return pair_up(reference, current, kind)
    except BREAKS as error:
        return Pair(reference.name, "other", reference, current, why_broken(reference.name, "read", error), _NO_LEVELS)


def why_broken(column: str, done: str, error: BaseException) -> str:
    """What is told of a column that could not be read or tested; all of it goes to the log, for it may hold values."""
    _log.warning("column %r could not be %s", column, done, exc_info=error)
    return f"It could not be {done} ({type(error).__name__}); the log says more."


def count_levels(reference: pl.Series, current: pl.Series) -> pl.DataFrame:
    """Rows of each level in both samples, those with most rows in both together first, then by name.

    reference, current: String, nulls are left out. Columns: `level`, String; `reference` and `current`, Int64.

    >>> count_levels(pl.Series(["Ulm", "Bonn"]), pl.Series(["Rome", "Bonn", None])).rows()
    [('Bonn', 1, 1), ('Rome', 0, 1), ('Ulm', 1, 0)]
    """
    sides = [
        series.drop_nulls().alias("level").value_counts(name=name).cast({name: pl.Int64})
        for name, series in (("reference", reference), ("current", current))
    ]
    both = sides[0].join(sides[1], on="level", how="full", coalesce=True).fill_null(0)
    return both.sort(pl.col("reference") + pl.col("current"), "level", descending=[True, False])


class _Side(NamedTuple):
    """One side of a pair: its values, some in their order, and how many raw ones were unreadable or infinite."""

    values: pl.Series
    stretch: pl.Series
    lost: int
    infinite: int


def _side(series: pl.Series, kind: Kind, step: int) -> _Side:
    raw = _without_nan(series)
    values = values_of(raw, kind)
    stretch = values.gather_every(step, max(0, len(values) - STRETCH_ROWS * step))  # a copy, which frees the rest
    if kind in _SORTED:
        values = _sorted(values)
    infinite = int(np.isinf(present_of(values).to_numpy()).sum()) if kind == "number" else 0
    return _Side(values, stretch, values.null_count() - raw.null_count(), infinite)


def _sorted(values: pl.Series) -> pl.Series:
    """Ascending, nulls first. NumPy sorts numbers in a fifth of the time: a million in 5 ms."""
    if values.dtype != pl.Float64:
        return values.sort()
    nothing = pl.Series(values.name, [None], dtype=pl.Float64).new_from_index(0, values.null_count())
    return nothing.extend(pl.Series(values.name, np.sort(values.drop_nulls().to_numpy())))


def present_of(ascending: pl.Series) -> pl.Series:
    """The values of a side that a pair has sorted, without copying them: nulls come first."""
    return ascending.slice(ascending.null_count())


def _note(side: _Side, name: str, kind: Kind, now: str) -> str:
    notes: list[str] = []
    if side.lost == 1:
        notes.append(f"1 {name} value is no {kind}{now} and counts as missing.")
    elif side.lost:
        notes.append(f"{side.lost:,} {name} values are no {kind}{now} and count as missing.")
    if side.infinite:
        notes.append(f"{side.infinite:,} {name} value{'s are' if side.infinite > 1 else ' is'} infinite.")
    return " ".join(notes)


def _without_nan(series: pl.Series) -> pl.Series:
    return series.fill_nan(None) if series.dtype.is_float() else series


def values_of(series: pl.Series, kind: Kind) -> pl.Series:
    """A column's values as those of a kind, in the rows' order; null is missing, and so is NaN.

    >>> values_of(pl.Series("age", ["31", "n/a", None]), "number").to_list()
    [31.0, None, None]
    """
    return _without_nan(_CONVERT[kind](_without_nan(series)))


def kind_of(reference: pl.Series, current: pl.Series) -> Kind:
    """What a column is by its type; the current one's where the reference has nothing but nulls.

    Strings are times if each is one by ISO 8601, as csv and JSON have them; text if they have three words on average
    and most of them differ; else categories.
    """
    series = current if reference.dtype == pl.Null else reference
    dtype = series.dtype
    if dtype.is_numeric() or dtype in (pl.Duration, pl.Time):
        return "number"
    if dtype in (pl.Datetime, pl.Date):
        return "time"
    if dtype == pl.String:
        values = series.drop_nulls().head(_TOLD_BY)
        return "time" if _are_times(values) else "text" if _are_text(values) else "category"
    return "category" if dtype in (pl.Boolean, pl.Categorical, pl.Enum, pl.Null) else "other"


def _are_times(values: pl.Series) -> bool:
    first = values.head(1)  # tells most columns that are none
    return len(first) > 0 and parse_times(first).null_count() == 0 and parse_times(values).null_count() == 0


def _are_text(values: pl.Series) -> bool:
    if not len(values) or values.n_unique() <= _TEXT_DISTINCT * len(values):
        return False
    spaces = cast("float", values.str.count_matches(r"\s+").mean())
    return spaces >= _TEXT_WORDS - 1


def _as_number(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64)
    if series.dtype == pl.Time:
        return (series.to_physical() // 1000).cast(pl.Float64)
    if series.dtype in _STRINGS:
        return series.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        return series.cast(pl.Float64, strict=False)
    return _unreadable(series, pl.Float64())


def _as_category(series: pl.Series) -> pl.Series:
    if series.dtype.is_float():  # whole numbers with nulls come as floats from pandas and csv
        whole = series.cast(pl.Int64, strict=False)
        same = (whole.cast(pl.Float64) == series).fill_null(
            value=True
        ).all() and whole.null_count() == series.null_count()
        return (whole if same else series).cast(pl.String)
    if series.dtype in _STRINGS or series.dtype.is_numeric() or series.dtype == pl.Boolean:
        return series.cast(pl.String)
    return _unreadable(series, pl.String())


def _as_text(series: pl.Series) -> pl.Series:
    return _as_category(series).str.len_chars().cast(pl.Float64)


def _as_time(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Datetime:
        zone = cast("str | None", getattr(series.dtype, "time_zone", None))
        naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
        return naive.dt.cast_time_unit("us")
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    if series.dtype in _STRINGS:
        return parse_times(series.cast(pl.String))
    return _unreadable(series, pl.Datetime("us"))


def _as_it_is(series: pl.Series) -> pl.Series:
    return series


def _unreadable(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(series.name, [None] * len(series), dtype=dtype)


_CONVERT: dict[Kind, Callable[[pl.Series], pl.Series]] = {
    "number": _as_number,
    "category": _as_category,
    "text": _as_text,
    "time": _as_time,
    "other": _as_it_is,
}
