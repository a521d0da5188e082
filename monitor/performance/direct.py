"""Direct loss estimation (DLE) for values: trees learn from the reference how wrong the model is at which inputs.

    mae     E|e|, from trees that tell |e| by the inputs and the prediction
    rmse    √E e², from trees that tell e²

A window's mean is that of what the trees say of its rows, set right by how far they were off on those rows of the
reference that are like the window's (weighed by `overlap.py`, and told by trees that had not seen them).

The interval is for what labels will say of the very rows of the window: the spread of losses around what the trees say,
over the window's rows, and the same over the reference's for the correction.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.performance.answers import Answers
from monitor.performance.inputs import Matrix
from monitor.performance.metrics import Measured
from monitor.performance.trees import Predict, train

_ROUNDS = 100
_RATE = 0.05

_LOSSES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {"rmse": np.square, "mae": np.abs}


class Loss(NamedTuple):
    """What a reference has taught about a loss. actual, told: (rows,), the latter of trees that had not seen a row."""

    actual: NDArray[np.float64]
    told: NDArray[np.float64]
    trees: tuple[Predict, ...]


def learn_losses(answers: Answers, X: Matrix, categories: list[int], fold: NDArray[np.int64]) -> dict[str, Loss]:
    """Learn from a reference: rows whose truth is known, and their inputs; by metric. fold: of each row, from 0; the
    rows of one are told by what the others have taught."""
    rows = np.column_stack([X, answers.label])
    errors = answers.truth - answers.label
    return {metric: _learned(loss(errors), rows, categories, fold) for metric, loss in _LOSSES.items()}


def estimate_values(
    losses: dict[str, Loss], weights: NDArray[np.float64], window: Answers, Z: Matrix
) -> dict[str, Measured]:
    """Metrics of a window's answers, with the error of each. weights: of the reference's rows."""
    rows = np.column_stack([Z, window.label])
    return {metric: _estimated(metric, loss, weights, rows) for metric, loss in losses.items()}


def _learned(actual: NDArray[np.float64], rows: Matrix, categories: list[int], fold: NDArray[np.int64]) -> Loss:
    told = np.empty(len(actual))
    mean = float(actual.mean())
    trees: list[Predict] = []
    for number in range(int(fold.max()) + 1):
        seen, unseen = fold != number, fold == number
        trees.append(
            train(
                rows[seen],
                actual[seen],
                categories,
                objective="regression",
                rounds=_ROUNDS,
                learning_rate=_RATE,
                start=np.full((int(seen.sum()), 1), mean),
            )
        )
        told[unseen] = mean + trees[-1](rows[unseen])[:, 0]
    return Loss(actual, told, tuple(trees))


def _estimated(metric: str, loss: Loss, weights: NDArray[np.float64], rows: Matrix) -> Measured:
    mean = float(loss.actual.mean())
    told = mean + np.mean([predict(rows)[:, 0] for predict in loss.trees], axis=0)
    shares = weights / weights.sum()
    off = loss.actual - loss.told
    correction = float(shares @ off)
    value = max(float(told.mean()) + correction, 0.0)
    spread = float(shares @ (off - correction) ** 2)
    error = math.sqrt(spread / len(rows) + float(shares**2 @ (off - correction) ** 2))
    if metric == "rmse":
        value = math.sqrt(value)
        error = error / (2 * value) if value > 0 else math.sqrt(error)
    return Measured(value, error, len(rows), float(len(rows)))
