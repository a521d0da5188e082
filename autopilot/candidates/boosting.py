"""What the boosted families share: how long to train, which classes there are, and the graph of scores."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, shares
from autopilot.graph.trees import Tree, emit_trees, leaf

_LEAST_ROUNDS = 5
_MOST_ROUNDS = 3000
#: Leaves of all trees: keeps the model file below about 25 MB, and its export and check within seconds.
_MOST_LEAVES = 400_000
#: The score of a class that the training rows lack: its share is exactly 0.
_NEVER = -1e4


class Scores(NamedTuple):
    """What boosting learnt: trees that add to scores.

    targets: the score that each tree adds to; None if its leaves have one value for each score. start: float64
    (scores,), what the sums begin with. One score for values, and for two classes, where it is the log-odds of the
    second; else one for each class.
    """

    trees: list[Tree]
    targets: list[int] | None
    start: Values

    def emit(self, g: Graph, features: str, problem: Problem) -> str:
        """double [N, outputs]: values, or probabilities."""
        summed = emit_trees(g, features, *self._started(), double=True)
        scores = g.cast(summed, TensorProto.DOUBLE)
        return scores if problem.task == "regression" else emit_shares(g, scores, len(self.start))

    def _started(self) -> tuple[list[Tree], list[int] | None]:
        """With trees of a single leaf first, which hold what the sums begin with."""
        if not self.start.any():
            return self.trees, self.targets
        if self.targets is None:
            return [leaf(self.start), *self.trees], None
        return [*map(leaf, self.start), *self.trees], [*range(len(self.start)), *self.targets]


def outputs_of(scores: Values, problem: Problem) -> Values:
    """What `Scores.emit` gives, from the library's own scores (rows, scores)."""
    return scores if problem.task == "regression" else shares(scores)


def score_count(problem: Problem) -> int:
    """One for values and for two classes, else one for each class."""
    return 1 if problem.outputs <= 2 else problem.outputs


def round_limit(job: Job, leaves: int, trees: int) -> int:
    """Rounds for a refit, or the most that a model of `trees` trees a round with `leaves` leaves each may have."""
    most = max(_LEAST_ROUNDS, _MOST_LEAVES // (trees * leaves))
    return min(job.rounds or _MOST_ROUNDS, most)


def patience(job: Job) -> int:
    """Rounds without gain: long on few rows, at a small rate longer (after AutoGluon's rule)."""
    usual = float(np.clip(300.0 * 10_000 / max(len(job.X), 1), 20, 100))
    return int(usual * max(1.0, 0.06 / job.params["learning_rate"]))


def is_constant(X: Matrix, y: Values) -> bool:
    """Whether no feature varies, or the target does not: some libraries refuse to train on that."""
    if (y == y[0]).all():
        return True
    first, rest = X[0], X[1:]
    return not ((rest != first) & ~(np.isnan(rest) & np.isnan(first))).any()


class Classes(NamedTuple):
    """The classes that occur, for libraries that want them numbered without gaps. Values are left as they are.

    present: int (classes that occur,), ascending; for values [0]. outputs: of the problem.
    """

    present: NDArray[np.int64]
    outputs: int

    @classmethod
    def of(cls, y: Values, problem: Problem) -> "Classes":
        """From class numbers."""
        present = np.unique(y) if problem.outputs > 1 else np.zeros(1)
        return cls(present.astype(np.int64), problem.outputs)

    def code(self, y: Values) -> Values:
        """Class numbers as places in `present`."""
        return np.searchsorted(self.present, y).astype(np.float64) if self.outputs > 1 else y

    def known(self, job: Job) -> "Known | None":
        """The job's validation rows whose class occurs in training; None if there are none."""
        X, y, weights = job.X_valid, job.y_valid, job.weights_valid
        if X is None or y is None:
            return None
        known = np.isin(y, self.present) if self.outputs > 1 else np.ones(len(y), dtype=bool)
        if not known.any():
            return None
        return Known(X[known], self.code(y[known]), None if weights is None else weights[known])

    @property
    def columns(self) -> list[int]:
        """Which score each of the library's scores is: its one score of two classes is the second's log-odds."""
        if self.outputs <= 2:
            return [0]
        return (self.present[1:] if len(self.present) == 2 else self.present).tolist()

    def spread(self, scores: Values) -> Values:
        """The library's scores (rows, its scores) as those of all classes."""
        if self.outputs <= 2:
            return scores
        found = np.full((len(scores), self.outputs), _NEVER)
        found[:, self.present] = 0.0
        found[:, self.columns] = scores
        return found


class Known(NamedTuple):
    """Validation rows; y: places of their classes in `Classes.present`, or values. weights: as of `Job`."""

    X: Matrix
    y: Values
    weights: Values | None

    def loss(self, scores: Values, problem: Problem) -> float:
        """Mean squared error, or mean -log p, of scores (rows, scores)."""
        return float(np.average(_losses(scores, self.y, problem), weights=self.weights))


def _losses(scores: Values, y: Values, problem: Problem) -> Values:
    if problem.task == "regression":
        return (scores[:, 0] - y) ** 2
    if scores.shape[1] == 1:
        return np.logaddexp(0.0, scores[:, 0]) - y * scores[:, 0]
    top = scores.max(axis=1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return total - scores[np.arange(len(y)), y.astype(np.int64)]
