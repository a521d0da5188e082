"""The constant guess: what any model has to beat."""

import numpy as np
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.plan import Recipe
from autopilot.search.space import Params, Space


class Baseline:
    """Predicts the classes' shares in training, or the mean, whatever the row holds."""

    name = "baseline"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Always."""
        return True

    def space(self, problem: Problem) -> Space:
        """Nothing to choose."""
        return {}

    def points(self, problem: Problem) -> list[Params]:
        """The one there is."""
        return [{}]

    def fit(self, job: Job) -> Fitted:
        """Count or average."""
        if job.problem.task == "regression":
            return _Constant(np.array([np.average(job.y, weights=job.weights)]))
        counts = np.bincount(job.y.astype(np.int64), job.weights, job.problem.outputs)
        return _Constant(counts / counts.sum())


class _Constant:
    rounds = 0

    def __init__(self, value: Values) -> None:
        self._value = value

    def predict(self, X: Matrix) -> Values:
        return np.tile(self._value, (len(X), 1))

    def emit(self, g: Graph, features: str) -> str:
        zeros = g.cast(g.zeros(features, len(self._value)), TensorProto.DOUBLE)
        return g.op("Add", zeros, g.const(self._value))
