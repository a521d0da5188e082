"""Struct and list columns become columns of plain values, before anything else looks at them."""

from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from autopilot.table.findings import Finding
from storage.boundary import child_name
from storage.errors import DataError
from storage.signature import Dropped, FieldPath

#: Of numbers in one list: more are an embedding that wants a reduction first, and one input of the graph each.
MAX_WIDTH = 256


class Expanded(NamedTuple):
    """A table of plain columns.

    paths: where each column that was inside another one came from. parts: the plain columns of each struct or list.
    """

    frame: pl.DataFrame
    paths: dict[str, FieldPath]
    parts: dict[str, list[str]]
    dropped: tuple[Dropped, ...]
    findings: tuple[Finding, ...]


def expand(frame: pl.DataFrame, plain: Collection[str]) -> Expanded:
    """Take structs and lists apart, those named in `plain` excepted; the parts stand where the whole stood.

    A struct gives a column for each field, a list or array of numbers that is equally long in all rows one for each
    place, and lists of strings one column of text. Other lists, and types that no model takes, are dropped with a
    reason. Raises DataError if a part would have the name of another column.

    >>> table = expand(pl.DataFrame({"a": [{"zip": "1", "xy": [0.5, 1.5]}]}), plain=())
    >>> table.frame.columns, table.paths["a.xy[1]"]
    (['a.zip', 'a.xy[0]', 'a.xy[1]'], ('a', 'xy', 1))
    """
    if all(name in plain or is_plain(dtype) for name, dtype in frame.schema.items()):
        return Expanded(frame, {}, {}, (), ())
    taking = _Taking(set(frame.columns))
    for series in frame.iter_columns():
        if series.name in plain:
            taking.leaves.append(series)
        else:
            taking.take((series.name,), series)
    return Expanded(
        pl.DataFrame(taking.leaves) if taking.leaves else frame.select(),
        taking.paths,
        taking.parts,
        tuple(taking.dropped),
        tuple(_told(root, frame.schema[root], names) for root, names in taking.parts.items() if names),
    )


def is_plain(dtype: pl.DataType) -> bool:
    """Whether a cell is one value that we know: no list, no struct, no bytes, no other library's type."""
    known = (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Null)
    return dtype.is_numeric() or dtype.is_temporal() or dtype in known


def _told(root: str, dtype: pl.DataType, names: list[str]) -> Finding:
    if names == [root]:
        message = f"{root!r} holds lists of words; they are read as one text."
    else:
        shown = ", ".join(map(repr, names)) if len(names) <= 4 else f"{names[0]!r} to {names[-1]!r}"
        what = "a struct" if dtype == pl.Struct else "a list of numbers"
        message = f"{root!r} is {what}; it is read as {len(names)} columns, {shown}."
    return Finding("info", "expanded", message, root)


class _Taking:
    """The plain columns that come out, while a table is taken apart."""

    def __init__(self, taken_names: set[str]) -> None:
        self._taken = taken_names
        self.leaves: list[pl.Series] = []
        self.paths: dict[str, FieldPath] = {}
        self.parts: dict[str, list[str]] = {}
        self.dropped: list[Dropped] = []

    def take(self, path: FieldPath, series: pl.Series, width: int = 1) -> None:
        """Take one column apart. width: how many columns the lists around it give already."""
        if series.dtype == pl.Array:
            series = series.arr.to_list()
        if is_plain(series.dtype):
            self._keep(path, series)
        elif series.dtype == pl.Struct and series.struct.fields:
            for name in series.struct.fields:
                self.take((*path, name), series.struct.field(name), width)
        elif series.dtype == pl.List:
            self._take_list(path, series, width)
        else:
            self._drop(path, f"is of type {series.dtype}, which no model here takes")

    def _take_list(self, path: FieldPath, series: pl.Series, width: int) -> None:
        inner: pl.DataType = series.dtype.inner  # pyright: ignore[reportAttributeAccessIssue] it is a List
        if inner in (pl.String, pl.Categorical, pl.Enum):
            self._keep(path, series.cast(pl.List(pl.String)))
            return
        if not (inner.is_numeric() or inner in (pl.Boolean, pl.List, pl.Array)):
            self._drop(
                path, f"is of type {series.dtype}, which no model here takes: make columns of what matters in it"
            )
            return
        lengths = series.list.len().drop_nulls().unique().sort()
        if len(lengths) == 0:
            self._drop(path, "holds only nulls")
        elif len(lengths) > 1:
            self._drop(
                path,
                f"holds lists of {lengths[0]} to {lengths[-1]} values, so that no place means the same in each row: "
                "make columns of them, such as their mean and their number",
            )
        elif lengths[0] * width > MAX_WIDTH:
            self._drop(
                path,
                f"holds lists of {lengths[0]} values, where {MAX_WIDTH} are the most: reduce them, for example to "
                "principal components",
            )
        else:
            for place in range(lengths[0]):
                self.take((*path, place), series.list.get(place), width * lengths[0])

    def _keep(self, path: FieldPath, series: pl.Series) -> None:
        name, root = self._named(path), str(path[0])
        self.leaves.append(series.alias(name))
        if name != root or series.dtype == pl.List:
            self.parts.setdefault(root, []).append(name)

    def _drop(self, path: FieldPath, reason: str) -> None:
        name, root = self._named(path), str(path[0])
        self.parts.setdefault(root, [])
        self.dropped.append(Dropped(name, reason, self.paths.get(name, ())))

    def _named(self, path: FieldPath) -> str:
        """The flat name, noted down with its path."""
        root, name = path[0], child_name(path)
        if name == root:
            return name
        if name in self._taken:
            raise DataError(
                f"A part of column {root!r} is {name!r}, and the table has another column of that name. Rename one."
            )
        self._taken.add(name)
        self.paths[name] = path
        return name
