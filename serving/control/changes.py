"""A request that changes something: read, guarded, made in one transaction, and answered.

body ── key known? ──yes──> the answer that was given then
             └──no──> prepare ──> one transaction: condition, change, answer kept
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from litestar import Response
from litestar.concurrency import sync_to_thread
from msgspec import Struct

from serving.control.bodies import decode
from serving.control.idempotency import Answer, Key, again, answered, once
from serving.hot import DisconnectedError, request_of
from serving.parts import AnyRequest, Parts

B = TypeVar("B")

#: Makes a change under a key, and gives its answer.
Make: TypeAlias = Callable[[Key | None], Answer]


class Done(NamedTuple):
    """What became of a change. value: is told; None tells nothing. tag: its ETag. location: the path of what is new."""

    status: int
    value: Struct | None = None
    tag: str | None = None
    location: str | None = None

    @property
    def answer(self) -> Answer:
        """It as bytes."""
        told = {"etag": self.tag, "location": self.location}
        headers = {name: value for name, value in told.items() if value is not None}
        if self.value is None:
            return Answer(self.status, headers, b"")
        return Answer(self.status, {"content-type": "application/json", **headers}, msgspec.json.encode(self.value))


async def change(request: AnyRequest, parts: Parts, work: Callable[[], Done]) -> Response[Any]:
    """Make a change that needs no body. work: is done in one transaction of the store, in a thread."""
    return await _changed(request, parts, lambda _: lambda key: once(parts.store, key, lambda: work().answer))


async def change_by(request: AnyRequest, parts: Parts, kind: type[B], work: Callable[[B], Done]) -> Response[Any]:
    """Make a change as a JSON body asks."""
    return await change_as(request, parts, lambda body: decode(body, kind), work)


async def change_as(
    request: AnyRequest, parts: Parts, parse: Callable[[bytes], B], work: Callable[[B], Done]
) -> Response[Any]:
    """Make a change as a body asks that is read in a way of its own. parse: raises InputError for what it cannot
    read."""

    def read(body: bytes) -> Make:
        asked = parse(body)
        return lambda key: once(parts.store, key, lambda: work(asked).answer)

    return await _changed(request, parts, read)


async def change_slowly(
    request: AnyRequest, parts: Parts, kind: type[B], prepare: Callable[[B], B], work: Callable[[B], Done]
) -> Response[Any]:
    """As `change_by`. prepare: looks whether it can be done, for as long as that takes, before others have to wait."""

    def read(body: bytes) -> Make:
        asked = decode(body, kind)

        def made(key: Key | None) -> Answer:
            prepared = prepare(asked)
            return once(parts.store, key, lambda: work(prepared).answer)

        return made

    return await _changed(request, parts, read)


async def repeatable(request: AnyRequest, parts: Parts, work: Callable[[bytes], Done]) -> Response[Any]:
    """Make a change that is the same if it is made twice, of a body in any form."""
    return await _changed(request, parts, lambda body: lambda key: again(parts.store, key, lambda: work(body).answer))


async def _changed(request: AnyRequest, parts: Parts, read: Callable[[bytes], Make]) -> Response[Any]:
    try:
        body = (await request_of(request.scope, request.receive, parts.max_body_bytes)).body
    except DisconnectedError:
        return Response(b"", status_code=400)  # Litestar wants an answer, which the server throws away
    key = Key.of(request, body)

    def in_thread() -> Answer:
        return answered(parts.store, key) or read(body)(key)

    return (await sync_to_thread(in_thread)).response
