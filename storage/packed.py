"""The packed sister of a portable graph: three inputs instead of one for each column.

The portable file has one input [N,1] for each raw column, which is easy to feed from anywhere and slow for one row:
40 inputs cost 43-56 us a call, packed ones 26 us. Its first nodes only join the inputs:

    age [N,1] ─┐
    fare [N,1] ┴─ Concat "pack/number" ── /number [N,2] ─── rest of the graph
    town [N,1] ── Concat "pack/text" ──── /text [N,1] ─────

The sister is the same file without those nodes and inputs, whose results become the inputs:

    /number [N,2] ─── rest of the graph
    /text [N,1] ─────

Outputs that few ask for, intervals and sets, can be left out with the nodes that serve them alone: onnxruntime runs all
nodes of a graph, whatever is asked of it.

Why the bytes are edited here and not by the onnx library: importing it costs 137 ms and 46 MB in each serving worker,
and the edit touches two repeated fields of a format that has not changed since 2017 (protobuf wire format, onnx.proto).
"""

from collections.abc import Iterator
from typing import Literal, get_args

from storage.errors import ModelFileError
from storage.signature import BLOCKS, Block

#: Name of the node that joins a block's columns, and of what it gives.
PACK_NODE = "pack/{}"
PACK_TENSOR = "/{}"

#: Outputs beside the usual ones, which a model may have: `interval` for values, `set` for classes.
Extra = Literal["interval", "set"]
#: Names of the nodes that serve one of them alone begin so; a number follows.
EXTRA_NODE = "{}/{}"

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 11, 12
_NODE_NAME, _VALUE_NAME = 3, 1
_ELEM_TYPE: dict[Block, int] = {"number": 11, "text": 8, "time": 7}  # DOUBLE, STRING, INT64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(model: bytes) -> dict[str, str]:
    """Metadata of an ONNX file, without opening a session. Raises ModelFileError if the bytes are no such file."""
    metadata: dict[str, str] = {}
    for field, _, start, stop in _fields(model, 0, len(model)):
        if field == _MODEL_METADATA:
            entry = {number: model[a:b] for number, _, a, b in _fields(model, start, stop)}
            metadata[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
    return metadata


def read_extra(model: bytes) -> Extra | None:
    """Which output the file has beside the usual ones. Raises ModelFileError if the bytes are no ONNX file."""
    for field, _, start, stop in _fields(model, 0, len(model)):
        if field == _MODEL_GRAPH:
            outputs = {
                _name(model, a, b, _VALUE_NAME)
                for number, _, a, b in _fields(model, start, stop)
                if number == _GRAPH_OUTPUT
            }
            return next((extra for extra in get_args(Extra) if extra.encode() in outputs), None)
    return None


def pack(model: bytes, widths: dict[Block, int], *, without: Extra | None = None) -> bytes:
    """The packed sister of a portable file.

    widths: number of columns in each block; blocks of width 0 have no input. without: an output to leave out. Other
    outputs, metadata and all other nodes stay as they are, so the answers are identical to the bit.
    """
    out = bytearray()
    for field, begin, start, stop in _fields(model, 0, len(model)):
        if field == _MODEL_GRAPH:
            out += _delimited(_MODEL_GRAPH, _pack_graph(model, start, stop, widths, without))
        else:
            out += model[begin:stop]
    return bytes(out)


def _pack_graph(model: bytes, start: int, stop: int, widths: dict[Block, int], without: Extra | None) -> bytes:
    left_out = tuple(PACK_NODE.format(block).encode() for block in BLOCKS)
    if without is not None:
        left_out += (EXTRA_NODE.format(without, "").encode(),)
    out = bytearray()
    for field, begin, a, b in _fields(model, start, stop):
        if field == _GRAPH_INPUT or (field == _GRAPH_NODE and _name(model, a, b, _NODE_NAME).startswith(left_out)):
            continue
        if field == _GRAPH_OUTPUT and without is not None and _name(model, a, b, _VALUE_NAME) == without.encode():
            continue
        out += model[begin:b]
    for block in BLOCKS:
        if widths[block]:
            out += _delimited(_GRAPH_INPUT, _value_info(block, widths[block]))
    return bytes(out)


def _name(model: bytes, start: int, stop: int, number: int) -> bytes:
    """The field of that number, of a node or an output."""
    return next((model[a:b] for field, _, a, b in _fields(model, start, stop) if field == number), b"")


def _value_info(block: Block, width: int) -> bytes:
    """ValueInfoProto of a tensor [N, width]."""
    rows = _delimited(1, _delimited(2, b"N"))
    columns = _delimited(1, _varint(1 << 3 | _VARINT) + _varint(width))
    tensor = _varint(1 << 3 | _VARINT) + _varint(_ELEM_TYPE[block]) + _delimited(2, rows + columns)
    return _delimited(1, PACK_TENSOR.format(block).encode()) + _delimited(2, _delimited(1, tensor))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ModelFileError("The ONNX file's metadata is not UTF-8. Copy the file again.") from error


def _fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field of a message: its number, where it begins, where its payload begins and ends."""
    at = start
    while at < stop:
        begin = at
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == _BYTES:
            size, at = _read_varint(data, at)
            end = at + size
        elif wire == _VARINT:
            _, end = _read_varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            end = at + (8 if wire == _FIXED64 else 4)
        else:
            raise ModelFileError("The file is not an ONNX model. Give a file that autopilot wrote.")
        if end > stop:
            raise ModelFileError("The ONNX file ends too early. Copy it again.")
        yield key >> 3, begin, at, end
        at = end


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ModelFileError("The file is not an ONNX model. Give a file that autopilot wrote.")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(field: int, payload: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(payload)) + payload
