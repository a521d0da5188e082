"""Metrics give what scikit-learn gives."""

import numpy as np
import pytest
from sklearn import metrics as sk

from autopilot.metrics import METRICS, metric_named, metrics_of
from storage.errors import InputError
from tests.refusals import raises

RNG = np.random.default_rng(3)
TWO = RNG.integers(0, 2, 200).astype(float)
THREE = RNG.integers(0, 3, 200).astype(float)
VALUES = RNG.gamma(2.0, 3.0, 200)
SHARES_TWO = np.column_stack([1 - (p := np.clip(0.3 * TWO + 0.6 * RNG.random(200), 0, 1)), p])
SHARES_THREE = RNG.dirichlet([1, 2, 3], 200)
PREDICTED = (VALUES + RNG.normal(size=200)).reshape(-1, 1)

ORACLES = {
    ("binary", "roc_auc"): lambda: sk.roc_auc_score(TWO, SHARES_TWO[:, 1]),
    ("binary", "log_loss"): lambda: sk.log_loss(TWO, SHARES_TWO),
    ("binary", "accuracy"): lambda: sk.accuracy_score(TWO, SHARES_TWO.argmax(1)),
    ("binary", "balanced_accuracy"): lambda: sk.balanced_accuracy_score(TWO, SHARES_TWO.argmax(1)),
    ("binary", "f1"): lambda: sk.f1_score(TWO, SHARES_TWO.argmax(1)),
    ("binary", "f1_macro"): lambda: sk.f1_score(TWO, SHARES_TWO.argmax(1), average="macro"),
    ("binary", "precision"): lambda: sk.precision_score(TWO, SHARES_TWO.argmax(1)),
    ("binary", "recall"): lambda: sk.recall_score(TWO, SHARES_TWO.argmax(1)),
    ("binary", "average_precision"): lambda: sk.average_precision_score(TWO, SHARES_TWO[:, 1]),
    ("binary", "mcc"): lambda: sk.matthews_corrcoef(TWO, SHARES_TWO.argmax(1)),
    ("binary", "brier"): lambda: sk.brier_score_loss(TWO, SHARES_TWO[:, 1]),
    ("multiclass", "roc_auc"): lambda: sk.roc_auc_score(THREE, SHARES_THREE, multi_class="ovr"),
    ("multiclass", "log_loss"): lambda: sk.log_loss(THREE, SHARES_THREE),
    ("multiclass", "accuracy"): lambda: sk.accuracy_score(THREE, SHARES_THREE.argmax(1)),
    ("multiclass", "balanced_accuracy"): lambda: sk.balanced_accuracy_score(THREE, SHARES_THREE.argmax(1)),
    ("multiclass", "f1_macro"): lambda: sk.f1_score(THREE, SHARES_THREE.argmax(1), average="macro"),
    ("multiclass", "mcc"): lambda: sk.matthews_corrcoef(THREE, SHARES_THREE.argmax(1)),
    ("multiclass", "brier"): lambda: sk.brier_score_loss(THREE, SHARES_THREE, scale_by_half=False),
    ("regression", "rmse"): lambda: sk.root_mean_squared_error(VALUES, PREDICTED[:, 0]),
    ("regression", "mae"): lambda: sk.mean_absolute_error(VALUES, PREDICTED[:, 0]),
    ("regression", "r2"): lambda: sk.r2_score(VALUES, PREDICTED[:, 0]),
    ("regression", "rmsle"): lambda: sk.root_mean_squared_log_error(VALUES, PREDICTED[:, 0].clip(0)),
    ("regression", "mape"): lambda: sk.mean_absolute_percentage_error(VALUES, PREDICTED[:, 0]),
}
GIVEN = {"binary": (TWO, SHARES_TWO), "multiclass": (THREE, SHARES_THREE), "regression": (VALUES, PREDICTED)}


def test_each_metric_of_each_task_has_an_oracle() -> None:
    """A metric without one would be unchecked."""
    assert {(task, metric.name) for task in GIVEN for metric in metrics_of(task)} == set(ORACLES)  # type: ignore[arg-type]


@pytest.mark.parametrize(("task", "name"), ORACLES, ids=lambda part: str(part))
def test_a_metric_is_what_scikit_learn_says(task: str, name: str) -> None:
    """To 12 digits."""
    y, predicted = GIVEN[task]
    assert METRICS[name].score(y, predicted) == pytest.approx(ORACLES[task, name](), rel=1e-12)


def test_a_loss_is_smaller_for_what_is_better() -> None:
    """Whatever the metric's own direction."""
    assert METRICS["roc_auc"].loss(0.9) < METRICS["roc_auc"].loss(0.8)
    assert METRICS["rmse"].loss(1.0) < METRICS["rmse"].loss(2.0)


@pytest.mark.parametrize(("task", "usual"), [("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "rmse")])
def test_auto_is_the_tasks_usual_metric(task: str, usual: str) -> None:
    """As the interface promises."""
    assert metric_named("auto", task).name == usual  # type: ignore[arg-type]


def test_a_metric_of_another_task_is_refused_with_those_that_fit() -> None:
    """The list comes from the registry."""
    with pytest.raises(InputError, match=r"no metric 'rmse' for binary.*roc_auc"):
        metric_named("rmse", "binary")


def test_a_class_that_the_rows_lack_is_left_out_of_roc_auc() -> None:
    """A holdout of rare classes may lack one."""
    y = np.where(THREE == 2, 0.0, THREE)
    assert 0 < METRICS["roc_auc"].score(y, SHARES_THREE) < 1


def test_a_metric_that_is_not_defined_for_the_targets_is_refused_or_left_out() -> None:
    """Logarithms have no value below zero: the report leaves rmsle out, and nobody can optimise it."""
    below = np.array([1.0, -2.5, 3.0])
    with raises(InputError, "The metric 'rmsle' needs targets of 0 or more; the least is -2.5. Use another metric."):
        METRICS["rmsle"].refuse(below)
    METRICS["rmsle"].refuse(VALUES)
    METRICS["rmse"].refuse(below)
    assert {metric.name for metric in metrics_of("regression", below)} == {"rmse", "mae", "r2", "mape"}
    assert {metric.name for metric in metrics_of("regression", VALUES)} >= {"rmsle"}


@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("multiclass")])
def test_a_class_that_the_rows_or_the_labels_lack_costs_no_warning(name: str) -> None:
    """Warnings are errors here; a user would see them for each fold."""
    y = np.where(THREE == 2, 0.0, THREE)
    assert np.isfinite(METRICS[name].score(y, SHARES_THREE))
    assert np.isfinite(METRICS[name].score(THREE, np.tile([0.5, 0.3, 0.2], (200, 1))))


@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("binary")])
def test_rows_of_one_class_still_have_a_score(name: str) -> None:
    """A fold may hold no other."""
    for only in (0.0, 1.0):
        assert np.isfinite(METRICS[name].score(np.full(200, only), SHARES_TWO))
