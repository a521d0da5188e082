"""NumPy arrays to a model's inputs, as `numpy.save` writes them and the SageMaker SDK's NumpySerializer sends them.

Two dimensions are rows of all columns, in the order of the signature; one dimension is one row. An array with named
fields is a table: each of the model's columns is a field, in any order, and other fields are not looked at.

NaN and NaT are missing, and so is empty text. A time is a datetime64, text, or a whole number as JSON has it, of
microseconds or what training had, which may be written as a float: 2 ** 53 us, up to which floats hold it, is the year
2255. What has no field for missing, such as int64, has no missing values.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import BodyError
from serving.formats.npy_header import NpyHeader, read_header
from storage.boundary import EPOCH_UNITS, MISSING_TIME, Blocks, number_value, text_value, time_value
from storage.errors import CellError, RowError, listed
from storage.signature import BLOCK_OF_KIND, BLOCKS, Block, Column, Signature

_FEW_ROWS = 50
_FEW_BYTES = 100_000

Array = NDArray[Any]


class NpyRows:
    """Decodes NumPy bodies for one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._columns: dict[Block, list[Column]] = {
            block: [column for column in signature.columns if BLOCK_OF_KIND[column.kind] == block] for block in BLOCKS
        }
        self._places = {name: at for at, name in enumerate(signature.names)}

    def has_few(self, body: bytes) -> bool:
        """Whether a body surely holds at most 50 rows, told by its header."""
        if len(body) > _FEW_BYTES:
            return False
        try:
            return self._rows_of(read_header(body)) <= _FEW_ROWS
        except BodyError:
            return True  # which is told at once

    def decode(self, body: bytes) -> Blocks:
        """A body's rows. Raises BodyError for what is no array of rows, RowError for a row that is not as trained."""
        header = read_header(body)
        rows = self._rows_of(header)
        array: Array = np.frombuffer(body, header.dtype, offset=header.start)
        if header.dtype.names is not None:
            return self._blocks(rows, lambda column: array[column.name])
        width = len(self._signature.columns)
        table = array.reshape((rows, width), order="F" if header.is_columns else "C")
        return self._blocks(rows, lambda column: table[:, self._places[column.name]])

    def _rows_of(self, header: NpyHeader) -> int:
        """How many rows there are. Raises BodyError for a shape that has none, or not the model's columns."""
        shape, names = header.shape, self._signature.names
        if header.dtype.names is not None:
            if len(shape) > 1:
                raise BodyError(f"The array of named fields has the shape {shape}. Send (rows,).")
            for name in names:
                if name not in header.dtype.names:
                    what = (
                        f"The array lacks {name!r}. It has {listed(header.dtype.names)}. Send a field for each column."
                    )
                    raise CellError(what, column=name)
            rows = shape[0] if shape else 1
        else:
            if not shape or shape[-1] != len(names):
                raise BodyError(
                    f"The array has the shape {shape}; the model takes {len(names)} columns, {listed(names)}. "
                    f"Send (rows, {len(names)}), or named fields."
                )
            rows = shape[0] if len(shape) > 1 else 1
        if not rows:
            raise BodyError("The body has no rows. Send at least one.")
        return rows

    def _blocks(self, rows: int, cells_of: Callable[[Column], Array]) -> Blocks:
        number, text, time = (
            _packed([_READERS[block](column, cells_of(column)) for column in columns], rows, dtype)
            for (block, columns), dtype in zip(self._columns.items(), (np.float64, object, np.int64), strict=True)
        )
        return Blocks(number, text, time)


def _packed(columns: list[Array], rows: int, dtype: Any) -> Array:
    packed = np.empty((rows, len(columns)), dtype=dtype)
    for at, column in enumerate(columns):
        packed[:, at] = column
    return packed


def _numbers(column: Column, cells: Array) -> Array:
    if cells.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # a signalling NaN is missing as any other
            return cells.astype(np.float64)
    return np.array([number_value(column, value, row) for row, value in enumerate(_values(column, cells))])


def _texts(column: Column, cells: Array) -> Array:
    return _each(column, cells, text_value, object)


def _times(column: Column, cells: Array) -> Array:
    if cells.dtype.kind == "M":
        return _micros(column, cells)
    return _each(column, cells, time_value, np.int64)


_READERS: dict[Block, Callable[[Column, Array], Array]] = {"number": _numbers, "text": _texts, "time": _times}


def _each(column: Column, cells: Array, value_of: Callable[[Column, Any, int], Any], dtype: Any) -> Array:
    """Each cell by the boundary; what is there twice is read once."""
    known: dict[Any, Any] = {}
    found: list[Any] = []
    for row, value in enumerate(_values(column, cells)):
        if value in known:
            found.append(known[value])
        else:
            found.append(value_of(column, value, row))
            known[value] = found[-1]
    return np.array(found, dtype=dtype)


def _values(column: Column, cells: Array) -> list[Any]:
    """Cells as Python's numbers, str or datetimes. Raises RowError for text that is no Unicode."""
    if cells.dtype.kind == "U" and not _is_unicode(cells):
        raise _no_text(column)
    values: list[Any] = cells.tolist()
    try:
        return values if cells.dtype.kind != "S" else [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise _no_text(column) from error


def _is_unicode(cells: Array) -> bool:
    """Whether all characters are code points: NumPy makes broken str of others without a word."""
    native = np.ascontiguousarray(cells).astype(cells.dtype.newbyteorder("="))
    return bool((native.view(np.uint32) <= sys.maxunicode).all())


def _no_text(column: Column) -> RowError:
    return RowError(f"Column {column.name!r} holds bytes that are no text. Send str, or UTF-8.", column=column.name)


def _micros(column: Column, cells: Array) -> Array:
    """Times in microseconds; nanoseconds are rounded down."""
    unit = np.datetime_data(cells.dtype)[0]
    numbers = cells.astype(cells.dtype.newbyteorder("=")).view(np.int64)
    times, divided = (86_400_000_000, 1) if unit == "D" else EPOCH_UNITS[unit]
    is_missing = numbers == MISSING_TIME
    most = (2**63 - 1) // times
    beyond = ~is_missing & ((numbers > most) | (numbers < -most))
    if beyond.any():
        row = int(beyond.argmax())
        what = f"Column {column.name!r} holds a time in row {row} that is more than 292,000 years from 1970. Send null."
        raise RowError(what, row=row, column=column.name)
    return np.where(is_missing, MISSING_TIME, np.where(is_missing, 0, numbers) * times // divided)
