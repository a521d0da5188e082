"""The ASGI function that uvicorn calls: it answers invocations and `/ping`, and hands all else to Litestar."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Protocol as Protocol_

from serving.endpoints import LiveEndpoints
from serving.errors import ForeignOriginError, RequestError
from serving.exchange import note_body, note_protocol
from serving.invocations import Invocations
from serving.media import too_large
from serving.origins import Origins
from serving.problems import reply_of
from serving.replies import Reply, Stream
from serving.requests import Request, allow
from storage.errors import AutopilotError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

_PREFIX, _SUFFIX = "/endpoints/", "/invocations"


class DisconnectedError(Exception):
    """The client went away while it sent its body; nobody waits for a reply."""


class Protocol(Protocol_):
    """Answers all requests below some paths."""

    async def answer(self, request: Request) -> Reply | Stream:
        """The reply to a request; it raises nothing, errors are replies in the protocol's own shape."""
        ...

    def refuse(self, error: Exception) -> Reply:
        """The reply to a request whose body was not read."""
        ...


class HotPath:
    """Answers what has to be fast, before Litestar is asked.

    protocols: by the first segments of the paths that are theirs, or by beginning and end with a `*` between. origins:
    of pages that may ask for changes, whatever the path.
    uploading: how many requests wait for the rest of their body. Nothing that a client sends makes it raise: uvicorn
    would answer 500 and close the connection.
    """

    def __init__(
        self,
        invocations: Invocations,
        endpoints: LiveEndpoints,
        otherwise: "ASGIApp",
        max_body_bytes: int,
        protocols: Mapping[str, Protocol] = MappingProxyType({}),
        origins: Origins | None = None,
    ) -> None:
        self._invocations = invocations
        self._endpoints = endpoints
        self._otherwise = otherwise
        self._max_body_bytes = max_body_bytes
        self._origins = origins or Origins()
        self.uploading = 0
        self._protocols: list[tuple[str, str, str, Protocol]] = []
        for paths, protocol in protocols.items():
            prefix, _, suffix = paths.partition("*")
            prefix = prefix.rstrip("/") + "/"  # `/v2` and `/v2/...`, not `/v2x`
            self._protocols.append((prefix, suffix, prefix.split("/")[1], protocol))

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
            for prefix, suffix, label, protocol in self._protocols:
                if (path.startswith(prefix) and path.endswith(suffix)) or (path == prefix[:-1] and not suffix):
                    note_protocol(label)
                    return await self._ask(protocol, scope, receive, send)
            try:
                self._origins.check(scope)
            except ForeignOriginError as error:
                return await send_reply(send, reply_of(error))
        await self._otherwise(scope, receive, send)

    async def _invoke(self, name: str | None, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        note_protocol("invocations")
        try:
            allow(scope["method"], scope["path"], "POST")
            request = await self._request(scope, receive)
        except DisconnectedError:
            return
        except RequestError as error:
            return await send_reply(send, self._invocations.refuse(error))
        await send_reply(send, await self._invocations.answer(name, request))

    async def _ask(self, protocol: Protocol, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        try:
            self._origins.check(scope)
            request = await self._request(scope, receive)
        except DisconnectedError:
            return
        except RequestError as error:
            return await send_reply(send, protocol.refuse(error))
        reply = await protocol.answer(request)
        if isinstance(reply, Stream):
            return await send_stream(send, reply)
        await send_reply(send, reply)

    async def _request(self, scope: "HTTPScope", receive: "Receive") -> Request:
        self.uploading += 1
        try:
            return await request_of(scope, receive, self._max_body_bytes)
        finally:
            self.uploading -= 1

    def _ping(self, method: str) -> Reply:
        try:
            allow(method, "/ping", "GET", "HEAD")
            self._endpoints.check()
        except AutopilotError as error:
            return reply_of(error)
        return Reply(200, [(b"content-type", b"text/plain")], b"")


async def request_of(scope: "HTTPScope", receive: "Receive", limit_bytes: int) -> Request:
    """A request with its whole body. Raises DisconnectedError and BodyTooLargeError."""
    headers = dict(scope["headers"])
    body = await read_body(receive, headers, limit_bytes)
    note_body(len(body))
    return Request(scope["method"], scope["path"], scope["query_string"], headers, body, partial(_gone, receive))


async def _gone(receive: "Receive") -> None:
    """Wait until the client goes away. The body has been read, so nothing else can come."""
    while (await receive())["type"] != "http.disconnect":
        pass


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


async def send_stream(send: "Send", stream: Stream) -> None:
    """Send a reply in parts. A client that goes away ends it."""
    await send({"type": "http.response.start", "status": stream.status, "headers": stream.headers})
    async for part in stream.parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
