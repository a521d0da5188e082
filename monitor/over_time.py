"""Columns over the window, piece by piece beside what the reference would give, and values that are unlike it.

Both are for looking at: nothing here is a test, and of thirty pieces one or two lie outside of their band by chance.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.drift import Kind
from monitor.pair import count_levels, level_rows, values_of
from monitor.report import Examples, Moment, OverTime

#: A window is cut into at most so many pieces, which still have room on a phone.
PIECES = 30

#: How long a piece may be, in seconds: the shortest one of which `PIECES` are enough. Longer windows: equal parts.
_STEPS_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400)

#: 95 of 100 of a normal distribution lie within so many standard deviations.
_NORMAL_95 = 1.959964

#: Up to so many rows the band of a mean is found by drawing as many rows of the reference, so often: the normal
#: approximation asks for more where values are skewed.
_FEW_ROWS, _DRAWS = 30, 1000

_SHOWN, _CHARACTERS, _BINS = 5, 60, 10
#: Rows of the reference's texts whose words are known, evenly spaced.
_TEXT_ROWS = 16_384

_Floats = NDArray[np.float64]


class _Usual(NamedTuple):
    """A column as numbers whose mean is told: what it is in words, and both sides (rows,), NaN for what is left out.

    is_share: whether they are 1 for rows that have a level, and 0 for others.
    """

    of: str
    reference: _Floats
    current: _Floats
    is_share: bool = False


def over_time(
    frame: pl.DataFrame,
    times: pl.Series,
    reference: pl.DataFrame,
    kinds: Mapping[str, Kind],
    start: datetime,
    end: datetime,
) -> tuple[OverTime, ...]:
    """The columns of `kinds` in each piece of `start <= time < end`; columns that either side lacks are left out.

    times: Datetime with a time zone, a row of the frame each; other rows than the window's are left out. A piece is
    the shortest of one minute to a week of which `PIECES` are enough, the last one ends with the window.

    Missing values and infinities are left out of a mean; a column without any value in the reference has no entry, nor
    have times, columns of other kinds and numbers whose mean is beyond the largest float. The band of a mean of n rows
    is u ± 1.96 s √(1/n + 1/N), of a reference of N rows with mean u and standard deviation s (normal approximation; up
    to 30 rows it also holds the 2.5% and 97.5% quantiles of means of n rows drawn from the reference, with a fixed
    seed). That of a share p is the binomial distribution's: from the 2.5% to the 97.5% quantile of n rows, divided by
    n. Rows are taken for independent.
    """
    edges = _edges(start, end)
    # of the window's rows, the number of the piece; search is by microseconds since 1970
    micros = times.cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
    piece = np.searchsorted([_micros(edge) for edge in edges], micros, side="right") - 1
    inside = (piece >= 0) & (piece < len(edges) - 1)
    found: list[OverTime] = []
    for name, kind in kinds.items():
        if name not in frame.columns or name not in reference.columns:
            continue
        usual = _as_numbers(reference[name], frame[name], kind)
        if usual is None or not np.isfinite(usual.reference).any():
            continue
        column = _column(name, usual, piece, inside, edges)
        if np.isfinite(column.usual):  # numbers near the largest float have no mean
            found.append(column)
    return tuple(found)


def _edges(start: datetime, end: datetime) -> list[datetime]:
    """Where pieces begin, and the end of the last one."""
    length_s = (end - start).total_seconds()
    step = next((timedelta(seconds=s) for s in _STEPS_S if length_s / s <= PIECES), (end - start) / PIECES)
    edges = [start]
    while len(edges) < PIECES and edges[-1] + step < end:
        edges.append(edges[-1] + step)
    return [*edges, end]


def _micros(time: datetime) -> int:
    return int(pl.Series([time]).cast(pl.Datetime("us", "UTC")).to_physical()[0])


def _as_numbers(reference: pl.Series, current: pl.Series, kind: Kind) -> _Usual | None:
    """Both sides as numbers, None for kinds that have none or a category without a level."""
    if kind not in ("number", "text", "category"):
        return None
    before, after = (values_of(side, kind) for side in (reference, current))
    if kind != "category":
        return _Usual("mean length in characters" if kind == "text" else "mean", _finite(before), _finite(after))
    levels = level_rows(before).get_column("level")
    if levels.is_empty():
        return None
    level = levels[0]
    return _Usual(f"share of {level!r}", _finite(before == level), _finite(after == level), is_share=True)


def _finite(values: pl.Series) -> _Floats:
    numbers = values.cast(pl.Float64).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _column(
    name: str, usual: _Usual, piece: NDArray[Any], inside: NDArray[np.bool_], edges: list[datetime]
) -> OverTime:
    known = inside & np.isfinite(usual.current)
    pieces = len(edges) - 1
    rows = np.bincount(piece[known], minlength=pieces)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.bincount(piece[known], weights=usual.current[known], minlength=pieces)
        before = usual.reference[np.isfinite(usual.reference)]
        mean = float(before.mean())
        bands = [_band(before, mean, int(n), is_share=usual.is_share) for n in rows]
        values = [_told(total / n) if n else None for total, n in zip(sums.tolist(), rows.tolist(), strict=True)]
    moments = [
        Moment(at, n, value, *band) for at, n, value, band in zip(edges[:-1], rows.tolist(), values, bands, strict=True)
    ]
    return OverTime(name, usual.of, mean, tuple(moments))


def _band(before: _Floats, mean: float, rows: int, *, is_share: bool) -> tuple[float | None, float | None]:
    """Where 95 of 100 means of so many rows of the reference lie; None for no rows, or where it overflows."""
    if not rows:
        return None, None
    if is_share:
        from scipy.stats import binom

        low, high = binom.ppf([0.025, 0.975], rows, mean) / rows
        return float(low), float(high)
    half = _NORMAL_95 * float(before.std()) * np.sqrt(1 / rows + 1 / len(before))
    low, high = mean - half, mean + half
    if rows <= _FEW_ROWS:
        picks = np.random.default_rng(0).integers(len(before), size=(_DRAWS, rows))
        drawn = np.quantile(before[picks].mean(axis=1), [0.025, 0.975])
        low, high = min(low, float(drawn[0])), max(high, float(drawn[1]))
    return _told(low), _told(high)


def _told(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# --------------------------------------------------------------------------------------------------------- examples


def examples(
    frame: pl.DataFrame, reference: pl.DataFrame, columns: Mapping[str, Kind], hidden: Collection[str]
) -> tuple[Examples, ...]:
    """Values of columns that show what is unlike the reference, cut to 60 characters; nothing of hidden columns.

    Categories: levels that the reference does not have, most frequent first; else those whose share grew most.
    Numbers: values beyond the reference's, furthest first; else some of that tenth of the reference whose share grew
    most. Texts: longer or shorter than all of the reference's; else those with most words that it does not have.
    A column of another kind, without values, or in which nothing of this is found, has no entry.
    """
    found: list[Examples] = []
    for name, kind in columns.items():
        if name in hidden or name not in frame.columns or name not in reference.columns:
            continue
        before, after = (_values(side[name], kind) for side in (reference, frame))
        if before.is_empty() or after.is_empty():
            continue
        look = {"category": _levels, "number": _numbers, "text": _texts}.get(kind)
        why, values = look(before, after) if look else ("", [])
        if values:
            found.append(Examples(name, why, tuple(_cut(value) for value in values[:_SHOWN])))
    return tuple(found)


def _values(series: pl.Series, kind: Kind) -> pl.Series:
    if kind == "text":
        return series.cast(pl.String, strict=False).drop_nulls()
    return values_of(series, kind).drop_nulls()


def _levels(before: pl.Series, after: pl.Series) -> tuple[str, list[str]]:
    levels = count_levels(before, after)
    unseen = levels.filter(pl.col("reference") == 0).sort("current", "level", descending=[True, False])
    if unseen.height:
        return "levels that the reference does not have", unseen["level"].to_list()
    grown = levels.with_columns(by=pl.col("current") / len(after) - pl.col("reference") / len(before))
    grown = grown.filter(pl.col("by") > 0).sort("by", "level", descending=[True, False])
    return "levels whose share grew most", grown["level"].to_list()


def _numbers(before: pl.Series, after: pl.Series) -> tuple[str, list[str]]:
    low, high = float(before.to_numpy().min()), float(before.to_numpy().max())
    values = np.unique(after.to_numpy())
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.maximum(low - values, values - high)  # inf - inf is no distance: not beyond
    far = np.flatnonzero(beyond > 0)
    if far.size:
        order = far[np.argsort(-beyond[far], kind="stable")]
        return f"values beyond the reference's {low:.6g} to {high:.6g}", [f"{value:.6g}" for value in values[order]]
    cuts = np.unique(np.quantile(before.to_numpy(), np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    places = [np.searchsorted(cuts, side.to_numpy()) for side in (before, after)]
    shares = [np.bincount(at, minlength=len(cuts) + 1) / len(at) for at in places]
    most = int(np.argmax(shares[1] - shares[0]))
    if shares[1][most] <= shares[0][most]:
        return "", []
    held = np.unique(after.to_numpy()[places[1] == most])
    return "values of the range whose share grew most", [f"{value:.6g}" for value in _spread(held)]


def _spread(values: Sequence[Any] | NDArray[Any]) -> Iterator[Any]:
    """Up to five, evenly."""
    at = np.unique(np.linspace(0, len(values) - 1, _SHOWN).round().astype(int))
    return (values[index] for index in at)


def _texts(before: pl.Series, after: pl.Series) -> tuple[str, list[str]]:
    lengths = before.str.len_chars()
    least, most = lengths.min(), lengths.max()
    texts = pl.DataFrame({"text": after.unique(maintain_order=True)}).with_columns(n=pl.col("text").str.len_chars())
    odd = texts.filter((pl.col("n") < least) | (pl.col("n") > most)).sort("n", descending=True)
    if odd.height:
        return f"lengths beyond the reference's {least} to {most} characters", odd["text"].to_list()
    step = max(1, len(before) // _TEXT_ROWS)
    known = before.gather_every(step).str.to_lowercase().str.extract_all(r"\w+").explode().unique()
    news = texts.head(_TEXT_ROWS).with_columns(
        new=pl.col("text")
        .str.to_lowercase()
        .str.extract_all(r"\w+")
        .list.set_difference(known.drop_nulls().to_list())
        .list.len()
    )
    news = news.filter(pl.col("new") > 0).sort("new", descending=True, maintain_order=True)
    return "words that the reference does not have", news["text"].to_list()


def _cut(value: str) -> str:
    return value if len(value) <= _CHARACTERS else value[: _CHARACTERS - 1] + "…"
