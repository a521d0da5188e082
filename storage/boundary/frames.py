"""Frames at the boundary: the signature's columns, typed; the first wrong cell is raised, or each told for its row."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from storage.boundary.blocks import MISSING_TIME, Blocks
from storage.boundary.faults import Cells, wrong_cell
from storage.boundary.nested import flattened
from storage.boundary.numbers import number_cells
from storage.boundary.texts import text_cells
from storage.boundary.times import time_cells
from storage.errors import CellError, listed
from storage.signature import BLOCK_OF_KIND, Block, Column, Signature

if TYPE_CHECKING:
    import polars as pl

_CELLS: dict[Block, Callable[[Column, "pl.Series"], Cells]] = {
    "number": number_cells,
    "text": text_cells,
    "time": time_cells,
}


def typed(signature: Signature, frame: "pl.DataFrame", *, first_row: int = 0) -> "pl.DataFrame":
    """Exactly the signature's columns: Float64 without NaN, String without "", Datetime("us") in UTC without a zone.

    Null is missing. Columns that the model does not take are left out; a struct or list may stand for its parts.
    first_row: number of the frame's first row, for messages. Raises CellError, a DataError, that names the columns that
    are absent, or the first column with a cell that is not as in training.
    """
    reading = _Reading(signature, frame, first_row)
    for fault in reading.faults():
        at = int(fault.wrong.arg_true()[0])
        raise CellError(fault.tell(at), row=first_row + at, column=fault.column)
    return reading.clean()


def checked(signature: Signature, frame: "pl.DataFrame", *, first_row: int = 0) -> "tuple[pl.DataFrame, pl.Series]":
    """What `typed` gives with wrong cells null, and a String series: what is wrong with the row, null if nothing is.

    The first wrong column of a row is told. Raises DataError only where a column is absent: that is no row's fault.
    """
    import polars as pl

    reading = _Reading(signature, frame, first_row)
    errors: list[str | None] = [None] * frame.height
    for fault in reading.faults():
        for at in fault.wrong.arg_true().to_list():
            if errors[at] is None:
                errors[at] = fault.tell(at)
    return reading.clean(), pl.Series("error", errors, dtype=pl.String)


class _Fault(NamedTuple):
    """Cells of one column that are not as in training. wrong: Boolean (rows). tell: the message for a position."""

    column: str
    wrong: "pl.Series"
    tell: Callable[[int], str]


class _Reading:
    """A frame that is being read by a signature. first_row: number of its first row, for messages."""

    def __init__(self, signature: Signature, frame: "pl.DataFrame", first_row: int) -> None:
        flat, self._odd = flattened(signature, frame)
        _refuse_absent(signature, frame, flat)
        self._first_row = first_row
        self._flat = flat
        self._cells = [(column, _cells(column, flat.get_column(column.name))) for column in signature.columns]

    def clean(self) -> "pl.DataFrame":
        """The typed columns; what could not be kept is null."""
        import polars as pl

        return pl.DataFrame([cells.values for _, cells in self._cells])

    def faults(self) -> Iterator[_Fault]:
        """What is wrong, column by column."""
        for odd in self._odd:
            yield _Fault(odd.name, odd.wrong, partial(odd.tell, first_row=self._first_row))
        for column, cells in self._cells:
            if cells.values.null_count() == cells.given.null_count():
                continue
            yield _Fault(column.name, cells.wrong, partial(self._tell, column, cells.remedy))

    def _tell(self, column: Column, remedy: str, at: int) -> str:
        value = _plain(self._flat.get_column(column.name)[at])
        return wrong_cell(column, self._first_row + at, value, remedy)


def _refuse_absent(signature: Signature, frame: "pl.DataFrame", flat: "pl.DataFrame") -> None:
    present = set(flat.columns)
    absent = [name for name in signature.names if name not in present]
    if absent:
        raise CellError(
            f"The data lacks {listed(absent)}, which the model takes. It has {listed(frame.columns)}. "
            "Add the column; where its values are unknown, fill it with nulls.",
            column=absent[0],
        )


def _cells(column: Column, series: "pl.Series") -> Cells:
    """A column read as its kind. Categoricals and enums count as their text."""
    import polars as pl

    text = series.cast(pl.String) if series.dtype in (pl.Categorical, pl.Enum) else series
    return _CELLS[BLOCK_OF_KIND[column.kind]](column, text)


def _plain(value: Any) -> Any:
    """A cell as Python shows it: a list's values rather than a Series of them."""
    return value.to_list() if hasattr(value, "to_list") else value


def blocks_of_frame(signature: Signature, frame: "pl.DataFrame") -> Blocks:
    """Packed inputs of a frame that `typed` returned."""
    import polars as pl

    rows = frame.height
    number, text, time = (signature.block(block) for block in ("number", "text", "time"))
    words = np.empty((rows, len(text)), dtype=object)
    for at, column in enumerate(frame.select(pl.col(name).fill_null("") for name in text)):
        words[:, at] = column.to_numpy()
    return Blocks(
        frame.select(number).to_numpy(order="c") if number else np.empty((rows, 0)),  # NaN for null
        words,
        frame.select(pl.col(name).to_physical().fill_null(MISSING_TIME) for name in time).to_numpy(order="c")
        if time
        else np.empty((rows, 0), dtype=np.int64),
    )
