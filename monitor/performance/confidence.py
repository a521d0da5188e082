"""Confidence-based performance estimation (CBPE) for classes.

A calibrated score says how likely its answer is right, so that scores alone say how many answers are: of 100 rows that
were called `yes` at 0.9, 90 are `yes` and 10 are not. The expected confusion matrix, area under the ROC curve, log loss
and so on follow from the likelihoods as they do from labels, by the same code (`metrics.py`).

Before a window is estimated, likelihoods are set right on those rows of the reference that are like the window's: the
isotonic regression of what happened on likelihoods, weighed by `overlap.py`.

The interval is for what labels will say of the very rows of the window. It comes of 100 draws: of each, the reference's
rows are drawn anew and the regression repeated, which is the calibration error, and the window's labels are drawn from
the likelihoods so found, which is the sampling error.
"""

import numpy as np

from monitor.performance.answers import Answers
from monitor.performance.calibration import Calibration, isotonic_steps
from monitor.performance.inputs import Matrix
from monitor.performance.metrics import Measured, Metric, shares_of

#: The error is known to within 7% of itself.
DRAWS = 100

_MOST_DRAWN_ROWS = 20_000


def estimate_classes(
    metrics: tuple[Metric, ...],
    reference: Answers,
    calibration: Calibration,
    weights: Matrix,
    window: Answers,
    likely: Matrix,
) -> dict[str, Measured]:
    """Metrics of a window's answers, with the error of each.

    weights: of the reference's rows. likely: of the window's rows, by `calibration`, (rows, classes).
    """
    truth = shares_of(reference)
    expected = isotonic_steps(calibration.reference, truth, weights).at(likely)
    drawn = np.array(_drawn(metrics, calibration.reference, truth, weights, window, likely))
    return {metric.name: _measured(metric, window, expected, drawn[:, k]) for k, metric in enumerate(metrics)}


def _measured(metric: Metric, window: Answers, expected: Matrix, drawn: Matrix) -> Measured:
    there = drawn[np.isfinite(drawn)]
    error = float(there.std()) if len(there) > 1 else 0.0
    return Measured(metric.value(window, expected), error, len(window), float(len(window)))


def _drawn(
    metrics: tuple[Metric, ...], likely: Matrix, truth: Matrix, weights: Matrix, window: Answers, asked: Matrix
) -> list[list[float]]:
    """Metrics by draw and metric; of a part of the rows of a large window, whose sampling error is no more."""
    random = np.random.default_rng(0)
    part = random.permutation(len(window))[:_MOST_DRAWN_ROWS]
    window, asked = window.of(part), asked[part]
    found: list[list[float]] = []
    for _ in range(DRAWS):
        again = weights * random.poisson(1.0, len(weights))
        shares = isotonic_steps(likely, truth, again).at(asked)
        happened = (random.random((len(window), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
        certain = np.eye(window.classes)[happened]
        found.append([metric.value(window, certain) for metric in metrics])
    return found
