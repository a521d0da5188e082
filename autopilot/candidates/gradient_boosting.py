"""Gradient boosted trees with exact cuts: scikit-learn's GradientBoosting."""

from typing import Any

import numpy as np

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
from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree, read_sklearn_tree
from autopilot.plan import Recipe
from autopilot.search.space import ContinuousParameter, IntegerParameter, Params, Space

#: Each tree sorts every feature anew: on more rows, histograms are the better way.
_MOST_ROWS = 20_000
_MOST_OUTPUTS = 10
#: Stands for a missing value: below what tables hold, and not so far that scikit-learn's check by a sum overflows.
_MISSING = np.float32(-1e30)


class GradientBoosting:
    """Trees fitted one after the other to the gradient of the loss (Friedman, 2001), each on a share of the rows.

    scikit-learn's GradientBoosting tries every cut, not those of a histogram, and so uses at most 20,000 rows, drawn by
    the seed. It refuses missing values: they are given as -1e30. Stops when the validation rows have not improved for a
    while, or at the deadline.
    """

    name = "gradient_boosting"
    recipe: Recipe = "trees"

    def applies(self, problem: Problem) -> bool:
        """Up to 10 classes: each round grows a tree for each."""
        return problem.outputs <= _MOST_OUTPUTS

    def space(self, problem: Problem) -> Space:
        """Shallow trees, as Friedman advises, on part of the rows and features."""
        return {
            "learning_rate": ContinuousParameter(0.01, 0.3, "logarithmic"),
            "max_depth": IntegerParameter(2, 8),
            "min_samples_leaf": IntegerParameter(1, 64, "logarithmic"),
            "max_features": ContinuousParameter(0.2, 1.0),
            "subsample": ContinuousParameter(0.5, 1.0),
        }

    def points(self, problem: Problem) -> list[Params]:
        """Small trees first, which train fastest."""
        return [_point(0.1, 3, 10, 0.5, 0.8), _point(0.06, 5, 20, 0.4, 0.7), _point(0.05, 2, 5, 0.8, 0.9)]

    def fit(self, job: Job) -> Fitted:
        """Boost."""
        rows, y, weights = job.sampled(_MOST_ROWS)
        X = _filled(rows)
        if is_constant(X, y):
            return Baseline().fit(job)
        classes = Classes.of(y, job.problem)
        model, stop = _model(job), _Stop(job, classes)
        with np.errstate(invalid="ignore"):  # its check for infinities adds up the largest and the smallest float32
            model.fit(X, classes.code(y), sample_weight=weights, monitor=stop)
        model.estimators_ = model.estimators_[: stop.best_rounds]
        return _Boosted(model, classes, job.problem)


class _Stop:
    """scikit-learn's monitor: asked after each round whether to stop, it follows the loss of the validation rows."""

    def __init__(self, job: Job, classes: Classes) -> None:
        self._deadline, self._patience, self._problem = job.deadline, patience(job), job.problem
        known = classes.known(job)
        self._valid = None if known is None else known._replace(X=_filled(known.X))
        self._scores: Any = None
        self._best = float("inf")
        self.best_rounds = 0

    def __call__(self, number: int, model: Any, state: dict[str, Any]) -> bool:
        rounds = number + 1
        loss = self._loss(model, number)
        if loss is None or loss < self._best or self.best_rounds == 0:
            self.best_rounds, self._best = rounds, float("inf") if loss is None else loss
        return self._deadline.passed or rounds - self.best_rounds >= self._patience

    def _loss(self, model: Any, number: int) -> float | None:
        """Of the validation rows after this round; None if there are none."""
        if self._valid is None:
            return None
        X = self._valid.X
        if self._scores is None:
            self._scores = np.tile(_start(model), (len(X), 1))
        for score, tree in enumerate(model.estimators_[number]):
            self._scores[:, score] += model.learning_rate * tree.tree_.predict(X)[:, 0]
        return self._valid.loss(self._scores, self._problem)


class _Boosted:
    def __init__(self, model: Any, classes: Classes, problem: Problem) -> None:
        self._model, self._classes, self._problem = model, classes, problem
        self.rounds = len(model.estimators_)

    def predict(self, X: Matrix) -> Values:
        score = self._model.predict if self._problem.task == "regression" else self._model.decision_function
        with np.errstate(invalid="ignore"):
            scores = score(_filled(X))
        return outputs_of(self._classes.spread(scores.reshape(len(X), -1)), self._problem)

    def emit(self, g: Graph, features: str) -> str:
        trees = [self._read(tree.tree_) for stage in self._model.estimators_ for tree in stage]
        targets = self._classes.columns * self.rounds
        start = self._classes.spread(_start(self._model).reshape(1, -1))[0]
        return Scores(trees, targets, start).emit(g, features, self._problem)

    def _read(self, tree: Any) -> Tree:
        read = read_sklearn_tree(tree, self._model.learning_rate * tree.value[:, :, 0])
        return read._replace(missing_left=float(_MISSING) <= read.threshold)


def _start(model: Any) -> Values:
    """What the sums begin with: the mean, the log-odds, or the logarithms of the shares, in training."""
    if not hasattr(model.init_, "class_prior_"):
        return model.init_.constant_.reshape(1).astype(np.float64)
    prior = model.init_.class_prior_
    return np.log(prior) if len(prior) > 2 else np.log(prior[1:] / prior[:1])


def _filled(X: Matrix) -> Matrix:
    return np.where(np.isnan(X), _MISSING, X)


def _model(job: Job) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    kind = GradientBoostingRegressor if job.problem.task == "regression" else GradientBoostingClassifier
    rounds = round_limit(job, 2 ** job.params["max_depth"], score_count(job.problem))
    return kind(n_estimators=rounds, random_state=job.seed % 2**31, **job.params)


def _point(rate: float, depth: int, least: int, features: float, rows: float) -> Params:
    return {
        "learning_rate": rate,
        "max_depth": depth,
        "min_samples_leaf": least,
        "max_features": features,
        "subsample": rows,
    }
