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
_MOST_STEPS = 150


class Linear:
    """A weighted sum of scaled numbers and indicators: logistic regression for classes, ridge for values.

    L-BFGS until it converges or the deadline passes, and scikit-learn's Ridge (Cholesky). At most 50,000 rows, drawn by
    the seed, are used. Slopes are penalised, intercepts are not.
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
        rows, y, weights = job.sampled(_MOST_ROWS)
        X = rows.astype(np.float64)
        if job.problem.task == "regression":
            return _fit_ridge(X, y, weights, job)
        return _fit_logistic(X, y, np.ones(len(y)) if weights is None else weights, job)


class _LinearModel:
    """slopes: float64 (features, scores). intercept: (scores,)."""

    def __init__(self, slopes: Values, intercept: Values, rounds: int, *, is_classifier: bool) -> None:
        self._slopes, self._intercept = slopes, intercept
        self._is_classifier = is_classifier
        self.rounds = rounds

    def predict(self, X: Matrix) -> Values:
        scores = X.astype(np.float64) @ self._slopes + self._intercept
        return shares(scores) if self._is_classifier else scores

    def emit(self, g: Graph, features: str) -> str:
        wide = g.cast(features, TensorProto.DOUBLE)
        scores = g.op("Add", g.op("MatMul", wide, g.const(self._slopes)), g.const(self._intercept))
        return emit_shares(g, scores, len(self._intercept)) if self._is_classifier else scores


def _fit_ridge(X: Values, y: Values, weights: Values | None, job: Job) -> _LinearModel:
    from sklearn.linear_model import Ridge

    model: Any = Ridge(alpha=job.params["penalty"], solver="cholesky").fit(X, y, sample_weight=weights)
    return _LinearModel(model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_), 0, is_classifier=False)


def _fit_logistic(X: Values, y: Values, weights: Values, job: Job) -> _LinearModel:
    """Least weighted sum of -log p of the classes that occurred, plus half the penalty times the squared slopes.

    L-BFGS (Liu and Nocedal, 1989), which asks the deadline after each step. Two classes have one score, the log-odds
    of the second; more have one each, so that a class which the training rows lack gets a small share.
    """
    from scipy.optimize import minimize

    scores = 1 if job.problem.outputs == 2 else job.problem.outputs
    truth = y.reshape(-1, 1) if scores == 1 else np.eye(scores)[y.astype(np.int64)]
    by_row, total = weights.reshape(-1, 1), float(weights.sum())
    start = np.zeros((X.shape[1] + 1, scores))
    start[-1] = _log_priors(truth * by_row, total)

    def objective(flat: Values) -> tuple[float, Values]:
        found = flat.reshape(start.shape)
        loss, error = _cross_entropy(X @ found[:-1] + found[-1], truth, by_row)
        gradient = np.vstack([X.T @ error + job.params["penalty"] * found[:-1], error.sum(axis=0)])
        penalty = 0.5 * job.params["penalty"] * float(np.sum(found[:-1] ** 2))
        return (loss + penalty) / total, gradient.ravel() / total

    def stop_at_deadline(intermediate_result: Any) -> None:
        if job.deadline.passed:
            raise StopIteration

    options = {"maxiter": _MOST_STEPS, "ftol": 1e-6, "gtol": 1e-6}
    solved: Any = minimize(
        objective, start.ravel(), jac=True, method="L-BFGS-B", callback=stop_at_deadline, options=options
    )
    found = solved.x.reshape(start.shape)
    return _LinearModel(found[:-1], found[-1], int(solved.nit), is_classifier=True)


def _cross_entropy(scores: Values, truth: Values, weights: Values) -> tuple[float, Values]:
    """Summed over rows, and its gradient by the scores. weights: (rows, 1)."""
    if scores.shape[1] == 1:
        loss = np.logaddexp(0.0, scores) - truth * scores
        return float((loss * weights).sum()), (shares(scores)[:, 1:] - truth) * weights
    top = scores.max(axis=1, keepdims=True)
    whole = top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    loss = whole * truth - scores * truth
    return float((loss * weights).sum()), (np.exp(scores - whole) - truth) * weights


def _log_priors(truth: Values, total: float) -> Values:
    """Scores that give each class its share in training, with half a row added to each.

    truth: the rows' weights, each in the column of its class; total: of them all.
    """
    counts = truth.sum(axis=0) + 0.5
    return np.log(counts / (total + 1.0 - counts)) if len(counts) == 1 else np.log(counts / counts.sum())
