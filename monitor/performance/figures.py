"""Figures: metrics with intervals, and how far they fell below the reference."""

import math
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from monitor.performance.metrics import Measured, Metric

#: Half the width of a 95 % interval, in standard errors.
WIDTH = 1.959963984540054

#: A smaller drop is a trifle, however sure: two rows in a hundred, as drift's `MINIMUM_EFFECT`; of losses, which have
#: no scale of their own, a twentieth of the reference's.
LEAST_DROP = 0.02
LEAST_GROWTH = 0.05


class Figure(Struct, frozen=True):
    """A metric with the ends of its 95 % interval. rows: that it is of. note: why there is none."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    note: str = ""


class Drop(Struct, frozen=True):
    """How much worse a metric is than in the reference.

    drop: above 0 is worse, whichever way the metric points; low, high: the ends of its 95 % interval.
    p_value: the chance of such a drop, or a greater one, if nothing has changed. threshold: at or below it is beyond
    chance. floor: a smaller drop is a trifle. dropped: p_value <= threshold and drop >= floor.
    """

    metric: str
    reference: float
    current: float
    drop: float
    low: float
    high: float
    p_value: float
    threshold: float
    floor: float
    dropped: bool


class Ends(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def figure_of(metric: Metric, measured: Measured) -> Figure:
    """A measured metric with its interval; without a value where it is not defined."""
    if not math.isfinite(measured.value):
        return Figure(metric.name, None, None, None, measured.rows, _why_none(metric, measured))
    low, high = interval(metric, measured)
    return Figure(metric.name, measured.value, low, high, measured.rows)


def _why_none(metric: Metric, measured: Measured) -> str:
    if not measured.rows:
        return "No row has a label."
    if metric.name == "r2":
        return "All truths are equal."
    return "All rows are of one class." if metric.name != "precision" else "No row was called the second class."


def interval(metric: Metric, measured: Measured, width: float = WIDTH) -> Ends:
    """Where the metric lies with the chance that `width` standard errors stand for.

    Shares have Wilson's interval at the number of rows that their error is worth, since the plain one is far too narrow
    near 0 and 1; losses one that is even in their logarithm, since they are skewed; scores the plain one.

    >>> from monitor.performance.metrics import metrics_of
    >>> (accuracy,) = metrics_of("binary", ("accuracy",))
    >>> [round(end, 4) for end in interval(accuracy, Measured(1.0, 0.0, 30, 30))]
    [0.8865, 1.0]
    """
    value, error = measured.value, measured.error
    match metric.range:
        case "share":
            return _wilson(value, _worth(measured), width)
        case "loss" if value > 0:
            factor = math.exp(min(width * error / value, 700.0))
            return Ends(value / factor, value * factor)
        case "score":
            return Ends(value - width * error, min(value + width * error, 1.0))
        case _:
            return Ends(value, value + width * error)


def _worth(measured: Measured) -> float:
    """How many independent rows the error is worth."""
    value, error = measured.value, measured.error
    spread = value * (1 - value)
    return spread / error**2 if error > 0 and spread > 0 else max(measured.weight, 1.0)


def _wilson(value: float, rows: float, width: float) -> Ends:
    """Wilson, Journal of the American Statistical Association 22 (1927)."""
    square = width**2 / rows
    middle = (value + square / 2) / (1 + square)
    half = width * math.sqrt(value * (1 - value) / rows + square / (4 * rows)) / (1 + square)
    return Ends(max(min(middle - half, value), 0.0), min(max(middle + half, value), 1.0))


def floor_of(metric: Metric, reference: float) -> float:
    """The smallest drop that is no trifle."""
    return LEAST_GROWTH * abs(reference) if metric.range == "loss" else LEAST_DROP


def drop_of(metric: Metric, reference: Measured, current: Measured, threshold: float, floor: float) -> Drop:
    """Is the metric worse than in the reference, beyond chance and by more than a trifle?

    Both are samples. The interval of the difference is made of both intervals (Newcombe, Statistics in Medicine 17
    (1998); Zou and Donner, Statistics in Medicine 27 (2008)), and the p-value is the level at which it just touches 0.
    """
    sign = -1.0 if metric.greater_is_better else 1.0
    drop = sign * (current.value - reference.value)

    def reach(width: float, *, better: bool) -> float:
        """How far the drop may be smaller, or greater, at a width: both ends of the intervals towards it."""
        now, before = interval(metric, current, width), interval(metric, reference, width)
        down = better == metric.greater_is_better  # whether the current end is the upper one
        ends = (now.high - current.value, reference.value - before.low)
        others = (current.value - now.low, before.high - reference.value)
        return math.hypot(*(ends if down else others))

    p_value = _p_value(drop, lambda width: reach(width, better=drop > 0))
    low, high = drop - reach(WIDTH, better=True), drop + reach(WIDTH, better=False)
    dropped = p_value <= threshold and drop >= floor
    return Drop(
        metric.name, reference.value, current.value, drop, low, high, p_value, threshold, floor, dropped=dropped
    )


_WIDEST = 38.0  # beyond it the chance is no longer a float


def _p_value(drop: float, reach: Callable[[float], float]) -> float:
    """The chance of a drop so large: of the width at which the interval just reaches 0, found by halving."""
    low, high = 0.0, _WIDEST
    for _ in range(60):
        width = (low + high) / 2
        low, high = (width, high) if reach(width) < abs(drop) else (low, width)
    tail = math.erfc(low / math.sqrt(2)) / 2
    return tail if drop > 0 else 1 - tail
