"""What a chart of a column shows: both samples counted over shared bins or levels."""

from typing import Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.drift import Bars, Counts, Histogram, Kind
from monitor.pair import Pair, present_of
from monitor.two_sample import LEAST_EXPECTED, expected_share

#: Bins of a histogram: fine enough to show two humps, coarse enough to be smooth at a few hundred rows.
BINS = 28

#: Levels that get a bar of their own.
LEVELS = 10

#: Share of rows on each side that may lie beyond the bins, so that one outlier does not squeeze all others into one.
_TAIL = 0.005

#: A tail that is at most this part of the bins' span is shown whole.
_SHORT_TAIL = 0.25

#: Bins end here, so that their width is a number.
_LARGEST = 1e300

_UNITS: dict[Kind, Literal["value", "characters", "time"]] = {
    "number": "value",
    "text": "characters",
    "time": "time",
}

#: A bar's name is cut to this many characters.
_LEVEL_CHARACTERS = 60


def chart_of(pair: Pair) -> Histogram | Bars | None:
    """The chart of a column; None where there is no value, or no way to draw one."""
    if not any((pair.present.reference, pair.present.current)) or pair.kind == "other":
        return None
    return bars(pair) if pair.kind == "category" else histogram(pair)


def histogram(pair: Pair) -> Histogram | None:
    """Numbers, lengths or times over shared bins; None if all are infinite.

    Bins span both samples but for their outermost half per cent, which the first and the last bin take in; whole
    numbers within a small range get a bin each.

    >>> from monitor.pair import pair_up
    >>> drawn = histogram(pair_up(pl.Series([1, 2, 2]), pl.Series([2, 3, None])))
    >>> drawn.edges, drawn.reference, drawn.current
    ((0.5, 1.5, 2.5, 3.5), (1, 2, 0), (0, 1, 1))
    """
    x, y = _ascending(pair.reference), _ascending(pair.current)
    finite = [values for values in map(_finite, (x, y)) if len(values)]
    if not finite:
        return None
    edges = _edges(finite)
    return Histogram(
        unit=_UNITS[pair.kind],
        edges=tuple(edges.tolist()),
        reference=_count(x, edges),
        current=_count(y, edges),
        below=Counts(int(np.searchsorted(x, edges[0], "left")), int(np.searchsorted(y, edges[0], "left"))),
        above=Counts(
            len(x) - int(np.searchsorted(x, edges[-1], "right")), len(y) - int(np.searchsorted(y, edges[-1], "right"))
        ),
    )


def bars(pair: Pair) -> Bars:
    """The levels that changed most and the commonest ones, commonest in the reference first, and the sum of the rest.

    Change is looked for among frequent levels: the shares of rare ones are mostly chance.
    """
    # A single level that is left gets its own bar too: "1 other level" would tell less in the same space.
    every = pair.levels.height <= LEVELS + 1
    chosen = pair.levels if every else _most_changed_first(pair.levels)
    shown = pair.levels.height if every else LEVELS
    top, rest = chosen.head(shown).sort("reference", "current", descending=True), chosen.slice(shown)
    return Bars(
        levels=tuple(_short(level) for level in top.get_column("level")),
        reference=tuple(top.get_column("reference")),
        current=tuple(top.get_column("current")),
        others=rest.height,
        rest=Counts(int(rest.get_column("reference").sum()), int(rest.get_column("current").sum())),
    )


def _most_changed_first(levels: pl.DataFrame) -> pl.DataFrame:
    """The levels, up to half a chart of frequent ones whose share changed most moved to the front."""
    reference, current = levels.get_column("reference").to_numpy(), levels.get_column("current").to_numpy()
    frequent = (reference + current) * expected_share(reference, current) >= LEAST_EXPECTED
    change = abs(reference / max(reference.sum(), 1) - current / max(current.sum(), 1)) * frequent
    first = np.argsort(-change, kind="stable")[: min(LEVELS // 2, int(frequent.sum()))]
    return levels[np.concatenate([first, np.setdiff1d(np.arange(levels.height), first)])]


def _ascending(series: pl.Series) -> NDArray[np.float64]:
    return cast("NDArray[np.float64]", present_of(series).cast(pl.Float64).to_numpy())


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of ascending values, without copying millions."""
    return values[np.searchsorted(values, -np.inf, "right") : np.searchsorted(values, np.inf, "left")]


def _are_whole(values: NDArray[np.float64]) -> bool:
    """Whether each value is a whole number; a few tell of most columns that they are not."""
    return all(bool((some == np.floor(some)).all()) for some in (values[:: max(1, len(values) // 100)], values))


def _edges(samples: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Edges over ascending, finite samples with a value each."""
    low, high = _span(samples)
    if all(map(_are_whole, samples)):
        low, high = np.floor(low), np.ceil(high)
        width = np.ceil((high - low + 1) / BINS)
        edges = low - 0.5 + width * np.arange(np.ceil((high - low + 1) / width) + 1)
    elif low == high:
        edges = np.array([low - 0.5, low + 0.5])
    else:
        edges = np.linspace(low, high, BINS + 1)
    edges = np.unique(edges)  # far from zero, neighbours may be the same float
    return edges if len(edges) > 1 else np.array([low, np.nextafter(low, np.inf)])


def _span(samples: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Where bins begin and end: at the extremes, or before them if the tails are long."""
    near, far = _TAIL, 1 - _TAIL
    low = _bounded(min(values[int(near * (len(values) - 1))] for values in samples))
    high = _bounded(max(values[int(np.ceil(far * (len(values) - 1)))] for values in samples))
    least = _bounded(min(values[0] for values in samples))
    most = _bounded(max(values[-1] for values in samples))
    margin = _SHORT_TAIL * (high - low)
    return (least if least >= low - margin else low), (most if most <= high + margin else high)


def _bounded(value: float) -> float:
    return float(max(-_LARGEST, min(_LARGEST, value)))


def _count(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[int, ...]:
    """Ascending values in each bin; the outermost bins take in what lies beyond."""
    inner = np.searchsorted(values, edges[1:-1], "left")
    return tuple(np.diff(inner, prepend=0, append=len(values)).tolist())


def _short(level: str) -> str:
    return level if len(level) <= _LEVEL_CHARACTERS else level[: _LEVEL_CHARACTERS - 1] + "…"
