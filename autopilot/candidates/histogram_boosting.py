"""Gradient boosted trees on histograms: scikit-learn's HistGradientBoosting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

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

_MOST_OUTPUTS = 30
_LEAST_CHUNK = _TREES_TO_BEGIN = 8
#: Of the time that is left: other processes may slow the next chunk down.
_SURE_SHARE = 0.7
#: What beginning is taken to last at least, where the clock stood still meanwhile.
_LEAST_S = 1e-6


class HistogramBoosting:
    """Boosted trees grown leaf by leaf on 255 bins, after LightGBM, without its sampling of rows.

    scikit-learn's HistGradientBoosting, which sees missing values. It grows in chunks of rounds until the validation
    rows have not improved for a while, or the deadline is near. One thread.
    """

    name = "histogram_boosting"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Up to 30 classes: each round grows a tree for each."""
        return problem.outputs <= _MOST_OUTPUTS

    def space(self, problem: Problem) -> Space:
        """Ranges like LightGBM's."""
        return {
            "learning_rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
            "max_leaf_nodes": IntegerParameter(4, 255, "logarithmic"),
            "min_samples_leaf": IntegerParameter(1, 128, "logarithmic"),
            "max_features": ContinuousParameter(0.3, 1.0),
            "l2_regularization": ContinuousParameter(1e-4, 10.0, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Usual trees, many leaves of few features, few leaves."""
        return [_point(0.08, 31, 20, 0.8, 1e-3), _point(0.05, 96, 10, 0.45, 1.0), _point(0.1, 8, 20, 0.6, 0.1)]

    def fit(self, job: Job) -> Fitted:
        """Boost."""
        if is_constant(job.X, job.y):
            return Baseline().fit(job)
        classes = Classes.of(job.y, job.problem)
        valid = classes.known(job)
        model = _model(job, stops=valid is not None)
        trees = score_count(job.problem)
        most = round_limit(job, job.params["max_leaf_nodes"], trees)
        told: dict[str, Any] = {"sample_weight": job.weights}
        if valid is not None:
            told |= {"X_val": valid.X, "y_val": valid.y, "sample_weight_val": valid.weights}
        with threadpool_limits(1, user_api="openmp"):  # of this thread: OpenMP counts them for each
            _grow(model, job.X, classes.code(job.y), told, trees, most, job.deadline)
        return _Boosted(model, classes, job.problem)


def _grow(model: Any, X: Matrix, y: Values, told: dict[str, Any], trees: int, most: int, deadline: Deadline) -> None:
    """One round, then chunks of as many rounds as there are, at least 8, as far as they surely fit into the time.

    Each chunk begins by sorting X into bins, which takes as long as about 8 trees; so few chunks are better.
    told: weights, and what to validate on. trees: that a round grows. most: rounds.
    """
    left_s = deadline.left_s
    model.set_params(max_iter=1).fit(X, y, **told)
    begin_s = max(left_s - deadline.left_s, _LEAST_S)
    per_round_s = begin_s * trees / (trees + _TREES_TO_BEGIN)
    rounds = 1
    while model.n_iter_ == rounds < most:
        left_s = deadline.left_s
        fit_in = int((_SURE_SHARE * left_s - begin_s) / per_round_s)
        step = min(max(rounds, _LEAST_CHUNK), most - rounds, fit_in)
        if step < 1:
            break
        rounds += step
        model.set_params(max_iter=rounds).fit(X, y, **told)
        per_round_s = max((left_s - deadline.left_s - begin_s) / step, 0.1 * per_round_s)


class _Boosted:
    def __init__(self, model: Any, classes: Classes, problem: Problem) -> None:
        self._model, self._classes, self._problem = model, classes, problem
        self.rounds = model.n_iter_
        if len(model.validation_score_):  # its first score is that of no trees
            self.rounds = max(1, int(np.argmax(model.validation_score_)))
        del model._predictors[self.rounds :]  # there is no public way to its trees

    def predict(self, X: Matrix) -> Values:
        score = self._model.predict if self._problem.task == "regression" else self._model.decision_function
        with threadpool_limits(1, user_api="openmp"):
            scores = score(X)
        return outputs_of(self._classes.spread(scores.reshape(len(X), -1)), self._problem)

    def emit(self, g: Graph, features: str) -> str:
        trees = [read_tree(tree.nodes) for stage in self._model._predictors for tree in stage]
        targets = self._classes.columns * self.rounds
        start = self._classes.spread(self._model._baseline_prediction.astype(np.float64))[0]
        return Scores(trees, targets, start).emit(g, features, self._problem)


def read_tree(nodes: NDArray[Any]) -> Tree:
    """A tree of HistGradientBoosting, from its predictor's structured array of nodes.

    Raw features are compared with `num_threshold`, a float64: `x <= t` goes left, as in training, where bins end at
    these thresholds. The threshold is infinite where only missing values go right. A missing value follows the node's
    flag, which is set also where training saw none: there, to the child with more rows.
    """
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=np.where(is_leaf, -1, nodes["feature_idx"].astype(np.int64)),
        threshold=np.where(is_leaf, 0.0, nodes["num_threshold"]),
        left=np.where(is_leaf, 0, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, 0, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].reshape(-1, 1).astype(np.float64),
    )


def _model(job: Job, *, stops: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_value = job.problem.task == "regression"
    kind: Any = HistGradientBoostingRegressor if is_value else HistGradientBoostingClassifier
    return kind(
        warm_start=True,
        early_stopping=stops,
        n_iter_no_change=patience(job),
        random_state=job.seed % 2**31,
        **job.params,
    )


def _point(rate: float, leaves: int, least: int, features: float, l2: float) -> Params:
    return {
        "learning_rate": rate,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": least,
        "max_features": features,
        "l2_regularization": l2,
    }
