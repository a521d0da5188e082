"""What chance makes of bias metrics: intervals by resampling a table's rows, and tests of two tables' difference.

Rows that are alike to a metric are cells of a table of counts, so drawing rows with replacement is one multinomial
draw, and dealing two tables' rows out again one multivariate hypergeometric draw.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.facets.metrics import Metric

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Bootstrap resamples: the standard deviation of 1,000 draws is known to 2 %.
_RESAMPLES = 1_000
#: Of the resamples, those on which a metric must be finite for it to have an interval.
_FINITE_SHARE = 0.95
#: Draws of a test: so many, and where a p-value comes within ten times of what matters, ten times what the smallest one
#: that matters takes; bounded, as are draws times cells.
_DRAWS, _MOST_DRAWS, _MOST_CELLS = 1_000, 50_000, 20_000_000
_CLOSE = 10


class Interval(NamedTuple):
    """The ends of an interval; equal where resamples do not differ."""

    low: float
    high: float


def bootstrap_interval(metric: Metric, counts: Counts, level: float, seed: int) -> Interval | None:
    """The normal bootstrap interval: value ± z × the standard deviation of the metric over resamples of the rows.

    None where the metric is not a number, or not finite on more than 5 % of the resamples. A metric that is infinite on
    all of them has both ends there. Clarify uses this kind of interval (Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 13).
    """
    from scipy.special import ndtri

    value = float(metric.of(counts.astype(np.float64)))
    rows = int(counts.sum())
    if np.isnan(value) or not rows:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(rows, counts.ravel() / rows, size=_RESAMPLES).reshape(_RESAMPLES, *counts.shape)
    values = metric.of(drawn.astype(np.float64))
    if np.isinf(value):
        return Interval(value, value) if (values == value).all() else None
    finite = values[np.isfinite(values)]
    if len(finite) < _FINITE_SHARE * _RESAMPLES:
        return None
    half = float(ndtri((1 + level) / 2)) * float(finite.std(ddof=1))
    return Interval(value - half, value + half)


def difference_p_values(
    metrics: Sequence[Metric], reference: Counts, current: Counts, threshold: float, seed: int
) -> list[float | None]:
    """For each metric the p-value of its difference between two tables; None where either side has no value.

    metrics: of the same counts. threshold: the p-value that matters; it decides on the number of draws. A metric's
    statistic is |difference| / its standard error by the jackknife. The p-values hold for all metrics together: without
    drift, the chance that the smallest is at most p is at most p (Westfall and Young, "Resampling-Based Multiple
    Testing", 1993, the single-step procedure). They are exact where both tables were drawn from one distribution, and
    right in large samples where only the metric is the same (Chung and Romano, "Exact and asymptotically robust
    permutation tests", Annals of Statistics 2013).
    """
    found = _p_values(metrics, reference, current, _DRAWS, seed)
    if min((value for value in found if value is not None), default=1.0) > _CLOSE * threshold:
        return found
    draws = min(int(_CLOSE / threshold), _MOST_DRAWS, _MOST_CELLS // reference.size)
    return found if draws <= _DRAWS else _p_values(metrics, reference, current, draws, seed)


def _p_values(
    metrics: Sequence[Metric], reference: Counts, current: Counts, draws: int, seed: int
) -> list[float | None]:
    statistics: dict[int, Numbers] = {}
    befores, afters = _dealt(reference, current, draws, seed)
    for index, metric in enumerate(metrics):
        found = _statistics(metric, befores, afters)
        if not np.isnan(found[0]):
            statistics[index] = np.where(np.isnan(found), np.inf, found)  # what cannot be told may be anything
    if not statistics:
        return [None] * len(metrics)
    alone = {index: _shares_at_least(found) for index, found in statistics.items()}
    smallest = np.min(list(alone.values()), axis=0)
    return [float(np.mean(smallest <= alone[index][0])) if index in alone else None for index in range(len(metrics))]


def _dealt(reference: Counts, current: Counts, draws: int, seed: int) -> tuple[Numbers, Numbers]:
    """Both tables, first as they are and then dealt out again at random: (draws + 1, *cells)."""
    both = reference + current
    rng = np.random.default_rng(seed)
    dealt = rng.multivariate_hypergeometric(both.ravel(), int(current.sum()), size=draws, method="marginals")
    afters = np.concatenate([current[None], dealt.reshape(draws, *both.shape)]).astype(np.float64)
    return both - afters, afters


def _statistics(metric: Metric, befores: Numbers, afters: Numbers) -> Numbers:
    """|difference| / standard error of each draw: 0 where the difference is, or the error is infinite; may be NaN."""
    old, new = metric.of(befores), metric.of(afters)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(old == new, 0.0, np.abs(new - old))
        error = np.sqrt(_variance(metric, befores) + _variance(metric, afters))
        ratio = np.where(np.isinf(apart), np.inf, apart / error)
        ratio = np.where(np.isfinite(apart) & np.isnan(error), 0.0, ratio)  # without one row there is no value
    return np.where(apart == 0, 0.0, np.where(np.isnan(apart), np.nan, ratio))


def _variance(metric: Metric, counts: Numbers) -> Numbers:
    """The jackknife's variance of the metric of each draw: rows of a cell are alike, so one of each is left out."""
    rows = counts.reshape(len(counts), -1)
    total = np.maximum(rows.sum(axis=1), 1)
    left_out = _left_out(counts, metric)
    held = np.where(rows > 0, left_out, 0.0)
    mean = (rows * held).sum(axis=1) / total
    squares = np.where(rows > 0, (held - mean[:, None]) ** 2, 0.0)
    return (total - 1) / total * (rows * squares).sum(axis=1)


def _left_out(counts: Numbers, metric: Metric) -> Numbers:
    """The metric with a row of each cell left out: (draws, cells)."""
    if metric.left_out is not None:
        return metric.left_out(counts)
    cells = counts[0].size
    return np.stack([metric.of(_without(counts, cell)) for cell in range(cells)], axis=1)


def _without(counts: Numbers, cell: int) -> Numbers:
    """The counts with one row of a cell left out, where it has any."""
    fewer = counts.reshape(len(counts), -1).copy()
    fewer[:, cell] = np.maximum(fewer[:, cell] - 1, 0)
    return fewer.reshape(counts.shape)


def _shares_at_least(statistics: Numbers) -> Numbers:
    """For each draw, the share of draws whose statistic is as large; equal but for the last bits counts as equal."""
    ordered = np.sort(statistics)
    return 1 - np.searchsorted(ordered, statistics * (1 - 1e-9), "left") / len(ordered)
