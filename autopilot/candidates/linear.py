"""Linear models: logistic and ridge regression."""

from typing import Any

import numpy as np
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, shares
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, Params, Space

#: Rows beyond which a linear model learns nothing more that is worth the time.
_MOST_ROWS = 50_000
_MOST_STEPS = 400


class Linear:
    """A weighted sum of scaled numbers and indicators: logistic regression for classes, ridge for values.

    L-BFGS until it converges or the deadline passes, and scikit-learn's Ridge (Cholesky). At most 50,000 rows, drawn by
    the seed, are used. Weights are penalised, intercepts are not.
    """

    name = "linear"
    recipe: Recipe = "linear"

    def applies(self, problem: Problem) -> bool:
        """Always."""
        return True

    def space(self, problem: Problem) -> Space:
        """The strength of the penalty."""
        return {"penalty": ContinuousParameter(1e-4, 1e5, "logarithmic")}

    def points(self, problem: Problem) -> list[Params]:
        """From little to much."""
        return [{"penalty": 1.0}, {"penalty": 100.0}, {"penalty": 0.02}]

    def fit(self, job: Job) -> Fitted:
        """Solve."""
        rows, y = job.sampled(_MOST_ROWS)
        X = rows.astype(np.float64)
        if job.problem.task == "regression":
            return _fit_ridge(X, y, job)
        return _fit_logistic(X, y, job)


class _LinearModel:
    """weights: float64 (features, scores). intercept: (scores,)."""

    def __init__(self, weights: Values, intercept: Values, rounds: int, *, is_classifier: bool) -> None:
        self._weights, self._intercept = weights, intercept
        self._is_classifier = is_classifier
        self.rounds = rounds

    def predict(self, X: Matrix) -> Values:
        scores = X.astype(np.float64) @ self._weights + self._intercept
        return shares(scores) if self._is_classifier else scores

    def emit(self, g: Graph, features: str) -> str:
        wide = g.cast(features, TensorProto.DOUBLE)
        scores = g.op("Add", g.op("MatMul", wide, g.const(self._weights)), g.const(self._intercept))
        return emit_shares(g, scores, len(self._intercept)) if self._is_classifier else scores


def _fit_ridge(X: Values, y: Values, job: Job) -> _LinearModel:
    from sklearn.linear_model import Ridge

    model: Any = Ridge(alpha=job.params["penalty"], solver="cholesky").fit(X, y)
    return _LinearModel(model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_), 0, is_classifier=False)


def _fit_logistic(X: Values, y: Values, job: Job) -> _LinearModel:
    """Least sum of -log p of the classes that occurred, plus half the penalty times the squared weights.

    L-BFGS (Liu and Nocedal, 1989), which asks the deadline after each step. Two classes have one score, the log-odds
    of the second; more have one each, so that a class which the training rows lack gets a small share.
    """
    from scipy.optimize import minimize

    scores = 1 if job.problem.outputs == 2 else job.problem.outputs
    truth = y.reshape(-1, 1) if scores == 1 else np.eye(scores)[y.astype(np.int64)]
    start = np.zeros((X.shape[1] + 1, scores))
    start[-1] = _log_priors(truth)

    def objective(flat: Values) -> tuple[float, Values]:
        weights = flat.reshape(start.shape)
        linear = X @ weights[:-1] + weights[-1]
        loss, error = _cross_entropy(linear, truth)
        gradient = np.vstack([X.T @ error + job.params["penalty"] * weights[:-1], error.sum(axis=0)])
        penalty = 0.5 * job.params["penalty"] * float(np.sum(weights[:-1] ** 2))
        return (loss + penalty) / len(y), gradient.ravel() / len(y)

    def stop_at_deadline(intermediate_result: Any) -> None:
        if job.deadline.passed:
            raise StopIteration

    options = {"maxiter": _MOST_STEPS, "ftol": 1e-9, "gtol": 1e-6}
    found: Any = minimize(
        objective, start.ravel(), jac=True, method="L-BFGS-B", callback=stop_at_deadline, options=options
    )
    weights = found.x.reshape(start.shape)
    return _LinearModel(weights[:-1], weights[-1], int(found.nit), is_classifier=True)


def _cross_entropy(linear: Values, truth: Values) -> tuple[float, Values]:
    """Summed over rows, and its gradient by the scores."""
    if linear.shape[1] == 1:
        loss = np.logaddexp(0.0, linear) - truth * linear
        return float(loss.sum()), shares(linear)[:, 1:] - truth
    top = linear.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(linear - top).sum(axis=1, keepdims=True))
    return float((total * truth - linear * truth).sum()), np.exp(linear - total) - truth


def _log_priors(truth: Values) -> Values:
    """Scores that give each class its share in training, with half a row added to each."""
    counts = truth.sum(axis=0) + 0.5
    return np.log(counts / (len(truth) + 1.0 - counts)) if len(counts) == 1 else np.log(counts / counts.sum())
