"""Gaussian naive Bayes."""

import numpy as np
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, shares
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, Params, Space


class NaiveBayes:
    """Each feature normally distributed within each class, all independent (Hand and Yu, "Idiot's Bayes", 2001).

    Classes alone. Trained in one pass over all rows, so it is a first answer on large tables, and errs unlike the
    others. To each variance a share of the largest one is added, as scikit-learn's GaussianNB does it, so that a
    feature that is constant within a class decides nothing alone. Below a share of 1e-6 float64 would not be exact
    enough: terms of 1e8 and more cancel. The features' likelihood is raised to a power below 1, since features of
    tables repeat each other and would be counted again and again.
    """

    name = "naive_bayes"
    recipe: Recipe = "dense"

    def applies(self, problem: Problem) -> bool:
        """To classes."""
        return problem.task != "regression"

    def space(self, problem: Problem) -> Space:
        """What is added to the variances, as a share of the largest; and the power of the features' likelihood."""
        return {
            "smoothing": ContinuousParameter(1e-6, 1.0, "logarithmic"),
            "power": ContinuousParameter(0.02, 1.0, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Features as repetitive as tables have them, less, and independent."""
        return [
            {"smoothing": 0.1, "power": 0.2},
            {"smoothing": 0.03, "power": 0.06},
            {"smoothing": 1e-3, "power": 1.0},
        ]

    def fit(self, job: Job) -> Fitted:
        """Average and square."""
        classes = job.problem.outputs
        X, y = job.X.astype(np.float64), job.y.astype(np.int64)
        counts = np.bincount(y, job.weights, classes)
        mean, variance = (np.tile(moment, (classes, 1)) for moment in _moments(X, job.weights))
        added = job.params["smoothing"] * (float(variance.max()) or 1.0)
        for index in np.flatnonzero(counts):  # a class that the rows lack keeps the mean and variance of them all
            own = y == index
            mean[index], variance[index] = _moments(X[own], None if job.weights is None else job.weights[own])
        counts = counts + 0.5
        return _Gaussian(mean, variance + added, np.log(counts / counts.sum()), job.params["power"])


def _moments(X: Values, weights: Values | None) -> tuple[Values, Values]:
    """Mean and variance of each feature."""
    if weights is None:
        return X.mean(axis=0), X.var(axis=0)
    mean = np.average(X, axis=0, weights=weights)
    return mean, np.average(np.square(X - mean), axis=0, weights=weights)


class _Gaussian:
    """Each class's log p(class, x), multiplied out to x² · squares + x · slopes + constants.

    squares, slopes: float64 (features, classes). constants: (classes,).
    """

    rounds = 0

    def __init__(self, mean: Values, variance: Values, log_prior: Values, power: float) -> None:
        self._squares = power * (-0.5 / variance).T
        self._slopes = power * (mean / variance).T
        self._constants = log_prior - 0.5 * power * (np.log(variance) + np.square(mean) / variance).sum(axis=1)

    def predict(self, X: Matrix) -> Values:
        wide = X.astype(np.float64)
        return shares(np.square(wide) @ self._squares + wide @ self._slopes + self._constants)

    def emit(self, g: Graph, features: str) -> str:
        wide = g.cast(features, TensorProto.DOUBLE)
        squares = g.op("MatMul", g.op("Mul", wide, wide), g.const(self._squares))
        slopes = g.op("MatMul", wide, g.const(self._slopes))
        scores = g.op("Add", g.op("Add", squares, slopes), g.const(self._constants))
        return emit_shares(g, scores, len(self._constants))
