"""What each column is: the signature of a table, and the findings that a user should see."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from storage.boundary import parse_times, typed
from storage.errors import DataError, InputError
from storage.signature import Column, Dropped, Kind, Signature, Task
from storage.traffic import OUTPUT_PREFIX

Severity = Literal["info", "warning"]

#: A model's own output names; a raw column cannot share them in one ONNX graph.
RESERVED = ("label", "probabilities", "prediction", "interval")
#: Tensors inside a graph begin with "/" (`graph.py`), what capture adds to the columns with the other.
RESERVED_PREFIXES = ("/", OUTPUT_PREFIX)

#: Whole numbers with at most this many distinct values are classes; more are a quantity.
_MAX_INTEGER_CLASSES = 20
#: Levels kept in the signature for documentation.
_MAX_LEVELS = 1000
#: A text column with at least this many words in the mean is prose.
_PROSE_WORDS = 3.0
#: Share of distinct values from which strings are taken for identifiers.
_IDENTIFIER_SHARE = 0.95
_MIN_ROWS = 20


class Finding(Struct, frozen=True):
    """Something about the data that the user should know.

    column: None where it concerns the table or the target.
    """

    severity: Severity
    code: str
    message: str
    column: str | None = None


class Table(Struct, frozen=True):
    """A table ready to learn from.

    frame: the signature's columns, typed as `storage.boundary.typed` does. y: float64 (rows,); class numbers in the
    order of `signature.classes`, or values.
    """

    signature: Signature
    frame: pl.DataFrame
    y: NDArray[np.float64]
    findings: tuple[Finding, ...]


def infer(
    frame: pl.DataFrame,
    target: str,
    *,
    task: Task | Literal["auto"] = "auto",
    columns: Mapping[str, Kind] | None = None,
    ignore: Sequence[str] = (),
) -> Table:
    """Decide what each column is and take out what cannot help.

    Rows without a target are left out. Columns that are constant, all null, row numbers, unique strings or of a type
    that cannot be fed (lists, structs) are dropped with a reason. `columns` overrules the kind that would be inferred,
    `ignore` drops more. Raises DataError or InputError, naming column, value and remedy.

    >>> table = infer(pl.DataFrame({"x": [1.5, 2.0, None] * 10, "y": ["a", "b", "a"] * 10}), "y")
    >>> table.signature.task, table.signature.classes, table.signature.columns[0].kind
    ('binary', ('a', 'b'), 'number')
    """
    columns = columns or {}
    _refuse_unknown_names(frame, target, [*columns, *ignore])
    rows = _rows_with_target(frame.get_column(target))
    findings = _tell_missing(target, frame.height, rows.len())
    frame = frame[rows]
    task, classes, y, finding = _read_target(frame.get_column(target), task)
    kept: list[Column] = []
    series: dict[str, pl.Series] = {}
    dropped: list[Dropped] = []
    for name, dtype in frame.schema.items():
        if name == target:
            continue
        values, kind, reason = _judge(frame.get_column(name), columns.get(name), rows, ignored=name in ignore)
        if reason is not None:
            dropped.append(Dropped(name, reason))
            continue
        _refuse_reserved(name)
        series[name] = values
        kept.append(Column(name, kind, str(dtype)))
    if not kept:
        raise DataError(
            f"No column is left to predict {target!r} from: "
            + "; ".join(f"{drop.name!r} {drop.reason}" for drop in dropped[:5])
            + ". Add columns that vary."
        )
    signature = Signature(task, target, tuple(kept), tuple(dropped), classes)
    clean = typed(signature, pl.DataFrame(series))
    signature = Signature(
        task,
        target,
        tuple(_described(column, clean.get_column(column.name)) for column in kept),
        tuple(dropped),
        classes,
    )
    findings += [finding, *(Finding("info", "dropped", f"{drop.name!r} {drop.reason}.", drop.name) for drop in dropped)]
    return Table(signature, clean, y, tuple(findings))


def _refuse_unknown_names(frame: pl.DataFrame, target: str, others: Sequence[str]) -> None:
    for name in [target, *others]:
        if name not in frame.columns:
            shown = ", ".join(repr(column) for column in frame.columns[:12]) + (", ..." if frame.width > 12 else "")
            what = "target" if name == target else "column"
            raise DataError(f"The data has no {what} {name!r}. Its columns are {shown}.")


def _refuse_reserved(name: str) -> None:
    """Raise for a name that means something else in a model file or in captured traffic."""
    if name in RESERVED:
        raise DataError(f"Column {name!r} has the name of a model's output. Rename it.")
    if name.startswith(RESERVED_PREFIXES):
        prefixes = " and ".join(repr(prefix) for prefix in RESERVED_PREFIXES)
        raise DataError(f"Column {name!r} begins as only names of our own do: {prefixes}. Rename it.")


def _rows_with_target(values: pl.Series) -> pl.Series:
    """The numbers of the rows that have a target."""
    known = values.is_not_null() & values.is_not_nan() if values.dtype.is_float() else values.is_not_null()
    rows = known.arg_true()
    if not rows.len():
        raise DataError(f"Target {values.name!r} is null in all {values.len()} rows. Name another target.")
    if rows.len() < _MIN_ROWS:
        raise DataError(
            f"The data has {rows.len()} rows with a target; at least {_MIN_ROWS} are needed to train and to check a "
            "model. Give more rows."
        )
    return rows


def _tell_missing(target: str, height: int, known: int) -> list[Finding]:
    if known == height:
        return []
    message = f"{height - known} of {height} rows have no target and were left out."
    return [Finding("warning", "target_missing", message, target)]


# ---------------------------------------------------------------------------------------------------------- target


def _read_target(
    values: pl.Series, task: Task | Literal["auto"]
) -> tuple[Task, tuple[str | int, ...], NDArray[np.float64], Finding]:
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
    if not _is_plain(values.dtype):
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


# --------------------------------------------------------------------------------------------------------- columns


def _judge(
    values: pl.Series, wanted: Kind | None, rows: pl.Series, *, ignored: bool
) -> tuple[pl.Series, Kind, str | None]:
    """The column as it will be read, its kind, and a reason to drop it or None. rows: their numbers in the table."""
    if ignored:
        return values, "number", "was ignored as asked"
    if not _is_plain(values.dtype):
        return values, "number", f"is of type {values.dtype}, which no model here takes"
    if values.dtype.is_float():
        values = values.fill_nan(None)
    distinct = values.drop_nulls().n_unique()
    if distinct == 0:
        return values, "number", "holds only nulls"
    if distinct == 1 and not values.null_count():
        return values, "number", "is the same in every row"
    if wanted is not None:
        _refuse_kind(values, wanted)
        return values, wanted, None
    if values.dtype == pl.String:
        return _judge_strings(values, distinct, rows)
    if values.dtype in (pl.Categorical, pl.Enum):
        return values, "category", None
    if values.dtype in (pl.Date, pl.Datetime):
        return values, "time", None
    return values, "number", _row_number(values, distinct)


def _is_plain(dtype: pl.DataType) -> bool:
    """Whether a cell is one value that we know: no list, no struct, no bytes, no other library's type."""
    known = (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Null)
    return dtype.is_numeric() or dtype.is_temporal() or dtype in known


def _refuse_kind(values: pl.Series, wanted: Kind) -> None:
    """Raise if the column cannot be of the kind that was asked for."""
    if wanted not in get_args(Kind):
        raise InputError(f"Column {values.name!r} cannot be {wanted!r}. Kinds are {', '.join(get_args(Kind))}.")
    column = Column(values.name, wanted, str(values.dtype))
    try:
        typed(Signature("regression", "", (column,)), values.to_frame())
    except DataError as error:
        raise DataError(
            f"Column {values.name!r} is {values.dtype}, and not every cell can be read as {wanted}. Convert it, or let "
            "its kind be inferred."
        ) from error


def _judge_strings(values: pl.Series, distinct: int, rows: pl.Series) -> tuple[pl.Series, Kind, str | None]:
    present = values.drop_nulls()
    if parse_times(present).null_count() == 0:
        return values, "time", None
    _refuse_mixed(values, present, rows)
    if distinct > _MAX_INTEGER_CLASSES and _are_numbers(present):
        return values, "number", None
    words = cast("float", (present.str.strip_chars().str.count_matches(" +") + 1).mean())
    if words >= _PROSE_WORDS and distinct > 20:
        return values, "text", None
    if distinct >= _IDENTIFIER_SHARE * present.len() and distinct > _MIN_ROWS:
        return values, "category", "is different in nearly every row, as an identifier is"
    return values, "category", None


def _are_numbers(present: pl.Series) -> bool:
    """Numbers that were written as text; codes such as 00123 are not."""
    codes = present.str.contains(r"^\s*[+-]?0\d").any()
    return not codes and present.str.strip_chars().cast(pl.Float64, strict=False).null_count() == 0


def _refuse_mixed(values: pl.Series, present: pl.Series, rows: pl.Series) -> None:
    """Text in which nearly every cell is a number: a typing mistake, not a category."""
    numbers = present.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = numbers.null_count()
    if not wrong or wrong > 0.05 * present.len():
        return
    cast_all = values.str.strip_chars().cast(pl.Float64, strict=False)
    row = int((values.is_not_null() & cast_all.is_null()).arg_true()[0])
    raise DataError(
        f"Column {values.name!r} is a number in {present.len() - wrong} rows, but row {rows[row]} holds "
        f"{values[row]!r}. Correct or empty that cell, or say what the column is: --column {values.name}=category, or "
        f"--ignore {values.name}."
    )


def _row_number(values: pl.Series, distinct: int) -> str | None:
    """A reason to drop a column that only counts rows."""
    if not values.dtype.is_integer() or distinct < values.len() or distinct < _MIN_ROWS:
        return None
    low, high = cast("int", values.min()), cast("int", values.max())
    return "counts the rows" if high - low == values.len() - 1 and values.is_sorted() else None


def _described(column: Column, values: pl.Series) -> Column:
    """The column with its range or levels."""
    nullable = values.null_count() > 0
    if column.kind == "category":
        counts = values.drop_nulls().value_counts(sort=True).head(_MAX_LEVELS)
        levels = tuple(counts.get_column(column.name).to_list())
        return Column(column.name, column.kind, column.dtype, nullable, levels=levels)
    if column.kind == "text":
        return Column(column.name, column.kind, column.dtype, nullable)
    physical = values.to_physical()
    finite = physical.filter(physical.is_finite()) if physical.dtype.is_float() else physical.drop_nulls()
    low, high = cast("float | None", finite.min()), cast("float | None", finite.max())
    return Column(
        column.name,
        column.kind,
        column.dtype,
        nullable,
        None if low is None else float(low),
        None if high is None else float(high),
    )
