"""Metrics give what scikit-learn gives, and a user's own ones are called as the guide says."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import cloudpickle
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from autopilot.metrics import METRICS, Metric, metric_named, metrics_of
from storage.errors import InputError
from storage.signature import Task
from tests.refusals import raises

Values = NDArray[np.float64]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
OF_TASKS = [(task, metric.name) for task in TASKS for metric in METRICS.values() if task in metric.tasks]


class Scored(NamedTuple):
    """Rows with what was predicted for them; weights above 0, or None."""

    y: Values
    predicted: Values
    weights: Values | None

    @property
    def label(self) -> Values:
        return self.predicted.argmax(axis=1).astype(np.float64)

    @property
    def options(self) -> dict[str, Any]:
        return {} if self.weights is None else {"sample_weight": self.weights}


def weights_of(rng: np.random.Generator, rows: int, kind: str) -> Values | None:
    """None, whole numbers, or any; all above 0."""
    if kind == "none":
        return None
    return rng.integers(1, 4, rows).astype(float) if kind == "whole" else rng.gamma(1.0, 1.0, rows) + 1e-3


@st.composite
def scored(draw: st.DrawFn, task: Task) -> Scored:
    """Shares with many ties, or none; classes that no row has; values on a grid."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.integers(2, 40))
    weights = weights_of(rng, rows, draw(st.sampled_from(["none", "whole", "any"])))
    if task == "regression":
        y = rng.integers(0, draw(st.integers(2, 50)), rows) / 4
        return Scored(y, (y + rng.integers(-8, 9, rows) / 4).reshape(-1, 1), weights)
    classes = 2 if task == "binary" else draw(st.integers(3, 5))
    y = rng.choice(rng.permutation(classes)[: draw(st.integers(1, classes))], rows).astype(float)
    parts = rng.integers(0, draw(st.integers(2, 30)), (rows, classes)) + 1e-9
    return Scored(y, parts / parts.sum(axis=1, keepdims=True), weights)


# --------------------------------------------------------------------------------------------------- scikit-learn


def sk_of_classes(score: Callable[..., float], least: int, otherwise: float) -> Callable[[Scored], float]:
    """scikit-learn's score of each class against the rest; the mean of those that have so many sorts of rows."""

    def oracle(rows: Scored) -> float:
        classes = rows.predicted.shape[1]
        found = [
            score(rows.y == k, rows.predicted[:, k], **rows.options)
            for k in ([1] if classes == 2 else range(classes))
            if (rows.y == k).any() and len(np.unique(rows.y == k)) >= least
        ]
        return float(np.mean(found)) if found else otherwise

    return oracle


def sk_log_loss(rows: Scored) -> float:
    return sk.log_loss(rows.y, rows.predicted, labels=range(rows.predicted.shape[1]), **rows.options)


def sk_brier(rows: Scored) -> float:
    classes = range(rows.predicted.shape[1])
    return sk.brier_score_loss(rows.y, rows.predicted, labels=classes, **rows.options)


def sk_of_labels(score: Callable[..., float], **arguments: Any) -> Callable[[Scored], float]:
    return lambda rows: score(rows.y, rows.label, **arguments, **rows.options)


def sk_balanced_accuracy(rows: Scored) -> float:
    """Its own function warns of labels that the rows lack."""
    return sk.recall_score(rows.y, rows.label, labels=np.unique(rows.y), average="macro", **rows.options)


def sk_kappa(rows: Scored) -> float:
    return sk.cohen_kappa_score(rows.y, rows.label, replace_undefined_by=0.0, **rows.options)


def sk_of_values(score: Callable[..., float], **arguments: Any) -> Callable[[Scored], float]:
    return lambda rows: score(rows.y, rows.predicted[:, 0], **arguments, **rows.options)


def sk_smape(rows: Scored) -> float:
    """Twice the mean percentage error of a target of |y| + |predicted|, missed by |y - predicted|."""
    predicted = rows.predicted[:, 0]
    whole, error = np.abs(rows.y) + np.abs(predicted), np.abs(rows.y - predicted)
    return 2 * sk.mean_absolute_percentage_error(whole, whole + error, **rows.options)


def sk_rmsle(rows: Scored) -> float:
    return sk.root_mean_squared_log_error(rows.y, rows.predicted[:, 0].clip(0), **rows.options)


def sk_of_classes_labels(score: Callable[..., float], average: str) -> Callable[[Scored], float]:
    return sk_of_labels(score, average=average, zero_division=0)


ORACLES: dict[str, Callable[[Scored], float]] = {
    "roc_auc": sk_of_classes(sk.roc_auc_score, 2, 0.5),
    "average_precision": sk_of_classes(sk.average_precision_score, 1, 0.0),
    "log_loss": sk_log_loss,
    "brier": sk_brier,
    "accuracy": sk_of_labels(sk.accuracy_score),
    "balanced_accuracy": sk_balanced_accuracy,
    "f1": sk_of_classes_labels(sk.f1_score, "binary"),
    "precision": sk_of_classes_labels(sk.precision_score, "binary"),
    "recall": sk_of_classes_labels(sk.recall_score, "binary"),
    "f1_macro": sk_of_classes_labels(sk.f1_score, "macro"),
    "precision_macro": sk_of_classes_labels(sk.precision_score, "macro"),
    "recall_macro": sk_of_classes_labels(sk.recall_score, "macro"),
    "f1_weighted": sk_of_classes_labels(sk.f1_score, "weighted"),
    "precision_weighted": sk_of_classes_labels(sk.precision_score, "weighted"),
    "recall_weighted": sk_of_classes_labels(sk.recall_score, "weighted"),
    "mcc": sk_of_labels(sk.matthews_corrcoef),
    "kappa": sk_kappa,
    "rmse": sk_of_values(sk.root_mean_squared_error),
    "mae": sk_of_values(sk.mean_absolute_error),
    "median_ae": sk_of_values(sk.median_absolute_error),
    "r2": sk_of_values(sk.r2_score),
    "rmsle": sk_rmsle,
    "mape": sk_of_values(sk.mean_absolute_percentage_error),
    "smape": sk_smape,
}


def test_each_metric_has_an_oracle() -> None:
    """A metric without one would be unchecked."""
    assert set(METRICS) == set(ORACLES)


@pytest.mark.filterwarnings("ignore:A single label was found", "ignore:.*have only one label in common")
@pytest.mark.parametrize(("task", "name"), OF_TASKS)
@given(data=st.data())
@settings(max_examples=20)
def test_a_metric_is_what_scikit_learn_says(task: Task, name: str, data: st.DataObject) -> None:
    """To 12 digits, on rows with ties, with weights, without some classes, or of one class alone."""
    rows = data.draw(scored(task))
    assume(name != "r2" or np.ptp(rows.y) > 0)
    expected = ORACLES[name](rows)
    assert METRICS[name].score(*rows) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(rows=scored("regression"), quantile=st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=20)
def test_pinball_of_any_quantile_is_what_scikit_learn_says(rows: Scored, quantile: float) -> None:
    """By its name."""
    metric = metric_named(f"pinball_{quantile}", "regression")
    assert metric.name == f"pinball_{quantile}"
    expected = sk.mean_pinball_loss(rows.y, rows.predicted[:, 0], alpha=quantile, **rows.options)
    assert metric.score(*rows) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# -------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize(("task", "name"), OF_TASKS)
@given(data=st.data())
@settings(max_examples=12)
def test_a_whole_weight_counts_as_so_many_rows_and_none_as_no_row(task: Task, name: str, data: st.DataObject) -> None:
    """Rows of weight 0 leave no trace, not even of their class."""
    rows = data.draw(scored(task))
    seed = data.draw(st.integers(0, 2**32))
    weights = np.random.default_rng(seed).integers(0, 4, len(rows.y))
    assume(weights.any())
    repeated = np.repeat(np.arange(len(rows.y)), weights)
    expected = METRICS[name].score(rows.y[repeated], rows.predicted[repeated])
    found = METRICS[name].score(rows.y, rows.predicted, weights.astype(float))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rows_that_all_weigh_nothing_count_alike() -> None:
    """A fold may hold no other."""
    y, predicted = np.array([1.0, 2.0, 4.0]), np.array([[2.0], [2.0], [2.0]])
    assert METRICS["mae"].score(y, predicted, np.zeros(3)) == 1.0


# ---------------------------------------------------------------------------------------------------------- edges

TWO_SHARES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])


@pytest.mark.parametrize(
    ("name", "all_first", "all_second"),
    [
        ("roc_auc", 0.5, 0.5),
        ("average_precision", 0.0, 1.0),
        ("f1", 0.0, 0.8),
        ("precision", 0.0, 1.0),
        ("recall", 0.0, 2 / 3),
        ("balanced_accuracy", 1 / 3, 2 / 3),
        ("mcc", 0.0, 0.0),
        ("kappa", 0.0, 0.0),
    ],
)
def test_rows_of_one_class_have_a_score(name: str, all_first: float, all_second: float) -> None:
    """A fold may hold no other; the guide names these."""
    assert METRICS[name].score(np.zeros(3), TWO_SHARES) == pytest.approx(all_first)
    assert METRICS[name].score(np.ones(3), TWO_SHARES) == pytest.approx(all_second)


def test_equal_targets_have_an_r2() -> None:
    """1 if all are met, else 0; also in a fold of one row."""
    y = np.full(3, 0.1)
    assert METRICS["r2"].score(y, y.reshape(-1, 1)) == 1.0
    assert METRICS["r2"].score(y, np.array([[0.1], [0.1], [0.2]])) == 0.0
    assert METRICS["r2"].score(np.ones(1), np.zeros((1, 1))) == 0.0


def test_a_target_of_zero_has_a_finite_percentage_error() -> None:
    """smape ends at 2."""
    y, predicted = np.array([0.0, 0.0]), np.array([[0.0], [1.0]])
    assert METRICS["smape"].score(y, predicted) == 1.0
    assert np.isfinite(METRICS["mape"].score(y, predicted))


def test_a_class_that_was_held_impossible_costs_36() -> None:
    """-log of 2.2e-16, as scikit-learn has it."""
    assert METRICS["log_loss"].score(np.array([1.0]), np.array([[1.0, 0.0]])) == pytest.approx(36.04, abs=0.01)


# ---------------------------------------------------------------------------------------------------------- names


def test_a_loss_is_smaller_for_what_is_better() -> None:
    """Whatever the metric's own direction."""
    assert METRICS["roc_auc"].loss(0.9) < METRICS["roc_auc"].loss(0.8)
    assert METRICS["rmse"].loss(1.0) < METRICS["rmse"].loss(2.0)


@pytest.mark.parametrize(("task", "usual"), [("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "rmse")])
def test_auto_is_the_tasks_usual_metric(task: Task, usual: str) -> None:
    """As the interface promises."""
    assert metric_named("auto", task).name == usual


def test_a_metric_of_another_task_is_refused_with_those_that_fit() -> None:
    """The list comes from the registry."""
    with pytest.raises(InputError, match=r"no metric 'rmse' for binary.*roc_auc"):
        metric_named("rmse", "binary")
    with pytest.raises(InputError, match=r"no metric 'pinball_0.5' for binary"):
        metric_named("pinball_0.5", "binary")


@pytest.mark.parametrize("name", ["pinball_", "pinball_0", "pinball_1", "pinball_90", "pinball_nan", "pinball"])
def test_a_quantile_beyond_0_and_1_is_refused(name: str) -> None:
    """With an example of what is right."""
    with pytest.raises(InputError, match=rf"no metric '{name}' for regression.*pinball_0.9"):
        metric_named(name, "regression")


def test_a_metric_that_is_not_defined_for_the_targets_is_refused_or_left_out() -> None:
    """Logarithms have no value below zero: the report leaves rmsle out, and nobody can optimise it."""
    below, above = np.array([1.0, -2.5, 3.0]), np.array([1.0, 0.0])
    with raises(InputError, "The metric 'rmsle' needs targets of 0 or more; the least is -2.5. Use another metric."):
        METRICS["rmsle"].refuse(below)
    METRICS["rmsle"].refuse(above)
    METRICS["rmse"].refuse(below)
    assert "rmsle" not in {metric.name for metric in metrics_of("regression", below)}
    assert "rmsle" in {metric.name for metric in metrics_of("regression", above)}


@pytest.mark.parametrize("task", TASKS)
def test_a_report_tells_metrics_of_its_task_and_the_chosen_one(task: Task) -> None:
    """Each once; a chosen one that is not usual stands first."""
    reported = metrics_of(task)
    assert all(task in metric.tasks for metric in reported)
    assert metrics_of(task, chosen=reported[3]) == reported
    chosen = metric_named("pinball_0.9" if task == "regression" else "recall_macro", task)
    assert metrics_of(task, chosen=chosen) == [chosen, *reported]


# ------------------------------------------------------------------------------------------------------ one's own

Y = np.array([0.0, 1.0, 1.0, 0.0])
SHARES = np.array([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1], [0.3, 0.7]])


def profit(y: NDArray[Any], label: NDArray[Any]) -> float:
    """10 for each buyer who is called, less 1 for each call."""
    return float(10 * np.sum((label == "yes") & (y == "yes")) - np.sum(label == "yes"))


def test_an_own_metric_gets_the_labels_that_predict_gives() -> None:
    """Text, or whole numbers."""
    own = metric_named(Metric("profit", profit, "label", greater_is_better=True), "binary", ("no", "yes"))
    assert own.score(Y, SHARES) == 8.0
    assert own.tasks == ("binary", "multiclass")
    whole = Metric("accuracy of 7", lambda y, label: np.mean((y == 7) == (label == 7)), "label", greater_is_better=True)
    assert metric_named(whole, "binary", (3, 7)).score(Y, SHARES) == 0.5


def test_an_own_metric_of_probabilities_gets_them_in_the_classes_order() -> None:
    """With text labels, scikit-learn's functions take them as they are."""
    own = Metric("auc", lambda y, shares: sk.roc_auc_score(y, shares[:, 1]), "probabilities", greater_is_better=True)
    assert metric_named(own, "binary", ("no", "yes")).score(Y, SHARES) == METRICS["roc_auc"].score(Y, SHARES)


def test_an_own_metric_of_values_gets_one_for_each_row() -> None:
    """(rows,)."""
    own = Metric("worst", lambda y, value: np.max(np.abs(y - value)), "value", greater_is_better=False)
    assert metric_named(own, "regression").score(np.array([1.0, 2.0]), np.array([[1.5], [4.0]])) == 2.0


@pytest.mark.parametrize(
    "function",
    [
        lambda y, label, weights: np.average(y == label, weights=weights),
        lambda y, label, by_row: np.average(y == label, weights=by_row),
        lambda y, label, *, weights=None: np.average(y == label, weights=weights),
        sk.accuracy_score,
        partial(sk.fbeta_score, beta=1.0, average="micro"),
    ],
    ids=["third argument", "of any name", "by keyword", "of scikit-learn", "in part"],
)
def test_a_function_that_takes_weights_gets_them(function: Callable[..., float]) -> None:
    """As its third argument, or the one named `weights` or `sample_weight`; None where there are none."""
    own = Metric("own", function, "label", greater_is_better=True)
    assert own.score(Y, SHARES) == 0.5
    assert own.score(Y, SHARES, np.array([1.0, 5.0, 1.0, 1.0])) == 0.75


def test_a_function_of_two_arguments_leaves_weights_out_of_account() -> None:
    """But not the rows that weigh nothing: those it does not see."""
    own = Metric("rows", lambda y, label: len(y), "label", greater_is_better=True)
    assert own.score(Y, SHARES, np.array([1.0, 5.0, 0.0, 2.0])) == 3.0


def test_an_own_metric_travels_to_workers() -> None:
    """With its function, wherever that was defined."""
    own = Metric("own", lambda y, label: float(np.mean(y == label)), "label", greater_is_better=True)
    again = cast("Metric", cloudpickle.loads(cloudpickle.dumps(own)))  # type: ignore[no-untyped-call]
    assert again.score(Y, SHARES) == own.score(Y, SHARES)


GIVEN = "It is given y and values, (rows,), as NumPy arrays, and has to return one finite number."


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda y, value: np.nan, f"The metric 'own' gave nan, for 2 rows. {GIVEN}"),
        (lambda y, value: np.float32(np.inf), f"The metric 'own' gave inf, for 2 rows. {GIVEN}"),
        (lambda y, value: None, f"The metric 'own' gave None, for 2 rows. {GIVEN}"),
        (lambda y, value: "0.3", f"The metric 'own' gave '0.3', for 2 rows. {GIVEN}"),
        (lambda y, value: y - value, f"The metric 'own' gave array([0., 0.]), for 2 rows. {GIVEN}"),
        (
            lambda y, value: y.no,
            "The metric 'own' raised AttributeError: 'numpy.ndarray' object has no attribute 'no', "
            f"for 2 rows. {GIVEN}",
        ),
        (
            lambda y: 1.0,
            "The metric 'own' raised TypeError: <lambda>() takes 1 positional argument but 2 were given, "
            f"for 2 rows. {GIVEN}",
        ),
    ],
)
def test_a_function_that_gives_no_number_is_told_of(function: Callable[..., Any], said: str) -> None:
    """Its name, what came back, and what is expected."""
    own = Metric("own", function, "value", greater_is_better=True)
    with raises(InputError, said):
        own.score(np.ones(2), np.ones((2, 1)))


def test_numbers_of_all_kinds_are_numbers() -> None:
    """Of Python and NumPy, and arrays without a dimension."""
    for number in (1, True, np.int64(1), np.float32(1), np.array(1.0)):
        own = Metric("own", lambda y, value, number=number: number, "value", greater_is_better=True)
        assert own.score(np.ones(2), np.ones((2, 1))) == 1.0


def test_a_function_whose_direction_is_known_by_its_name_can_stand_for_a_metric_of_values() -> None:
    """scikit-learn's names end in what tells."""
    assert metric_named(sk.max_error, "regression").greater_is_better is False
    assert metric_named(sk.explained_variance_score, "regression").greater_is_better is True
    assert metric_named(sk.max_error, "regression").name == "max_error"


def test_a_bare_function_is_refused_with_how_to_wrap_it() -> None:
    """For classes it may want labels or probabilities; and its direction may be unknown."""
    begin = "metric is the function 'profit', which does not say what it needs and whether more is better. Say so: "
    with raises(InputError, begin + "autopilot.Metric('profit', profit, needs='label', greater_is_better=True)."):
        metric_named(profit, "binary")
    with raises(InputError, begin + "autopilot.Metric('profit', profit, needs='value', greater_is_better=True)."):
        metric_named(profit, "regression")
    with raises(InputError, "metric is 3. Give a name, an autopilot.Metric, or auto."):
        metric_named(3, "regression")  # type: ignore[arg-type]


def test_an_own_metric_has_to_fit_the_task_and_have_a_name_of_its_own() -> None:
    """Leaderboards and reports know it by its name."""
    with raises(InputError, "The metric 'profit' is for binary and multiclass; the task is regression."):
        metric_named(Metric("profit", profit, "label", greater_is_better=True), "regression")
    with raises(InputError, "A metric of one's own has the name 'f1'. Give it one that no other metric has."):
        metric_named(Metric("f1", profit, "label", greater_is_better=True), "binary")
    assert metric_named(METRICS["f1"], "binary") is METRICS["f1"]


def test_a_metric_that_cannot_be_is_refused() -> None:
    """When it is made."""
    with raises(InputError, "The metric 'own' needs 'labels'. Use label, probabilities or value."):
        Metric("own", profit, "labels", greater_is_better=True)  # type: ignore[arg-type]
    with raises(InputError, "The function of the metric 'own' is 0.5. Give one that is callable."):
        Metric("own", 0.5, "label", greater_is_better=True)  # type: ignore[arg-type]
    with raises(InputError, "The metric 'own' needs value, but is for binary. Use regression."):
        Metric("own", profit, "value", greater_is_better=True, tasks=("binary",))
