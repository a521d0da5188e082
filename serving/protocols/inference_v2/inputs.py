"""Tensors to a model's inputs: one for each column, or all columns in one.

A cell means what it means in JSON rows, since `storage.boundary` reads it: a category may be a whole number, a number
may be text, a time ISO text or whole microseconds. What is missing is null in JSON, NaN in floats, "" in BYTES, and in
whole numbers that are times the smallest INT64.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from serving.errors import BodyError
from serving.protocols.inference_v2.requests import Input
from serving.protocols.inference_v2.tensors import Cells, Tensor, count_of_bytes, read_binary, wrong_element
from storage.boundary import MISSING_TIME, Blocks, level_of, number_value, text_value, time_value
from storage.errors import RowError, listed
from storage.signature import BLOCK_OF_KIND, BLOCKS, Block, Column, Signature

#: The datatype of each kind of column in metadata; others are taken too.
DATATYPE_OF_KIND = {"number": "FP64", "category": "BYTES", "text": "BYTES", "time": "INT64"}

#: The datatypes that `read_plain` reads.
_PLAIN_DATATYPES = {
    kind: (datatype, "BYTES") if kind == "time" else (datatype,) for kind, datatype in DATATYPE_OF_KIND.items()
}
_UNKNOWN: tuple[int, tuple[str, ...]] = (0, ())

_PLAIN = {float, int, bool, type(None)}
_PLAIN_TEXTS = {str, type(None)}
_PLAIN_TIMES = {int, str, type(None)}
_WIDE = ("INT64", "UINT64")  # datatypes of whole numbers that no float64 may be
_EXACT = 2**53  # until there each whole number is one
#: Formats of times in which a whole number is no count of microseconds.
_OTHER_WHOLES = {"s", "ms", "ns", "%Y%m%d"}


class Inputs:
    """Reads tensors for one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._widths = [len(signature.block(block)) for block in BLOCKS]
        self._places: dict[str, _Place] = {}
        for column in signature.columns:
            block = BLOCK_OF_KIND[column.kind]
            at = signature.block(block).index(column.name)
            self._places[column.name] = (column, BLOCKS.index(block), at, _READERS[block])
        names = [name for block in BLOCKS for name in signature.block(block)]
        self._plain = {name: (at, _PLAIN_DATATYPES[self._places[name][0].kind]) for at, name in enumerate(names)}
        texts = [column for column in signature.columns if BLOCK_OF_KIND[column.kind] == "text"]
        self._levels = [(at, column) for at, column in enumerate(texts) if column.dtype != "String"]
        self._times = [column for column in signature.columns if column.kind == "time"]
        self._are_numbers = all(column.kind == "number" for column in signature.columns)

    def read(self, tensors: Sequence[Tensor]) -> Blocks:
        """The rows of these tensors. Raises BodyError, and RowError for a cell that is not as in training."""
        if not tensors:
            raise BodyError(f"The request has no inputs. Send {listed(self._signature.names)}.")
        if len(tensors) == 1 and self._are_numbers and self._is_matrix(tensors[0]):
            return self._read_matrix(tensors[0])
        self._check_names([tensor.name for tensor in tensors])
        rows = tensors[0].shape[0]
        found: list[list[Any]] = [[None] * width for width in self._widths]
        places = self._places
        for tensor in tensors:
            name, _, shape, _ = tensor
            if shape[0] != rows or (len(shape) == 2 and shape[1] != 1):
                raise self._misshapen(tensor, tensors[0])
            if name in places:
                column, columns, at, read = places[name]
                found[columns][at] = read(column, tensor)
        number, text, time = found
        try:
            numbers = _packed(number, rows, np.float64)
        except OverflowError:
            self._refuse_beyond_float(tensors)
        return Blocks(numbers, _packed(text, rows, object), _packed(time, rows, np.int64))

    def read_plain(self, inputs: Sequence[Input]) -> Blocks | None:
        """The rows of inputs that are JSON, and as metadata tells them; None for others, which `read` reads or refuses.

        A row of 40 columns takes 20 us, and 65 by way of tensors.
        """
        if len(inputs) != len(self._plain) or not inputs[0].data:
            return None
        rows = len(inputs[0].data)
        shapes = ([rows], [rows, 1])
        found: list[Any] = [None] * len(inputs)
        for one in inputs:
            at, datatypes = self._plain.get(one.name, _UNKNOWN)
            data = one.data
            if (
                one.datatype not in datatypes
                or one.parameters
                or not data
                or len(data) != rows
                or one.shape not in shapes
            ):
                return None
            found[at] = data
        if None in found:  # another was sent twice
            return None
        number, text, _ = self._widths
        try:
            return self._plain_blocks(found[:number], found[number : number + text], found[number + text :], rows)
        except (OverflowError, RowError):
            return None

    def _plain_blocks(self, number: list[Any], text: list[Any], time: list[Any], rows: int) -> Blocks | None:
        """The blocks of columns if their cells are as usual. Raises OverflowError and RowError."""
        is_plain = (
            _PLAIN.issuperset(map(type, chain.from_iterable(number)))
            and _PLAIN_TEXTS.issuperset(map(type, chain.from_iterable(text)))
            and _PLAIN_TIMES.issuperset(map(type, chain.from_iterable(time)))
        )
        words = [[cell or "" for cell in cells] for cells in text]
        if not (is_plain and _are_texts(chain.from_iterable(words))):
            return None
        for at, column in self._levels:
            words[at] = [level_of(column, cell) for cell in words[at]]
        times = [
            [time_value(column, cell, row) for row, cell in enumerate(cells)]
            for column, cells in zip(self._times, time, strict=True)
        ]
        return Blocks(_packed(number, rows, np.float64), _packed(words, rows, object), _packed(times, rows, np.int64))

    def read_raw(self, body: bytes) -> Blocks:
        """The rows of a body that is the bytes of the only input, of text one cell. Raises BodyError and RowError."""
        if len(self._signature.columns) != 1:
            raise BodyError(
                f"Inference-Header-Content-Length is 0, which is for models with one input. "
                f"This one has {len(self._signature.columns)}. Send JSON."
            )
        column = self._signature.columns[0]
        datatype = DATATYPE_OF_KIND[column.kind]
        if datatype == "BYTES":
            count, body = 1, len(body).to_bytes(4, "little") + body
        else:
            count = count_of_bytes(column.name, datatype, len(body))
        return self.read([read_binary(column.name, datatype, [count], count, memoryview(body))])

    def _check_names(self, names: Sequence[str]) -> None:
        """Raise BodyError unless each column is there once, and nothing else but what rows may carry."""
        sent = set(names)
        if sent == self._places.keys() and len(names) == len(sent):
            return
        for name in names:
            if name not in self._places and name not in self._signature.ignorable:
                raise BodyError(f"The model has no input {name!r}. It takes {listed(self._signature.names)}.")
            if names.count(name) > 1:
                raise BodyError(f"The input {name!r} is sent twice. Send each once.")
        for name in self._signature.names:
            if name not in sent:
                raise BodyError(f"The input {name!r} is missing. Send it, with null or NaN where it is unknown.")

    def _refuse_beyond_float(self, tensors: Sequence[Tensor]) -> NoReturn:
        """Raise RowError for the whole number that no float64 is near to."""
        for tensor in tensors:
            if isinstance(tensor.cells, list) and tensor.name in self._places:
                column, block, _, _ = self._places[tensor.name]
                if block == BLOCKS.index("number"):
                    _read_numbers(column, tensor)
        raise AssertionError("only called where there is one")

    def _is_matrix(self, tensor: Tensor) -> bool:
        """Whether a lone tensor holds all columns of a model of numbers."""
        return tensor.name not in self._places or (len(tensor.shape) == 2 and tensor.shape[1] == len(self._places) > 1)

    def _read_matrix(self, tensor: Tensor) -> Blocks:
        columns = self._signature.columns
        if len(tensor.shape) != 2 or tensor.shape[1] != len(columns) or tensor.datatype == "BYTES":
            raise BodyError(
                f"The model has no input {tensor.name!r}. It takes {listed(self._signature.names)}; or one of numbers "
                f"with the shape [N,{len(columns)}], which has all of them in this order."
            )
        rows = tensor.shape[0]
        numbers = _numbers_of_matrix(columns, tensor).reshape(rows, len(columns))
        return Blocks(numbers, np.empty((rows, 0), dtype=object), np.empty((rows, 0), dtype=np.int64))

    def _misshapen(self, tensor: Tensor, first: Tensor) -> BodyError:
        if len(tensor.shape) == 2 and tensor.shape[1] != 1:
            return BodyError(
                f"Input {tensor.name!r} has the shape {list(tensor.shape)}. Send [N] or [N,1], an element for each row."
            )
        return BodyError(
            f"Input {tensor.name!r} has {tensor.shape[0]} rows, and {first.name!r} has {first.shape[0]}. "
            "Send as many of each."
        )


def _packed(columns: Sequence[Cells], rows: int, dtype: Any) -> NDArray[Any]:
    """Columns as a block."""
    if not columns:
        return np.empty((rows, 0), dtype=dtype)
    return np.ascontiguousarray(np.array(columns, dtype=dtype).T)


# ----------------------------------------------------------------------------------------------------- one column


def _numbers(column: Column, tensor: Tensor) -> Cells:
    """A column's numbers: floats, or what becomes float64 without loss."""
    cells = tensor.cells
    if isinstance(cells, list):
        is_plain = tensor.datatype not in _WIDE and _PLAIN.issuperset(map(type, cells))
        return cells if is_plain else _read_numbers(column, tensor)
    _check_exact(tensor, cells)
    return cells


def _read_numbers(column: Column, tensor: Tensor) -> list[float]:
    return [_number(column, tensor, at, cell, at) for at, cell in enumerate(tensor.cells)]


def _number(column: Column, tensor: Tensor, row: int, cell: Any, at: int) -> float:
    if type(cell) is int and abs(cell) > _EXACT and tensor.datatype in _WIDE:
        _check_exact(tensor, np.array([cell], dtype=object), at)
    return _told(number_value, column, tensor, row, cell, at)


def _check_exact(tensor: Tensor, cells: NDArray[Any], first: int = 0) -> None:
    """Raise RowError for the first INT64 or UINT64 that is no float64."""
    if tensor.datatype not in _WIDE:
        return
    for at in np.flatnonzero((cells > _EXACT) | (cells < -_EXACT)).tolist():
        value = int(cells[at])
        if int(float(value)) != value:
            place = first + at
            width = tensor.shape[1] if len(tensor.shape) == 2 else 1
            what = f"It is {value}, which is between two numbers of float64, in which the model computes. Send FP64."
            raise wrong_element(what, tensor.place(place), place // width)


def _texts(column: Column, tensor: Tensor) -> list[str]:
    cells: list[Any] = tensor.cells if isinstance(tensor.cells, list) else tensor.cells.tolist()
    if column.dtype == "String" and _are_texts(cells):
        return cells
    return [_told(text_value, column, tensor, row, cell, row) for row, cell in enumerate(cells)]


def _are_texts(cells: Iterable[Any]) -> bool:
    """Whether all are text that UTF-8 can hold."""
    try:
        text = "".join(cells)
        return text.isascii() or bool(text.encode())
    except (TypeError, UnicodeEncodeError):
        return False


def _times(column: Column, tensor: Tensor) -> Cells:
    cells = tensor.cells
    is_micros = tensor.datatype == "INT64" and column.format not in _OTHER_WHOLES
    if is_micros and (not isinstance(cells, list) or set(map(type, cells)) == {int}):
        return cells
    if not isinstance(cells, list):
        cells = cells.tolist()
    return [
        MISSING_TIME if cell == MISSING_TIME else _told(time_value, column, tensor, row, cell, row)
        for row, cell in enumerate(cells)
    ]


def _told(
    value_of: Callable[[Column, Any, int], Any], column: Column, tensor: Tensor, row: int, cell: Any, at: int
) -> Any:
    """What a cell becomes. Raises RowError that names it."""
    try:
        return value_of(column, cell, row)
    except RowError as error:
        error.cell = tensor.place(at)
        raise


_Reader = Callable[[Column, Tensor], Cells]
_READERS: dict[Block, _Reader] = {"number": _numbers, "text": _texts, "time": _times}

#: A column, the block that it is in, where it is there, and what reads it.
_Place = tuple[Column, int, int, _Reader]


# ---------------------------------------------------------------------------------------------------- all columns


def _numbers_of_matrix(columns: Sequence[Column], tensor: Tensor) -> NDArray[np.float64]:
    """Elements of a tensor of numbers as float64; those of binary FP64 are not copied."""
    cells = tensor.cells
    if isinstance(cells, list):
        if tensor.datatype not in _WIDE and _PLAIN.issuperset(map(type, cells)):
            try:
                return np.array(cells, dtype=np.float64)
            except OverflowError:  # told below
                pass
        width = len(columns)
        cells = [_number(columns[at % width], tensor, at // width, cell, at) for at, cell in enumerate(cells)]
        return np.array(cells, dtype=np.float64)
    _check_exact(tensor, cells)
    numbers = cells.astype(np.float64, copy=False)
    return numbers if numbers.flags.aligned else numbers.copy()
