"""Invocations: the SageMaker runtime's way to ask, `POST /endpoints/NAME/invocations`, and with JSON bodies MLflow's.

It knows headers and bodies, and neither ASGI nor Litestar.
"""

import asyncio
from functools import partial
from time import monotonic
from typing import NamedTuple

from serving.admission import deadline_of
from serving.endpoints import LiveEndpoints, LiveVariant
from serving.engine import Asked, Call, Engine, Written
from serving.formats import Answer
from serving.inference_ids import InferenceIds
from serving.loading import when_loaded
from serving.media import (
    MEDIA_TYPES,
    PACKED_FROM_BYTES,
    TEXT_FORMATS,
    Format,
    pack,
    sent_format,
    wanted_encoding,
    wanted_format,
)
from serving.options import query_options
from serving.protocols.mlflow import MlflowBodies
from serving.protocols.sagemaker.clarify import check_format, write_clarify
from serving.protocols.sagemaker.errors import refuse
from serving.protocols.sagemaker.headers import LOOKED_AT, Asks, asks_of, target_variant
from serving.replies import Headers, Reply
from serving.requests import Request

_CONTENT_TYPES: dict[Format, bytes] = {format: name.encode() for format, name in MEDIA_TYPES.items()}


class Prepared(NamedTuple):
    """A call for the engine, the format that its answer is wanted in, and headers of the reply.

    is_clarify: whether the answer is one document of Clarify's, whatever the format.
    """

    call: Call
    wanted: Format
    headers: Headers
    is_clarify: bool


class Invocations:
    """Answers invocations of the live endpoints. Errors become problem details that the AWS SDKs can read."""

    def __init__(self, endpoints: LiveEndpoints, engine: Engine) -> None:
        self._endpoints = endpoints
        self._engine = engine
        self._ids = InferenceIds()

    async def answer(self, name: str | None, request: Request, *, is_container: bool = False) -> Reply:
        """The reply to a POST. name: of the endpoint; None where the path has none.

        is_container: SageMaker asks what a client asked of it. It does so too where the path names no endpoint.
        """
        is_container = is_container or name is None
        try:
            accept = request.headers.get(b"accept")
            prepared = await when_loaded(lambda: self.prepare(name, request, accept, is_container=is_container))
            written = await self._engine.answer(prepared.call)
            if len(written.body) >= PACKED_FROM_BYTES and prepared.wanted in TEXT_FORMATS:
                written = await _packed(written, request.headers.get(b"accept-encoding"))
        except Exception as error:  # noqa: BLE001 - each error has a reply; those that nobody raised on purpose are logged
            return self.refused(error, request, is_container=is_container)
        return Reply(200, written.headers + prepared.headers, written.body)

    def refused(self, error: Exception, request: Request, *, is_container: bool) -> Reply:
        """The reply to a request that ended in an error; SDKs are told it in their own way."""
        return refuse(error) if is_container else refuse(error, request.headers)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that was not read."""
        return refuse(error)

    def prepare(
        self,
        name: str | None,
        request: Request,
        accept: bytes | None,
        *,
        is_container: bool,
        arrived: float | None = None,
    ) -> Prepared:
        """What is to be done for a request. arrived: by `monotonic`, when it came; None is now.

        Raises RequestError for what can be told without reading the body.
        """
        headers = request.headers
        is_plain = LOOKED_AT.isdisjoint(headers)  # 0.1 us, and nearly always so
        inference_id = self._ids.of(headers)
        variant = None if is_plain or is_container else target_variant(headers)
        endpoint = self._endpoints.find(name, inference_id, variant)
        sent = sent_format(headers.get(b"content-type"))
        wanted = wanted_format(accept, sent)
        if is_plain:
            asks = Asks(query_options(request.query)) if request.query else _NOTHING
        else:
            asks = asks_of(headers, request.query, endpoint, is_container=is_container)
            if asks.clarify:
                check_format(wanted)
        few = endpoint.formats.rows[sent].has_few(request.body)
        read = partial(_read, endpoint, sent, wanted, asks)
        deadline = deadline_of(headers, monotonic() if arrived is None else arrived)
        call = Call(endpoint, request, read, few, inference_id, deadline)
        own = [(b"x-inference-id", inference_id.encode()), *endpoint.reply_headers]
        return Prepared(call, wanted, own + asks.echo if asks.echo else own, asks.clarify)


_NOTHING = Asks()


def _read(endpoint: LiveVariant, sent: Format, wanted: Format, asks: Asks, body: bytes) -> Asked:
    """What a body asks. A JSON body tells by its first key whether it is one of MLflow's."""
    if sent == "json" and wanted == "json" and (mlflow := endpoint.of(MlflowBodies)).takes(body):
        asked = mlflow.read(body, asks.options)
    else:
        asked = Asked(endpoint.formats.rows[sent].decode(body), asks.options, partial(_write, endpoint, wanted))
    return asked._replace(write=partial(write_clarify, endpoint, wanted)) if asks.clarify else asked


def _write(endpoint: LiveVariant, wanted: Format, answer: Answer) -> Written:
    return Written([(b"content-type", _CONTENT_TYPES[wanted])], endpoint.formats.answers[wanted].write(answer))


async def _packed(written: Written, accept_encoding: bytes | None) -> Written:
    """An answer packed as the client likes it, in a thread: that takes milliseconds."""
    encoding = wanted_encoding(accept_encoding)
    if encoding is None:
        return written
    body = await asyncio.to_thread(pack, written.body, encoding)
    about = [(b"content-encoding", encoding.encode()), (b"vary", b"accept-encoding")]
    return Written([*written.headers, *about], body)
