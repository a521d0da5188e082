"""The head of the final ensemble: which calibration, decision, interval or sets its out-of-fold predictions support.

Nothing of it is taken on trust. What is fitted on some folds is scored on the others, and it is kept only where the
gain there exceeds its own standard error; what could not be shown to help stays out, and is told. Only the rule of
succession, for rows too few to show anything, fits nothing and needs no proof.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autopilot.graph.calibration import Balance, Beta, Head, Succession, Temperature, Threshold
from autopilot.graph.conformal import Interval, Sets, effective_rows
from autopilot.metrics import METRICS, Metric
from autopilot.search.matrices import Unit
from storage.errors import InputError
from storage.signature import Task

Values = NDArray[np.float64]
Rows = NDArray[np.int64]
Labels = NDArray[np.int64]
Calibration = Temperature | Beta
Decision = Threshold | Balance

#: Rows from which a calibration is tried. One parameter helped on 600 rows already, with the gain as judge; three
#: parameters did not.
_LEAST_ROWS: tuple[tuple[type[Calibration], int], ...] = ((Temperature, 500), (Beta, 3_000))
#: Rows beside those of the most frequent class from which a decision is tuned.
_LEAST_RARE_ROWS = 50
#: Best with labels that are nearly never, or always, of one class: tuning for them alone would leave labels that no one
#: could use.
_ONE_SIDED = ("precision", "recall")
#: Rows from which intervals and sets are given, and for each range of predictions with a width of its own.
_LEAST_CONFORMAL_ROWS, _RANGE_ROWS, _MOST_RANGES = 50, 100, 20
#: Calibration and decision have few parameters: more rows than this, or numbers, make them no better.
_MOST_ROWS, _MOST_NUMBERS, _LEAST_SAMPLE = 50_000, 500_000, 2_000
#: Parts of a single fold, and blocks that a standard error is estimated from.
_PARTS, _BLOCKS = 5, 20
#: Scores that fitting one decision takes, and judging it.
_FIT_SCORES, _JUDGE_SCORES = 40, 2 * (_BLOCKS + 1)
#: A calibration keeps the order of rows, but rows that are all but equal may become equal.
_ROUNDING = 1e-4


class Sample(Struct, frozen=True):
    """Out-of-fold predictions, and how they are divided.

    predicted: (positions, outputs). y, weights: beside it. parts: positions to fit on and to score. blocks: a number
    below 20 for each position; all of a row's are the same. rows: how many different ones.
    """

    predicted: Values
    y: Values
    weights: Values | None
    parts: tuple[tuple[Rows, Rows], ...]
    blocks: Labels
    rows: int

    @classmethod
    def of(
        cls,
        predicted: Values,
        y: Values,
        weights: Values | None,
        slices: Sequence[slice],
        rows: Rows,
        rng: np.random.Generator,
    ) -> "Sample":
        """Divided by the folds, or a single fold at random; a row is never both fitted on and scored."""
        count = int(rows.max()) + 1
        fold = np.concatenate([np.full(part.stop - part.start, number) for number, part in enumerate(slices)])
        if len(slices) == 1:
            fold = (rng.permutation(count) % _PARTS)[rows]
        scored = [np.flatnonzero(fold == number) for number in range(int(fold.max()) + 1)]
        parts = tuple((np.flatnonzero(~np.isin(rows, rows[inside])), inside) for inside in scored)
        return cls(predicted, y, weights, parts, (rng.permutation(count) % _BLOCKS)[rows], count)

    @property
    def copies(self) -> float:
        """How many times each row occurs, as repeated folds have it."""
        return len(self.y) / self.rows

    def weights_of(self, at: Rows) -> Values | None:
        """Of some positions."""
        return None if self.weights is None else self.weights[at]

    def mean(self, values: Values) -> float:
        """By weight; values: (positions,)."""
        return float(np.average(values, weights=self.weights))

    def gain(self, statistic: Callable[[Rows], float]) -> tuple[float, float]:
        """A statistic of all positions, and its standard error by the jackknife over blocks (Efron and Stein, 1981)."""
        without = np.array([statistic(np.flatnonzero(self.blocks != block)) for block in range(_BLOCKS)])
        error = np.sqrt((_BLOCKS - 1) / _BLOCKS * np.sum((without - without.mean()) ** 2))
        return statistic(np.arange(len(self.y))), float(error)


def fit_head(
    predicted: Values,
    y: Values,
    weights: Values | None,
    slices: Sequence[slice],
    metric: Metric,
    task: Task,
    classes: Sequence[str | int],
    unit: Unit,
    *,
    rows: Rows | None = None,
    level: float = 0.9,
    seed: int = 0,
    limit_s: float = 5.0,
) -> tuple[Head, tuple[str, ...]]:
    """The head of a blend, and what was decided and why, in sentences.

    predicted: (positions, outputs), the blend's predictions as models learn them, for rows that they had not seen; y:
    class numbers or values; weights: beside it. slices: of the folds. rows: the row of each position, if rows occur
    several times. level: the share of new rows whose interval or set holds the truth. limit_s: a metric that would need
    longer is not tuned for.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(len(y)) if rows is None else np.unique(rows, return_inverse=True)[1]
    sample = Sample.of(predicted, y, weights, slices, number, rng)
    if task == "regression":
        interval, told = fit_interval(sample, unit, level)
        return Head(interval=interval), (told,)
    drawn = _thinned(predicted, y, weights, slices, number, rng)
    with threadpool_limits(1, user_api="blas"):  # L-BFGS on 3 numbers: with threads it took 25 times as long
        calibration, calibrated = fit_calibration(drawn, metric)
    head = Head(calibration)
    threshold, decided = fit_decision(_with(drawn, head.shares(drawn.predicted)), metric, classes, limit_s)
    sets, told = fit_sets(_with(sample, head.shares(predicted)), Head(calibration, threshold), level)
    return Head(calibration, threshold, None, sets), (*calibrated, *decided, told)


def fit_calibration(sample: Sample, metric: Metric) -> tuple[Succession | Calibration | None, tuple[str, ...]]:
    """What lowers the log loss of unseen rows most, if by more than noise, and costs the metric nothing.

    Where rows are too few to tell, certainty is taken back by as much as so few rows leave open.
    """
    kinds = [kind for kind, least in _LEAST_ROWS if sample.rows >= least and _takes(kind, sample)]
    if not kinds:
        least = _LEAST_ROWS[0][1]
        chosen = Succession.of(sample.rows)
        why = f"{sample.rows} rows were predicted unseen, to fit a calibration takes {least}."
        return chosen, (f"Probabilities are held back from 0 and 1 by {chosen.words}: {why}",)
    before = _log_losses(sample, sample.predicted)
    found: list[tuple[float, float, type[Calibration]]] = []
    for kind in kinds:
        shares = _crossed(sample, kind)
        gains = before - _log_losses(sample, shares)
        gain, error = sample.gain(lambda at, gains=gains: float(np.average(gains[at], weights=sample.weights_of(at))))
        if gain > error and _spares(sample, metric, shares):
            found.append((gain, error, kind))
    if not found:
        return None, ("Probabilities stay as they are: calibrating them gained no more than noise.",)
    gain, error, kind = max(found, key=lambda one: one[0])
    chosen = kind.fit(sample.predicted, sample.y, sample.weights)
    was = sample.mean(before)
    words = f"log loss of unseen rows {was:.4f} before, {was - gain:.4f} after (the gain ± {error:.4f})"
    return chosen, (f"Probabilities are calibrated by {chosen.words}: {words}.",)


def fit_decision(
    sample: Sample, metric: Metric, classes: Sequence[str | int], limit_s: float
) -> tuple[Decision | None, tuple[str, ...]]:
    """The decision for a label that raises the metric of unseen rows most, if by more than noise.

    sample: of calibrated probabilities. Metrics of probabilities need none.
    """
    if metric.needs != "label":
        return None, ()
    try:
        reason = _untuned(sample, metric, limit_s)
        if reason is not None:
            return None, (f"The likeliest class is the label: {reason}.",)
        chosen = _decision(sample, metric, np.arange(len(sample.y)))
        likeliest, tuned = sample.predicted.argmax(axis=1), np.empty(len(sample.y), dtype=np.int64)
        for fitted, scored in sample.parts:
            tuned[scored] = _decision(sample, metric, fitted).apply(sample.predicted[scored].astype(np.float32))
        gain, error = sample.gain(
            lambda at: _label_loss(sample, metric, at, likeliest) - _label_loss(sample, metric, at, tuned)
        )
    except InputError as failed:
        return None, (f"The likeliest class is the label: {failed}",)
    if gain <= error:
        return None, (f"The likeliest class is the label: another decision gained no more {metric.name} than noise.",)
    everything = np.arange(len(sample.y))
    was, now = (_score_labels(sample, metric, everything, labels) for labels in (likeliest, tuned))
    label = f"{classes[1]!r} is the label" if isinstance(chosen, Threshold) else "Labels are decided"
    return chosen, (
        f"{label} {chosen.words}: {metric.name} of unseen rows {was:.4f} before, {now:.4f} after "
        f"(the gain ± {error:.4f}).",
    )


def fit_interval(sample: Sample, unit: Unit, level: float) -> tuple[Interval | None, str]:
    """The conformal interval, with widths for ranges of predictions as far as rows suffice."""
    predicted = unit.unscale(sample.predicted)[:, 0]

    def fit(at: Rows) -> Interval:
        rows = effective_rows(len(at), sample.weights_of(at)) / sample.copies
        ranges = int(np.clip(rows // _RANGE_ROWS, 1, _MOST_RANGES))
        return Interval.fit(predicted[at], sample.y[at], level, ranges, sample.weights_of(at), sample.copies)

    if sample.rows < _LEAST_CONFORMAL_ROWS:
        return None, f"No interval: {sample.rows} rows were predicted unseen, it takes {_LEAST_CONFORMAL_ROWS}."
    ends = np.empty((len(predicted), 2))
    try:
        chosen = fit(np.arange(len(predicted)))
        for fitted, scored in sample.parts:
            ends[scored] = fit(fitted).apply(predicted[scored])
    except ValueError as failed:
        return None, f"No interval: {failed}"
    covered = sample.mean(((ends[:, 0] <= sample.y) & (sample.y <= ends[:, 1])).astype(np.float64))
    ranges = f", by {len(chosen.half_widths)} ranges of the prediction" if chosen.edges else ""
    width = sample.mean(ends[:, 1] - ends[:, 0])
    return (
        chosen,
        f"An interval for {level:.0%} of rows held {covered:.1%} of unseen ones, {width:.4g} wide on average{ranges}.",
    )


def fit_sets(sample: Sample, head: Head, level: float) -> tuple[Sets | None, str]:
    """The conformal sets. sample: of calibrated probabilities."""
    if sample.rows < _LEAST_CONFORMAL_ROWS:
        return None, f"No sets of classes: {sample.rows} rows were predicted unseen, it takes {_LEAST_CONFORMAL_ROWS}."

    def fit(at: Rows) -> Sets:
        return Sets.fit(sample.predicted[at], sample.y[at], level, sample.weights_of(at), sample.copies)

    found = np.empty(sample.predicted.shape, dtype=np.bool_)
    try:
        chosen = fit(np.arange(len(sample.y)))
        for fitted, scored in sample.parts:
            shares = sample.predicted[scored]
            found[scored] = fit(fitted).apply(shares.astype(np.float32), head.decide(shares))
    except ValueError as failed:
        return None, f"No sets of classes: {failed}"
    covered = sample.mean(found[np.arange(len(sample.y)), sample.y.astype(np.int64)].astype(np.float64))
    size = sample.mean(found.sum(axis=1).astype(np.float64))
    return (
        chosen,
        f"Sets for {level:.0%} of rows held the class of {covered:.1%} of unseen ones, {size:.3g} classes on average.",
    )


def _thinned(
    predicted: Values,
    y: Values,
    weights: Values | None,
    slices: Sequence[slice],
    rows: Rows,
    rng: np.random.Generator,
) -> Sample:
    """A sample of fewer rows, where there are more than it takes."""
    most = min(_MOST_ROWS, max(_LEAST_SAMPLE, _MOST_NUMBERS // predicted.shape[1]))
    drawn = rng.permutation(int(rows.max()) + 1)[:most]
    kept = np.flatnonzero(np.isin(rows, drawn))
    ends = [0, *np.searchsorted(kept, [part.stop for part in slices]).tolist()]
    parts = [slice(start, stop) for start, stop in pairwise(ends) if stop > start]
    number = np.unique(rows[kept], return_inverse=True)[1]
    return Sample.of(predicted[kept], y[kept], None if weights is None else weights[kept], parts, number, rng)


def _with(sample: Sample, predicted: Values) -> Sample:
    return Sample(predicted, sample.y, sample.weights, sample.parts, sample.blocks, sample.rows)


def _takes(kind: type[Calibration], sample: Sample) -> bool:
    return kind is Temperature or sample.predicted.shape[1] == 2


def _crossed(sample: Sample, kind: type[Calibration]) -> Values:
    """Calibrated probabilities, for each part by what was fitted on the others."""
    found = np.empty_like(sample.predicted)
    for fitted, scored in sample.parts:
        calibration = kind.fit(sample.predicted[fitted], sample.y[fitted], sample.weights_of(fitted))
        found[scored] = calibration.apply(sample.predicted[scored])
    return found


def _log_losses(sample: Sample, shares: Values) -> Values:
    """Of each position, as the metric `log_loss` has them."""
    chosen = shares[np.arange(len(sample.y)), sample.y.astype(np.int64)] / shares.sum(axis=1)
    return -np.log(np.clip(chosen, 1e-15, 1.0))


def _loss(sample: Sample, metric: Metric, shares: Values) -> float:
    """The metric, turned so that smaller is better: the mean over parts, for each has a calibration of its own."""
    losses = [
        metric.loss(metric.score(sample.y[scored], shares[scored], sample.weights_of(scored)))
        for _, scored in sample.parts
    ]
    return float(np.average(losses, weights=[len(scored) for _, scored in sample.parts]))


def _spares(sample: Sample, metric: Metric, shares: Values) -> bool:
    """Whether calibrated probabilities are as good by the metric; one that fails for them is not."""
    try:
        return _loss(sample, metric, shares) <= _loss(sample, metric, sample.predicted) + _ROUNDING
    except InputError:
        return False


def _label_loss(sample: Sample, metric: Metric, at: Rows, labels: Labels) -> float:
    """The metric of the labels of some positions, turned so that smaller is better. labels: (positions,)."""
    return metric.loss(_score_labels(sample, metric, at, labels[at]))


def _score_labels(sample: Sample, metric: Metric, at: Rows, labels: Labels) -> float:
    """Of labels (rows,) for some positions. Metrics of ours get the table of confusions as a few weighted rows."""
    y, weights, classes = sample.y[at], sample.weights_of(at), sample.predicted.shape[1]
    if METRICS.get(metric.name) is metric:
        table = np.bincount(y.astype(np.int64) * classes + labels, weights, minlength=classes**2)
        occur = np.flatnonzero(table)
        y, labels, weights = (occur // classes).astype(np.float64), occur % classes, table[occur].astype(np.float64)
    return metric.score(y, np.eye(classes)[labels], weights)


def _decision(sample: Sample, metric: Metric, at: Rows) -> Decision:
    """The best one for some positions."""
    shares, y = sample.predicted[at], sample.y[at]

    def score(labels: Labels) -> float:
        return -metric.loss(_score_labels(sample, metric, at, labels))

    if shares.shape[1] == 2:
        return Threshold.fit(shares, y, score)
    return Balance.fit(shares, y, score, sample.weights_of(at))


def _untuned(sample: Sample, metric: Metric, limit_s: float) -> str | None:
    """Why no decision is tuned; None if one is."""
    if metric.name in _ONE_SIDED:
        return f"{metric.name} alone is best where nearly all labels are the same"
    counts = np.bincount(sample.y.astype(np.int64)) / sample.copies
    rare = round(float(counts.sum() - counts.max()))
    if rare < _LEAST_RARE_ROWS:
        return f"{rare} unseen rows are of another class than the most frequent one, tuning takes {_LEAST_RARE_ROWS}"
    began = time.monotonic()
    _score_labels(sample, metric, np.arange(len(sample.y)), sample.predicted.argmax(axis=1))
    wanted_s = (time.monotonic() - began) * (_FIT_SCORES * (len(sample.parts) + 1) + _JUDGE_SCORES)
    if wanted_s > limit_s:
        return f"tuning for {metric.name} would take {wanted_s:.0f} s"
    return None
