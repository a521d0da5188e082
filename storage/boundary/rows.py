"""Rows as dictionaries at the boundary: packed inputs; the first wrong value is raised, or each told for its row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from storage.boundary.blocks import Blocks
from storage.boundary.faults import absent_column, no_row, refuse_unknown
from storage.boundary.nested import flat_row
from storage.boundary.numbers import number_value
from storage.boundary.texts import text_value
from storage.boundary.times import time_value
from storage.errors import RowError
from storage.signature import BLOCK_OF_KIND, BLOCKS, Block, Column, Signature

_VALUES: dict[Block, Callable[[Column, Any, int], Any]] = {
    "number": number_value,
    "text": text_value,
    "time": time_value,
}


def blocks_of_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> Blocks:
    """Packed inputs of rows as dictionaries, read once: `RowReader.read`."""
    return RowReader(signature).read(rows)


class RowReader:
    """Reads rows as dictionaries by one signature; safe to share between threads.

    Values are numbers and booleans, strings, datetimes or text of them, and None. Each row has each of the signature's
    columns, by its flat name or inside a dictionary or list; None, NaN and NaT are missing. A row may also carry the
    target and what training dropped; any other name is refused, since it is a misspelling.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._is_nested = bool(signature.nested)
        blocks: list[Block] = [BLOCK_OF_KIND[column.kind] for column in signature.columns]
        self._layout = [
            (column, column.name, _VALUES[block], BLOCKS.index(block))
            for column, block in zip(signature.columns, blocks, strict=True)
        ]
        self._widths = [blocks.count(block) for block in BLOCKS]

    def read(self, rows: Sequence[Mapping[str, Any]]) -> Blocks:
        """Packed inputs of these rows. Raises RowError for the first that is not as in training."""
        values: _Values = ([], [], [])
        for number, row in enumerate(rows):
            self._add(values, row, number)
        return self._packed(values, len(rows))

    def checked(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Blocks, list[str | None]]:
        """Packed inputs of the sound rows among these, and for each row None or what is wrong with it."""
        values: _Values = ([], [], [])
        errors: list[str | None] = []
        sound = 0
        for number, row in enumerate(rows):
            try:
                self._add(values, row, number)
            except RowError as error:
                for block, width in zip(values, self._widths, strict=True):  # what the row had given until then
                    del block[sound * width :]
                errors.append(str(error))
            else:
                sound += 1
                errors.append(None)
        return self._packed(values, sound), errors

    def _add(self, values: "_Values", row: Mapping[str, Any], number: int) -> None:
        if self._is_nested:
            row = flat_row(self._signature, row, number)
        for column, name, value_of, block in self._layout:
            try:
                value = row[name]
            except KeyError:
                raise absent_column(number, name) from None
            except (TypeError, IndexError):
                raise no_row(self._signature, row, number) from None
            values[block].append(value_of(column, value, number))
        if len(row) > len(self._layout):
            refuse_unknown(self._signature, row, number)

    def _packed(self, values: "_Values", rows: int) -> Blocks:
        number, text, time = self._widths
        return Blocks(
            np.array(values[0], dtype=np.float64).reshape(rows, number),
            np.array(values[1], dtype=object).reshape(rows, text),
            np.array(values[2], dtype=np.int64).reshape(rows, time),
        )


#: Values of each block, row after row.
_Values = tuple[list[Any], list[Any], list[Any]]
