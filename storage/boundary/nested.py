"""Structs and lists, taken apart: `address{zip, city}` is `address.zip` and `address.city`, a list `emb[0]`, `emb[1]`.

Training decided how wide a list is; here each value is found by the column's path, in frames and in rows. Rows and
frames may as well hold the flat names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from storage.boundary.faults import held, is_missing
from storage.errors import RowError
from storage.signature import FieldPath, Signature

if TYPE_CHECKING:
    import polars as pl


def child_name(path: FieldPath) -> str:
    """The flat name of a value inside a column.

    >>> child_name(("address", "zip")), child_name(("shape", 0, "corners", 3))
    ('address.zip', 'shape[0].corners[3]')
    """
    return str(path[0]) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[1:])


class OddLengths(NamedTuple):
    """A list column some of whose rows hold another number of values than in training. lengths: UInt32 (rows)."""

    name: str
    width: int
    lengths: "pl.Series"

    @property
    def wrong(self) -> "pl.Series":
        """Boolean (rows); null is no list, and so no wrong one."""
        return (self.lengths != self.width).fill_null(value=False)

    def tell(self, at: int, first_row: int) -> str:
        """The message for the list at a position of the frame, whose first row has the number `first_row`."""
        return odd_length(self.name, self.width, first_row + at, int(self.lengths[at]))


def odd_length(name: str, width: int, row: int, length: int) -> str:
    """The message for a list of another length than in training."""
    return f"Column {name!r} had {width} values in training; row {row} holds {length}. Send {width} values or null."


def widths(signature: Signature) -> dict[FieldPath, int]:
    """How many values each list has, by the path that leads to it."""
    found: dict[FieldPath, int] = {}
    for path in signature.nested:
        for depth, step in enumerate(path):
            if isinstance(step, int):
                found[path[:depth]] = max(found.get(path[:depth], 0), step + 1)
    return found


# ---------------------------------------------------------------------------------------------------------- frames


def flattened(signature: Signature, frame: "pl.DataFrame") -> "tuple[pl.DataFrame, list[OddLengths]]":
    """The frame with the flat columns that it does not have yet, and the lists that are of another length."""
    paths = [column.path for column in signature.columns if column.path and column.name not in frame.columns]
    paths = [path for path in paths if path[0] in frame.columns]
    if not paths:
        return frame, []
    import polars as pl

    parents = {path[:1]: _lists(frame.get_column(str(path[0]))) for path in paths}
    flat = [series.alias(child_name(path)) for path in paths if (series := _at(parents, path)) is not None]
    odd = [
        OddLengths(child_name(path), width, parents[path].list.len())
        for path, width in widths(signature).items()
        if path in parents and parents[path].dtype == pl.List
    ]
    return frame.with_columns(flat), [lengths for lengths in odd if lengths.wrong.any()]


def _at(parents: "dict[FieldPath, pl.Series]", path: FieldPath) -> "pl.Series | None":
    """The values at a path, or None if there is no such place in these types; parents are kept for the next one."""
    if path in parents:
        return parents[path]
    parent = _at(parents, path[:-1])
    if parent is None:
        return None
    found = _child(parent, path[-1])
    if found is not None:
        parents[path] = _lists(found)
    return found


def _child(parent: "pl.Series", step: str | int) -> "pl.Series | None":
    import polars as pl

    if parent.dtype == pl.Null:
        return parent
    if isinstance(step, int):
        return parent.list.get(step, null_on_oob=True) if parent.dtype == pl.List else None
    if parent.dtype != pl.Struct or step not in parent.struct.fields:
        return None
    return parent.struct.field(step)


def _lists(series: "pl.Series") -> "pl.Series":
    """Arrays as lists; other columns as they are."""
    import polars as pl

    return series.arr.to_list() if series.dtype == pl.Array else series


# ------------------------------------------------------------------------------------------------------------ rows


def flat_row(signature: Signature, row: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """The row with flat names for what it holds in dictionaries and lists; a flat name that is there already wins.

    number: the row's, for messages. Raises RowError for a list of another length than in training.
    """
    tree = _Tree(signature, number)
    roots = {path[0] for path in signature.nested}
    flat = {name: value for name, value in row.items() if name not in roots}
    for name in row:
        if name in roots:
            for path, value in tree.leaves((name,), row[name]):
                flat.setdefault(child_name(path), value)
    return flat


class _Tree:
    """What training found inside structs and lists, to take one row's values apart."""

    def __init__(self, signature: Signature, number: int) -> None:
        self._paths = signature.nested
        self._inner = {path[:depth] for path in self._paths for depth in range(1, len(path))}
        self._widths = widths(signature)
        self._number = number
        self._sensitive = [part.path for part in (*signature.columns, *signature.dropped) if part.sensitive]

    def leaves(self, path: FieldPath, value: Any) -> Iterator[tuple[FieldPath, Any]]:
        """Values under a path; all missing where a struct or list is."""
        if path not in self._inner:
            yield path, value
        elif is_missing(value):
            yield from ((leaf, None) for leaf in self._paths if leaf[: len(path)] == path)
        else:
            for step, inner in self._inside(path, value):
                yield from self.leaves((*path, step), inner)

    def _inside(self, path: FieldPath, value: Any) -> Iterable[tuple[str | int, Any]]:
        name, width = child_name(path), self._widths.get(path)
        if width is None:
            if isinstance(value, Mapping):
                return cast("Mapping[str, Any]", value).items()
            raise self._wrong(path, "a struct", value, "Send an object with its fields, or null.")
        if not isinstance(value, list | tuple | np.ndarray):
            raise self._wrong(path, "a list", value, f"Send {width} values or null.")
        if len(value) != width:
            raise RowError(odd_length(name, width, self._number, len(value)), row=self._number, column=name)
        return enumerate(cast("Sequence[Any]", value))

    def _wrong(self, path: FieldPath, what: str, value: Any, remedy: str) -> RowError:
        """The error for what stands in the place of a struct or list, which may be a sensitive part of it."""
        name, told = child_name(path), held(value, sensitive=any(leaf[: len(path)] == path for leaf in self._sensitive))
        message = f"Column {name!r} was {what} in training; row {self._number} holds {told}. {remedy}"
        return RowError(message, row=self._number, column=name)
