"""How good a model is: what its card and its report say, by rows that no decision has seen."""

import numpy as np
from numpy.typing import NDArray

from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.metrics import Metric, metrics_of
from autopilot.search.ensemble import Blend
from autopilot.search.matrices import Unit
from autopilot.search.nested import Nested
from autopilot.search.study import Study
from autopilot.search.trial import Outcome
from storage.records import Scores
from storage.signature import Signature

Values = NDArray[np.float64]


def scores_of(study: Study, blend: Blend, head: Head, baseline: Outcome, nested: Nested | None) -> Scores:
    """A blend's scores, and the constant guess's beside them, on the rows that no decision has seen.

    nested: in place of such rows, where there are none: then the other metrics are those of validation, and without it
    the score too.
    """
    table, metric = study.table, study.metric
    slices, rows = (slice(None),), study.folds.test
    ours, constant = blend.test, baseline.test
    if study.folds.is_nested:
        slices, rows = study.folds.slices, study.folds.validated
        ours, constant = blend.valid, baseline.valid
    assert constant is not None  # noqa: S101 - the constant guess always ends
    y, weights = table.y[rows], None if table.weights is None else table.weights[rows]

    def score(other: Metric, predicted: Values, chosen: Head) -> float:
        found = decided(table.signature, study.unit, predicted, chosen, other)
        each = [other.score(y[part], found[part], None if weights is None else weights[part]) for part in slices]
        return float(np.average(each, weights=[len(y[part]) for part in slices]))

    others = metrics_of(table.signature.task, y, metric)  # the run's own among them, so that it is called once each
    test = {other.name: score(other, ours, head) for other in others}
    guess = {other.name: score(other, constant, NO_HEAD) for other in others}
    return Scores(
        metric=metric.name,
        validation_score=blend.score,
        test_score=test[metric.name] if nested is None else nested.score,
        baseline_score=guess[metric.name],
        test_rows=len(study.folds.test),
        test=test,
        baseline=guess,
        test_error=None if nested is None else nested.error,
        greater_is_better=metric.greater_is_better,
    )


def decided(signature: Signature, unit: Unit, predicted: Values, head: Head, metric: Metric) -> Values:
    """Predictions as the published model gives them, as a metric takes them.

    predicted: (rows, outputs) as models learn them. For metrics of labels: 1 for the label that the head decides on.
    """
    if signature.task == "regression":
        return unit.unscale(predicted)
    shares = head.shares(predicted)
    return shares if metric.needs != "label" else np.eye(shares.shape[1])[head.decide(shares)]
