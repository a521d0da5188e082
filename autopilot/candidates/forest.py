"""What random forests and extremely randomised trees share: growing within a deadline, and their graph."""

import time
from typing import Any

import numpy as np
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


def is_small_enough(problem: Problem) -> bool:
    """Up to 30 classes: each leaf holds a share for each."""
    return problem.outputs <= _MOST_OUTPUTS


def grow(classifier: Any, regressor: Any, job: Job) -> Fitted:
    """Add trees in chunks of about half a second until 100, or `job.rounds`, or the deadline.

    classifier, regressor: classes of scikit-learn's forests, which take `job.params`. At most 60,000 rows, drawn by the
    seed, are used; leaves are capped so that the forest stays small enough to serve.
    """
    X, y = job.sampled(_MOST_ROWS)
    forest = _planted(regressor if job.problem.task == "regression" else classifier, job)
    trees, count, began = job.rounds or _TREES, 0, time.monotonic()
    while count < trees and not (count and job.deadline.passed):
        per_tree_s = (time.monotonic() - began) / count if count else _CHUNK_S
        count = min(trees, count + max(1, int(_CHUNK_S / per_tree_s)))
        forest.set_params(n_estimators=count)
        with np.errstate(invalid="ignore"):  # its check for infinities adds up the largest and the smallest float32
            forest.fit(X, y)
    return _Forest(forest, job.problem)


def _planted(kind: Any, job: Job) -> Any:
    leaves = max(32, _MOST_LEAF_VALUES // (_TREES * job.problem.outputs))
    return kind(warm_start=True, random_state=job.seed % 2**31, max_leaf_nodes=leaves, n_jobs=1, **job.params)


class _Forest:
    def __init__(self, forest: Any, problem: Problem) -> None:
        self._forest = forest
        self._problem = problem
        self.rounds = len(forest.estimators_)

    def predict(self, X: Matrix) -> Values:
        with np.errstate(invalid="ignore"):
            if self._problem.task == "regression":
                return self._forest.predict(X).reshape(-1, 1)
            found = np.zeros((len(X), self._problem.outputs))
            found[:, self._forest.classes_.astype(np.int64)] = self._forest.predict_proba(X)
            return found

    def emit(self, g: Graph, features: str) -> str:
        trees = [self._read(estimator.tree_) for estimator in self._forest.estimators_]
        is_value = self._problem.task == "regression"
        summed = g.cast(emit_trees(g, features, trees, double=is_value), TensorProto.DOUBLE)
        return emit_pair(g, summed) if self._problem.outputs == 2 else summed

    def _read(self, tree: Any) -> Tree:
        return read_sklearn_tree(tree, self._leaf_values(tree.value[:, 0, :]) / self.rounds)

    def _leaf_values(self, value: Values) -> Values:
        """What a leaf says: the value, the second class's share, or each class's share."""
        if self._problem.task == "regression":
            return value
        found = np.zeros((len(value), self._problem.outputs))
        found[:, self._forest.classes_.astype(np.int64)] = value / value.sum(axis=1, keepdims=True)
        return found[:, 1:] if self._problem.outputs == 2 else found
