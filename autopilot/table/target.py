"""The target: which rows have one, whether it is classes or a quantity, and its values as models learn them."""

from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.table.expand import is_plain
from autopilot.table.findings import Finding
from storage.errors import DataError, InputError
from storage.signature import Task

#: Whole numbers with at most this many distinct values are classes; more are a quantity.
_MAX_INTEGER_CLASSES = 20
#: Of rows: fewer cannot be divided into folds and a test.
MIN_ROWS = 20


def rows_with_target(values: pl.Series) -> pl.Series:
    """The numbers of the rows that have a target."""
    known = values.is_not_null() & values.is_not_nan() if values.dtype.is_float() else values.is_not_null()
    rows = known.arg_true()
    if not rows.len():
        raise DataError(f"Target {values.name!r} is null in all {values.len()} rows. Name another target.")
    if rows.len() < MIN_ROWS:
        raise DataError(
            f"The data has {rows.len()} rows with a target; at least {MIN_ROWS} are needed to train and to check a "
            "model. Give more rows."
        )
    return rows


def tell_missing(target: str, height: int, known: int) -> list[Finding]:
    """A warning where rows without a target are left out."""
    if known == height:
        return []
    message = f"{height - known} of {height} rows have no target and were left out."
    return [Finding("warning", "target_missing", message, target)]


def read_target(
    values: pl.Series, task: Task | Literal["auto"]
) -> tuple[Task, tuple[str | int, ...], NDArray[np.float64], Finding]:
    """The task, the classes in their order, the target as class numbers or values, and what was decided."""
    if task not in ("auto", *get_args(Task)):
        raise InputError(f"task is {task!r}. Use auto, binary, multiclass or regression.")
    if task == "auto":
        task = _guess_task(values)
    if task == "regression":
        return task, (), _read_values(values), _told(values, task, f"it has {values.n_unique()} distinct numbers")
    labels = _read_labels(values)
    classes = tuple(labels.unique().sort().to_list())
    _refuse_classes(values.name, classes, labels.len(), task)
    order = {name: index for index, name in enumerate(classes)}
    y = labels.replace_strict(order, return_dtype=pl.Float64).to_numpy()
    return task, classes, y, _told(values, task, f"it has {len(classes)} classes")


def _told(values: pl.Series, task: Task, why: str) -> Finding:
    return Finding("info", "task", f"{values.name!r} is predicted as {task}: {why}.", values.name)


def _guess_task(values: pl.Series) -> Task:
    distinct = values.n_unique()
    if values.dtype.is_numeric():
        whole = values.dtype.is_integer() or bool((values.cast(pl.Float64) % 1 == 0).all())
        if not whole or distinct > _MAX_INTEGER_CLASSES or (values.dtype.is_float() and distinct > 2):
            return "regression"
    return "binary" if distinct <= 2 else "multiclass"


def _read_values(values: pl.Series) -> NDArray[np.float64]:
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise DataError(
            f"Target {values.name!r} is {values.dtype}, which is no quantity. Use --task multiclass, or convert it."
        )
    y = values.cast(pl.Float64).to_numpy()
    if not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise DataError(f"Target {values.name!r} is {y[row]} in row {row} of those with a target. Correct or drop it.")
    if np.ptp(y) == 0:
        raise DataError(f"Target {values.name!r} is {y[0]:g} in every row. There is nothing to predict.")
    return y


def _read_labels(values: pl.Series) -> pl.Series:
    """Whole numbers as int64, everything else as text."""
    if not is_plain(values.dtype):
        raise DataError(f"Target {values.name!r} is {values.dtype}. Give one value for each row.")
    if values.dtype == pl.Duration:
        raise DataError(f"Target {values.name!r} is {values.dtype}. Convert it to a number, such as its seconds.")
    if not (values.dtype.is_integer() or values.dtype.is_float()):
        return values.cast(pl.String)
    fractions = values.filter(values % 1 != 0) if values.dtype.is_float() else values.clear()
    if fractions.len():
        raise DataError(f"Target {values.name!r} holds fractions such as {fractions[0]}. Use --task regression.")
    labels = values.cast(pl.Int64, strict=False)
    if labels.null_count():
        beyond = values.filter(labels.is_null())[0]
        raise DataError(f"Target {values.name!r} holds numbers such as {beyond}. Use --task regression.")
    return labels


def _refuse_classes(name: str, classes: tuple[Any, ...], rows: int, task: Task) -> None:
    if len(classes) == 1:
        raise DataError(f"Target {name!r} is {classes[0]!r} in every row. There is nothing to predict.")
    if task == "binary" and len(classes) != 2:
        raise DataError(f"Target {name!r} has {len(classes)} classes, not 2. Use --task multiclass.")
    if len(classes) > max(2, rows // 2):
        raise DataError(
            f"Target {name!r} has {len(classes)} classes in {rows} rows, so most are seen once. "
            "Name another target, or group its classes."
        )
