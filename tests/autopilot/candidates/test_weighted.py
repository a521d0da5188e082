"""What weights of rows do in each family: a row of weight 3 counts as three rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autopilot.candidates import CANDIDATES, Candidate
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Job, Problem
from autopilot.candidates.catboost import CatBoost
from autopilot.candidates.gradient_boosting import GradientBoosting
from autopilot.candidates.histogram_boosting import HistogramBoosting
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.candidates.naive_bayes import NaiveBayes
from autopilot.candidates.nearest_neighbours import NearestNeighbours
from autopilot.candidates.xgboost import XGBoost
from autopilot.deadline import Deadline
from storage.signature import Task
from tests.graphs import run_on_matrix

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]

BOOSTED: tuple[Candidate, ...] = (LightGBM(), GradientBoosting(), HistogramBoosting(), XGBoost(), CatBoost())
CLOSED: tuple[Candidate, ...] = (Baseline(), Linear(), NaiveBayes())
OUTPUTS: dict[Task, int] = {"binary": 2, "multiclass": 3, "regression": 1}


def job_of(candidate: Candidate, task: Task, X: Matrix, y: Values, weights: Values | None, **more: Any) -> Job:
    """A refit of 20 rounds with the candidate's first point; skips where it is not for the task."""
    problem = Problem(task, OUTPUTS[task], len(X))
    if not candidate.applies(problem):
        pytest.skip(f"{candidate.name} is not for {task}, or not installed")
    params = candidate.points(problem)[0]
    return Job(X, y, None, None, params, 20, Deadline.after(60), 0, problem, weights)._replace(**more)


def noisy(task: Task, rows: int = 300) -> tuple[Matrix, Values]:
    """Targets that the features tell in part."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3)).astype(np.float32)
    value = X[:, 0] + rng.normal(0, 2.0, rows)
    if task == "regression":
        return X, (value - value.mean()) / value.std()
    return X, np.digitize(value, [0.0] if task == "binary" else [-1.0, 1.0]).astype(np.float64)


each_task = pytest.mark.parametrize("task", OUTPUTS)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda one: one.name)
@each_task
def test_predictions_move_to_the_rows_that_weigh_more(candidate: Candidate, task: Task) -> None:
    """To the last class, or to the upper half of the values; and the graph says the same."""
    X, y = noisy(task)
    heavy = y >= (0.0 if task == "regression" else y.max())
    weights = np.where(heavy, 6.0, 1.0)
    plain, weighted = (candidate.fit(job_of(candidate, task, X, y, w)) for w in (None, weights / weights.mean()))
    rise = weighted.predict(X)[:, -1].mean() - plain.predict(X)[:, -1].mean()
    assert rise > 0.1
    assert run_on_matrix(weighted.emit, X) == pytest.approx(weighted.predict(X), abs=1e-5)


@pytest.mark.parametrize("candidate", BOOSTED, ids=lambda one: one.name)
@each_task
def test_validation_rows_decide_by_their_weights_when_to_stop(candidate: Candidate, task: Task) -> None:
    """Half of them are as those of training, half have their targets in reverse order: these stop it at once."""
    X, y = noisy(task, 400)
    backwards = -y if task == "regression" else y.max() - y
    valid = {"X_valid": np.vstack([X, X]), "y_valid": np.concatenate([y, backwards]), "rounds": 60}
    first = np.arange(800) < 400
    follow, oppose = (np.where(chosen, 1.99, 0.01) for chosen in (first, ~first))
    rounds = [
        candidate.fit(job_of(candidate, task, X, y, None, weights_valid=weights, **valid)).rounds
        for weights in (follow, oppose)
    ]
    assert rounds[0] > 20
    assert rounds[1] < 10


@pytest.mark.parametrize("candidate", CLOSED, ids=lambda one: one.name)
@each_task
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_whole_weights_are_repeated_rows_and_no_weight_is_no_row(candidate: Candidate, task: Task, seed: int) -> None:
    """Where training is one formula, or the minimum of one."""
    rng = np.random.default_rng(seed)
    X, y = (values[:60] for values in noisy(task))
    weights = rng.integers(0, 4, len(y))
    weights[:6] = 1  # some rows of each class
    repeated = np.repeat(np.arange(len(y)), weights)
    expected = candidate.fit(job_of(candidate, task, X[repeated], y[repeated], None)).predict(X)
    found = candidate.fit(job_of(candidate, task, X, y, weights.astype(np.float64))).predict(X)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("by", ["uniform", "distance"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_whole_weights_are_repeated_neighbours(by: str, seed: int) -> None:
    """Where all rows are neighbours, since else the repeated ones would take the others' places."""
    rng = np.random.default_rng(seed)
    X, y = noisy("regression", 30)
    weights = rng.integers(1, 4, 30)
    repeated = np.repeat(np.arange(30), weights)
    params = {"neighbours": 90, "weights": by, "relevance": 1.0}
    candidate = NearestNeighbours()
    expected = candidate.fit(job_of(candidate, "regression", X[repeated], y[repeated], None, params=params)).predict(X)
    found = candidate.fit(job_of(candidate, "regression", X, y, weights.astype(float), params=params)).predict(X)
    assert found == pytest.approx(expected, abs=1e-9)


def test_neighbours_vote_as_often_as_they_weigh() -> None:
    """Rows at 0, 1, 2 and 8; the two nearest to 0.9 are those at 1 and 0, with the weights 3 and 1."""
    X = np.array([[0.0], [1.0], [2.0], [8.0]], dtype=np.float32)
    y, weights = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 3.0, 2.0, 2.0])
    params = {"neighbours": 2, "weights": "uniform", "relevance": 0.0}
    candidate = NearestNeighbours()
    fitted = candidate.fit(job_of(candidate, "binary", X, y, weights, params=params))
    second = 2 / 3 * 3 / 4 + 1 / 3 * 5 / 8  # two neighbours, and the shares of all rows as a third
    assert fitted.predict(np.array([[0.9]], dtype=np.float32))[0, 1] == pytest.approx(second)


def test_sampled_rows_keep_their_weights() -> None:
    """Each row its own."""
    X = np.arange(100, dtype=np.float32).reshape(-1, 1)
    job = job_of(Baseline(), "regression", X, X[:, 0] * 2.0, X[:, 0] * 3.0)
    rows, y, weights = job.sampled(10)
    assert len(rows) == 10
    assert weights is not None
    assert y.tolist() == (2.0 * rows[:, 0]).tolist()
    assert weights.tolist() == (3.0 * rows[:, 0]).tolist()
    assert job.sampled(100)[2] is job.weights
    assert job._replace(weights=None).sampled(10)[2] is None
