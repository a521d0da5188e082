"""Averages are scored as the metric scores them, whichever way is the shortest."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

from autopilot.deadline import Deadline
from autopilot.metrics import METRICS, Metric
from autopilot.search.averages import averages_of
from autopilot.search.matrices import Unit
from autopilot.search.scoring import Scoring

Values = NDArray[np.float64]

SLICES = (slice(0, 30), slice(30, 50), slice(50, 90))
#: A metric, and how many classes there are, 0 for values.
KINDS = [
    ("rmse", 0),
    ("r2", 0),
    ("mae", 0),
    ("roc_auc", 2),
    ("roc_auc", 3),
    ("log_loss", 2),
    ("log_loss", 4),
    ("brier", 2),
    ("brier", 3),
    ("accuracy", 3),
    ("f1", 2),
]


def setting(metric: str, classes: int, seed: int, *, weighted: bool = False) -> tuple[list[Values], Scoring]:
    """Five predictions of 90 rows in three folds."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, 90).astype(np.float64) if weighted else None
    if not classes:
        unit = Unit(5.0, 3.0)
        y = rng.normal(5, 3, 90)
        predictions = [unit.scale(y + rng.normal(0, 2, 90)).reshape(-1, 1) for _ in range(5)]
        return predictions, Scoring(METRICS[metric], y, weights, SLICES, unit)
    y = rng.integers(0, classes, 90).astype(np.float64)
    predictions = [rng.dirichlet(np.ones(classes), 90) for _ in range(5)]
    return predictions, Scoring(METRICS[metric], y, weights, SLICES, Unit())


def loss_of(metric: str, classes: int, weights: Values, seed: int, *, weighted: bool = False) -> tuple[Values, Values]:
    """Losses of averages, and the same by the scoring itself."""
    predictions, scoring = setting(metric, classes, seed, weighted=weighted)
    found = averages_of(predictions, scoring, Deadline.after(60)).losses(weights)
    whole = [np.tensordot(row, np.array(predictions), axes=1) for row in weights]
    return found, np.array([scoring.loss(predicted) for predicted in whole])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("metric", "classes"), KINDS)
@given(seed=st.integers(0, 1000), counts=st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1))
@settings(max_examples=15)
def test_losses_are_those_of_the_scoring(
    metric: str, classes: int, weighted: bool, seed: int, counts: list[list[int]]
) -> None:
    """Of several averages at once, with folds, and rows of weight 0."""
    added = np.array(counts) + np.eye(5)[0]
    found, expected = loss_of(metric, classes, added / added.sum(axis=1, keepdims=True), seed, weighted=weighted)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6 if metric == "roc_auc" else 1e-9)


@pytest.mark.parametrize(
    ("metric", "classes", "oracle"),
    [
        ("rmse", 0, lambda y, p: root_mean_squared_error(y, 5.0 + 3.0 * p[:, 0])),
        ("log_loss", 3, lambda y, p: log_loss(y, p)),
        ("roc_auc", 2, lambda y, p: -roc_auc_score(y, p[:, 1])),
    ],
)
def test_a_loss_is_the_mean_of_scikit_learns_over_folds(metric: str, classes: int, oracle: Any) -> None:
    """Folds of 30, 20 and 40 rows count by their rows."""
    predictions, scoring = setting(metric, classes, 1)
    average = (predictions[0] + 3 * predictions[1]) / 4
    expected = sum(oracle(scoring.y[rows], average[rows]) * (rows.stop - rows.start) for rows in SLICES) / 90
    weights = np.array([[0.25, 0.75, 0, 0, 0]])
    found = averages_of(predictions, scoring, Deadline.after(60)).losses(weights)
    assert found.tolist() == [pytest.approx(expected, abs=1e-6)]


@given(shares=st.lists(st.integers(0, 4), min_size=12, max_size=12), seed=st.integers(0, 1000))
def test_ties_count_half(shares: list[int], seed: int) -> None:
    """Shares of quarters, of both classes in any order."""
    y = np.random.default_rng(seed).permutation(np.tile([0.0, 1.0, 1.0], 4))
    scoring = Scoring(METRICS["roc_auc"], y, None, (slice(0, 12),), Unit())
    second = np.array(shares) / 4
    found = averages_of([np.column_stack([1 - second, second])], scoring, Deadline.after(60)).losses(np.ones((1, 1)))
    assert found.tolist() == [pytest.approx(-roc_auc_score(y, second), abs=1e-12)]


def test_shares_that_all_tie_say_nothing_of_ranks() -> None:
    """The area under the ROC curve of a constant is a half, also of its averages with itself."""
    y = np.tile([0.0, 1.0, 1.0], 4)
    scoring = Scoring(METRICS["roc_auc"], y, None, (slice(0, 6), slice(6, 12)), Unit())
    same = np.tile([0.7, 0.3], (12, 1))
    assert averages_of([same, same], scoring, Deadline.after(60)).losses(np.array([[1, 0], [0.5, 0.5]])).tolist() == [
        -0.5,
        -0.5,
    ]


def test_r2_of_targets_that_do_not_vary_is_left_to_the_metric() -> None:
    """A fold of equal targets has no variance to divide by."""
    scoring = Scoring(METRICS["r2"], np.ones(4), None, (slice(0, 2), slice(2, 4)), Unit())
    exact = np.ones((4, 1))
    assert averages_of([exact], scoring, Deadline.after(60)).losses(np.array([[1.0]])).tolist() == [-1.0]


def test_an_own_metric_is_called_until_the_deadline() -> None:
    """What there was no time for is infinite."""
    deadline = Deadline.after(60)

    def called(y: Values, predicted: Values) -> float:
        deadline.stopped.set()
        return 3.0

    own = Metric("own", called, "value", greater_is_better=False)
    scoring = Scoring(own, np.ones(4), None, (slice(0, 4),), Unit())
    assert averages_of([np.ones((4, 1))], scoring, deadline).losses(np.ones((3, 1))).tolist() == [3.0, np.inf, np.inf]


def test_an_average_that_an_own_metric_refuses_is_infinitely_bad() -> None:
    """It may be defined for single trials only, say for whole numbers."""

    def whole(y: Values, predicted: Values) -> float:
        if (predicted % 1).any():
            raise ValueError("not whole")
        return float(np.abs(y - predicted).mean())

    scoring = Scoring(
        Metric("whole", whole, "value", greater_is_better=False), np.ones(4), None, (slice(0, 4),), Unit()
    )
    predictions = [np.ones((4, 1)), np.full((4, 1), 2.0)]
    found = averages_of(predictions, scoring, Deadline.after(60)).losses(np.array([[1.0, 0], [0.5, 0.5]]))
    assert found.tolist() == [0.0, np.inf]
