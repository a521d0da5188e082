"""Gradient boosted trees: LightGBM."""

from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from autopilot.candidates.boosting import Scores, outputs_of, patience, round_limit, score_count
from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.deadline import Deadline
from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree
from autopilot.plan import Recipe
from autopilot.search.space import CategoricalParameter, ContinuousParameter, IntegerParameter, Params, Space

_OBJECTIVES = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


class LightGBM:
    """Boosted trees grown leaf by leaf on histograms (Ke et al., NIPS 2017); the strongest single family on tables.

    Trains until the validation rows have not improved for a while, or the deadline passes. One thread; same seed, same
    rows and same rounds give the same trees.

    It is listed twice: on the features of "trees", and as `lightgbm_prepared` on those of "prepared".
    """

    def __init__(self, name: str = "lightgbm", recipe: Recipe = "trees") -> None:
        self.name = name
        self.recipe: Recipe = recipe

    def applies(self, problem: Problem) -> bool:
        """Always."""
        return True

    def space(self, problem: Problem) -> Space:
        """Ranges after TabArena (Erickson et al., 2025), the learning rate's upper end raised for short budgets."""
        return {
            "learning_rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
            "num_leaves": IntegerParameter(4, 255, "logarithmic"),
            "min_data_in_leaf": IntegerParameter(1, 128, "logarithmic"),
            "min_sum_hessian_in_leaf": ContinuousParameter(1e-3, 10.0, "logarithmic"),
            "feature_fraction": ContinuousParameter(0.4, 1.0),
            "bagging_fraction": ContinuousParameter(0.6, 1.0),
            "lambda_l1": ContinuousParameter(1e-4, 10.0, "logarithmic"),
            "lambda_l2": ContinuousParameter(1e-4, 10.0, "logarithmic"),
            "extra_trees": CategoricalParameter((False, True)),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Shapes that portfolios learnt over many sets agree on: very different leaf counts, few features a tree.

        LightGBM's own least sum of Hessians, 1e-3, lets leaves of all but certain rows take any value, and rare classes
        run away: covertype (67,000 rows, 7 classes, rate 0.12) ends after 90 rounds with a log loss of 0.46; with 1,
        as XGBoost has it, 0.24 after 1,100. Two classes gain a little (bank marketing, 84 leaves: 0.7986 and 0.8028).
        """
        return [
            _point(0.08, 31, 20, 0.9, 0.9),
            _point(0.05, 64, 20, 0.6, 0.9, l2=1.0),
            _point(0.06, 16, 10, 0.6, 0.9, l1=0.3),
            _point(0.04, 128, 12, 0.45, 0.95, l1=0.7, l2=1.5, extra=True),
            _point(0.1, 6, 20, 0.7, 0.9),
            _point(0.04, 39, 3, 0.46, 0.88, l1=0.24, l2=0.36, extra=True),
        ]

    def fit(self, job: Job) -> Fitted:
        """Boost."""
        rounds = round_limit(job, job.params["num_leaves"], score_count(job.problem))
        train = lightgbm.Dataset(job.X, job.y, weight=job.weights, free_raw_data=True)
        callbacks: list[Any] = [_Stop(job.deadline)]
        valid: list[lightgbm.Dataset] = []
        if job.X_valid is not None:
            valid = [lightgbm.Dataset(job.X_valid, job.y_valid, weight=job.weights_valid, reference=train)]
            callbacks.append(lightgbm.early_stopping(patience(job), verbose=False))
        booster = lightgbm.train(_settings(job), train, rounds, valid_sets=valid, callbacks=callbacks)
        return _Boosted(booster, booster.best_iteration or booster.num_trees(), job.problem)


class _Stop:
    """Ends the training at the deadline, after at least one round."""

    before_iteration = False
    order = 40  # after early stopping, which has to see the round first

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __call__(self, env: Any) -> None:
        if self._deadline.passed:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list)


class _Boosted:
    def __init__(self, booster: Any, rounds: int, problem: Problem) -> None:
        self._booster = booster
        self._problem = problem
        self._scores = score_count(problem)
        self.rounds = max(1, min(rounds, booster.num_trees() // self._scores))

    def predict(self, X: Matrix) -> Values:
        raw = self._booster.predict(X, raw_score=True, num_iteration=self.rounds, num_threads=1)
        return outputs_of(raw.reshape(len(X), -1), self._problem)

    def emit(self, g: Graph, features: str) -> str:
        trees = read_trees(self._booster.model_to_string(num_iteration=self.rounds))
        targets = list(range(self._scores)) * self.rounds
        return Scores(trees, targets, np.zeros(self._scores)).emit(g, features, self._problem)


def _point(
    rate: float,
    leaves: int,
    least: int,
    features: float,
    rows: float,
    *,
    l1: float = 1e-3,
    l2: float = 1e-3,
    extra: bool = False,
) -> Params:
    return {
        "learning_rate": rate,
        "num_leaves": leaves,
        "min_data_in_leaf": least,
        "min_sum_hessian_in_leaf": 1.0,
        "feature_fraction": features,
        "bagging_fraction": rows,
        "lambda_l1": l1,
        "lambda_l2": l2,
        "extra_trees": extra,
    }


def _settings(job: Job) -> dict[str, Any]:
    many = {"num_class": job.problem.outputs} if job.problem.task == "multiclass" else {}
    return {
        **job.params,
        **many,
        "objective": _OBJECTIVES[job.problem.task],
        "bagging_freq": 1,
        "num_threads": 1,
        "seed": job.seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def read_trees(model: str) -> list[Tree]:
    """The trees in LightGBM's text format, with its rule for missing values resolved for each node.

    decision_type: bit 0 categorical, bit 1 missing goes left, bits 2-3 kind of missing (0 none, 1 zero, 2 NaN). Where
    training saw no NaN, LightGBM takes a NaN for 0: https://lightgbm.readthedocs.io/en/stable/Advanced-Topics.html.
    """
    return [_read_tree(part) for part in model.split("\nTree=")[1:]]


def _read_tree(text: str) -> Tree:
    lines = dict(line.split("=", 1) for line in text.split("end of trees")[0].splitlines() if "=" in line)

    def numbers(name: str, kind: Any) -> NDArray[Any]:
        return np.array(lines[name].split() if lines.get(name) else [], dtype=kind)

    leaf_value = numbers("leaf_value", np.float64)
    feature = numbers("split_feature", np.int64)
    inner, leaves = len(feature), len(leaf_value)
    decision = numbers("decision_type", np.int64)
    threshold = numbers("threshold", np.float64)
    missing_left = np.where(decision >> 2 & 3 == 2, decision & 2 != 0, threshold >= 0.0)
    return Tree(
        feature=np.concatenate([feature, np.full(leaves, -1)]),
        threshold=np.concatenate([threshold, np.zeros(leaves)]),
        left=_children(numbers("left_child", np.int64), inner, leaves),
        right=_children(numbers("right_child", np.int64), inner, leaves),
        missing_left=np.concatenate([missing_left, np.zeros(leaves, dtype=bool)]),
        value=np.concatenate([np.zeros(inner), leaf_value]).reshape(-1, 1),
    )


def _children(child: NDArray[np.int64], inner: int, leaves: int) -> NDArray[np.int64]:
    """LightGBM numbers inner nodes from 0 and leaves from -1 downwards; here leaves follow the inner nodes."""
    return np.concatenate([np.where(child < 0, inner + ~child, child), np.zeros(leaves, dtype=np.int64)])
