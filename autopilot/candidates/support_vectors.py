"""Support vector machines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.calibration import fit_platt
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, emit_sigmoids, shares, sigmoids
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, Params, Space

Flags = NDArray[np.bool_]

#: Tables with more rows than this have better families; of those up to it, so many rows and cells are used.
_MOST_TABLE_ROWS, _MOST_ROWS, _MOST_CELLS = 10_000, 3000, 500_000
_MOST_CLASSES = 10
#: Rows that are trained on when the time is up before it began.
_LEAST_ROWS = 200
_FOLDS = 3
#: libsvm's steps: a limit that only data which cannot be separated at a high cost reach.
_MOST_STEPS = 200_000
_CHUNK_ROWS = 1024


class SupportVectors:
    """A sum of Gaussian bumps of unlike heights around some training rows, exp(-γ|x - row|²) (Cortes and Vapnik, 1995).

    scikit-learn's SVC, one class against the rest, and SVR. Scores become probabilities by Platt's sigmoid, fitted on
    scores of three folds that a machine had not seen, and then divided by their sum. A row's weight multiplies its
    cost. For tables of up to 10,000 rows and 10 classes; 3,000 rows, drawn by the seed, are used, fewer if they have
    more than 166 features. In the graph two products of float64 matrices: skl2onnx's conversion is off by 2e-5.
    """

    name = "support_vectors"
    recipe: Recipe = "dense"

    def applies(self, problem: Problem) -> bool:
        """To tables of up to 10,000 rows and 10 classes."""
        return problem.rows <= _MOST_TABLE_ROWS and problem.outputs <= _MOST_CLASSES

    def space(self, problem: Problem) -> Space:
        """The cost of a row on the wrong side, and the bumps' γ in units of 1 / (features · their variance)."""
        return {
            "cost": ContinuousParameter(0.05, 100.0, "logarithmic"),
            "gamma": ContinuousParameter(0.05, 5.0, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """scikit-learn's default, a wider and a narrower one."""
        return [{"cost": 1.0, "gamma": 1.0}, {"cost": 10.0, "gamma": 0.2}, {"cost": 0.3, "gamma": 2.0}]

    def fit(self, job: Job) -> Fitted:
        """Solve."""
        most = _LEAST_ROWS if job.deadline.passed else _MOST_ROWS
        rows, y, weights = job.sampled(min(most, max(1, _MOST_CELLS // job.X.shape[1])))
        X = rows.astype(np.float64)
        gamma = job.params["gamma"] / (X.shape[1] * (float(X.var()) or 1.0))
        costs = job.params["cost"] * (np.ones(len(y)) if weights is None else weights)
        if job.problem.task == "regression":
            return _machines(X, gamma, *_solve_values(X, y, gamma, costs), is_classifier=False)
        heights, intercepts = _solve_shares(X, y, gamma, costs, job)
        return _machines(X, gamma, heights, intercepts, is_classifier=True)


def bumps(X: Values, centres: Values, gamma: float) -> Values:
    """exp(-γ|x - centre|²), float64 (rows, centres)."""
    squares = np.square(X).sum(axis=1, keepdims=True) + np.square(centres).sum(axis=1)
    return np.exp(-gamma * np.maximum(squares - 2 * (X @ centres.T), 0.0))


def _solve_values(X: Values, y: Values, gamma: float, costs: Values) -> tuple[Values, Values]:
    """Heights of the bumps (rows, 1) and intercepts (1,) of support vector regression. costs: (rows,)."""
    from sklearn.svm import SVR

    machine: Any = SVR(**_settings(gamma)).fit(X, y, sample_weight=costs)
    return _spread(machine, len(X)).reshape(-1, 1), machine.intercept_


def _solve_shares(X: Values, y: Values, gamma: float, costs: Values, job: Job) -> tuple[Values, Values]:
    """Heights and intercepts of log-odds: of the second of two classes, or of each class against the rest."""
    classes = [1] if job.problem.outputs == 2 else range(job.problem.outputs)
    is_class: Flags = y[:, None] == np.array(classes)
    unseen, at = _unseen_scores(X, is_class, gamma, costs, job.seed), in_proportion(costs)
    curves = np.array([fit_platt(unseen[at, index], is_class[at, index]) for index in range(len(classes))])
    heights, intercepts = _solve_classes(X, is_class, gamma, costs)
    return heights * curves[:, 0], intercepts * curves[:, 0] + curves[:, 1]


def in_proportion(weights: Values) -> NDArray[np.int64]:
    """As many row numbers as there are rows, each as often as its weight tells: systematic resampling.

    Equal weights give each row once, whole ones of sum n each row so many times.
    """
    reached = np.cumsum(weights)
    return np.searchsorted(reached, (np.arange(len(weights)) + 0.5) / len(weights) * reached[-1])


def _solve_classes(X: Values, is_class: Flags, gamma: float, costs: Values) -> tuple[Values, Values]:
    """Heights (rows, machines) and intercepts (machines,), each class against the rest; -1 for one without rows."""
    from sklearn.svm import SVC

    heights = np.zeros(is_class.shape)
    intercepts: Values = np.where(is_class.all(axis=0), 1.0, -1.0)
    for index in range(is_class.shape[1]):
        if 0 < is_class[:, index].sum() < len(X):
            machine: Any = SVC(**_settings(gamma)).fit(X, is_class[:, index], sample_weight=costs)
            heights[:, index], intercepts[index] = _spread(machine, len(X)), machine.intercept_[0]
    return heights, intercepts


def _settings(gamma: float) -> dict[str, Any]:
    """Without a cost: each row has one of its own."""
    return {"gamma": gamma, "C": 1.0, "max_iter": _MOST_STEPS}


def _spread(machine: Any, rows: int) -> Values:
    """The heights of a machine's bumps, 0 for rows that are no support vectors."""
    heights = np.zeros(rows)
    heights[machine.support_] = machine.dual_coef_[0]
    return heights


def _unseen_scores(X: Values, is_class: Flags, gamma: float, costs: Values, seed: int) -> Values:
    """Scores (rows, machines) by machines that had not seen the row."""
    scores = np.zeros(is_class.shape)
    fold = np.random.default_rng(seed).permutation(len(X)) % _FOLDS
    for number in range(_FOLDS):
        seen = fold != number
        heights, intercepts = _solve_classes(X[seen], is_class[seen], gamma, costs[seen])
        scores[~seen] = bumps(X[~seen], X[seen], gamma) @ heights + intercepts
    return scores


def _machines(X: Values, gamma: float, heights: Values, intercepts: Values, *, is_classifier: bool) -> "_Machines":
    """With the support vectors alone."""
    is_support: Flags = np.any(heights != 0, axis=1)
    is_support[0] = True  # one at least, for the graph's matrices
    return _Machines(X[is_support], gamma, heights[is_support], intercepts, is_classifier=is_classifier)


class _Machines:
    """centres: (vectors, features), float32 numbers in float64. heights: (vectors, scores). intercepts: (scores,)."""

    rounds = 0

    def __init__(
        self, centres: Values, gamma: float, heights: Values, intercepts: Values, *, is_classifier: bool
    ) -> None:
        self._centres, self._gamma = centres, gamma
        self._heights, self._intercepts, self._is_classifier = heights, intercepts, is_classifier

    def predict(self, X: Matrix) -> Values:
        chunks = range(0, max(1, len(X)), _CHUNK_ROWS)
        scores = np.concatenate([self._scores(X[start : start + _CHUNK_ROWS]) for start in chunks])
        if not self._is_classifier:
            return scores
        return shares(scores) if scores.shape[1] == 1 else sigmoids(scores)

    def emit(self, g: Graph, features: str) -> str:
        wide = g.cast(features, TensorProto.DOUBLE)
        around = _emit_bumps(g, wide, self._centres, self._gamma)
        scores = g.op("Gemm", around, g.const(self._heights), g.const(self._intercepts))
        width = len(self._intercepts)
        if not self._is_classifier:
            return scores
        return emit_shares(g, scores, width) if width == 1 else emit_sigmoids(g, scores, width)

    def _scores(self, X: Matrix) -> Values:
        return bumps(X.astype(np.float64), self._centres, self._gamma) @ self._heights + self._intercepts


def _emit_bumps(g: Graph, x: str, centres: Values, gamma: float) -> str:
    """The nodes of `bumps`: double [N, centres] from double [N, features].

    The centres stand in the file as float32, which they are; the runtime makes doubles of them when it loads the file.
    """
    columns = g.cast(g.const(centres.T.astype(np.float32)), TensorProto.DOUBLE)
    product = g.op("Gemm", x, columns, g.const(np.square(centres).sum(axis=1)), alpha=-2.0)
    own = g.op("ReduceSumSquare", x, g.const(np.array([1])), keepdims=1)
    squares = g.op("Max", g.op("Add", product, own), g.const(np.float64(0)))
    return g.op("Exp", g.op("Mul", squares, g.const(np.full(len(centres), -gamma))))
