"""Gradient boosted trees: XGBoost, of the extra `boost`."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from autopilot.candidates.boosting import Scores, outputs_of, patience, round_limit, score_count
from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.deadline import Deadline
from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, IntegerParameter, Params, Space

if TYPE_CHECKING:
    import xgboost

_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
#: What XGBoost adds to each sum where it is told no margin: chosen so that it is 0.
_NEUTRAL = {"binary": 0.5, "multiclass": 0.0, "regression": 0.0}
#: Rows times trees that are looked up at once: 64 MB.
_LOOKED_UP = 8_000_000


class XGBoost:
    """Boosted trees grown level by level on histograms (Chen and Guestrin, KDD 2016).

    Trains until the validation rows have not improved for a while, or the deadline passes. The sums begin with the
    log-odds or the logarithms of the shares in training. One thread. XGBoost adds leaves up in float32; here it tells
    the leaves, and they are added up in float64, as in the graph.
    """

    name = "xgboost"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Where xgboost is installed."""
        return find_spec("xgboost") is not None

    def space(self, problem: Problem) -> Space:
        """Ranges after TabArena (Erickson et al., 2025), the learning rate's upper end raised for short budgets."""
        return {
            "learning_rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
            "max_depth": IntegerParameter(3, 10),
            "min_child_weight": ContinuousParameter(1e-3, 10.0, "logarithmic"),
            "subsample": ContinuousParameter(0.6, 1.0),
            "colsample_bytree": ContinuousParameter(0.4, 1.0),
            "reg_alpha": ContinuousParameter(1e-4, 5.0, "logarithmic"),
            "reg_lambda": ContinuousParameter(1e-4, 5.0, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Usual depth with little penalty (after pytabkit's tuned defaults), deep, shallow."""
        if problem.task == "regression":
            return [_point(0.05, 9, 2.0, 0.7, 1.0), _point(0.08, 6, 1.0, 0.8, 0.7), _point(0.1, 4, 1.0, 0.9, 0.8)]
        return [_point(0.08, 6, 1e-2, 0.65, 0.9), _point(0.05, 9, 1.0, 0.8, 0.7), _point(0.1, 4, 1.0, 0.9, 0.8)]

    def fit(self, job: Job) -> Fitted:
        """Boost."""
        import xgboost
        from xgboost.callback import EarlyStopping

        start = _start(job)
        rounds = round_limit(job, 2 ** job.params["max_depth"], score_count(job.problem))
        callbacks: list[Any] = []
        valid: list[tuple[xgboost.DMatrix, str]] = []
        if job.X_valid is not None and job.y_valid is not None:
            valid = [(_matrix(job.X_valid, job.y_valid, job.weights_valid, start), "valid")]
            callbacks.append(EarlyStopping(rounds=patience(job)))
        train = _matrix(job.X, job.y, job.weights, start)
        callbacks.append(_stop_at(job.deadline))  # after early stopping, which has to see the round first
        booster = xgboost.train(_settings(job), train, rounds, evals=valid, callbacks=callbacks, verbose_eval=False)
        best = booster.best_iteration + 1 if valid else booster.num_boosted_rounds()
        return _Boosted(booster, best, start, job.problem)


def _stop_at(deadline: Deadline) -> Any:
    """Ends the training at the deadline, after at least one round; made here, since its base comes with the extra."""
    from xgboost.callback import TrainingCallback

    class Stop(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return deadline.passed

    return Stop()


class _Boosted:
    def __init__(self, booster: Any, rounds: int, start: Values, problem: Problem) -> None:
        self._booster, self._start, self._problem = booster, start, problem
        self.rounds = rounds
        self._trees = read_trees(bytes(booster.save_raw("json")))[: rounds * len(start)]
        sizes = [len(tree.feature) for tree in self._trees]
        self._first = np.cumsum([0, *sizes[:-1]])
        self._leaves = np.concatenate([tree.value[:, 0] for tree in self._trees])

    def predict(self, X: Matrix) -> Values:
        step = max(1, _LOOKED_UP // len(self._trees))
        parts = [self._scores(X[at : at + step]) for at in range(0, len(X), step)]
        return outputs_of(np.vstack(parts), self._problem)

    def emit(self, g: Graph, features: str) -> str:
        targets = list(range(len(self._start))) * self.rounds
        return Scores(self._trees, targets, self._start).emit(g, features, self._problem)

    def _scores(self, X: Matrix) -> Values:
        import xgboost

        matrix = xgboost.DMatrix(X, nthread=1)
        nodes = self._booster.predict(matrix, pred_leaf=True, iteration_range=(0, self.rounds))
        added = self._leaves[self._first + nodes.reshape(len(X), -1).astype(np.int64)]
        return self._start + added.reshape(len(X), self.rounds, len(self._start)).sum(axis=1)


class _Tree(Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[int]


class _Trees(Struct):
    trees: list[_Tree]


class _Booster(Struct):
    model: _Trees


class _Learner(Struct):
    gradient_booster: _Booster


class _File(Struct):
    learner: _Learner


def read_trees(model: bytes) -> list[Tree]:
    """The trees in XGBoost's JSON format, classes in turn (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html).

    XGBoost goes left where `x < t`, in float32; that is `x <= t'` with the float32 before t. A missing value follows
    the node's flag. The field of a leaf's threshold holds its value.
    """
    return [_read_tree(tree) for tree in msgspec.json.decode(model, type=_File).learner.gradient_booster.model.trees]


def _read_tree(tree: _Tree) -> Tree:
    left = np.array(tree.left_children, dtype=np.int64)
    number = np.array(tree.split_conditions, dtype=np.float32)
    is_leaf = left < 0
    before = np.nextafter(number, np.float32(-np.inf)).astype(np.float64)
    return Tree(
        feature=np.where(is_leaf, -1, np.array(tree.split_indices, dtype=np.int64)),
        threshold=np.where(is_leaf, 0.0, before),
        left=np.where(is_leaf, 0, left),
        right=np.where(is_leaf, 0, np.array(tree.right_children, dtype=np.int64)),
        missing_left=np.array(tree.default_left, dtype=bool),
        value=number.astype(np.float64).reshape(-1, 1),
    )


def _start(job: Job) -> Values:
    """What the sums begin with, (scores,): half a row is added to each class, so that none is impossible."""
    if job.problem.task == "regression":
        return np.array([np.average(job.y, weights=job.weights)])
    counts = np.bincount(job.y.astype(np.int64), job.weights, job.problem.outputs) + 0.5
    logs = np.log(counts / counts.sum())
    return logs[1:] - logs[:1] if job.problem.outputs == 2 else logs


def _matrix(X: Matrix, y: Values, weights: Values | None, start: Values) -> "xgboost.DMatrix":
    import xgboost

    margin = np.tile(start.astype(np.float32), (len(X), 1))
    return xgboost.DMatrix(X, label=y, weight=weights, base_margin=margin, nthread=1)


def _settings(job: Job) -> dict[str, Any]:
    many = {"num_class": job.problem.outputs} if job.problem.task == "multiclass" else {}
    return {
        **job.params,
        **many,
        "objective": _OBJECTIVES[job.problem.task],
        "base_score": _NEUTRAL[job.problem.task],
        "tree_method": "hist",
        "nthread": 1,
        "seed": job.seed % 2**31,
        "verbosity": 0,
    }


def _point(rate: float, depth: int, weight: float, rows: float, features: float) -> Params:
    return {
        "learning_rate": rate,
        "max_depth": depth,
        "min_child_weight": weight,
        "subsample": rows,
        "colsample_bytree": features,
        "reg_alpha": 1e-3,
        "reg_lambda": 1.0,
    }
