"""Metrics are the field's, and their errors those of resampling."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn import metrics as oracle

from monitor.performance.answers import Answers
from monitor.performance.metrics import LEAST_REQUESTS, METRICS, Metric, measure, metrics_of, shares_of, usual
from storage.errors import SettingError
from storage.predictor import Outputs
from storage.quality import Quality
from storage.signature import Signature, Task

ROWS = 400


def answers_of(task: Task, rows: int = ROWS, seed: int = 0) -> Answers:
    """Answers of a model that is right more often than not."""
    rng = np.random.default_rng(seed)
    request = np.arange(rows)
    if task == "regression":
        truth = rng.normal(5, 2, rows)
        return Answers(0, truth + rng.standard_t(5, rows), truth, np.empty((rows, 0)), request)
    classes = 2 if task == "binary" else 4
    scores = rng.dirichlet(np.full(classes, 0.7), rows)
    truth = (rng.random((rows, 1)) > scores.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return Answers(classes, scores.argmax(axis=1), truth, scores, request)


def expected(name: str, a: Answers) -> float:
    """The metric by scikit-learn."""
    y, label = a.truth, a.label
    second: Any = a.scores[:, 1] if a.classes == 2 else a.scores
    plain = {
        "accuracy": oracle.accuracy_score,
        "balanced_accuracy": oracle.balanced_accuracy_score,
        "precision": oracle.precision_score,
        "recall": oracle.recall_score,
        "f1": oracle.f1_score,
        "mcc": oracle.matthews_corrcoef,
        "kappa": oracle.cohen_kappa_score,
        "rmse": oracle.root_mean_squared_error,
        "mae": oracle.mean_absolute_error,
        "r2": oracle.r2_score,
        "mape": oracle.mean_absolute_percentage_error,
    }
    if name in plain:
        return float(plain[name](y, label))
    match name:
        case "roc_auc":
            return float(oracle.roc_auc_score(y, second, multi_class="ovr"))
        case "log_loss":
            return float(oracle.log_loss(y, a.scores))
        case "brier":
            one_hot = np.eye(a.classes)[y]
            several = float(((a.scores - one_hot) ** 2).sum(axis=1).mean())
            return float(oracle.brier_score_loss(y, second)) if a.classes == 2 else several
        case "smape":
            return float(np.mean(2 * abs(y - label) / (abs(y) + abs(label))))
        case _:
            kind, average = name.split("_")
            return float(getattr(oracle, f"{kind}_score")(y, label, average=average))


CASES = [(task, metric) for metric in METRICS for task in metric.tasks]


@pytest.mark.parametrize(("task", "metric"), CASES, ids=lambda one: one if isinstance(one, str) else one.name)
def test_values_are_those_of_scikit_learn(task: Task, metric: Metric) -> None:
    """Each metric of each task that it is for."""
    answers = answers_of(task)
    measured = measure(metric, answers)
    assert measured.value == pytest.approx(expected(metric.name, answers), rel=1e-9)
    assert measured.rows == ROWS


@pytest.mark.parametrize(("task", "metric"), CASES, ids=lambda one: one if isinstance(one, str) else one.name)
def test_errors_are_those_of_new_samples(task: Task, metric: Metric) -> None:
    """The deviation over 150 other samples, known to within 6 % of itself, and the mean error of ten of them."""
    drawn = [answers_of(task, seed=seed) for seed in range(150)]
    found = np.std([metric.value(one, shares_of(one)) for one in drawn])
    told = np.mean([measure(metric, one).error for one in drawn[:10]])
    if metric.name != "mape":  # of values near 0, whose relative errors have no deviation
        assert told == pytest.approx(found, rel=0.3)


def test_metrics_that_storage_knows_are_the_same_here() -> None:
    """`storage.quality` gathers in bounded memory; both say the same of the same rows."""
    answers = answers_of("binary")
    import polars as pl

    quality = Quality(Signature("binary", "y", (), classes=(0, 1)))
    quality.add(
        pl.Series(answers.truth), Outputs(answers.label.astype(object), answers.scores.astype(np.float32), None)
    )
    for theirs in quality.values():
        (metric,) = metrics_of("binary", (theirs.metric,))
        ours = measure(metric, answers)
        assert ours.value == pytest.approx(theirs.value, rel=1e-6)
        assert 1.959963984540054 * ours.error == pytest.approx((theirs.high - theirs.low) / 2, rel=0.01)


def test_rows_of_one_request_count_as_dependent() -> None:
    """The same row twice says nothing more: the error stays that of half as many rows."""
    answers = answers_of("binary", rows=2 * LEAST_REQUESTS)
    twice = np.tile(np.arange(len(answers)), 2)
    (accuracy,) = metrics_of("binary", ("accuracy",))
    alone, doubled = measure(accuracy, answers), measure(accuracy, answers.of(twice))
    assert doubled.error == pytest.approx(alone.error)
    apart = replace(answers.of(twice), request=np.arange(len(twice)))
    assert measure(accuracy, apart).error == pytest.approx(alone.error / np.sqrt(2), rel=0.02)


def test_likely_truths_give_what_is_to_be_expected() -> None:
    """Of metrics that are means of rows, the mean over draws of labels; of others nearly."""
    answers = answers_of("binary", rows=2000)
    rng = np.random.default_rng(1)
    likely = answers.scores
    drawn = [np.eye(2)[(rng.random(2000) < likely[:, 1]).astype(int)] for _ in range(200)]
    for name in ("accuracy", "log_loss", "brier", "roc_auc", "f1", "recall"):
        (metric,) = metrics_of("binary", (name,))
        mean = np.mean([metric.value(answers, truth) for truth in drawn])
        assert metric.value(answers, likely) == pytest.approx(mean, abs=0.002)


def test_where_a_metric_is_not_defined_it_has_no_value() -> None:
    """One class; nothing called positive; equal truths; no label at all."""
    answers = answers_of("binary")
    one_class = replace(answers, truth=np.ones(ROWS, dtype=np.int64))
    assert np.isnan(measure(metrics_of("binary", ("roc_auc",))[0], one_class).value)
    never = replace(answers, label=np.zeros(ROWS, dtype=np.int64))
    assert np.isnan(measure(metrics_of("binary", ("precision",))[0], never).value)
    same = replace(answers_of("regression"), truth=np.ones(ROWS))
    assert np.isnan(measure(metrics_of("regression", ("r2",))[0], same).value)
    unknown = replace(answers, truth=np.full(ROWS, -1))
    assert all(np.isnan(measure(metric, unknown).value) for metric in metrics_of("binary"))


def test_an_unknown_metric_is_told_with_those_that_there_are() -> None:
    """Also one of another task."""
    with pytest.raises(SettingError, match=r"'f1' is none of regression that is watched. Use 'rmse', 'mae', 'r2'"):
        metrics_of("regression", ("f1",))
    assert usual("multiclass", "roc_auc") == "roc_auc"
    assert usual("multiclass", "average_precision") == "log_loss"
