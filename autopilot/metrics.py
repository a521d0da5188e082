"""Metrics by their names in the field. A new one is a line in METRICS, its formula in `metric_formulas.py`."""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import force_setattr, replace
from numpy.typing import NDArray

from autopilot import metric_formulas as formulas
from storage.errors import InputError
from storage.signature import Task

Values = NDArray[np.float64]
#: What a metric is computed from: the probabilities of all classes, the label, or the predicted value.
Needs = Literal["probabilities", "label", "value"]

_AUTO: dict[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_VALUES: tuple[Task, ...] = ("regression",)
_PINBALL = "pinball_"
#: How scikit-learn names its functions: larger is better for scores, smaller for the others
#: (https://scikit-learn.org/stable/modules/model_evaluation.html).
_ENDINGS = {"_score": True, "_error": False, "_loss": False, "_deviance": False}
_WEIGHTS_NAMES = ("weights", "sample_weight")
_GIVEN: dict[Needs, str] = {
    "label": "labels, (rows,)",
    "probabilities": "probabilities, (rows, classes)",
    "value": "values, (rows,)",
}


class Metric(Struct, frozen=True):
    """A number that says how good predictions are: one of METRICS, or a user's own.

    name: in leaderboards and reports.
    function: of y and what was predicted, NumPy arrays of as many rows, to a finite number. Where it has an argument
        `weights` or `sample_weight`, or needs a third one, it gets the rows' weights there: float64 (rows,), above 0,
        or None where all rows count alike. One without such an argument leaves weights out of account.
    needs: `label`, the most likely class; `probabilities`, (rows, classes) in the classes' order; `value`.
    greater_is_better: its direction.
    tasks: for which it is meant; all that the needs fit by default.
    least: the smallest target that it is defined for.
    classes: what the function gets as y and as labels, instead of class numbers. `fit` sets it for a user's own metric
        to the classes as `predict` names them, text or whole numbers, in ascending order.
    weights_name: the function's argument for weights; found by its signature.

    Raises InputError for a name, a function, needs or tasks that cannot be used.

    >>> def profit(y, label):
    ...     return 100.0 * np.sum((label == "buys") & (y == "buys")) - 5.0 * np.sum(label == "buys")
    >>> Metric("profit", profit, needs="label", greater_is_better=True).tasks
    ('binary', 'multiclass')
    """

    name: str
    function: Callable[..., Any]
    needs: Needs
    greater_is_better: bool
    tasks: tuple[Task, ...] = ()
    least: float = -math.inf
    classes: tuple[str | int, ...] = ()
    weights_name: str | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(
                f"The function of the metric {self.name!r} is {self.function!r}. Give one that is callable."
            )
        if self.needs not in get_args(Needs):
            raise InputError(f"The metric {self.name!r} needs {self.needs!r}. Use label, probabilities or value.")
        fitting = _VALUES if self.needs == "value" else _CLASSES
        if not set(self.tasks) <= set(fitting):
            raise InputError(
                f"The metric {self.name!r} needs {self.needs}, but is for {', '.join(self.tasks)}. "
                f"Use {' or '.join(fitting)}."
            )
        force_setattr(self, "tasks", self.tasks or fitting)
        if self.weights_name is UNSET:
            force_setattr(self, "weights_name", _weights_name(self.function))

    def score(self, y: Values, predicted: Values, weights: Values | None = None) -> float:
        """The metric of predictions.

        y: (rows,) class numbers or values. predicted: (rows, classes) probabilities or (rows, 1) values. weights:
        (rows,) of 0 and more, for how many rows each counts; rows of weight 0 are left out, and where all weights are
        0, all rows count alike.

        Raises InputError where the function fails, or gives something that is not a finite number.
        """
        if weights is not None and not weights.all():
            kept = weights > 0
            if kept.any():
                y, predicted, weights = y[kept], predicted[kept], weights[kept]
            else:
                weights = None
        options = {self.weights_name: weights} if isinstance(self.weights_name, str) else {}
        try:
            found = self.function(*self._arguments(y, predicted), **options)
        except Exception as error:
            raise InputError(self._failed(len(y), f"raised {type(error).__name__}: {error}")) from error
        return self._checked(found, len(y))

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

    def _arguments(self, y: Values, predicted: Values) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.needs == "value":
            return y, predicted[:, 0]
        return self._named(y), self._named(_most_likely(predicted)) if self.needs == "label" else predicted

    def _named(self, numbers: NDArray[Any]) -> NDArray[Any]:
        return np.array(self.classes)[numbers.astype(np.int64)] if self.classes else numbers

    def _checked(self, found: Any, rows: int) -> float:
        number = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
        if not isinstance(number, Real):
            raise InputError(self._failed(rows, f"gave {found!r:.80}"))
        if not math.isfinite(number):
            raise InputError(self._failed(rows, f"gave {float(number)}"))
        return float(number)

    def _failed(self, rows: int, what: str) -> str:
        return (
            f"The metric {self.name!r} {what}, for {rows} rows. It is given y and {_GIVEN[self.needs]}, as NumPy "
            "arrays, and has to return one finite number."
        )


def metric_named(metric: str | Metric | Callable[..., Any], task: Task, classes: Sequence[str | int] = ()) -> Metric:
    """The metric that is asked for, `auto` for the task's usual one.

    metric: a name of METRICS, `pinball_0.9` for that or any other quantile, a Metric, or for regression a function
    whose name says its direction as scikit-learn's names do: `..._score`, or `..._error`, `..._loss`, `..._deviance`.
    classes: what a user's own metric gets instead of class numbers.

    Raises InputError with what would be right: a name that is unknown or of another task lists the task's metrics.

    >>> metric_named("auto", "regression").name
    'rmse'
    """
    if isinstance(metric, str):
        return _registered(metric, task)
    own = metric if isinstance(metric, Metric) else _of_function(metric, task)
    if METRICS.get(own.name) is own:
        return _registered(own.name, task)
    if own.name in METRICS or not own.name.strip():
        raise InputError(f"A metric of one's own has the name {own.name!r}. Give it one that no other metric has.")
    if task not in own.tasks:
        raise InputError(f"The metric {own.name!r} is for {' and '.join(own.tasks)}; the task is {task}.")
    return replace(own, classes=tuple(classes))


def metrics_of(task: Task, y: Values | None = None, chosen: Metric | None = None) -> list[Metric]:
    """What a report tells of a task; with targets, those that are defined for them. The chosen one is among them."""
    least = math.inf if y is None else y.min()
    reported = [METRICS[name] for name in _REPORTED[task] if least >= METRICS[name].least]
    if chosen is None or any(metric.name == chosen.name for metric in reported):
        return reported
    return [chosen, *reported]


def _most_likely(shares: Values) -> NDArray[Any]:
    """Class numbers, the first one of several that are as likely; argmax takes twice as long for two classes."""
    return shares[:, 1] > shares[:, 0] if shares.shape[1] == 2 else shares.argmax(axis=1)


def _registered(name: str, task: Task) -> Metric:
    found = METRICS.get(_AUTO[task] if name == "auto" else name) or _pinball(name)
    if found is None or task not in found.tasks:
        names = ", ".join(metric.name for metric in METRICS.values() if task in metric.tasks)
        quantiles = f", or {_PINBALL}0.9 for that or another quantile" if task == "regression" else ""
        raise InputError(f"There is no metric {name!r} for {task}. Use auto or one of {names}{quantiles}.")
    return found


def _pinball(name: str) -> Metric | None:
    """The metric of a name such as `pinball_0.9`, for a quantile between 0 and 1."""
    try:
        quantile = float(name.removeprefix(_PINBALL)) if name.startswith(_PINBALL) else math.nan
    except ValueError:
        return None
    if not 0 < quantile < 1:
        return None
    function = partial(formulas.pinball, quantile=quantile)
    return Metric(f"{_PINBALL}{quantile}", function, "value", greater_is_better=False)


def _of_function(function: Callable[..., Any], task: Task) -> Metric:
    """A bare function, if what it is given and its direction are beyond doubt."""
    if not callable(function):
        raise InputError(f"metric is {function!r}. Give a name, an autopilot.Metric, or auto.")
    name = str(getattr(function, "__name__", type(function).__name__))
    direction = next((greater for ending, greater in _ENDINGS.items() if name.endswith(ending)), None)
    if task != "regression" or direction is None:
        needs = "value" if task == "regression" else "label"
        raise InputError(
            f"metric is the function {name!r}, which does not say what it needs and whether more is better. Say so: "
            f"autopilot.Metric({name!r}, {name}, needs={needs!r}, greater_is_better=True)."
        )
    return Metric(name, function, "value", greater_is_better=direction)


def _weights_name(function: Callable[..., Any]) -> str | None:
    """The argument named for weights, or a third one without which the function cannot be called."""
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions that are written in C do not tell
        return None
    named = [each.name for each in arguments if each.name in _WEIGHTS_NAMES]
    needed = [each.name for each in arguments if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty]
    return next(iter(named + needed[2:3]), None)


def _of_labels(name: str, tasks: tuple[Task, ...], of: Callable[[Values], Values], average: formulas.Average) -> Metric:
    function = partial(formulas.over_classes, of=of, average=average)
    return Metric(name, function, "label", greater_is_better=True, tasks=tasks)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", formulas.roc_auc, "probabilities", greater_is_better=True),
        Metric("log_loss", formulas.log_loss, "probabilities", greater_is_better=False),
        Metric("accuracy", formulas.accuracy, "label", greater_is_better=True),
        Metric("balanced_accuracy", formulas.balanced_accuracy, "label", greater_is_better=True),
        _of_labels("f1", ("binary",), formulas.f1s, "second"),
        _of_labels("precision", ("binary",), formulas.precisions, "second"),
        _of_labels("recall", ("binary",), formulas.recalls, "second"),
        _of_labels("f1_macro", _CLASSES, formulas.f1s, "macro"),
        _of_labels("precision_macro", _CLASSES, formulas.precisions, "macro"),
        _of_labels("recall_macro", _CLASSES, formulas.recalls, "macro"),
        _of_labels("f1_weighted", _CLASSES, formulas.f1s, "weighted"),
        _of_labels("precision_weighted", _CLASSES, formulas.precisions, "weighted"),
        _of_labels("recall_weighted", _CLASSES, formulas.recalls, "weighted"),
        Metric("average_precision", formulas.average_precision, "probabilities", greater_is_better=True),
        Metric("mcc", formulas.mcc, "label", greater_is_better=True),
        Metric("kappa", formulas.kappa, "label", greater_is_better=True),
        Metric("brier", formulas.brier, "probabilities", greater_is_better=False),
        Metric("rmse", formulas.rmse, "value", greater_is_better=False),
        Metric("mae", formulas.mae, "value", greater_is_better=False),
        Metric("median_ae", formulas.median_ae, "value", greater_is_better=False),
        Metric("r2", formulas.r2, "value", greater_is_better=True),
        Metric("rmsle", formulas.rmsle, "value", greater_is_better=False, least=0.0),
        Metric("mape", formulas.mape, "value", greater_is_better=False),
        Metric("smape", formulas.smape, "value", greater_is_better=False),
    )
}

#: What reports tell; the others can be asked for.
_REPORTED: dict[Task, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "log_loss",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
        "average_precision",
        "mcc",
        "kappa",
        "brier",
    ),
    "multiclass": (
        "roc_auc",
        "log_loss",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "f1_weighted",
        "average_precision",
        "mcc",
        "kappa",
        "brier",
    ),
    "regression": ("rmse", "mae", "median_ae", "r2", "rmsle", "mape", "smape"),
}
