"""Forests: what out-of-bag predictions are, and what weights and deadlines do."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from autopilot.candidates import forest
from autopilot.candidates.candidate import Job, OutOfBag, Problem, Values
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.random_forest import RandomForest
from autopilot.deadline import Deadline
from storage.signature import Task

FORESTS = [RandomForest(), ExtraTrees()]
each_forest = pytest.mark.parametrize("candidate", FORESTS, ids=lambda one: one.name)
OUTPUTS = {"binary": 2, "multiclass": 3, "regression": 1}


def rows(count: int, task: Task, *, seed: int = 0) -> tuple[NDArray[np.float32], Values]:
    """Four features; the target depends on two of them, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 4)).astype(np.float32)
    value = X[:, 0] + np.abs(X[:, 1]) + rng.normal(0, 0.7, count)
    if task == "regression":
        return X, (value - value.mean()) / value.std()
    return X, np.digitize(value, [0.8] if task == "binary" else [0.3, 1.3]).astype(np.float64)


def job_of(candidate: Any, X: Any, y: Any, task: Task, *, trees: int = 0, seconds: float = 60) -> Job:
    """With the candidate's first parameters."""
    problem = Problem(task, OUTPUTS[task], len(X))
    return Job(X, y, None, None, candidate.points(problem)[0], trees, Deadline.after(seconds), 0, problem)


def loss(predicted: Values, y: Values) -> float:
    """The mean squared error, of the probabilities too."""
    truth = y.reshape(-1, 1) if predicted.shape[1] == 1 else np.eye(predicted.shape[1])[y.astype(int)]
    return float(np.mean(np.sum((predicted - truth) ** 2, axis=1)))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_out_of_bag_predictions_are_scikit_learns(task: Task) -> None:
    """Its random forest computes them too, when it is told to."""
    X, y = rows(400, task)
    job = job_of(RandomForest(), X, y, task, trees=60)
    kind: Any = RandomForestRegressor if task == "regression" else RandomForestClassifier
    oracle = kind(60, oob_score=True, max_leaf_nodes=1500 // OUTPUTS[task], random_state=0, **job.params).fit(X, y)
    expected = oracle.oob_prediction_.reshape(-1, 1) if task == "regression" else oracle.oob_decision_function_
    assert RandomForest().fit_out_of_bag(job)[1] == pytest.approx(expected, abs=1e-9)


@each_forest
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_they_tell_what_new_rows_would(candidate: Any, task: Task) -> None:
    """Within a tenth of the loss on new rows; the training rows' own predictions are far below both."""
    (X, y), (new, truth) = rows(1500, task), rows(3000, task, seed=1)
    fitted, predicted = candidate.fit_out_of_bag(job_of(candidate, X, y, task))
    assert isinstance(candidate, OutOfBag)
    assert loss(predicted, y) == pytest.approx(loss(fitted.predict(new), truth), rel=0.1)
    assert loss(fitted.predict(X), y) < 0.75 * loss(predicted, y)


@each_forest
def test_the_model_is_the_one_that_fit_gives(candidate: Any) -> None:
    """To the bit."""
    X, y = rows(200, "binary")
    job = job_of(candidate, X, y, "binary", trees=20)
    assert np.array_equal(candidate.fit_out_of_bag(job)[0].predict(X), candidate.fit(job).predict(X))


@each_forest
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_row_that_no_tree_left_out_gets_the_constant_guess(candidate: Any, task: Task) -> None:
    """Of one tree alone, most rows; nothing is missing, and shares add up to 1."""
    X, y = rows(300, task)
    _, predicted = candidate.fit_out_of_bag(job_of(candidate, X, y, task, seconds=-1))
    guess = [y.mean()] if task == "regression" else np.bincount(y.astype(int)) / 300
    is_guess = np.isclose(predicted, guess).all(axis=1)
    assert 0.55 < is_guess.mean() < 0.72
    assert np.isfinite(predicted).all()
    if task == "multiclass":
        assert predicted.sum(axis=1) == pytest.approx(1.0)


@each_forest
def test_rows_beyond_the_sample_get_the_whole_forests_prediction(candidate: Any, monkeypatch: Any) -> None:
    """No tree has seen them."""
    monkeypatch.setattr(forest, "_MOST_ROWS", 100)
    X, y = rows(400, "binary")
    fitted, predicted = candidate.fit_out_of_bag(job_of(candidate, X, y, "binary", trees=30))
    assert (np.isclose(predicted, fitted.predict(X)).all(axis=1)).sum() >= 300
    assert loss(predicted[:200], y[:200]) == pytest.approx(loss(predicted[200:], y[200:]), rel=0.3)


@each_forest
def test_a_class_that_the_rows_lack_has_a_column_of_zeros(candidate: Any) -> None:
    """As in the model."""
    X, y = rows(200, "binary")
    _, predicted = candidate.fit_out_of_bag(job_of(candidate, X, 2 * y, "multiclass", trees=30))
    assert predicted.shape == (200, 3)
    assert (predicted[:, 1] == 0).all()


@each_forest
def test_rows_count_by_their_weights(candidate: Any) -> None:
    """Of rows that say opposite things, the heavy ones are believed."""
    X, _ = rows(500, "binary")
    X, y = np.vstack([X, X]), np.concatenate([X[:, 0] > 0, X[:, 0] <= 0]).astype(np.float64)
    job = job_of(candidate, X, y, "binary")._replace(weights=np.repeat([1.95, 0.05], 500))
    fitted, predicted = candidate.fit_out_of_bag(job)
    assert ((fitted.predict(X[:500])[:, 1] > 0.5) == y[:500]).mean() > 0.9
    assert ((predicted[:500, 1] > 0.5) == y[:500]).mean() > 0.85
