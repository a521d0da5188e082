"""One invocation, from headers and body to the reply; it knows neither ASGI nor Litestar."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Mapping

from serving.capture import Capture, Captured
from serving.endpoints import LiveEndpoint, LiveEndpoints, Prediction
from serving.errors import InferenceIdError
from serving.media import MEDIA_TYPES, Format, sent_format, unpack, wanted_format
from serving.problems import reply_of
from serving.replies import Reply

_INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
_CONTENT_TYPES: dict[Format, bytes] = {format: name.encode() for format, name in MEDIA_TYPES.items()}


class Invocations:
    """Answers invocations of the live endpoints and captures them. Errors become problem details."""

    def __init__(self, endpoints: LiveEndpoints, capture: Capture, max_body_bytes: int) -> None:
        self._endpoints = endpoints
        self._capture = capture
        self._max_body_bytes = max_body_bytes
        self._ids = InferenceIds()

    async def answer(self, name: str | None, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """The reply to a POST. name: of the endpoint; None where the path has none. headers: names in lower case."""
        try:
            return await self._answer(name, headers, body)
        except Exception as error:  # noqa: BLE001 - each error has a reply; those that nobody raised on purpose are logged
            return reply_of(error)

    async def _answer(self, name: str | None, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        endpoint = self._endpoints.find(name)
        sent = sent_format(headers.get(b"content-type"))
        wanted = wanted_format(headers.get(b"accept"), sent)
        inference_id = self._ids.of(headers.get(_INFERENCE_ID))
        encoding = headers.get(b"content-encoding")
        if encoding is None and endpoint.has_few_rows(body, sent):
            prediction = endpoint.predict(body, sent, wanted)
        else:
            prediction = await asyncio.to_thread(self._predict_many, endpoint, body, encoding, sent, wanted)
        if endpoint.header is not None:
            now_us = time.time_ns() // 1000
            self._capture.take(Captured(endpoint.header, inference_id, now_us, prediction.blocks, prediction.outputs))
        own = [(b"content-type", _CONTENT_TYPES[wanted]), (b"x-inference-id", inference_id.encode())]
        return Reply(200, own + endpoint.reply_headers, prediction.body)

    def _predict_many(
        self, endpoint: LiveEndpoint, body: bytes, encoding: bytes | None, sent: Format, wanted: Format
    ) -> Prediction:
        """What takes longer than a hop to a thread: batches, and bodies that have to be unpacked."""
        if encoding is not None:
            body = unpack(body, encoding, self._max_body_bytes)
        return endpoint.predict(body, sent, wanted)


class InferenceIds:
    """Names invocations: by the client's header, else by a prefix of this process and a counter."""

    def __init__(self) -> None:
        self._prefix = uuid.uuid4().hex[:16]
        self._count = itertools.count(1)

    def of(self, header: bytes | None) -> str:
        """The id of a request. Raises InferenceIdError for a header that is not 1-64 printable ASCII characters."""
        if header is None:
            return f"{self._prefix}-{next(self._count)}"
        text = header.decode("latin-1")
        if not (1 <= len(text) <= 64 and text.isascii() and text.isprintable()):
            raise InferenceIdError(
                f"X-Amzn-SageMaker-Inference-Id is {text[:80]!r}. "
                "Send 1 to 64 printable ASCII characters, or leave the header out."
            )
        return text
