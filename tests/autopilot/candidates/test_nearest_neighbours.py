"""Nearest neighbours are scikit-learn's, and equal distances are decided alike in both renderings."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.nearest_neighbours import NearestNeighbours
from autopilot.deadline import Deadline
from autopilot.search.space import Params
from storage.signature import Task
from tests.graphs import run_on_matrix

Matrix = NDArray[np.float32]


def fit(X: Matrix, y: Any, task: Task, outputs: int, params: Params) -> Fitted:
    """On all rows."""
    problem = Problem(task, outputs, len(X))
    y = np.asarray(y, dtype=np.float64)
    return NearestNeighbours().fit(Job(X, y, None, None, params, 0, Deadline.after(60), 0, problem))


def on_grid(*shape: int, seed: int) -> Matrix:
    """Random numbers of the grid, so that distances are the usual ones."""
    return (np.random.default_rng(seed).integers(-4096, 4096, shape) / 1024).astype(np.float32)


def by_steps(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights that the docstring promises."""
    return 1 / np.maximum(distances, 1 / 1024)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_values_are_scikit_learns(weights: str) -> None:
    """Rows of training among them, whose own distance is 0."""
    X, y = on_grid(200, 3, seed=0), np.random.default_rng(1).normal(size=200)
    asked = np.vstack([on_grid(100, 3, seed=2), X[:20]])
    oracle = KNeighborsRegressor(7, weights=by_steps if weights == "distance" else "uniform").fit(X, y)
    fitted = fit(X, y, "regression", 1, {"neighbours": 7, "weights": weights, "relevance": 0.0})
    assert fitted.predict(asked)[:, 0] == pytest.approx(oracle.predict(asked), abs=1e-9)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_probabilities_are_scikit_learns_with_the_overall_shares_as_one_more_neighbour(weights: str) -> None:
    """Of 7 neighbours each counts 1/8 on average, the shares of all rows too."""
    X, y = on_grid(200, 3, seed=0), np.arange(200) % 3
    asked = on_grid(100, 3, seed=2)
    oracle = KNeighborsClassifier(7, weights=by_steps if weights == "distance" else "uniform").fit(X, y)
    fitted = fit(X, y, "multiclass", 3, {"neighbours": 7, "weights": weights, "relevance": 0.0})
    expected = 7 / 8 * oracle.predict_proba(asked) + 1 / 8 * np.bincount(y) / 200
    assert fitted.predict(asked) == pytest.approx(expected, abs=1e-9)


def test_of_equal_distances_the_first_row_is_taken() -> None:
    """Four corners around the middle: three of them, the first ones."""
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.float32)
    params = {"neighbours": 3, "weights": "uniform", "relevance": 0.0}
    fitted = fit(corners, [1.0, 2.0, 4.0, 8.0], "regression", 1, params)
    middle = np.zeros((1, 2), dtype=np.float32)
    assert fitted.predict(middle).tolist() == [[pytest.approx(7 / 3)]]
    assert run_on_matrix(fitted.emit, middle).tolist() == fitted.predict(middle).tolist()


@given(
    X=arrays(np.float32, (12, 2), elements=st.sampled_from([0.0, 0.5, -0.5, 1.0, 3.25, -16.0])),
    asked=arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.just(2)),
        elements=st.one_of(st.sampled_from([0.0, 0.5, 0.25, -0.0, 1e30, -3e38, 1e-40]), st.floats(-20, 20, width=32)),
    ),
    weights=st.sampled_from(["uniform", "distance"]),
    relevance=st.sampled_from([0.0, 0.7, 2.0]),
    count=st.integers(1, 20),
)
def test_ties_wherever_they_fall_agree(X: Matrix, asked: Matrix, weights: str, relevance: float, count: int) -> None:
    """Rows that repeat, corners of a square, features far out: within the rounding of one sum."""
    params = {"neighbours": count, "weights": weights, "relevance": relevance}
    fitted = fit(X, 2.0 ** np.arange(12), "regression", 1, params)
    assert run_on_matrix(fitted.emit, asked) == pytest.approx(fitted.predict(asked), rel=1e-14)


def test_a_feature_that_says_nothing_counts_nothing_where_relevance_is_high() -> None:
    """Noise ten times as wide as the feature that decides."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=500), 10 * rng.normal(size=500)]).astype(np.float32)
    errors = []
    for relevance in (0.0, 2.0):
        params = {"neighbours": 10, "weights": "uniform", "relevance": relevance}
        fitted = fit(X[:400], X[:400, 0], "regression", 1, params)
        errors.append(np.abs(fitted.predict(X[400:])[:, 0] - X[400:, 0]).mean())
    assert errors[1] < errors[0] / 4


def test_large_and_wide_tables_keep_few_rows() -> None:
    """3,000 rows at most, and 500,000 cells; beyond 10,000 rows it is not tried."""
    assert not NearestNeighbours().applies(Problem("regression", 1, 10_001))
    params = {"neighbours": 5, "weights": "uniform", "relevance": 0.0}
    for rows, features, kept in ((5000, 2, 3000), (1000, 1000, 500)):
        X = np.random.default_rng(0).normal(size=(rows, features)).astype(np.float32)
        fitted = fit(X, X[:, 0], "regression", 1, params)
        assert len(fitted._rows) == kept
