"""What becomes of a request that asks for an answer later: it is looked at, its input is kept, and then it is in the
queue, or it was refused and nothing is left of it."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from serving.asynchronous.policy import Policy
from serving.asynchronous.views import AsyncRequest
from serving.endpoints import LiveEndpoints
from serving.errors import (
    InputLocationError,
    KeyReusedError,
    QueueFullError,
    SageMakerHeaderError,
    UnloadableError,
    UnloadedError,
)
from serving.hot import DisconnectedError
from serving.inference_ids import INFERENCE_ID, InferenceIds
from serving.invocations import Invocations
from serving.media import too_large
from serving.protocols.sagemaker.async_invocations import AsyncAsks, async_asks
from serving.requests import Request
from storage.errors import InputError
from storage.objects import told
from storage.records import AsyncInvocation
from storage.store import Store

if TYPE_CHECKING:
    from litestar.types import Receive

#: Inputs that were sent before lie below this.
UPLOADED = "autopilot://inputs/"

_HELD_BYTES = 1 << 20  # of a body that comes in; what is longer goes to a file
_FULL_RETRY_S = 5.0
_DIGEST = re.compile("[0-9a-f]{64}")


class Acceptance:
    """Accepts async invocations. wake: is called when one was added."""

    def __init__(
        self,
        store: Store,
        live: LiveEndpoints,
        invocations: Invocations,
        policy: Policy,
        max_body_bytes: int,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._live = live
        self._invocations = invocations
        self._policy = policy
        self._max_body_bytes = max_body_bytes
        self._wake = wake
        self._ids = InferenceIds()
        self.under_way = 0

    async def accept(
        self, name: str, query: bytes, headers: Mapping[bytes, bytes], receive: "Receive", base_url: str
    ) -> AsyncInvocation:
        """Put a request into the queue. base_url: where this server is, as the client has it.

        Raises RequestError and others of InputError for what the client can mend, QueueFullError, DisconnectedError,
        and StoreError; nothing is in the queue then.
        """
        self.under_way += 1
        try:
            order = _Order(name, query, async_asks(headers), self._ids.of(headers), base_url)
            self._check(order)
            digest = await self.keep(receive, headers, name)
            added = await asyncio.to_thread(self._add, order, digest)
            self._wake()
            return added
        finally:
            self.under_way -= 1

    async def keep(self, receive: "Receive", headers: Mapping[bytes, bytes], name: str) -> str | None:
        """Keep the body of a request to an endpoint, and give its digest; None if it has none.

        Raises BodyTooLargeError as soon as it is known to be longer, DisconnectedError, and StoreError.
        """
        limit_bytes = self._limit_of(name)
        if int(headers.get(b"content-length", 0)) > limit_bytes:
            raise too_large(limit_bytes)
        incoming, held, length = self._store.async_invocations.incoming(), bytearray(), 0
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                held += message.get("body", b"")
                length += len(message.get("body", b""))
                if length > limit_bytes:
                    raise too_large(limit_bytes)
                more = message.get("more_body", False)
                if len(held) > _HELD_BYTES:
                    await asyncio.to_thread(_append, incoming, bytes(held))
                    held.clear()
            return await asyncio.to_thread(self._kept, incoming, bytes(held), length) if length else None
        finally:
            if length > _HELD_BYTES:
                await asyncio.to_thread(incoming.unlink, missing_ok=True)

    def _limit_of(self, name: str) -> int:
        try:
            limit = self._live.record(name).limits.max_body_bytes
        except (UnloadedError, UnloadableError):
            limit = None
        return self._max_body_bytes if limit is None else min(limit, self._max_body_bytes)

    def _check(self, order: "_Order") -> None:
        """Raise for what can be told without the input: what InvokeEndpoint would refuse, and where nothing may be
        read, put or told."""
        asks = order.asks
        request = Request("POST", "", order.query, order.headers, b"", _never)
        with suppress(UnloadedError, UnloadableError):  # it waits until they are loaded
            self._invocations.prepare(order.name, request, asks.headers.get(b"accept"), is_container=False)
        if asks.location is not None and not asks.location.startswith(UPLOADED):
            self._check_location(asks.location)
        if asks.webhook is not None:
            self._policy.webhooks.check(asks.webhook)
        if self._policy.output is None and (asks.extension or asks.filename):
            raise SageMakerHeaderError(
                "X-Amzn-SageMaker-Filename and S3OutputPathExtension say where an answer is put, and this server keeps "
                "answers itself. Leave them out, or set async_output."
            )

    def _check_location(self, location: str) -> None:
        try:
            allowed = self._policy.inputs.allow(location)
        except InputError as error:
            raise InputLocationError(f"X-Amzn-SageMaker-InputLocation: {error}") from error
        if not allowed:
            raise InputLocationError(
                f"X-Amzn-SageMaker-InputLocation is {location[:200]!r}, which may not be read. "
                f"{told(self._policy.inputs)}"
            )

    def _add(self, order: "_Order", digest: str | None) -> AsyncInvocation:
        invocation = self._invocation(order, *self._input(order.asks.location, digest))
        added = self._store.async_invocations.add(invocation, most_queued=self._policy.most_queued)
        if added is None:
            raise QueueFullError(
                f"{self._policy.most_queued} async invocations wait, and no more are kept. Try again later.",
                retry_after_s=_FULL_RETRY_S,
            )
        if added is not invocation:
            _check_same(added, invocation, order.asks)
        return added

    def _input(self, location: str | None, digest: str | None) -> tuple[str | None, str | None]:
        """The digest of the input where it is kept here, and its location where it is not."""
        if (location is None) == (digest is None):
            problem = "Neither is here" if location is None else "Both are here"
            raise InputLocationError(
                f"An async invocation has its input as the body, or by X-Amzn-SageMaker-InputLocation. {problem}: "
                "send one of them."
            )
        if location is None or not location.startswith(UPLOADED):
            return digest, location
        uploaded, blobs = location.removeprefix(UPLOADED), self._store.async_invocations.blobs
        if not (_DIGEST.fullmatch(uploaded) and blobs.has(uploaded)):
            raise InputLocationError(
                f"There is no input {location[:120]!r}. It is forgotten when it was not used for "
                f"{self._policy.kept_s} s: send it again."
            )
        blobs.keep(uploaded)
        return uploaded, None

    def _invocation(self, order: "_Order", digest: str | None, location: str | None) -> AsyncInvocation:
        asks, id_, now = order.asks, _id(order.name, order.asks.key), datetime.now(UTC)
        output, failure = self._locations(order, id_)
        request = AsyncRequest(
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in order.headers.items()},
            query=order.query.decode("latin-1"),
            location=location,
            timeout_s=asks.timeout_s,
            output_location=output,
            failure_location=failure,
            is_put=self._policy.output is not None,
        )
        return AsyncInvocation(
            id=id_,
            endpoint=order.name,
            inference_id=order.inference_id,
            status="queued",
            request=msgspec.json.encode(request).decode(),
            due_at=now,
            expires_at=now + timedelta(seconds=asks.ttl_s),
            created_at=now,
            input_digest=digest,
            webhook=asks.webhook or self._policy.webhook,
        )

    def _locations(self, order: "_Order", id_: str) -> tuple[str, str]:
        """Where the answer will be, or what went wrong."""
        if self._policy.output is None:
            here = f"{order.base_url.rstrip('/')}/endpoints/{order.name}/async-invocations/{id_}"
            return f"{here}/output", f"{here}/failure"
        extension = (order.asks.extension or "").strip("/")
        folder = "/".join(part for part in (self._policy.output, order.name, extension) if part)
        return f"{folder}/{order.asks.filename or f'{id_}.out'}", f"{folder}/{id_}-error.out"

    def _kept(self, incoming: Path, held: bytes, length: int) -> str:
        blobs = self._store.async_invocations.blobs
        if length == len(held):
            digest = blobs.put(held)
        else:
            _append(incoming, held)
            digest = blobs.put_file(incoming)
        blobs.keep(digest)
        return digest


class _Order(NamedTuple):
    """A request for an answer later, without its input. name: of the endpoint. base_url: as of `accept`."""

    name: str
    query: bytes
    asks: AsyncAsks
    inference_id: str
    base_url: str

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Those of the invocation that is to be answered."""
        return {**self.asks.headers, INFERENCE_ID: self.inference_id.encode()}


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _id(name: str, key: str | None) -> str:
    """A new id, or for a key always the same."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{name}\n{key}".encode()).hexdigest()[:32]


def _telling(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that make a request another one: not its id, nor what HTTP libraries add by themselves."""
    accept = headers.get("accept", "")
    return {**headers, INFERENCE_ID.decode(): "", "accept": "" if accept == "*/*" else accept}


def _check_same(known: AsyncInvocation, asked: AsyncInvocation, asks: AsyncAsks) -> None:
    """Raise KeyReusedError if a key comes with another request than before."""
    before, now = AsyncRequest.of(known), AsyncRequest.of(asked)
    same_headers = _telling(before.headers) == _telling(now.headers)
    if known.input_digest != asked.input_digest or before.location != now.location or not same_headers:
        raise KeyReusedError(
            f"Idempotency-Key {(asks.key or '')[:80]!r} was sent before, with another request. Send another key."
        )


async def _never() -> None:
    await asyncio.Event().wait()
