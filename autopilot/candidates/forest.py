"""What random forests and extremely randomised trees share: growing within a deadline, scores out of bag, the graph."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_pair
from autopilot.graph.trees import Tree, emit_trees, read_sklearn_tree

_TREES = 100
_CHUNK_S = 0.5
_MOST_ROWS = 60_000
#: Leaves of the whole forest times outputs: keeps the model file at a few MB and a row at some tens of microseconds.
_MOST_LEAF_VALUES = 150_000
#: Each leaf holds a share for each class.
_MOST_OUTPUTS = 30
#: Of the time that is left, for growing: the rest is for asking each tree about the rows that it did not see.
_GROWING_SHARE = 0.85


def is_small_enough(problem: Problem) -> bool:
    """Up to 30 classes: each leaf holds a share for each."""
    return problem.outputs <= _MOST_OUTPUTS


def grow(classifier: Any, regressor: Any, job: Job) -> "Forest":
    """Add trees in chunks of about half a second until 100, or `job.rounds`, or the deadline.

    classifier, regressor: classes of scikit-learn's forests, which take `job.params`. Each tree sees rows drawn with
    replacement, in proportion to their weights. At most 60,000 rows, drawn by the seed, are used; leaves are capped so
    that the forest stays small enough to serve.
    """
    X, y, weights = job.sampled(_MOST_ROWS)
    forest = _planted(regressor if job.problem.task == "regression" else classifier, job)
    trees, count, at_first_s = job.rounds or _TREES, 0, job.deadline.left_s
    while count < trees and not (count and job.deadline.passed):
        per_tree_s = max(at_first_s - job.deadline.left_s, 1e-6) / count if count else _CHUNK_S
        count = min(trees, count + max(1, int(_CHUNK_S / per_tree_s)))
        forest.set_params(n_estimators=count)
        with np.errstate(invalid="ignore"):  # its check for infinities adds up the largest and the smallest float32
            forest.fit(X, y, weights)
    return Forest(forest, job.problem)


def grow_out_of_bag(classifier: Any, regressor: Any, job: Job) -> tuple[Fitted, Values]:
    """What `grow` gives, and a prediction for each row by those trees alone that did not see it, (rows, outputs).

    So one training tells what k folds would. A tree leaves out 37% of the rows (Breiman, "Out-of-bag estimation",
    1996). A row that no tree left out, with 16 trees one in 1,500, gets the constant guess. Rows beyond the 60,000 that
    are used were seen by none, and get the whole forest's prediction.
    """
    used, rest = _divided(len(job.X), job.seed)
    bag = job._replace(
        X=job.X[used],
        y=job.y[used],
        weights=None if job.weights is None else job.weights[used],
        deadline=job.deadline.share(_GROWING_SHARE),
    )
    grown = grow(classifier, regressor, bag)
    predicted = np.empty((len(job.X), job.problem.outputs))
    predicted[used] = grown.predict_out_of_bag(bag.X, bag.y)
    if len(rest):
        predicted[rest] = grown.predict(job.X[rest])
    return grown, predicted


def _divided(rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers to grow from, and the others, both ascending."""
    if rows <= _MOST_ROWS:
        return np.arange(rows), np.empty(0, dtype=np.int64)
    is_used = np.zeros(rows, dtype=bool)
    is_used[np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False)] = True
    return np.flatnonzero(is_used), np.flatnonzero(~is_used)


def _planted(kind: Any, job: Job) -> Any:
    leaves = max(32, _MOST_LEAF_VALUES // (_TREES * job.problem.outputs))
    return kind(
        bootstrap=True,
        warm_start=True,
        random_state=job.seed % 2**31,
        max_leaf_nodes=leaves,
        n_jobs=1,
        **job.params,
    )


class Forest:
    """Trees whose leaves are averaged."""

    def __init__(self, forest: Any, problem: Problem) -> None:
        self._forest = forest
        self._problem = problem
        self.rounds = len(forest.estimators_)

    def predict(self, X: Matrix) -> Values:
        """Probabilities (rows, classes), or values (rows, 1)."""
        with np.errstate(invalid="ignore"):
            if self._problem.task == "regression":
                return self._forest.predict(X).reshape(-1, 1)
            return self._placed(self._forest.predict_proba(X))

    def predict_out_of_bag(self, X: Matrix, y: Values) -> Values:
        """The same for the rows that it grew from, by the trees that did not see the row."""
        summed, trees = np.zeros((len(X), self._problem.outputs)), np.zeros((len(X), 1))
        for estimator, seen in zip(self._forest.estimators_, self._forest.estimators_samples_, strict=True):
            unseen = np.ones(len(X), dtype=bool)
            unseen[seen] = False
            summed[unseen] += self._said(estimator.tree_.predict(X[unseen]))
            trees[unseen] += 1
        return np.where(trees > 0, summed / np.maximum(trees, 1), self._guess(y))

    def emit(self, g: Graph, features: str) -> str:
        """double [N, outputs] from float32 [N, features]."""
        trees = [self._read(estimator.tree_) for estimator in self._forest.estimators_]
        is_value = self._problem.task == "regression"
        summed = g.cast(emit_trees(g, features, trees, double=is_value), TensorProto.DOUBLE)
        return emit_pair(g, summed) if self._problem.outputs == 2 else summed

    def _read(self, tree: Any) -> Tree:
        """A leaf adds the value, the second class's share, or each class's share."""
        said = self._said(tree.value)
        return read_sklearn_tree(tree, (said[:, 1:] if self._problem.outputs == 2 else said) / self.rounds)

    def _said(self, value: NDArray[Any]) -> Values:
        """(any, outputs) of what trees hold for nodes, or tell for rows, (any, 1, its classes or 1)."""
        flat: Values = value.reshape(len(value), -1)
        if self._problem.task == "regression":
            return flat
        return self._placed(flat / flat.sum(axis=1, keepdims=True))

    def _placed(self, shares: Values) -> Values:
        """Shares of the classes that occurred, in the columns of all."""
        found = np.zeros((len(shares), self._problem.outputs))
        found[:, self._forest.classes_.astype(np.int64)] = shares
        return found

    def _guess(self, y: Values) -> Values:
        if self._problem.task == "regression":
            return np.array([y.mean()])
        counts = np.bincount(y.astype(np.int64), minlength=self._problem.outputs)
        return counts / counts.sum()
