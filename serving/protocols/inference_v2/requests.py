"""A request of the protocol, taken apart: its JSON, and the tensors that are in it or behind it.

With the header `Inference-Header-Content-Length: N` the first N bytes of the (unpacked) body are JSON, and behind them
stand the binary tensors in the order of the inputs; without it all of the body is JSON.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from serving.errors import BodyError
from serving.formats.json_rows import has_constants, loads
from serving.protocols.inference_v2.tensors import DATATYPES, Tensor, read_binary, read_json

HEADER_LENGTH = b"inference-header-content-length"


class InputParameters(Struct):
    """What is told of an input. Shared memory is not read here; others are not looked at."""

    binary_data_size: int | None = None
    shared_memory_region: Any = None


class Input(Struct):
    """A tensor that is sent. data: flat or nested; None where it follows in binary."""

    name: str
    shape: list[int]
    datatype: str
    parameters: InputParameters | None = None
    data: list[Any] | None = None


class OutputParameters(Struct):
    """How an output is wanted."""

    binary_data: bool | None = None
    classification: Any = None
    shared_memory_region: Any = None


class Wanted(Struct):
    """An output that is asked for by name."""

    name: str
    parameters: OutputParameters | None = None


class InferRequest(Struct):
    """The JSON of a request."""

    inputs: list[Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Wanted] | None = None


_LARGEST = 2**31 - 1

_DECODER = msgspec.json.Decoder(InferRequest)


def header_length(header: bytes | None, body: bytes) -> int | None:
    """How many bytes of a body are JSON; None for all of them, 0 for none. Raises BodyError."""
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= len(body)):
        raise BodyError(
            f"Inference-Header-Content-Length is {text[:40]!r}; the body has {len(body)} bytes, unpacked. "
            "Send the number of bytes of JSON that it begins with."
        )
    return int(text)


def read_request(head: bytes) -> InferRequest:
    """A request's JSON. Raises BodyError."""
    try:
        return _DECODER.decode(head)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        if not has_constants(head):
            raise _refused(head, error) from error
    try:
        return msgspec.convert(loads(head), InferRequest)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _refused(head, error) from error


def _refused(head: bytes, error: Exception) -> BodyError:
    if isinstance(error, msgspec.ValidationError):
        return BodyError(f"The request is not as the protocol has it: {error}. {_SHAPE}")
    if not head.strip():
        return BodyError(f"The body is empty. {_SHAPE}")
    if isinstance(error, RecursionError):
        return BodyError(f"The JSON is nested too deeply. {_SHAPE}")
    if isinstance(error, UnicodeError):
        return BodyError(f"The request is no UTF-8: {error}. Encode it as UTF-8.")
    return BodyError(
        f"The request is no JSON: {error}. Send it whole; Inference-Header-Content-Length counts its bytes."
    )


_SHAPE = 'Send {"inputs": [{"name": ..., "shape": [...], "datatype": ..., "data": [...]}, ...]}.'


def read_tensors(inputs: Sequence[Input], rest: memoryview | None) -> list[Tensor]:
    """Tensors that are in the JSON, and those that stand behind it one after the other; rest: all that is behind it.

    Raises BodyError, and RowError for an element that its datatype cannot hold.
    """
    if rest is None:
        return [_tensor(one) for one in inputs]
    tensors: list[Tensor] = []
    at = 0
    for one in inputs:
        size = one.parameters.binary_data_size if one.parameters else None
        if size is None:
            tensors.append(_tensor(one))
            continue
        if one.data is not None:
            raise BodyError(f"Input {one.name!r} has data and binary_data_size. Send one of them.")
        if not 0 <= size <= len(rest) - at:
            raise BodyError(
                f"The binary_data_size of input {one.name!r} is {size}; {len(rest) - at} bytes of the body are left. "
                "Send as many bytes behind the JSON as the inputs have, and count the JSON's in "
                "Inference-Header-Content-Length."
            )
        tensors.append(read_binary(one.name, one.datatype, one.shape, _count(one), rest[at : at + size]))
        at += size
    if at < len(rest):
        raise BodyError(f"{len(rest) - at} bytes are left behind the last input. binary_data_size has to tell of all.")
    return tensors


def _tensor(one: Input) -> Tensor:
    """A tensor of JSON."""
    if one.parameters is not None:
        if one.parameters.shared_memory_region is not None:
            raise BodyError(f"Input {one.name!r} is in shared memory, which is not read here. Send its data.")
        if one.parameters.binary_data_size is not None:
            raise BodyError(
                f"Input {one.name!r} has binary_data_size, and the request has no Inference-Header-Content-Length. "
                "Send that header with the number of bytes that are JSON."
            )
    if one.data is None:
        raise BodyError(f"Input {one.name!r} has no data. Send it, or in binary with binary_data_size.")
    return read_json(one.name, one.datatype, one.shape, _count(one), one.data)


def _count(one: Input) -> int:
    """How many elements an input has by its shape."""
    if one.datatype not in DATATYPES:
        raise BodyError(f"Input {one.name!r} has the datatype {one.datatype!r}. There are {', '.join(DATATYPES)}.")
    shape = one.shape
    if any(size > _LARGEST for size in shape):
        raise BodyError(f"Input {one.name!r} has a dimension of more than {_LARGEST}. Send fewer rows at once.")
    if len(shape) == 1 and shape[0] >= 0:
        return shape[0]
    if len(shape) == 2 and shape[0] >= 0 and shape[1] >= 0:
        return shape[0] * shape[1]
    raise BodyError(f"Input {one.name!r} has the shape {shape}. Send [N] or [N,1] for N rows.")
