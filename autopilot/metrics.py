"""Metrics by their names in the field. A new one is a line in METRICS."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from storage.errors import InputError
from storage.signature import Task

Values = NDArray[np.float64]
#: What a metric is computed from: the probabilities of all classes, the label, or the predicted value.
Needs = Literal["probabilities", "label", "value"]

_AUTO: dict[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")


class Metric(Struct, frozen=True):
    """A number that says how good predictions are.

    function: from scikit-learn, so that the value is what a user would compute. greater_is_better: its direction.
    least: the smallest target that it is defined for.
    """

    name: str
    tasks: tuple[Task, ...]
    needs: Needs
    greater_is_better: bool
    function: Callable[[Values, Values], float]
    least: float = -math.inf

    def score(self, y: Values, predicted: Values) -> float:
        """The metric of predictions.

        y: (rows,) class numbers or values. predicted: (rows, classes) probabilities or (rows, 1) values.
        """
        if self.needs == "value":
            return float(self.function(y, predicted[:, 0]))
        if self.needs == "label":
            return float(self.function(y, predicted.argmax(axis=1).astype(np.float64)))
        return float(self.function(y, predicted))

    def loss(self, score: float) -> float:
        """The score turned so that smaller is better."""
        return -score if self.greater_is_better else score

    def refuse(self, y: Values) -> None:
        """Raise InputError if the targets are beyond what it is defined for."""
        if y.min() < self.least:
            raise InputError(
                f"The metric {self.name!r} needs targets of {self.least:g} or more; the least is {y.min():g}. "
                "Use another metric."
            )


def metric_named(name: str, task: Task) -> Metric:
    """The metric of that name, `auto` for the task's usual one. Raises InputError that lists the task's metrics.

    >>> metric_named("auto", "regression").name
    'rmse'
    """
    found = METRICS.get(_AUTO[task] if name == "auto" else name)
    if found is None or task not in found.tasks:
        names = ", ".join(metric.name for metric in metrics_of(task))
        raise InputError(f"There is no metric {name!r} for {task}. Use auto or one of {names}.")
    return found


def metrics_of(task: Task, y: Values | None = None) -> list[Metric]:
    """All metrics of a task; with targets, those that are defined for them."""
    least = math.inf if y is None else y.min()
    return [metric for metric in METRICS.values() if task in metric.tasks and least >= metric.least]


def _sk(name: str, **options: Any) -> Callable[[Values, Values], float]:
    """A function of sklearn.metrics, imported when first called."""

    def call(y: Values, predicted: Values) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(y, predicted, **options))

    return call


def _roc_auc(y: Values, shares: Values) -> float:
    """Binary: area under the ROC curve; more classes: one against the rest, each class counting alike."""
    from sklearn.metrics import roc_auc_score

    if shares.shape[1] == 2:
        return float(roc_auc_score(y, shares[:, 1])) if len(np.unique(y)) == 2 else 0.5
    seen = [k for k in range(shares.shape[1]) if 0 < (y == k).sum() < len(y)]
    return float(np.mean([roc_auc_score(y == k, shares[:, k]) for k in seen])) if seen else 0.5


def _log_loss(y: Values, shares: Values) -> float:
    """Mean of -log p of the class that occurred, p at least 1e-15."""
    total = shares.sum(axis=1)
    chosen = shares[np.arange(len(y)), y.astype(np.int64)] / total
    return float(-np.log(np.clip(chosen, 1e-15, 1.0)).mean())


def _balanced_accuracy(y: Values, label: Values) -> float:
    """Mean share of right labels over the classes that occur; scikit-learn's own warns of labels that do not."""
    from sklearn.metrics import recall_score

    return float(recall_score(y, label, labels=np.unique(y), average="macro"))


def _average_precision(y: Values, shares: Values) -> float:
    """Area under precision over recall; 0 where no row is of the second class, as in scikit-learn, which warns."""
    from sklearn.metrics import average_precision_score

    if not y.any():
        return 0.0
    return float(average_precision_score(y, shares[:, 1]))


def _brier(y: Values, shares: Values) -> float:
    """Binary: mean (p - y)^2. More classes: mean over rows of the sum over classes (Brier 1950)."""
    if shares.shape[1] == 2:
        return float(np.mean((shares[:, 1] - y) ** 2))
    truth = np.eye(shares.shape[1])[y.astype(np.int64)]
    return float(np.mean(((shares - truth) ** 2).sum(axis=1)))


def _rmsle(y: Values, predicted: Values) -> float:
    """Root mean squared difference of log(1 + x); negative predictions count as 0."""
    return float(np.sqrt(np.mean((np.log1p(np.clip(predicted, 0, None)) - np.log1p(y)) ** 2)))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", _CLASSES, "probabilities", greater_is_better=True, function=_roc_auc),
        Metric("log_loss", _CLASSES, "probabilities", greater_is_better=False, function=_log_loss),
        Metric("accuracy", _CLASSES, "label", greater_is_better=True, function=_sk("accuracy_score")),
        Metric("balanced_accuracy", _CLASSES, "label", greater_is_better=True, function=_balanced_accuracy),
        Metric("f1", ("binary",), "label", greater_is_better=True, function=_sk("f1_score", zero_division=0)),
        Metric(
            "f1_macro",
            _CLASSES,
            "label",
            greater_is_better=True,
            function=_sk("f1_score", average="macro", zero_division=0),
        ),
        Metric(
            "precision", ("binary",), "label", greater_is_better=True, function=_sk("precision_score", zero_division=0)
        ),
        Metric("recall", ("binary",), "label", greater_is_better=True, function=_sk("recall_score", zero_division=0)),
        Metric("average_precision", ("binary",), "probabilities", greater_is_better=True, function=_average_precision),
        Metric("mcc", _CLASSES, "label", greater_is_better=True, function=_sk("matthews_corrcoef")),
        Metric("brier", _CLASSES, "probabilities", greater_is_better=False, function=_brier),
        Metric("rmse", ("regression",), "value", greater_is_better=False, function=_sk("root_mean_squared_error")),
        Metric("mae", ("regression",), "value", greater_is_better=False, function=_sk("mean_absolute_error")),
        Metric("r2", ("regression",), "value", greater_is_better=True, function=_sk("r2_score")),
        Metric("rmsle", ("regression",), "value", greater_is_better=False, function=_rmsle, least=0.0),
        Metric(
            "mape", ("regression",), "value", greater_is_better=False, function=_sk("mean_absolute_percentage_error")
        ),
    )
}
