"""InvokeEndpointWithResponseStream: `POST /endpoints/NAME/invocations-response-stream`.

    200 application/vnd.amazon.eventstream      PayloadPart  PayloadPart  PayloadPart ...  [ModelStreamError]

Rows are predicted and sent 1,000 at a time, so that the first are there before the last are predicted. In formats that
are a line for each row the parts, one after another, are the whole answer. Others are one document: it is written
whole and cut into parts.

What is wrong with a request is told by its status, as InvokeEndpoint tells it. Once parts are sent, an error is the
last frame: the time is over (ErrorCode ModelInvocationTimeExceeded), or anything else (StreamBroken).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import partial

from serving.engine import Engine, Written
from serving.errors import DeadlineError
from serving.event_stream import CONTENT_TYPE, event, exception
from serving.invocations import Invocations
from serving.loading import when_loaded
from serving.media import Format
from serving.problems import noted
from serving.protocols.sagemaker.errors import refuse
from serving.replies import Headers, Reply, Stream
from serving.requests import Request, allow

PATHS = "/endpoints/*/invocations-response-stream"

_PREFIX, _SUFFIX = PATHS.split("*")
_ACCEPT = b"x-amzn-sagemaker-accept"
_PART_BYTES = 65_536
_BY_LINES: frozenset[Format] = frozenset({"csv", "jsonlines"})


class ResponseStreams:
    """Answers invocations in parts."""

    def __init__(self, invocations: Invocations, engine: Engine) -> None:
        self._invocations = invocations
        self._engine = engine

    async def answer(self, request: Request) -> Reply | Stream:
        """The reply to a request."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - each error has a reply
            return refuse(error, request.headers)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that was not read."""
        return refuse(error)

    async def _answer(self, request: Request) -> Reply | Stream:
        allow(request.method, request.path, "POST")
        name, accept = request.path[len(_PREFIX) : -len(_SUFFIX)], request.headers.get(_ACCEPT)
        prepare = partial(self._invocations.prepare, name, request, accept, is_container=False)
        call, wanted, headers, is_clarify = await when_loaded(prepare)
        if wanted in _BY_LINES and not is_clarify:
            pieces = self._engine.pieces(call)
            first = await anext(pieces)  # what is wrong with the request is raised here
        else:
            pieces, first = _nothing(), await self._engine.answer(call)
        return Stream(200, _headers(first) + headers, _frames(first, pieces))


def _headers(first: Written) -> Headers:
    """The type of the stream; that of what it carries has another name."""
    carried = [(b"x-amzn-sagemaker-content-type", value) for name, value in first.headers if name == b"content-type"]
    return [(b"content-type", CONTENT_TYPE), *carried]


async def _nothing() -> AsyncGenerator[Written]:
    return
    yield  # makes it a generator


async def _frames(first: Written, pieces: AsyncGenerator[Written]) -> AsyncIterator[bytes]:
    try:
        for part in _cut(first.body):
            yield part
        async for piece in pieces:
            for part in _cut(piece.body):
                yield part
    except Exception as error:  # noqa: BLE001 - told in the stream itself
        code = "ModelInvocationTimeExceeded" if isinstance(error, DeadlineError) else "StreamBroken"
        yield exception("ModelStreamError", {"Message": noted(error).detail, "ErrorCode": code})
    finally:
        await pieces.aclose()


def _cut(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _PART_BYTES):
        yield event("PayloadPart", body[start : start + _PART_BYTES])
