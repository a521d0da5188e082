"""SageMaker's model quality files: statistics, constraints and violations, read and written.

    statistics.json             {"version", "dataset": {"item_count", ...}, "binary_classification_metrics": {...}}
    constraints.json            {"version", "binary_classification_constraints": {"f1": {"threshold", ...}}}
    constraint_violations.json  {"violations": [{"constraint_check_type", "description", "metric_name"}]}

Keys and the example are those of SageMaker's developer guide, page model-monitor-model-quality-metrics. A standard
deviation is of five random samples of 80 % of the rows, and "NaN" with fewer than 200 of them. Curves have 101 points.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from monitor.performance.answers import Answers
from monitor.performance.metrics import measure, metrics_of
from storage.errors import DataError
from storage.signature import Signature, Task

Operator = Literal["LessThanThreshold", "GreaterThanThreshold"]

_KINDS: dict[Task, str] = {
    "binary": "binary_classification",
    "multiclass": "multiclass_classification",
    "regression": "regression",
}
_LEAST_ROWS, _SAMPLES, _SAMPLE_SHARE = 200, 5, 0.8
_POINTS = 101
_BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
_SMALLER_IS_BETTER = {"mae", "mse", "rmse", "false_positive_rate", "false_negative_rate"}
_CONSTANT = "_best_constant_classifier"


class Constraint(Struct, frozen=True):
    """A bound of a metric. threshold: a number; files of SageMaker also have it as text."""

    threshold: float
    comparison_operator: Operator
    additional_properties: dict[str, Any] | None = None


class Violation(Struct, frozen=True):
    """A metric that broke its bound."""

    constraint_check_type: Operator
    description: str
    metric_name: str


class _Violations(Struct, frozen=True):
    violations: tuple[Violation, ...]


def statistics(signature: Signature, answers: Answers) -> dict[str, Any]:
    """The metrics of the rows whose truth is known, as `statistics.json` has them. The second class is positive.

    A value that is not defined is "NaN".
    """
    known = answers.of(answers.known)
    found = _with_deviations(signature.task, known)
    extra = _confusion_of(signature, known) if known.classes else {}
    if signature.task == "binary":
        extra |= _curves(known)
    dataset = {"item_count": len(known)}
    return {"version": 0.0, "dataset": dataset, f"{_KINDS[signature.task]}_metrics": extra | found}


def suggest_constraints(stated: dict[str, Any]) -> dict[str, Any]:
    """Bounds at a baseline's metrics, as `constraints.json` has them; there are none of constant classifiers."""
    kind, metrics = _metrics_of(stated)
    bounds = {
        name: Constraint(value, "GreaterThanThreshold" if name in _SMALLER_IS_BETTER else "LessThanThreshold")
        for name, value in metrics.items()
        if not name.endswith(_CONSTANT)
    }
    return {"version": 0.0, f"{kind}_constraints": msgspec.to_builtins(bounds)}


def violations(stated: dict[str, Any], constraints: dict[str, Any]) -> tuple[Violation, ...]:
    """The bounds that statistics break. A metric that they lack, or that is not defined, breaks none.

    >>> stated = {"regression_metrics": {"mae": {"value": 3.0, "standard_deviation": "NaN"}}}
    >>> bounds = {"regression_constraints": {"mae": {"threshold": 2.5, "comparison_operator": "GreaterThanThreshold"}}}
    >>> violations(stated, bounds)[0].description
    'Metric mae with 3.0 was GreaterThanThreshold 2.5'
    """
    kind, metrics = _metrics_of(stated)
    bounds = _bounds(constraints, kind)
    found = ((name, metrics[name], bound) for name, bound in bounds.items() if name in metrics)
    return tuple(
        Violation(
            bound.comparison_operator,
            f"Metric {name} with {value} was {bound.comparison_operator} {bound.threshold}",
            name,
        )
        for name, value, bound in found
        if (value < bound.threshold if bound.comparison_operator == "LessThanThreshold" else value > bound.threshold)
    )


def write(document: dict[str, Any] | tuple[Violation, ...]) -> bytes:
    """A file of statistics, constraints or violations."""
    return msgspec.json.format(
        msgspec.json.encode(_Violations(document) if isinstance(document, tuple) else document), indent=2
    )


def read(data: bytes) -> dict[str, Any]:
    """A file of statistics or constraints. Raises DataError for what is no JSON object."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"The model quality file is no JSON object: {error}. Give the one that was written.") from error


def read_violations(data: bytes) -> tuple[Violation, ...]:
    """A file of violations. Raises DataError for what is none."""
    try:
        return msgspec.json.decode(data, type=_Violations).violations
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            f"The file has no model quality violations: {error}. Give constraint_violations.json."
        ) from error


# --------------------------------------------------------------------------------------------------------- reading


def _metrics_of(stated: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """Of statistics the kind, and the metrics that are numbers. Raises DataError."""
    for kind in _KINDS.values():
        metrics = stated.get(f"{kind}_metrics")
        if isinstance(metrics, dict):
            return kind, {name: value for name, one in metrics.items() if (value := _value(one)) is not None}
    names = ", ".join(f"{kind}_metrics" for kind in _KINDS.values())
    raise DataError(f"The statistics have the keys {list(stated)!r:.200}, none of which is model quality: use {names}.")


def _value(one: Any) -> float | None:
    value = one.get("value") if isinstance(one, dict) else None
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _bounds(constraints: dict[str, Any], kind: str) -> dict[str, Constraint]:
    try:
        return msgspec.convert(constraints[f"{kind}_constraints"], dict[str, Constraint], strict=False)
    except (KeyError, msgspec.ValidationError) as error:
        raise DataError(
            f"The constraints have no usable {kind}_constraints: {error}. Give each metric a threshold and "
            "LessThanThreshold or GreaterThanThreshold."
        ) from error


# --------------------------------------------------------------------------------------------------------- metrics


def _with_deviations(task: Task, answers: Answers) -> dict[str, Any]:
    values = _VALUES[task](answers)
    drawn: list[dict[str, float]] = []
    if len(answers) >= _LEAST_ROWS:
        random, size = np.random.default_rng(0), round(_SAMPLE_SHARE * len(answers))
        parts = [answers.of(np.sort(random.permutation(len(answers))[:size])) for _ in range(_SAMPLES)]
        drawn = [_VALUES[task](part) for part in parts]
    return {
        name: {
            "value": _number(value),
            "standard_deviation": _number(float(np.std([one[name] for one in drawn]))) if drawn else "NaN",
        }
        for name, value in values.items()
    }


def _number(value: float) -> float | str:
    return value if np.isfinite(value) else "NaN"


def _binary(answers: Answers) -> dict[str, float]:
    table = _confusion(answers)
    (true_no, false_yes), (false_no, true_yes) = table.tolist()
    constant = _constant(table)
    found = {
        "recall": _share(true_yes, true_yes + false_no),
        "precision": _share(true_yes, true_yes + false_yes),
        "accuracy": _share(true_yes + true_no, table.sum()),
        "true_positive_rate": _share(true_yes, true_yes + false_no),
        "true_negative_rate": _share(true_no, true_no + false_yes),
        "false_positive_rate": _share(false_yes, true_no + false_yes),
        "false_negative_rate": _share(false_no, true_yes + false_no),
        "auc": measure(metrics_of("binary", ("roc_auc",))[0], answers).value,
        **{name: _f(table, 1, beta) for name, beta in _BETAS.items()},
    }
    of_constant = {
        "recall": _share(constant[1, 1], constant[1].sum()),
        "precision": _share(constant[1, 1], constant[:, 1].sum()),
        "accuracy": _share(float(np.trace(constant)), constant.sum()),
        **{name: _f(constant, 1, beta) for name, beta in _BETAS.items()},
    }
    return found | {name + _CONSTANT: value for name, value in of_constant.items()}


def _multiclass(answers: Answers) -> dict[str, float]:
    table = _confusion(answers)
    return _weighted(table) | {name + _CONSTANT: value for name, value in _weighted(_constant(table)).items()}


def _weighted(table: NDArray[np.float64]) -> dict[str, float]:
    weights = table.sum(axis=1)
    classes = range(len(table))

    def mean(of_class: Callable[[int], float]) -> float:
        values = np.nan_to_num([of_class(k) for k in classes])
        return _share(float(weights @ values), weights.sum())

    return {
        "accuracy": _share(float(np.trace(table)), table.sum()),
        "weighted_recall": mean(lambda k: _share(table[k, k], table[k].sum())),
        "weighted_precision": mean(lambda k: _share(table[k, k], table[:, k].sum())),
        **{f"weighted_{name}": mean(lambda k, beta=beta: _f(table, k, beta)) for name, beta in _BETAS.items()},
    }


def _regression(answers: Answers) -> dict[str, float]:
    rmse, mae, r2 = (measure(metric, answers).value for metric in metrics_of("regression", ("rmse", "mae", "r2")))
    return {"mae": mae, "mse": rmse**2, "rmse": rmse, "r2": r2}


_VALUES: dict[Task, Callable[[Answers], dict[str, float]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}


def _confusion(answers: Answers) -> NDArray[np.float64]:
    """Rows by what happened and what was said, (classes, classes)."""
    cells = np.bincount(answers.truth * answers.classes + answers.label, minlength=answers.classes**2)
    return cells.reshape(answers.classes, answers.classes).astype(np.float64)


def _constant(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table of a classifier that always says the last class, as the "best" one of the guide's examples does."""
    found = np.zeros_like(table)
    found[:, -1] = table.sum(axis=1)
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _f(table: NDArray[np.float64], k: int, beta: float) -> float:
    right, of_class, called = table[k, k], table[k].sum(), table[:, k].sum()
    return _share((1 + beta**2) * right, beta**2 * of_class + called)


def _confusion_of(signature: Signature, answers: Answers) -> dict[str, Any]:
    names = [str(name) for name in signature.classes]
    counts = _confusion(answers).astype(np.int64).tolist()
    return {
        "confusion_matrix": {name: dict(zip(names, row, strict=True)) for name, row in zip(names, counts, strict=True)}
    }


def _curves(answers: Answers) -> dict[str, Any]:
    """Both curves at up to 101 thresholds of the score, from none called positive to all."""
    order = np.argsort(-answers.scores[:, 1], kind="stable")
    score, is_yes = answers.scores[order, 1], answers.truth[order] == 1
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if len(score) else np.empty(0, np.int64)
    last = (
        last[np.unique(np.linspace(0, len(last) - 1, min(_POINTS, len(last))).astype(np.int64))] if len(last) else last
    )
    yes, called = np.cumsum(is_yes)[last], last + 1
    positives, negatives = max(int(is_yes.sum()), 1), max(int((~is_yes).sum()), 1)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": [0.0, *((called - yes) / negatives).tolist()],
            "true_positive_rates": [0.0, *(yes / positives).tolist()],
        },
        "precision_recall_curve": {
            "precisions": [1.0, *(yes / called).tolist()],
            "recalls": [0.0, *(yes / positives).tolist()],
        },
    }
