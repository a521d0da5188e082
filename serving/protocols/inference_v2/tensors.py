"""Tensors of the protocol: their datatypes, and their elements as bytes and as JSON.

Binary elements are little-endian, in row-major order, without gaps. An element of BOOL is a byte that is 0 or 1, one of
BYTES its length as UINT32 and then so many bytes, UTF-8 here. BF16 is the upper half of FP32.
See https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import BodyError
from storage.errors import RowError

Cells = NDArray[Any] | list[Any]

_SIGNED = {"INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"}
_UNSIGNED = {"UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8"}
_WHOLE = {**_SIGNED, **_UNSIGNED}
_FRACTIONS = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
_NATIVE = {name: np.dtype(code) for name, code in {"BOOL": "?", **_WHOLE, **_FRACTIONS}.items()}
_SIZES = {"BF16": 2, **{name: dtype.itemsize for name, dtype in _NATIVE.items()}}

#: All datatypes that there are.
DATATYPES = (*_NATIVE, "BF16", "BYTES")

_LIMITS = {name: (int(np.iinfo(code).min), int(np.iinfo(code).max)) for name, code in _WHOLE.items()}

_LENGTH = struct.Struct("<I")

_PLAIN = {float, int, type(None)}


class Tensor(NamedTuple):
    """A tensor as it was sent. cells: its elements in row-major order, of BYTES as str."""

    name: str
    datatype: str
    shape: Sequence[int]
    cells: Cells

    def cell(self, *place: int) -> str:
        """What an element is called: `inputs[age][3]`."""
        return f"inputs[{self.name}]" + "".join(f"[{at}]" for at in place)

    def place(self, at: int) -> str:
        """What the element at a position of `cells` is called."""
        if len(self.shape) == 2 and self.shape[1] > 1:
            return self.cell(*divmod(at, self.shape[1]))
        return self.cell(at)


# ---------------------------------------------------------------------------------------------------------- binary


def read_binary(name: str, datatype: str, shape: Sequence[int], count: int, data: memoryview) -> Tensor:
    """A tensor of so many elements from its bytes. Raises BodyError if these are of another length, or malformed."""
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, _texts(name, count, data))
    size = _SIZES[datatype]
    if len(data) != count * size:
        raise BodyError(
            f"Input {name!r} has {count} elements of {datatype}, {count * size} bytes; its binary_data_size is "
            f"{len(data)}. Send as many bytes as the shape tells."
        )
    if datatype == "BF16":
        halves = np.frombuffer(data, "<u2").astype("<u4")
        return Tensor(name, datatype, shape, (halves << 16).view("<f4"))
    if datatype == "BOOL":
        octets = np.frombuffer(data, np.uint8)
        if octets.size and octets.max() > 1:
            at = int(octets.argmax())
            raise BodyError(f"Input {name!r} is BOOL; its element {at} is the byte {octets[at]}. Send bytes 0 and 1.")
        return Tensor(name, datatype, shape, octets.view(np.bool_))
    return Tensor(name, datatype, shape, np.frombuffer(data, _NATIVE[datatype]))


def count_of_bytes(name: str, datatype: str, length: int) -> int:
    """How many elements of a datatype, which is not BYTES, so many bytes are. Raises BodyError for a remainder."""
    count, rest = divmod(length, _SIZES[datatype])
    if rest:
        raise BodyError(
            f"The body has {length} bytes, which is no whole number of {datatype} for the input {name!r}. "
            f"Send {_SIZES[datatype]} for each element."
        )
    return count


def _texts(name: str, count: int, data: memoryview) -> list[str]:
    texts: list[str] = []
    octets, at = bytes(data), 0
    try:
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(octets, at)
            start = at + 4
            at = start + length
            texts.append(octets[start:at].decode())
    except struct.error:  # the bytes end before the elements do
        at = -1
    except UnicodeDecodeError as error:
        row = len(texts)
        what = f"It is no UTF-8: {error.reason} (its byte {error.start}). Encode text as UTF-8."
        raise wrong_element(what, f"inputs[{name}][{row}]", row) from error
    if at != len(octets):
        raise BodyError(
            f"Input {name!r} has {count} elements of BYTES by its shape; its {len(octets)} bytes are not so many. "
            "Send each as its length, 4 bytes little-endian, and then its bytes."
        )
    return texts


def write_binary(datatype: str, cells: Cells) -> bytes:
    """A tensor's bytes. cells: of BYTES a list of str, else an array of the datatype."""
    if datatype != "BYTES":
        return np.ascontiguousarray(cells, _NATIVE[datatype]).tobytes()
    parts: list[bytes] = []
    for text in cells:
        octets = text.encode()
        parts += (_LENGTH.pack(len(octets)), octets)
    return b"".join(parts)


# ------------------------------------------------------------------------------------------------------------ JSON


def read_json(name: str, datatype: str, shape: Sequence[int], count: int, data: list[Any]) -> Tensor:
    """A tensor of so many elements from JSON, flat or nested as its shape.

    Each element becomes what the datatype can hold: 0.1 as FP32 is 0.10000000149, as if it were sent in binary. What is
    no number (null, text) stays as it is. Raises BodyError for another number of elements, RowError for one that the
    datatype cannot hold.
    """
    cells = _flat(name, shape, data) if data and type(data[0]) is list else data
    if len(cells) != count:
        raise BodyError(
            f"Input {name!r} has the shape {list(shape)}, {count} elements; its data has {len(cells)}. Send as many."
        )
    if datatype in ("FP64", "BYTES", "BOOL"):
        return Tensor(name, datatype, shape, cells)
    if datatype == "BF16":
        raise BodyError(f"Input {name!r} is BF16, which JSON does not have. Send it in binary, or as FP32.")
    tensor = Tensor(name, datatype, shape, cells)
    return Tensor(name, datatype, shape, _rounded(tensor) if datatype in _FRACTIONS else _whole(tensor))


def _flat(name: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    if len(shape) != 2 or len(data) != shape[0] or any(type(row) is not list or len(row) != shape[1] for row in data):
        raise BodyError(
            f"The data of input {name!r} is nested otherwise than its shape {list(shape)}. "
            "Nest it by the shape, or send all elements in one array."
        )
    return [cell for row in data for cell in row]


def _rounded(tensor: Tensor) -> Cells:
    """Elements as the datatype's nearest number. Raises RowError where that is infinite and the element is not."""
    cells: list[Any] = list(tensor.cells)
    if not _PLAIN.issuperset(map(type, cells)):  # text: numbers alone are rounded
        kept = [cell if type(cell) in _PLAIN else None for cell in cells]
        rounded = _rounded(tensor._replace(cells=kept))
        return [one if type(cell) in _PLAIN else cell for cell, one in zip(cells, list(rounded), strict=True)]
    try:
        exact = np.array(cells, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64; the boundary says so
        return cells
    with np.errstate(over="ignore"):
        rounded = exact.astype(_FRACTIONS[tensor.datatype])
    lost = np.isinf(rounded) & np.isfinite(exact)
    if lost.any():
        raise _beyond(tensor, int(lost.argmax()))
    return rounded


def _whole(tensor: Tensor) -> Cells:
    """Elements as whole numbers of the datatype; 5.0 is one. Raises RowError for fractions and beyond the range."""
    least, most = _LIMITS[tensor.datatype]
    cells: list[Any] = [_int(cell) for cell in tensor.cells]
    for at, cell in enumerate(cells):
        if type(cell) is float or (type(cell) is int and not least <= cell <= most):
            raise _beyond(tensor, at)
    return cells


def _int(cell: Any) -> Any:
    return int(cell) if type(cell) is float and cell.is_integer() else cell


def _beyond(tensor: Tensor, at: int) -> RowError:
    value = repr(tensor.cells[at])[:60]
    what = f"It is {value}, which {tensor.datatype} cannot hold. Send another datatype, or null if it is missing."
    return wrong_element(what, tensor.place(at), at // (tensor.shape[1] if len(tensor.shape) == 2 else 1))


def wrong_element(message: str, cell: str, row: int, column: str | None = None) -> RowError:
    """The error for an element that cannot be read."""
    error = RowError(message, row=row, column=column)
    error.cell = cell
    return error
