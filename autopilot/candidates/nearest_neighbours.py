"""Nearest neighbours."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.plan import Recipe
from autopilot.search.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Params, Space

#: Tables with more rows than this have better families; of those up to it, so many rows and cells are kept.
_MOST_TABLE_ROWS, _MOST_ROWS, _MOST_CELLS = 10_000, 3000, 500_000
#: Steps of the grid in one unit of a feature, and the end of the grid in steps: 16 units, whole numbers of int16.
_STEPS, _LIMIT = 1024.0, 16384.0
#: Rows of one step of a prediction: each has a distance to all neighbours.
_CHUNK_ROWS = 1024


class NearestNeighbours:
    """The mean of the k nearest training rows (Cover and Hart, 1967), features weighted by their relevance.

    A feature is multiplied by the `relevance` power of its greatest correlation with the target, rounded to a grid of
    1/1024 and cut off at 16. On the grid all products and sums of a distance are whole numbers below 2^53, hence exact
    in whatever order they are added: both renderings see the same distances to the bit, and among equals both take the
    row that comes first. Neighbours count alike, or by 1/distance with at least one step of the grid; both times their
    row's weight, where rows have one. For classes, the shares of all rows count as one more neighbour, so that no class
    has probability 0.

    For tables of up to 10,000 rows; 3,000 of them, drawn by the seed, are kept, fewer if they have more than 166
    features. They are part of the model file: 2 bytes a cell.
    """

    name = "nearest_neighbours"
    recipe: Recipe = "dense"

    def applies(self, problem: Problem) -> bool:
        """To tables of up to 10,000 rows."""
        return problem.rows <= _MOST_TABLE_ROWS

    def space(self, problem: Problem) -> Space:
        """How many, how they count, and how much relevance does."""
        return {
            "neighbours": IntegerParameter(3, 100, "logarithmic"),
            "weights": CategoricalParameter(("uniform", "distance")),
            "relevance": ContinuousParameter(0.0, 2.0),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Few, with relevance and without; and many."""
        return [
            {"neighbours": 15, "weights": "distance", "relevance": 1.0},
            {"neighbours": 10, "weights": "distance", "relevance": 0.0},
            {"neighbours": 40, "weights": "uniform", "relevance": 2.0},
        ]

    def fit(self, job: Job) -> Fitted:
        """Keep the rows."""
        X, y, weights = job.sampled(min(_MOST_ROWS, max(1, _MOST_CELLS // job.X.shape[1])))
        is_value = job.problem.task == "regression"
        answers = y.reshape(-1, 1) if is_value else np.eye(job.problem.outputs)[y.astype(np.int64)]
        factors = _STEPS * _relevance(X, answers, weights) ** job.params["relevance"]
        count, by_distance = min(job.params["neighbours"], len(X)), job.params["weights"] == "distance"
        prior = 0.0 if is_value else 1.0
        rows = on_grid(X, factors)
        return _Neighbours(rows, factors, answers, weights, count, by_distance=by_distance, prior=prior)


def on_grid(X: Matrix, factors: Values) -> Values:
    """Features (rows, features) as whole numbers of steps, in float64."""
    return np.clip(np.rint(X.astype(np.float64) * factors), -_LIMIT, _LIMIT)


def _relevance(X: Matrix, answers: Values, weights: Values | None) -> Values:
    """Each feature's greatest absolute correlation with a column of the answers, as a share of the best feature's."""
    x, y = (values - np.average(values, axis=0, weights=weights) for values in (X.astype(np.float64), answers))
    if weights is not None:
        x, y = (values * np.sqrt(weights)[:, None] for values in (x, y))
    spread = np.sqrt(np.square(x).sum(axis=0))[:, None] * np.sqrt(np.square(y).sum(axis=0))
    found = (np.abs(x.T @ y) / np.where(spread > 0, spread, 1.0)).max(axis=1)
    return np.maximum(found / (found.max() or 1.0), 1e-3)


class _Neighbours:
    """rows: (kept, features) on the grid. answers: (kept, outputs). weights: (kept,), or None where all count alike.

    prior: neighbours that the mean of the answers counts for.
    """

    rounds = 0

    def __init__(
        self,
        rows: Values,
        factors: Values,
        answers: Values,
        weights: Values | None,
        count: int,
        *,
        by_distance: bool,
        prior: float,
    ) -> None:
        self._rows, self._factors, self._answers, self._weights = rows, factors, answers, weights
        self._count, self._by_distance = count, by_distance
        # A key is squared distance · kept + row: a whole number below 2^49, and no two of one row are equal.
        self._kept = len(rows)
        self._offsets = np.square(rows).sum(axis=1) * self._kept + np.arange(self._kept)
        self._share = count / (count + prior)
        self._added = (1 - self._share) * np.average(answers, axis=0, weights=weights)

    def predict(self, X: Matrix) -> Values:
        chunks = range(0, max(1, len(X)), _CHUNK_ROWS)
        return np.concatenate([self._predict_chunk(X[start : start + _CHUNK_ROWS]) for start in chunks])

    def emit(self, g: Graph, features: str) -> str:
        scaled = g.op("Mul", g.cast(features, TensorProto.DOUBLE), g.const(self._factors))
        x = g.op("Clip", g.op("Round", scaled), g.const(np.float64(-_LIMIT)), g.const(np.float64(_LIMIT)))
        least, _ = g.outputs(2, "TopK", self._emit_keys(g, x), g.const(np.array([self._count])), largest=0)
        keys, kept = g.cast(least, TensorProto.INT64), g.const(np.array([self._kept]))
        rows = g.op("Mod", keys, kept)
        answers, votes = g.op("Gather", g.const(self._answers), rows), list[str]()
        if self._weights is not None:
            votes.append(g.op("Gather", g.const(self._weights), rows))
        if self._by_distance:
            votes.append(_emit_nearness(g, g.op("Div", keys, kept)))
        if votes:
            mean = _emit_mean_by(g, answers, votes[0] if len(votes) == 1 else g.op("Mul", *votes))
        else:
            mean = g.op("ReduceMean", answers, g.const(np.array([1])), keepdims=0)
        return g.op("Add", g.op("Mul", mean, g.const(np.full(len(self._added), self._share))), g.const(self._added))

    def _predict_chunk(self, X: Matrix) -> Values:
        keys = self._least_keys(on_grid(X, self._factors))
        rows = keys % self._kept
        answers = self._answers[rows]
        if self._weights is None and not self._by_distance:
            return self._share * answers.mean(axis=1) + self._added
        votes = np.ones(rows.shape) if self._weights is None else self._weights[rows]
        if self._by_distance:
            votes = votes * (1.0 / np.maximum(np.sqrt((keys // self._kept).astype(np.float64)), 1.0))
        mean = (answers * votes[:, :, None]).sum(axis=1) / votes.sum(axis=1, keepdims=True)
        return self._share * mean + self._added

    def _least_keys(self, x: Values) -> NDArray[np.int64]:
        """Keys of the nearest rows (rows, count), in rising order."""
        own = np.square(x).sum(axis=1, keepdims=True) * self._kept
        keys = x @ (-2.0 * self._kept * self._rows.T) + self._offsets + own
        keys.partition(self._count - 1, axis=1)
        return np.sort(keys[:, : self._count], axis=1).astype(np.int64)

    def _emit_keys(self, g: Graph, x: str) -> str:
        """double [N, kept], by one product: the row's own square is one more feature, and all count alike in it.

        The rows stand in the file as int16; the runtime makes doubles of them when it loads the file.
        """
        rows = g.cast(g.const(self._rows.T.astype(np.int16)), TensorProto.DOUBLE)
        factors = g.op("Mul", rows, g.const(np.float64(-2 * self._kept)))
        factors = g.op("Concat", factors, g.const(np.full((1, self._kept), float(self._kept))), axis=0)
        own = g.op("ReduceSumSquare", x, g.const(np.array([1])), keepdims=1)
        return g.op("Gemm", g.op("Concat", x, own, axis=1), factors, g.const(self._offsets))


def _emit_nearness(g: Graph, squares: str) -> str:
    """double [N, count]: 1/distance, from squared distances, int64 [N, count]."""
    steps = g.op("Max", g.op("Sqrt", g.cast(squares, TensorProto.DOUBLE)), g.const(np.float64(1)))
    return g.op("Reciprocal", steps)


def _emit_mean_by(g: Graph, answers: str, votes: str) -> str:
    """double [N, outputs] from answers [N, count, outputs] and how much each counts [N, count]."""
    axis = g.const(np.array([1]))
    weighted = g.op("Mul", answers, g.op("Unsqueeze", votes, g.const(np.array([2]))))
    return g.op("Div", g.op("ReduceSum", weighted, axis, keepdims=0), g.op("ReduceSum", votes, axis, keepdims=1))
