"""Gradient boosted oblivious trees: CatBoost, of the extra `boost`."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.boosting import (
    Classes,
    Scores,
    is_constant,
    outputs_of,
    patience,
    round_limit,
    score_count,
)
from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.deadline import Deadline
from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, IntegerParameter, Params, Space

_LOSSES = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}


class CatBoost:
    """Boosted trees that ask the same question in a whole level (Prokhorenkova et al., NeurIPS 2018).

    So they overfit less, and do well untuned. Categories come as numbers of the plan, as for all trees here. Trains
    until the validation rows have not improved for a while, or the deadline passes. One thread.
    """

    name = "catboost"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Where catboost is installed."""
        return find_spec("catboost") is not None

    def space(self, problem: Problem) -> Space:
        """Ranges after TabArena (Erickson et al., 2025), the learning rate's upper end raised for short budgets."""
        return {
            "learning_rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
            "depth": IntegerParameter(4, 8),
            "l2_leaf_reg": ContinuousParameter(1e-4, 10.0, "logarithmic"),
            "rsm": ContinuousParameter(0.4, 1.0),
            "subsample": ContinuousParameter(0.5, 1.0),
            "leaf_estimation_iterations": IntegerParameter(1, 10, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """CatBoost's own defaults at a rate for short budgets, then deeper and shallower."""
        return [_point(0.08, 6, 3.0, 1.0, 0.8, 1), _point(0.07, 8, 2.0, 0.6, 0.8, 1), _point(0.1, 4, 1.0, 0.8, 0.9, 3)]

    def fit(self, job: Job) -> Fitted:
        """Boost."""
        import catboost

        if is_constant(job.X, job.y):
            return Baseline().fit(job)
        classes = Classes.of(job.y, job.problem)
        valid = classes.known(job)
        model = catboost.CatBoost(_settings(job, classes, stops=valid is not None))
        model.fit(
            _pool(job.X, classes.code(job.y), job.weights),
            eval_set=None if valid is None else _pool(*valid),
            callbacks=[_Stop(job.deadline)],
        )
        return _Boosted(model, classes, job.problem)


def _pool(X: Matrix, y: Values, weights: Values | None) -> Any:
    import catboost

    return catboost.Pool(X, y, weight=weights, thread_count=1)


class _Stop:
    """Ends the training at the deadline, after at least one round."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def after_iteration(self, info: Any) -> bool:
        return not self._deadline.passed


class _Boosted:
    def __init__(self, model: Any, classes: Classes, problem: Problem) -> None:
        self._model, self._classes, self._problem = model, classes, problem
        self.rounds: int = model.tree_count_

    def predict(self, X: Matrix) -> Values:
        scores = self._model.predict(X, prediction_type="RawFormulaVal", thread_count=1).reshape(len(X), -1)
        return outputs_of(self._classes.spread(scores), self._problem)

    def emit(self, g: Graph, features: str) -> str:
        with tempfile.TemporaryDirectory() as folder:  # catboost writes models to files alone
            path = Path(folder) / "model.json"
            self._model.save_model(str(path), format="json")
            trees, start = read_trees(path.read_bytes())
        start = self._classes.spread(start.reshape(1, -1))[0]
        placed = [tree._replace(value=self._placed(tree.value, len(start))) for tree in trees]
        return Scores(placed, None, start).emit(g, features, self._problem)

    def _placed(self, value: Values, width: int) -> Values:
        """Leaf values of the present classes, in the columns of all."""
        found = np.zeros((len(value), width))
        found[:, self._classes.columns] = value
        return found


class _Split(Struct):
    border: float
    float_feature_index: int


class _Tree(Struct):
    leaf_values: list[float]
    splits: list[_Split] | None = None


class _Feature(Struct):
    flat_feature_index: int
    nan_value_treatment: str


class _Features(Struct):
    float_features: list[_Feature]


class _File(Struct):
    oblivious_trees: list[_Tree]
    features_info: _Features
    scale_and_bias: tuple[float, list[float]]


def read_trees(model: bytes) -> tuple[list[Tree], Values]:
    """The trees in CatBoost's JSON format, and what the sums begin with; leaves have a value for each score.

    A feature above a border, in float32, goes right. A missing value counts as above all borders where the feature's
    treatment is `AsTrue`, else as above none; so it does where training saw none (`AsIs`: no comparison with it holds).
    """
    file = msgspec.json.decode(model, type=_File)
    scale, bias = file.scale_and_bias
    start = np.array(bias, dtype=np.float64)
    features = file.features_info.float_features
    return [_read_tree(tree, features, scale, len(start)) for tree in file.oblivious_trees], start


def _read_tree(tree: _Tree, features: list[_Feature], scale: float, width: int) -> Tree:
    """Inner nodes level by level, then the leaves, whose number has a bit for each split, the last one the highest."""
    splits = list(reversed(tree.splits or []))
    leaves = 2 ** len(splits)
    inner = np.arange(leaves - 1)
    level = np.repeat(np.arange(len(splits)), [2**depth for depth in range(len(splits))])
    asked = [features[split.float_feature_index] for split in splits]
    column = np.array([feature.flat_feature_index for feature in asked], dtype=np.int64)[level]
    missing_left = np.array([feature.nan_value_treatment != "AsTrue" for feature in asked], dtype=bool)[level]
    border = np.array([split.border for split in splits], dtype=np.float32).astype(np.float64)[level]
    value = scale * np.array(tree.leaf_values, dtype=np.float64).reshape(leaves, width)
    none = np.zeros(leaves, dtype=np.int64)
    return Tree(
        feature=np.concatenate([column, none - 1]),
        threshold=np.concatenate([border, np.zeros(leaves)]),
        left=np.concatenate([2 * inner + 1, none]),
        right=np.concatenate([2 * inner + 2, none]),
        missing_left=np.concatenate([missing_left, none.astype(bool)]),
        value=np.concatenate([np.zeros((leaves - 1, width)), value]),
    )


def _settings(job: Job, classes: Classes, *, stops: bool) -> dict[str, Any]:
    """The loss is that of the classes that occur, of which there may be two among more."""
    task = "binary" if job.problem.task == "multiclass" and len(classes.present) == 2 else job.problem.task
    stop = {"od_type": "Iter", "od_wait": patience(job), "use_best_model": True} if stops else {}
    return {
        **job.params,
        **stop,
        "loss_function": _LOSSES[task],
        "iterations": round_limit(job, 2 ** job.params["depth"], score_count(job.problem)),
        "boosting_type": "Plain",
        "bootstrap_type": "Bernoulli",
        "random_seed": job.seed % 2**31,
        "thread_count": 1,
        "logging_level": "Silent",
        "allow_writing_files": False,
    }


def _point(rate: float, depth: int, l2: float, features: float, rows: float, steps: int) -> Params:
    return {
        "learning_rate": rate,
        "depth": depth,
        "l2_leaf_reg": l2,
        "rsm": features,
        "subsample": rows,
        "leaf_estimation_iterations": steps,
    }
