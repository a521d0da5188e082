"""Bodies of inference requests, for one model: what they ask, and how their answers are written."""

from functools import partial
from typing import Any, NamedTuple

from serving.endpoints import LiveVariant
from serving.engine import Asked
from serving.errors import OptionError
from serving.options import Options
from serving.protocols.inference_v2.inputs import Inputs
from serving.protocols.inference_v2.outputs import Outputs, Reply, write
from serving.protocols.inference_v2.requests import InferRequest, header_length, read_request, read_tensors
from storage.boundary import Blocks

_FEW_ROWS = 50
_CELL_BYTES = 8  # of FP64, and of most numbers in JSON
_INPUT_BYTES = len('{"name":"","shape":[1],"datatype":"FP64","data":[]},')
_LONGEST_US = 3_600_000_000


class Sent(NamedTuple):
    """What came beside the body. inference_id: made up, or if `is_named` the client's. at: by `monotonic`."""

    json_length: bytes | None
    accept_encoding: bytes | None
    inference_id: str
    is_named: bool
    at: float


class Bodies:
    """Reads and answers requests for one model."""

    def __init__(self, endpoint: LiveVariant) -> None:
        self._inputs = Inputs(endpoint.signature)
        self._outputs = Outputs(endpoint.signature)
        self._head = {"model_name": endpoint.record.name, "model_version": str(endpoint.variant.version)}
        self._headers = endpoint.reply_headers
        names = endpoint.signature.names
        self._few_bytes = sum(_INPUT_BYTES + len(name.encode()) + _FEW_ROWS * _CELL_BYTES for name in names)

    @property
    def outputs(self) -> tuple[str, ...]:
        """All outputs that can be asked for."""
        return tuple(self._outputs.all)

    def has_few(self, body: bytes) -> bool:
        """Whether a body is read in microseconds: it has some 50 rows at most, unless its cells are very short."""
        return len(body) <= self._few_bytes

    def read(self, sent: Sent, body: bytes) -> Asked:
        """What a body asks. Raises BodyError, RowError and OptionError."""
        length = header_length(sent.json_length, body)
        if length is None:
            request = read_request(body)
            blocks = self._inputs.read_plain(request.inputs)
            return self._asked(sent, request, blocks or self._inputs.read(read_tensors(request.inputs, None)))
        if length == 0:
            return self._asked(
                sent, InferRequest([], parameters={"binary_data_output": True}), self._inputs.read_raw(body)
            )
        request = read_request(body[:length])
        tensors = read_tensors(request.inputs, memoryview(body)[length:])
        return self._asked(sent, request, self._inputs.read(tensors))

    def _asked(self, sent: Sent, request: InferRequest, blocks: Blocks) -> Asked:
        asking = self._outputs.asking(request)
        inference_id = sent.inference_id if sent.is_named or not _can_name(request.id) else request.id or ""
        head = self._head if request.id is None else {**self._head, "id": request.id}
        headers = [(b"x-inference-id", inference_id.encode()), *self._headers]
        reply = Reply(head, headers, sent.accept_encoding)
        return Asked(
            blocks,
            asking.options if blocks.rows else Options(interval=asking.options.interval),  # nothing is to be explained
            partial(write, asking, reply),
            inference_id=inference_id,
            deadline=_deadline((request.parameters or {}).get("timeout"), sent.at),
        )


def _can_name(id: str | None) -> bool:
    """Whether a request's id can be its inference id."""
    return id is not None and 1 <= len(id) <= 64 and id.isascii() and id.isprintable()


def _deadline(timeout_us: Any, now: float) -> float | None:
    """When nobody waits any more; 0 and more than an hour are for ever."""
    if timeout_us is None:
        return None
    if type(timeout_us) is not int or timeout_us < 0:
        raise OptionError(f"Parameter 'timeout' is {repr(timeout_us)[:60]}. Send whole microseconds, or leave it out.")
    return now + timeout_us / 1e6 if 0 < timeout_us <= _LONGEST_US else None
