"""The ASGI function that uvicorn calls: it answers invocations and `/ping`, and hands all else to Litestar."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from serving.endpoints import LiveEndpoints
from serving.errors import MethodError, RequestError
from serving.invocations import Invocations
from serving.media import too_large
from serving.problems import reply_of
from serving.replies import Reply
from storage.errors import AutopilotError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

_PREFIX, _SUFFIX = "/endpoints/", "/invocations"


class DisconnectedError(Exception):
    """The client went away while it sent its body; nobody waits for a reply."""


class HotPath:
    """Answers what has to be fast, before Litestar is asked.

    Nothing that a client sends makes it raise: uvicorn would answer 500 and close the connection.
    """

    def __init__(
        self, invocations: Invocations, endpoints: LiveEndpoints, otherwise: "ASGIApp", max_body_bytes: int
    ) -> None:
        self._invocations = invocations
        self._endpoints = endpoints
        self._otherwise = otherwise
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """The ASGI interface."""
        if scope["type"] == "http":
            path = scope["path"]
            if path == _SUFFIX:
                return await self._invoke(None, scope, receive, send)
            if path.startswith(_PREFIX) and path.endswith(_SUFFIX):
                return await self._invoke(path[len(_PREFIX) : -len(_SUFFIX)], scope, receive, send)
            if path == "/ping":
                return await send_reply(send, self._ping(scope["method"]))
        await self._otherwise(scope, receive, send)

    async def _invoke(self, name: str | None, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        try:
            reply = await self._reply_to(name, scope, receive)
        except DisconnectedError:
            return
        await send_reply(send, reply)

    async def _reply_to(self, name: str | None, scope: "HTTPScope", receive: "Receive") -> Reply:
        headers = dict(scope["headers"])
        try:
            _allow(scope["method"], scope["path"], "POST")
            body = await read_body(receive, headers, self._max_body_bytes)
        except RequestError as error:
            return reply_of(error)
        return await self._invocations.answer(name, headers, body)

    def _ping(self, method: str) -> Reply:
        try:
            _allow(method, "/ping", "GET", "HEAD")
            self._endpoints.check()
        except AutopilotError as error:
            return reply_of(error)
        return Reply(200, [(b"content-type", b"text/plain")], b"")


def _allow(method: str, path: str, *allowed: str) -> None:
    if method not in allowed:
        raise MethodError(f"{path} was asked by {method}. Use {' or '.join(allowed)}.", allowed=allowed)


async def read_body(receive: "Receive", headers: Mapping[bytes, bytes], limit_bytes: int) -> bytes:
    """A request's whole body. Raises DisconnectedError, and BodyTooLargeError as soon as it is known to be longer: by
    its content-length, and where that is absent or wrong by counting."""
    if int(headers.get(b"content-length", 0)) > limit_bytes:
        raise too_large(limit_bytes)
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > limit_bytes:
            raise too_large(limit_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)  # of one chunk, this is the chunk itself


async def send_reply(send: "Send", reply: Reply) -> None:
    """Send a reply."""
    length = (b"content-length", str(len(reply.body)).encode())
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
