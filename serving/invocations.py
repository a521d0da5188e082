"""Invocations: the SageMaker runtime's way to ask, `POST /endpoints/NAME/invocations`, and with JSON bodies MLflow's.

It knows headers and bodies, and neither ASGI nor Litestar.
"""

from functools import partial
from time import monotonic

from serving.admission import deadline_of
from serving.endpoints import LiveEndpoint, LiveEndpoints
from serving.engine import Asked, Call, Engine, Written
from serving.formats import Answer
from serving.inference_ids import InferenceIds
from serving.media import MEDIA_TYPES, Format, sent_format, wanted_format
from serving.options import DEFAULT, Options, query_options
from serving.problems import reply_of
from serving.protocols.mlflow import MlflowBodies
from serving.replies import Reply
from serving.requests import Request

_CONTENT_TYPES: dict[Format, bytes] = {format: name.encode() for format, name in MEDIA_TYPES.items()}


class Invocations:
    """Answers invocations of the live endpoints. Errors become problem details."""

    def __init__(self, endpoints: LiveEndpoints, engine: Engine) -> None:
        self._endpoints = endpoints
        self._engine = engine
        self._ids = InferenceIds()

    async def answer(self, name: str | None, request: Request) -> Reply:
        """The reply to a POST. name: of the endpoint; None where the path has none."""
        try:
            return await self._answer(name, request)
        except Exception as error:  # noqa: BLE001 - each error has a reply; those that nobody raised on purpose are logged
            return self.refuse(error)

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request that ended in an error."""
        return reply_of(error)

    async def _answer(self, name: str | None, request: Request) -> Reply:
        headers = request.headers
        endpoint = self._endpoints.find(name)
        sent = sent_format(headers.get(b"content-type"))
        wanted = wanted_format(headers.get(b"accept"), sent)
        options = query_options(request.query) if request.query else DEFAULT
        inference_id = self._ids.of(headers)
        few = endpoint.formats.rows[sent].has_few(request.body)
        read = partial(_read, endpoint, sent, wanted, options)
        call = Call(endpoint, request, read, few, inference_id, deadline_of(headers, monotonic()))
        written = await self._engine.answer(call)
        own = [*written.headers, (b"x-inference-id", inference_id.encode())]
        return Reply(200, own + endpoint.reply_headers, written.body)


def _read(endpoint: LiveEndpoint, sent: Format, wanted: Format, options: Options, body: bytes) -> Asked:
    """What a body asks. A JSON body tells by its first key whether it is one of MLflow's."""
    if sent == "json" and wanted == "json" and (mlflow := endpoint.of(MlflowBodies)).takes(body):
        return mlflow.read(body, options)
    return Asked(endpoint.formats.rows[sent].decode(body), options, partial(_write, endpoint, wanted))


def _write(endpoint: LiveEndpoint, wanted: Format, answer: Answer) -> Written:
    return Written([(b"content-type", _CONTENT_TYPES[wanted])], endpoint.formats.answers[wanted].write(answer))
