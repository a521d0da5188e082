"""What each column is: the signature of a table, and the findings that a user should see.

expand.py       structs and lists become plain columns
target.py       the target: its rows, its task, its values
roles.py        the order in time, groups and weights of rows
columns.py      what one column becomes, by rule or by the user's word
instants.py     times that were written as text or as whole numbers
duplicates.py   columns that say nothing new
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from autopilot.table.columns import Verdict, asked, count, judge
from autopilot.table.duplicates import duplicates
from autopilot.table.expand import Expanded, expand, is_plain
from autopilot.table.findings import Finding
from autopilot.table.roles import Roles, read_roles
from autopilot.table.target import read_target, rows_with_target, tell_missing
from storage.boundary import typed
from storage.errors import DataError, InputError
from storage.signature import Column, Dropped, Signature, Task
from storage.traffic import OUTPUT_PREFIX

#: A model's own output names; a raw column cannot share them in one ONNX graph.
RESERVED = ("label", "probabilities", "prediction", "interval", "set")
#: Tensors inside a graph begin with "/" (`graph.py`), what capture adds to the columns with the other.
RESERVED_PREFIXES = ("/", OUTPUT_PREFIX)

#: Levels kept in the signature for documentation.
_MAX_LEVELS = 1000


class Table(Struct, frozen=True):
    """A table ready to learn from.

    frame: the signature's columns, typed as `storage.boundary.typed` does. y: float64 (rows,); class numbers in the
    order of `signature.classes`, or values.
    weights: float64 (rows,) above 0 with mean 1, how much each row counts; None where all count alike.
    groups: int64 (rows,), a number from 0 for each group of rows that belong together; None without groups.
    times: int64 (rows,), the order in time from 0, the same for rows of the same time; None without an order.
    facets: columns by whose values rows are compared, whether or not they are learnt from; NaN and "" are null.
    """

    signature: Signature
    frame: pl.DataFrame
    y: NDArray[np.float64]
    findings: tuple[Finding, ...]
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    times: NDArray[np.int64] | None = None
    facets: pl.DataFrame | None = None


#: Of a table of which no column says anything about its rows.
NO_ROLES = Roles()


def infer(
    frame: pl.DataFrame,
    target: str,
    *,
    task: Task | Literal["auto"] = "auto",
    columns: Mapping[str, str] | None = None,
    ignore: str | Sequence[str] = (),
    roles: Roles = NO_ROLES,
    facets: str | Sequence[str] = (),
    sensitive: str | Sequence[str] = (),
) -> Table:
    """Decide what each column is and take out what cannot help.

    Rows without a target are left out; structs and lists become columns of plain values. Columns that are constant, all
    null, row numbers, identifiers, repetitions of others or of a type that cannot be fed are dropped with a reason.
    `columns` overrules what would be inferred, with a kind or a time's format (`time:%d/%m/%Y`), and keeps a column
    that would be dropped, unless it holds one value alone; `ignore` drops more. docs/columns.md tells all rules.
    `roles` names the columns that order, group or weigh the rows: docs/validation.md. `facets` are kept beside, as they
    are. Of `sensitive` columns no message shows a value. Raises DataError or InputError, naming column, value and
    remedy.

    >>> table = infer(pl.DataFrame({"x": [1.5, 2.0, None] * 10, "y": ["a", "b", "a"] * 10}), "y")
    >>> table.signature.task, table.signature.classes, table.signature.columns[0].kind
    ('binary', ('a', 'b'), 'number')
    """
    _refuse_unknown(frame.columns, target, "target")
    _refuse_patterns(frame.columns)
    wishes, ignore, facets = dict(columns or {}), names_of(ignore), names_of(facets)
    roles.refuse_clashes(target, wishes)
    expanded = expand(frame, plain={target, *ignore, *roles.columns.values()})
    for name in (*wishes, *ignore, *roles.columns.values(), *facets, *names_of(sensitive)):
        _refuse_unknown([*frame.columns, *expanded.paths], name, "column")
    hidden = _hidden(names_of(sensitive), target, expanded)
    known = rows_with_target(frame.get_column(target))
    role = read_roles(expanded.frame, known, roles, wishes, hidden)
    raw = expanded.frame if len(role.rows) == frame.height else expanded.frame[role.rows]
    task, classes, y, told = read_target(raw.get_column(target), task)
    left_out = {name: "was ignored as asked" for name in ignore if name != target} | roles.no_features(wishes)
    verdicts = _judge(raw.drop(target), wishes, left_out, expanded, role.rows, hidden)
    signature, clean = _settle(Signature(task, target, (), (), classes), raw, verdicts, wishes, expanded, hidden)
    findings = [
        *tell_missing(target, frame.height, len(known)),
        told,
        *role.findings,
        *expanded.findings,
        *(verdicts[column.name].finding for column in signature.columns),
        *(Finding("info", "dropped", f"{drop.name!r} {drop.reason}.", drop.name) for drop in signature.dropped),
    ]
    shown = tuple(finding for finding in findings if finding is not None)
    return Table(
        signature, clean, y, shown, role.weights, role.groups, role.times, _facets(raw, facets, target, expanded)
    )


def names_of(columns: str | Collection[str]) -> tuple[str, ...]:
    """Of one column or of several.

    >>> names_of("age"), names_of(["age", "sex"])
    (('age',), ('age', 'sex'))
    """
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _hidden(sensitive: Sequence[str], target: str, expanded: Expanded) -> frozenset[str]:
    """Sensitive columns with the parts of those that are taken apart. Raises InputError for the target."""
    if target in sensitive:
        raise InputError(
            f"Column {target!r} is the target, which a model answers with, so it cannot be sensitive. Leave it out of "
            "sensitive."
        )
    return frozenset(sensitive).union(name for name, path in expanded.paths.items() if path[0] in sensitive)


def _facets(raw: pl.DataFrame, names: Sequence[str], target: str, expanded: Expanded) -> pl.DataFrame | None:
    """These columns, if there are any. Raises InputError for the target, DataError for what is not one value a cell."""
    if target in names:
        raise InputError(f"Column {target!r} is the target, whose groups are what is predicted. Name another column.")
    for name in names:
        if name not in raw.columns:
            shown = ", ".join(map(repr, expanded.parts.get(name, [])[:4])) or "none"
            raise DataError(f"Column {name!r} has no groups to compare: it is taken apart. Name a part of it: {shown}.")
        if not is_plain(raw.schema[name]):
            raise DataError(f"Column {name!r} is {raw.schema[name]}, which has no groups to compare. Name another one.")
    return _normal(raw.select(*dict.fromkeys(names))) if names else None


def _refuse_unknown(known: Sequence[str], name: str, what: str) -> None:
    if name not in known:
        shown = ", ".join(repr(column) for column in known[:12]) + (", ..." if len(known) > 12 else "")
        raise DataError(f"The data has no {what} {name!r}. Its columns are {shown}.")


def _refuse_patterns(names: Sequence[str]) -> None:
    """Raise for a name that Polars takes for several columns: `*`, and what is between ^ and $."""
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise DataError(f"Column {name!r} has a name that stands for other columns in Polars. Rename it.")


def _refuse_reserved(name: str) -> None:
    """Raise for a name that means something else in a model file or in captured traffic."""
    if name in RESERVED:
        raise DataError(f"Column {name!r} has the name of a model's output. Rename it.")
    if name.startswith(RESERVED_PREFIXES):
        prefixes = " and ".join(repr(prefix) for prefix in RESERVED_PREFIXES)
        raise DataError(f"Column {name!r} begins as only names of our own do: {prefixes}. Rename it.")


def _judge(
    raw: pl.DataFrame,
    wishes: Mapping[str, str],
    left_out: Mapping[str, str],
    expanded: Expanded,
    rows: pl.Series,
    hidden: Collection[str],
) -> dict[str, Verdict]:
    """What each column becomes, in the table's order; what was dropped on the way here, too."""
    _refuse_wholes(wishes, expanded)
    found = {drop.name: Verdict("number", reason=drop.reason) for drop in expanded.dropped}
    found |= {name: Verdict("number", reason=reason) for name, reason in left_out.items()}
    frame = _normal(raw.drop(name for name in left_out if name in raw.columns))
    for name, facts in count(frame, hidden).items():
        values = frame.get_column(name)
        found[name] = asked(values, facts, wishes[name]) if name in wishes else judge(values, facts, rows)
    return found


def _refuse_wholes(wishes: Mapping[str, str], expanded: Expanded) -> None:
    """Raise for a kind that was asked for a struct or list that is taken apart, or that nothing can be made of."""
    reasons = {drop.name: drop.reason for drop in expanded.dropped}
    for name, wish in wishes.items():
        parts = expanded.parts.get(name)
        if parts and parts != [name]:
            shown = ", ".join(map(repr, parts[:4])) + (", ..." if len(parts) > 4 else "")
            raise DataError(f"Column {name!r} cannot be {wish!r}: it is taken apart. Say what its parts are: {shown}.")
        if name in reasons:
            raise DataError(f"Column {name!r} cannot be {wish!r}: it {reasons[name]}.")


def _normal(frame: pl.DataFrame) -> pl.DataFrame:
    """One missing value: null, for NaN and for empty text too."""
    return frame.with_columns(
        pl.col(pl.Float32, pl.Float64).fill_nan(None),
        pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)),
    )


def _settle(
    empty: Signature,
    raw: pl.DataFrame,
    verdicts: Mapping[str, Verdict],
    wishes: Mapping[str, str],
    expanded: Expanded,
    hidden: Collection[str],
) -> tuple[Signature, pl.DataFrame]:
    """The signature with its columns and what was dropped, and the typed frame."""
    paths = expanded.paths
    columns = [
        Column(
            name,
            verdicts[name].kind,
            str(dtype),
            format=verdicts[name].format,
            path=paths.get(name, ()),
            sensitive=name in hidden,
        )
        for name, dtype in raw.schema.items()
        if name != empty.target and verdicts[name].reason is None
    ]
    reasons = {name: verdict.reason for name, verdict in verdicts.items() if verdict.reason is not None}
    for column in columns:
        _refuse_reserved(column.name)
    clean = typed(replace(empty, columns=tuple(columns)), raw.drop(empty.target))
    reasons |= duplicates(clean, columns, kept=wishes)
    columns = [column for column in columns if column.name not in reasons]
    if not columns:
        shown = "; ".join(f"{name!r} {reason}" for name, reason in list(reasons.items())[:5])
        raise DataError(f"No column is left to predict {empty.target!r} from: {shown}. Add columns that vary.")
    clean = clean.select(column.name for column in columns)
    return replace(
        empty,
        columns=tuple(_described(column, clean.get_column(column.name)) for column in columns),
        dropped=tuple(Dropped(name, reason, paths.get(name, ()), name in hidden) for name, reason in reasons.items()),
    ), clean


def _described(column: Column, values: pl.Series) -> Column:
    """The column with its range or levels, which a sensitive one does not tell."""
    nullable = values.null_count() > 0
    if column.sensitive:
        return replace(column, nullable=nullable)
    if column.kind == "category":
        counts = values.drop_nulls().alias("level").value_counts(sort=True).head(_MAX_LEVELS)
        return replace(column, nullable=nullable, levels=tuple(counts.get_column("level").to_list()))
    if column.kind == "text":
        return replace(column, nullable=nullable)
    physical = values.to_physical()
    finite = physical.filter(physical.is_finite()) if physical.dtype.is_float() else physical.drop_nulls()
    low, high = cast("float | None", finite.min()), cast("float | None", finite.max())
    return replace(
        column,
        nullable=nullable,
        minimum=None if low is None else float(low),
        maximum=None if high is None else float(high),
    )
