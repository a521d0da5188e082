"""A profile: what is kept of a window of rows. Profiles of the same baseline can be merged, in any order."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.pair import Pair, pair_up, values_of
from monitor.sketches.baseline import Baseline, BaselineColumn
from monitor.sketches.blocks import NO_BLOCKS, stacked
from monitor.sketches.cells import LevelCounter, NumberCells
from monitor.sketches.distinct import count_of, distinct_of, together
from monitor.sketches.exact import exact_sum, mean_of, variance_of
from monitor.sketches.neighbours import blocks_of, gaps_in_order
from monitor.sketches.quantiles import sketch_of, values_at
from storage.errors import DataError

#: Names of columns that the baseline lacks: the first so many of them by name.
_MOST_EXTRA = 50


class Profile(NamedTuple):
    """A window of rows by a baseline of C columns.

    rows: of the window. counts: (K,) int64, for each column the `COUNTERS` and its cells, one after another, as
    `Baseline.starts` has it. blocks: (C, B, `blocks.WIDTH`) int64, the tallies of each column. sums: for each column
    the exact sums of x - centre and of its square, as `exact` has them. lows, highs: (C,), the extremes; NaN where
    there is none. quantiles: for each column the KLL sketches of its values; distinct: one sketch. extra: columns that
    the baseline lacks.

    Everything but the KLL sketches and the blocks is the same to the bit for the same rows, however they were parted
    and merged. Blocks lie within the parts, and are the same to the bit in whatever order those are merged.
    """

    baseline: str
    rows: int
    counts: NDArray[np.int64]
    blocks: NDArray[np.int64]
    sums: tuple[tuple[int, int], ...]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    quantiles: tuple[tuple[bytes, ...], ...]
    distinct: tuple[bytes, ...]
    extra: tuple[str, ...]


class Summary(NamedTuple):
    """A column of a profile in figures; those that it cannot have are None.

    rows: in which the column was there. missing: of them without a value; lost: of these, with one that is not of the
    column's kind. infinite: or too large to be squared; mean, deviation and extremes leave them out. unseen: with a
    level that the reference lacks. distinct: different values, within 2.5%.
    """

    rows: int
    missing: int
    lost: int
    infinite: int
    unseen: int
    distinct: float | None
    mean: float | None
    deviation: float | None
    minimum: float | None
    maximum: float | None


class _Column(NamedTuple):
    """One column's part of a profile."""

    counts: NDArray[np.int64]
    blocks: NDArray[np.int64]
    sums: tuple[int, int]
    low: float
    high: float
    quantiles: bytes
    distinct: bytes


def profile(frame: pl.DataFrame, baseline: Baseline) -> Profile:
    """The profile of a window's rows.

    A column that the window lacks, as when it was redacted, counts no rows; one that the baseline lacks is named as
    extra. What cannot be read as the column's kind counts as missing and lost. Null and NaN are missing, infinities lie
    in the outermost cells. Rows are taken for ordered in time.

    >>> baseline = Baseline.of(pl.DataFrame({"age": [20.0, 30.0, 40.0] * 100}))
    >>> window = profile(pl.DataFrame({"age": ["25", "n/a", None, "35"]}), baseline)
    >>> summary = summary_of(window, baseline, "age")
    >>> summary.rows, summary.missing, summary.lost, summary.mean, summary.maximum
    (4, 2, 1, 30.0, 35.0)
    """
    parts = [
        _counted(frame[column.name], baseline, place) if column.name in frame.columns else _absent(column)
        for place, column in enumerate(baseline.columns)
    ]
    names = {column.name for column in baseline.columns}
    return Profile(
        baseline=baseline.digest,
        rows=frame.height,
        counts=np.concatenate([part.counts for part in parts]),
        blocks=stacked([part.blocks for part in parts]),
        sums=tuple(part.sums for part in parts),
        lows=np.array([part.low for part in parts]),
        highs=np.array([part.high for part in parts]),
        quantiles=tuple((part.quantiles,) if part.quantiles else () for part in parts),
        distinct=tuple(part.distinct for part in parts),
        extra=tuple(sorted(name for name in frame.columns if name not in names)[:_MOST_EXTRA]),
    )


def merge(profiles: Sequence[Profile]) -> Profile:
    """The profile of all rows of several windows, which are one at least; their order makes no difference.

    Raises DataError if they were made by different baselines.
    """
    first = profiles[0]
    for one in profiles:
        if one.baseline != first.baseline:
            raise DataError(
                f"Profiles of the baselines {first.baseline[:12]} and {one.baseline[:12]} cannot be merged: their "
                "cells differ. Merge those of one baseline, or profile the rows anew."
            )
    return Profile(
        baseline=first.baseline,
        rows=sum(one.rows for one in profiles),
        counts=np.sum([one.counts for one in profiles], axis=0),
        blocks=stacked([one.blocks for one in profiles]).sum(axis=0),
        sums=tuple(
            (sum(total for total, _ in sums), sum(squares for _, squares in sums))
            for sums in zip(*(one.sums for one in profiles), strict=True)
        ),
        lows=np.fmin.reduce([one.lows for one in profiles]),
        highs=np.fmax.reduce([one.highs for one in profiles]),
        quantiles=tuple(
            tuple(sorted(sketch for some in sketches for sketch in some))
            for sketches in zip(*(one.quantiles for one in profiles), strict=True)
        ),
        distinct=tuple(together(sketches) for sketches in zip(*(one.distinct for one in profiles), strict=True)),
        extra=tuple(sorted({name for one in profiles for name in one.extra})[:_MOST_EXTRA]),
    )


def summary_of(window: Profile, baseline: Baseline, name: str) -> Summary:
    """A column of a window in figures. Raises DataError for a column that the baseline lacks."""
    place = baseline.place(name)
    column = baseline.columns[place]
    rows, missing, lost, infinite, unseen, _ = column_counts(window, baseline, place)[:6].tolist()
    measured = rows - missing - infinite if column.measured else 0
    total, squares = window.sums[place]
    has_extremes = bool(np.isfinite(window.lows[place]))
    return Summary(
        rows=rows,
        missing=missing,
        lost=lost,
        infinite=infinite,
        unseen=unseen,
        distinct=count_of(window.distinct[place]) if column.cells else None,
        mean=column.centre + mean_of(total, measured) if measured else None,
        deviation=variance_of(total, squares, measured) ** 0.5 if measured else None,
        minimum=float(window.lows[place]) if has_extremes else None,
        maximum=float(window.highs[place]) if has_extremes else None,
    )


def quantiles_of(window: Profile, baseline: Baseline, name: str, shares: Sequence[float]) -> list[float | None]:
    """The values below which these shares of a column's values lie; None where there are none, or none are kept.

    Their rank is right within 2% (see `quantiles.py`); at cuts of the baseline it is exact. Raises DataError for a
    column that the baseline lacks, and for one without numbers.
    """
    place = baseline.place(name)
    column = baseline.columns[place]
    if not isinstance(column.cells, NumberCells):
        raise DataError(f"Column {name!r} is a {column.kind} without numbers, so it has no quantiles. Ask for others.")
    if column.private:
        return [None] * len(shares)
    counts = column_counts(window, baseline, place)[6:]
    ends = (float(window.lows[place]), float(window.highs[place]))
    found = values_at(np.array(shares), column.cells, counts, window.quantiles[place], ends)
    return [None if np.isnan(value) else value for value in found.tolist()]


def column_counts(window: Profile, baseline: Baseline, place: int) -> NDArray[np.int64]:
    """One column's counts: the `COUNTERS`, then its cells."""
    return window.counts[baseline.starts[place] : baseline.starts[place + 1]]


def _absent(column: BaselineColumn) -> _Column:
    counts = _vector(0, 0, 0, 0, 0, 0, cells=np.zeros(_size(column), np.int64))
    return _Column(counts, NO_BLOCKS, (0, 0), np.nan, np.nan, b"", b"")


def _size(column: BaselineColumn) -> int:
    return column.cells.size if column.cells else 0


def _vector(*counters: int, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.array(counters, np.int64), cells])


def _counted(series: pl.Series, baseline: Baseline, place: int) -> _Column:
    column = baseline.columns[place]
    pair = pair_up(series.clear(), series, column.kind)
    latest = pair.stretches[1]
    values = latest if len(latest) == len(series) else values_of(series, column.kind)
    blocks = blocks_of(baseline.in_order(place, values), gaps_in_order(values))
    return _counted_values(series, pair, column, baseline.counters[place])._replace(blocks=blocks)


def _counted_values(series: pl.Series, pair: Pair, column: BaselineColumn, counter: LevelCounter | None) -> _Column:
    """All but the blocks."""
    rows, missing = len(series), pair.missing.current
    nan = int(series.is_nan().sum()) if series.dtype.is_float() else 0
    lost = missing - series.null_count() - nan
    if counter is not None:
        return _counted_levels(pair, rows, missing, lost, counter)
    if isinstance(column.cells, NumberCells):
        return _counted_numbers(pair, rows, missing, lost, column, column.cells)
    return _absent(column)._replace(counts=_vector(rows, missing, lost, 0, 0, 0, cells=np.zeros(0, np.int64)))


def _counted_levels(pair: Pair, rows: int, missing: int, lost: int, counter: LevelCounter) -> _Column:
    names = pair.levels.get_column("level").to_list()
    counted = counter.count(names, pair.levels.get_column("current").to_numpy())
    counts = _vector(rows, missing, lost, 0, counted.unseen, counted.unknown, cells=counted.cells)
    return _Column(counts, NO_BLOCKS, (0, 0), np.nan, np.nan, b"", distinct_of(names))


def _counted_numbers(
    pair: Pair, rows: int, missing: int, lost: int, column: BaselineColumn, cells: NumberCells
) -> _Column:
    values = cast("NDArray[np.float64]", pair.current.drop_nulls().to_numpy())
    with np.errstate(over="ignore", invalid="ignore"):
        centred = values - column.centre
        squares = centred**2
    measured = np.isfinite(squares)
    kept = values[measured]
    # Squares below the smallest float vanish, which nobody will see beside others.
    sums = (exact_sum(centred[measured]), exact_sum(squares[measured]))
    shown = len(kept) > 0 and not column.private
    return _Column(
        counts=_vector(rows, missing, lost, len(values) - len(kept), 0, 0, cells=cells.count(values)),
        blocks=NO_BLOCKS,
        sums=sums,
        low=float(kept[0]) if shown else np.nan,
        high=float(kept[-1]) if shown else np.nan,
        quantiles=b"" if column.private else sketch_of(values),
        distinct=distinct_of(values.tolist()),
    )
