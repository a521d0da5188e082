"""How a wrong cell is told: its column, its row, what it holds, and what to send instead.

Of a sensitive column the value is not told, but what type of value it is.
"""

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from storage.errors import RowError, listed
from storage.signature import Column, Signature

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 60
#: What JSON and people call a value's type, the first that fits: booleans are numbers in Python, datetimes are dates.
_TYPES: tuple[tuple[Any, str], ...] = (
    ((bool, np.bool_), "a boolean"),
    (Number, "a number"),
    (date, "a date or time"),
    (time, "a time of day"),
    (timedelta, "a duration"),
    (Mapping, "an object"),
)


class Cells(NamedTuple):
    """A column of a frame after reading: `given` is null where nothing was sent, `values` where nothing can be kept.

    remedy: what to send in the cells that are given and have no value.
    """

    given: "pl.Series"
    values: "pl.Series"
    remedy: str

    @property
    def wrong(self) -> "pl.Series":
        """Boolean (rows): whether the cell held something that could not be kept."""
        return self.given.is_not_null() & self.values.is_null()


def wrong_cell(column: Column, row: int, value: Any, remedy: str) -> str:
    """The message for a value that is not as in training."""
    told = held(value, sensitive=column.sensitive)
    return f"Column {column.name!r} was {column.kind} in training; row {row} holds {told}. {remedy}"


def held(value: Any, *, sensitive: bool) -> str:
    """What a cell holds, inside a message: the value, cut where it is long, or of a sensitive one what type it is.

    >>> held("n/a", sensitive=False), held("Jane", sensitive=True), held([1, 2], sensitive=True)
    ("'n/a'", 'a string of 4 characters', 'an array of 2 values')
    """
    if sensitive:
        return _type_of(value)
    return repr(value) if len(repr(value)) <= _SHOWN else repr(value)[: _SHOWN - 3] + "..."


def _type_of(value: Any) -> str:
    """A value's type in words, with how long it is where it has a length."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"a string of {len(value)} character{'' if len(value) == 1 else 's'}"
    if isinstance(value, list | tuple | np.ndarray):
        length = len(cast("Sequence[Any]", value))
        return f"an array of {length} value{'' if length == 1 else 's'}"
    return next((words for types, words in _TYPES if isinstance(value, types)), "a value of another type")


def wrong_value(column: Column, row: int, value: Any, remedy: str) -> RowError:
    """The error for a value that is not as in training."""
    return RowError(wrong_cell(column, row, value, remedy), row=row, column=column.name)


def absent_column(row: int, column: str) -> RowError:
    """The error for a row without one of the model's columns."""
    return RowError(f"Row {row} lacks column {column!r}. Send it, or null if it is unknown.", row=row, column=column)


def no_row(signature: Signature, row: Any, number: int) -> RowError:
    """The error for a row that has no named values; it may hold those of sensitive columns all the same."""
    told = held(row, sensitive=signature.has_sensitive)
    return RowError(f"Row {number} is {told}. Send a dictionary with a value for each column.", row=number, column=None)


def refuse_unknown(signature: Signature, names: Mapping[str, Any] | Sequence[str], row: int) -> None:
    """Raise RowError for the first name that is neither an input nor the target nor a dropped column."""
    known = set(signature.names) | signature.ignorable
    for name in names:
        if name not in known:
            raise RowError(
                f"Row {row} has a column {name!r} that the model does not know. It takes {listed(signature.names)}.",
                row=row,
                column=name,
            )


def is_missing(value: Any) -> bool:
    """Whether a value says that it is unknown: None, NaN, NaT, pandas' NA.

    NaN and NaT are the values that differ from themselves; NA does not say whether it does, and neither do arrays.
    """
    try:
        return value is None or (not isinstance(value, str) and bool(value != value))
    except (TypeError, ValueError, ArithmeticError):
        return type(value).__name__ == "NAType"
