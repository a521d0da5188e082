"""The figures of a report, from evidence alone: metrics with intervals, curves, calibration, mistakes, residuals.

Everything is weighted where the run had weights. Of a class: y says which rows are of it (bool), share is the predicted
probability of it (float), weights are positive numbers; all (rows,).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.explain.fairness import wilson
from autopilot.metric_formulas import ranked
from autopilot.metrics import METRICS, Metric, metric_named
from autopilot.report.evidence import Evidence, HeldOut
from autopilot.search.frontier import Point
from storage.errors import InputError

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: The chance with which an interval holds the true figure, and the normal quantile of that.
LEVEL, _Z = 0.95, 1.959963984540054
#: Predictions scored in all draws of the bootstrap together, where a call for a fold costs as much as so many of them;
#: and how many draws that may be. A standard error from 40 draws is off by 11%, from 400 by 4%. At most a second for
#: two classes, and four for a hundred.
_SCORED_CELLS, _CALL_CELLS, _LEAST_DRAWS, _MOST_DRAWS = 5_000_000, 5_000, 40, 400
#: Points of a curve that is drawn: more cannot be told apart at 420 pixels.
_MOST_POINTS = 200
#: A bin of a calibration chart, or of residuals, has so many rows at least.
_LEAST_BIN_ROWS = 20


# -------------------------------------------------------------------------------------------------------- metrics


class Estimate(NamedTuple):
    """A metric on the held-out rows beside the constant guess's.

    lower, upper: of the interval around the value; None where there is none. gain: by how much the value is better than
    the guess, positive whatever the metric's direction; its interval is of the paired difference.
    """

    name: str
    greater_is_better: bool
    value: float
    guess: float
    lower: float | None = None
    upper: float | None = None
    gain_lower: float | None = None
    gain_upper: float | None = None

    @property
    def gain(self) -> float:
        """See above."""
        return self.value - self.guess if self.greater_is_better else self.guess - self.value

    @property
    def is_better(self) -> bool | None:
        """Whether it beats the guess by more than chance explains; None where that is not known."""
        return None if self.gain_lower is None else self.gain_lower > 0


def estimates(evidence: Evidence) -> tuple[Estimate, ...]:
    """All metrics of the card, the run's own first.

    The values are the card's, of all held-out rows. Their standard errors are those of a bootstrap that draws rows, or
    whole groups where the rows have groups, and scores model and guess on the same draws (Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993, chapters 6 and 8); an interval is 1.96 of them to either side, cut where the
    metric ends. Of a sample of n among N rows they are scaled by the root of n / N, since the card scored all N. Where
    the card has a nested estimate of the run's metric, that one's standard error is taken. A user's own metric, whose
    function is not kept, and a single held-out row or group have no interval.
    """
    scores, held = evidence.model.card.scores, evidence.held
    names = sorted(scores.test, key=lambda name: name != scores.metric)
    known = [metric for metric in (_registered(name, evidence) for name in names) if metric is not None]
    errors = {} if held is None else _errors(held, known, evidence)
    found: list[Estimate] = []
    for name in names:
        is_own = name == scores.metric
        value = scores.test_score if is_own else scores.test[name]
        greater = scores.greater_is_better if is_own else METRICS[name].greater_is_better
        error, gain_error = errors.get(name, (None, None))
        if is_own and scores.test_error is not None:
            error = scores.test_error
        bare = Estimate(name, greater, value, scores.baseline[name])
        found.append(_with_interval(bare, error, gain_error, is_known=name in errors))
    return tuple(found)


def _with_interval(bare: Estimate, error: float | None, gain_error: float | None, *, is_known: bool) -> Estimate:
    if error is not None:
        lower, upper = bare.value - _Z * error, bare.value + _Z * error
        if is_known:  # scores end at 1, losses at 0
            lower, upper = (lower, min(upper, 1.0)) if bare.greater_is_better else (max(lower, 0.0), upper)
        bare = bare._replace(lower=lower, upper=upper)
    if gain_error is not None:
        bare = bare._replace(gain_lower=bare.gain - _Z * gain_error, gain_upper=bare.gain + _Z * gain_error)
    return bare


def _registered(name: str, evidence: Evidence) -> Metric | None:
    """The metric of a name; None for a user's own."""
    try:
        return metric_named(name, evidence.run.task)
    except InputError:
        return None


def _errors(held: HeldOut, metrics: Sequence[Metric], evidence: Evidence) -> dict[str, tuple[float, float]]:
    """Standard errors by metric: of its value, and of its difference to the guess."""
    units = _Units.of(held.unit)
    if len(units.starts) < 2:
        return {}
    rng = np.random.default_rng(evidence.run.seed)
    cost = held.predicted.size + _CALL_CELLS * len(np.unique(held.part))
    draws = int(np.clip(_SCORED_CELLS // cost, _LEAST_DRAWS, _MOST_DRAWS))
    scored: dict[str, list[tuple[float, float]]] = {metric.name: [] for metric in metrics}
    predicted = {False: (held.predicted, held.guess), True: _one_hot(held, evidence)}
    for _ in range(draws):
        rows = units.draw(rng)
        parts = [rows[held.part[rows] == part] for part in np.unique(held.part[rows])]
        for metric in metrics:
            ours, guess = predicted[metric.needs == "label"]
            scored[metric.name].append((_score(metric, held, ours, parts), _score(metric, held, guess, parts)))
    scale = math.sqrt(len(held.y) / held.of_rows)
    return {name: _deviations(np.array(pairs), scale) for name, pairs in scored.items()}


def _deviations(pairs: Values, scale: float) -> tuple[float, float]:
    of_value, of_gain = pairs[:, 0].std(ddof=1), (pairs[:, 0] - pairs[:, 1]).std(ddof=1)
    return scale * float(of_value), scale * float(of_gain)


def _score(metric: Metric, held: HeldOut, predicted: Values, parts: list[Numbers]) -> float:
    """The mean over parts, by their rows: as the card has it."""
    weights = held.weights
    each = [metric.score(held.y[at], predicted[at], None if weights is None else weights[at]) for at in parts]
    return float(np.average(each, weights=[len(at) for at in parts]))


def _one_hot(held: HeldOut, evidence: Evidence) -> tuple[Values, Values]:
    """Labels of model and guess as metrics of labels take them: 1 for the one that is given."""
    if evidence.run.task == "regression":
        return held.predicted, held.guess
    each = np.eye(held.predicted.shape[1])
    return each[labels(evidence)], each[held.guess.argmax(axis=1)]


class _Units(NamedTuple):
    """Rows by the unit that they are drawn by: `order` sorts them, `starts` and `sizes` say where each unit lies."""

    order: Numbers
    starts: Numbers
    sizes: Numbers

    @classmethod
    def of(cls, unit: Numbers) -> "_Units":
        _, starts, sizes = np.unique(np.sort(unit), return_index=True, return_counts=True)
        return cls(np.argsort(unit, kind="stable"), starts, sizes)

    def draw(self, rng: np.random.Generator) -> Numbers:
        """Rows of as many units as there are, drawn with replacement."""
        chosen = rng.integers(len(self.starts), size=len(self.starts))
        sizes = self.sizes[chosen]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.order[np.repeat(self.starts[chosen], sizes) + within]


def labels(evidence: Evidence) -> Numbers:
    """The class number that the published model decides on for each held-out row, (rows,)."""
    return evidence.head.decide(_held(evidence).predicted)


def _held(evidence: Evidence) -> HeldOut:
    if evidence.held is None:
        raise ValueError(f"Run {evidence.run.id} kept no predictions. Look whether `held` is there first.")
    return evidence.held


# --------------------------------------------------------------------------------------------------------- curves


class Curve(NamedTuple):
    """Points of a curve, x rising. area: under it, or what stands for it."""

    x: Values
    y: Values
    area: float


def roc(is_class: Flags, share: Values, weights: Values | None = None) -> Curve:
    """The share of the class that is found, by the share of the others that is taken for it; area: roc_auc."""
    hits, misses = ranked(is_class, share, weights)
    found, false = hits / max(hits[-1], 1e-300), misses / max(misses[-1], 1e-300)
    x, y = np.append(0.0, false), np.append(0.0, found)
    return _thinned(Curve(x, y, float(np.trapezoid(y, x))))


def precision_recall(is_class: Flags, share: Values, weights: Values | None = None) -> Curve:
    """Precision by recall; area: average_precision, the mean precision over the rows of the class."""
    hits, misses = ranked(is_class, share, weights)
    recall, precision = hits / max(hits[-1], 1e-300), hits / (hits + misses)
    area = float(np.diff(recall, prepend=0.0) @ precision)
    return _thinned(Curve(recall, precision, area))


def gain(is_class: Flags, share: Values, weights: Values | None = None) -> Curve:
    """The share of the class that is among the rows of greatest probability, by how many of these one takes.

    y / x is the lift. area: the lift of the first tenth.
    """
    hits, misses = ranked(is_class, share, weights)
    taken = (hits + misses) / (hits[-1] + misses[-1])
    found = hits / max(hits[-1], 1e-300)
    x, y = np.append(0.0, taken), np.append(0.0, found)
    return _thinned(Curve(x, y, float(np.interp(0.1, x, y)) / 0.1))


def _thinned(curve: Curve) -> Curve:
    """At most 200 of its points, evenly along it."""
    if len(curve.x) <= _MOST_POINTS:
        return curve
    along = np.append(0.0, np.cumsum(np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y))))
    at = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], _MOST_POINTS)).clip(max=len(along) - 1))
    return Curve(curve.x[at], curve.y[at], curve.area)


# ---------------------------------------------------------------------------------------------------- calibration


class CalibrationBin(NamedTuple):
    """Rows of like probability: its mean, and the share that came true with its interval."""

    predicted: float
    observed: float
    lower: float
    upper: float
    rows: int


def calibration(is_class: Flags, share: Values, weights: Values | None = None, bins: int = 10) -> list[CalibrationBin]:
    """What came true of what was predicted, in bins of as many rows each; rows of one probability are in one bin.

    Intervals are Wilson's (1927), for as many rows as the weights are worth: (sum w)² / sum w² (Kish, 1965). Fewer bins
    where there are fewer than 20 rows for each.
    """
    weights = np.ones(len(share)) if weights is None else weights
    count = int(np.clip(len(share) // _LEAST_BIN_ROWS, 1, bins))
    edges = np.unique(np.quantile(share, np.arange(1, count) / count))
    bin_of = np.searchsorted(edges, share, side="right")
    found: list[CalibrationBin] = []
    for number in np.unique(bin_of):
        inside = bin_of == number
        own = weights[inside]
        observed = float(is_class[inside] @ own / own.sum())
        lower, upper = wilson(observed, float(own.sum() ** 2 / (own @ own)), LEVEL)
        found.append(CalibrationBin(float(share[inside] @ own / own.sum()), observed, lower, upper, int(inside.sum())))
    return found


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance of what came true from what was predicted, by rows (Naeini et al., 2015)."""
    return float(np.average([abs(one.observed - one.predicted) for one in bins], weights=[one.rows for one in bins]))


# -------------------------------------------------------------------------------------------------------- classes


class Confusion(NamedTuple):
    """Weight of the rows by true class and label, (classes, classes); folded: whether the last name is all others."""

    names: tuple[str, ...]
    counts: Values
    folded: int = 0

    @property
    def shares(self) -> Values:
        """Of each true class's rows, the share of each label; 0 in a row without rows."""
        whole = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, whole, out=np.zeros_like(self.counts), where=whole > 0)


class ClassFigures(NamedTuple):
    """One class: its rows, and how well it is found. area: roc_auc against the rest, None where all are of it."""

    name: str
    rows: int
    precision: float
    recall: float
    area: float | None


class Mistake(NamedTuple):
    """Rows of one class that are labelled as another. share: of that class's rows."""

    true: str
    label: str
    rows: int
    share: float


def confusion(y: Values, label: Numbers, names: Sequence[str], weights: Values | None = None) -> Confusion:
    """The confusion matrix of all classes."""
    size = len(names)
    cells = np.bincount(y.astype(np.int64) * size + label, weights, size * size)
    return Confusion(tuple(names), cells.reshape(size, size).astype(np.float64))


def fold(whole: Confusion, most: int = 10) -> Confusion:
    """The classes of the most rows, in their order, and one for all others; whole if there are not so many.

    >>> fold(Confusion(("a", "b", "c"), np.array([[9.0, 1, 0], [0, 1, 1], [1, 0, 1]])), most=1).counts.tolist()
    [[9.0, 1.0], [1.0, 3.0]]
    """
    size = len(whole.names)
    if size <= most + 1:
        return whole
    kept = np.sort(np.argsort(-whole.counts.sum(axis=1), kind="stable")[:most])
    place = np.full(size, most)
    place[kept] = np.arange(most)
    to = np.eye(most + 1)[place]
    others = size - most
    return Confusion((*(whole.names[at] for at in kept), f"{others} others"), to.T @ whole.counts @ to, others)


def class_figures(
    y: Values, shares: Values, label: Numbers, names: Sequence[str], weights: Values | None = None
) -> list[ClassFigures]:
    """Of each class that occurs, most rows first. shares: (rows, classes)."""
    counts = confusion(y, label, names, weights).counts
    found: list[ClassFigures] = []
    rows = np.bincount(y.astype(np.int64), minlength=len(names))
    for number in map(int, np.argsort(-rows, kind="stable")):
        if not rows[number]:
            break
        right, true, given = counts[number, number], counts[number].sum(), counts[:, number].sum()
        area = roc(y == number, shares[:, number], weights).area if rows[number] < len(y) else None
        precision = float(right / given) if given else 0.0
        found.append(ClassFigures(names[number], int(rows[number]), precision, float(right / true), area))
    return found


def mistakes(y: Values, label: Numbers, names: Sequence[str], most: int = 10) -> list[Mistake]:
    """The most frequent confusions of one class with another, by rows."""
    counts = confusion(y, label, names).counts
    rows = counts.sum(axis=1)
    np.fill_diagonal(counts, 0.0)
    found: list[Mistake] = []
    for cell in map(int, np.argsort(-counts, axis=None, kind="stable")[:most]):
        true, given = cell // len(names), cell % len(names)
        if counts[true, given]:
            share = float(counts[true, given] / rows[true])
            found.append(Mistake(names[true], names[given], int(counts[true, given]), share))
    return found


# ------------------------------------------------------------------------------------------------------ residuals


class Band(NamedTuple):
    """Rows of like prediction: where they lie, and quantiles of what was true less what was predicted."""

    predicted: float
    low: float
    middle: float
    high: float
    rows: int


class Coverage(NamedTuple):
    """How many rows' intervals hold the true value, with an interval of that share; all, or those of a range."""

    start: float
    end: float
    rows: int
    share: float
    lower: float
    upper: float
    width: float


def bands(y: Values, predicted: Values, weights: Values | None = None, bins: int = 10) -> list[Band]:
    """Quantiles (5%, 50%, 95%) of the residuals in ranges of the prediction of as many rows each. All (rows,)."""
    weights = np.ones(len(y)) if weights is None else weights
    found: list[Band] = []
    for inside in _ranges(predicted, bins):
        low, middle, high = quantiles((y - predicted)[inside], (0.05, 0.5, 0.95), weights[inside])
        mean = float(np.average(predicted[inside], weights=weights[inside]))
        found.append(Band(mean, low, middle, high, int(inside.sum())))
    return found


def quantiles(values: Values, at: Sequence[float], weights: Values) -> list[float]:
    """The least values that so much of the weight does not exceed.

    >>> quantiles(np.array([3.0, 1.0, 2.0]), [0.5, 1.0], np.array([1.0, 1.0, 4.0]))
    [2.0, 3.0]
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.array(at) * reached[-1] * (1 - 1e-12))
    return values[order][places.clip(max=len(values) - 1)].tolist()


def coverage(y: Values, interval: Values, predicted: Values, bins: int = 5) -> tuple[Coverage, list[Coverage]]:
    """Of all rows, and of ranges of the prediction. interval: (rows, 2)."""
    each = [_coverage(y, interval, predicted, inside) for inside in _ranges(predicted, bins)]
    return _coverage(y, interval, predicted, np.ones(len(y), dtype=np.bool_)), each


def _coverage(y: Values, interval: Values, predicted: Values, inside: Flags) -> Coverage:
    ends, rows = interval[inside], int(inside.sum())
    share = float(((ends[:, 0] <= y[inside]) & (y[inside] <= ends[:, 1])).mean())
    start, end = float(predicted[inside].min()), float(predicted[inside].max())
    return Coverage(start, end, rows, share, *wilson(share, rows, LEVEL), float((ends[:, 1] - ends[:, 0]).mean()))


def _ranges(predicted: Values, bins: int) -> list[Flags]:
    """Ranges of the prediction with as many rows each; equal predictions are in one."""
    count = int(np.clip(len(predicted) // _LEAST_BIN_ROWS, 1, bins))
    range_of = np.searchsorted(np.unique(np.quantile(predicted, np.arange(1, count) / count)), predicted, side="right")
    return [range_of == number for number in np.unique(range_of)]


# --------------------------------------------------------------------------------------------------------- search


class Step(NamedTuple):
    """A trial in the course of the search. best: complete score so far; None until there is one."""

    ended_s: float
    candidate: str
    score: float | None
    is_complete: bool
    best: float | None


def course(evidence: Evidence) -> list[Step]:
    """The search, trial by trial in the order in which they ended."""
    greater, best = evidence.model.card.scores.greater_is_better, None
    found: list[Step] = []
    for timed in evidence.trials:
        score, is_complete = timed.trial.score, timed.trial.status == "completed"
        if score is not None and is_complete and (best is None or (score > best if greater else score < best)):
            best = score
        found.append(Step(timed.ended_s, timed.trial.candidate, score, is_complete, best))
    return found


def frontier(evidence: Evidence) -> list[Point]:
    """The points that are not the constant guess, whose score would squeeze all others."""
    return [point for point in evidence.points if any(member.candidate != "baseline" for member in point.members)]
