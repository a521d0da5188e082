"""What boosted families share: classes without gaps, losses, and how long to train."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from autopilot.candidates.boosting import Classes, Known, Scores, is_constant, outputs_of, patience, round_limit
from autopilot.candidates.candidate import Job, Problem
from autopilot.deadline import Deadline
from autopilot.graph.shares import shares
from autopilot.graph.trees import leaf
from tests.graphs import run_on_matrix

BINARY, THREE, VALUES = Problem("binary", 2, 9), Problem("multiclass", 3, 9), Problem("regression", 1, 9)
NAN = float("nan")


def job(rows: int = 10, rate: float = 0.1, rounds: int = 0) -> Job:
    X = np.zeros((rows, 1), dtype=np.float32)
    return Job(X, np.zeros(rows), None, None, {"learning_rate": rate}, rounds, Deadline.after(9), 0, BINARY)


def test_classes_that_occur_are_numbered_without_gaps() -> None:
    """0 and 2 of three become 0 and 1."""
    classes = Classes.of(np.array([2.0, 0, 2, 0]), THREE)
    assert classes.present.tolist() == [0, 2]
    assert classes.code(np.array([2.0, 0, 2])).tolist() == [1, 0, 1]


def test_two_classes_of_three_are_told_by_the_second_ones_log_odds() -> None:
    """The class that is not there has a share of exactly 0, the others those of the log-odds."""
    classes = Classes.of(np.array([2.0, 0]), THREE)
    assert classes.columns == [2]
    found = outputs_of(classes.spread(np.array([[0.0], [2.0]])), THREE)
    assert found[:, 1].tolist() == [0.0, 0.0]
    assert found[0].tolist() == [0.5, 0.0, 0.5]
    assert found[1, 2] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_scores_of_all_classes_stay_where_they_are() -> None:
    """As do two classes of two, and values."""
    scores = np.array([[1.0, 2, 3]])
    assert Classes.of(np.arange(3.0), THREE).spread(scores).tolist() == scores.tolist()
    assert Classes.of(np.arange(2.0), BINARY).spread(np.array([[4.0]])).tolist() == [[4.0]]
    values = Classes.of(np.array([1.5, -2.0]), VALUES)
    assert values.code(np.array([1.5, -2.0])).tolist() == [1.5, -2.0]
    assert values.columns == [0]


def test_validation_rows_of_an_unseen_class_are_left_out() -> None:
    """No library can score them; their weights go with them."""
    classes = Classes.of(np.array([2.0, 0]), THREE)
    X, y = np.arange(3, dtype=np.float32).reshape(3, 1), np.array([0.0, 1, 2])
    known = classes.known(job()._replace(X_valid=X, y_valid=y, weights_valid=np.array([0.5, 2.0, 0.5])))
    assert known is not None
    assert known.X.tolist() == [[0], [2]]
    assert known.y.tolist() == [0, 1]
    assert known.weights is not None
    assert known.weights.tolist() == [0.5, 0.5]
    assert classes.known(job()._replace(X_valid=X[:1], y_valid=np.array([1.0]))) is None
    assert classes.known(job()) is None


def test_sums_begin_where_they_should_also_without_a_tree() -> None:
    """onnxruntime would leave an output to which no tree adds at 0."""
    one = leaf(np.array([1.0]))
    start = np.array([0.5, -1e4, 0.25])
    X = np.zeros((4, 1), dtype=np.float32)
    expected = np.tile(shares(start.reshape(1, -1) + np.array([[1.0, 0.0, 0.0]])), (4, 1))
    found = run_on_matrix(lambda g, x: Scores([one], [0], start).emit(g, x, THREE), X)
    assert found == pytest.approx(expected, abs=1e-7)
    wide = leaf(np.array([1.0, 0.0, 0.0]))
    found = run_on_matrix(lambda g, x: Scores([wide], None, start).emit(g, x, THREE), X)
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.5, 2.0, 0.5])])
def test_losses_are_scikit_learns(weights: np.ndarray | None) -> None:
    """Of log-odds, of scores, and the mean squared error of values."""
    rng = np.random.default_rng(0)
    y, z = np.array([0.0, 1, 2, 1]), rng.normal(size=(4, 3))
    X = np.zeros((4, 1), dtype=np.float32)
    found = Known(X, y, weights).loss(z, THREE)
    assert found == pytest.approx(log_loss(y, shares(z), sample_weight=weights))
    two = np.minimum(y, 1)
    found = Known(X, two, weights).loss(z[:, :1], BINARY)
    assert found == pytest.approx(log_loss(two, shares(z[:, :1]), sample_weight=weights))
    found = Known(X, y, weights).loss(z[:, :1], VALUES)
    assert found == pytest.approx(mean_squared_error(y, z[:, 0], sample_weight=weights))


@pytest.mark.parametrize(
    ("X", "constant"),
    [([[1, NAN], [1, NAN]], True), ([[1, NAN], [1, 2]], False), ([[1, 0], [2, 0]], False), ([[5, 5]], True)],
)
def test_features_vary_where_two_rows_differ(X: list[list[float]], constant: bool) -> None:
    """A missing value differs from a number, and not from a missing value."""
    assert is_constant(np.array(X, dtype=np.float32), np.arange(2.0)) == constant
    assert is_constant(np.array(X, dtype=np.float32), np.ones(2))


def test_patience_falls_with_rows_and_grows_as_the_rate_falls() -> None:
    """100 rounds for few rows, 20 at least, and as many times more as the rate is below 0.06."""
    assert patience(job(10)) == 100
    assert patience(job(1_000_000)) == 20
    assert patience(job(10, rate=0.03)) == 200


def test_rounds_are_those_of_the_refit_within_what_a_file_should_hold() -> None:
    """400,000 leaves, and 5 rounds at least."""
    assert round_limit(job(rounds=70), leaves=31, trees=1) == 70
    assert round_limit(job(), leaves=31, trees=1) == 3000
    assert round_limit(job(rounds=900), leaves=200, trees=10) == 200
    assert round_limit(job(), leaves=1000, trees=1000) == 5
