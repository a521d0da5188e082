"""The worker of one server process: takes invocations that wait in the store, answers them, and keeps the answers.

    claim ─┬─ too late ───────────────────────────────── expired
           └─ input ── Invocations ─┬─ 200 ── keep, put ─ completed ─┐
                                    ├─ 5xx ── try again later        ├─ webhook
                                    └─ 4xx, or no attempt left ───── failed ─┘

What is claimed is this server's while it renews its lease; when it dies, the lease ends and another server tries. All
of this runs in the event loop; the store, object stores and models are asked in threads.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from serving.admission import TIMEOUT
from serving.asynchronous.calm import Calm
from serving.asynchronous.policy import Policy
from serving.asynchronous.slots import Slots
from serving.asynchronous.views import AsyncReply, AsyncRequest, told
from serving.endpoints import LiveEndpoints
from serving.errors import DeadlineError, WebhookError
from serving.invocations import Invocations
from serving.loading import when_loaded
from serving.problems import Problem, reply_of
from serving.protocols.sagemaker.headers import target_variant
from serving.replies import Reply
from serving.requests import Request
from storage import objects
from storage.backoff import ANSWERS, TELLING
from storage.errors import AutopilotError, FailureError, StoreError
from storage.records import AsyncInvocation, AsyncStatus
from storage.store import Store

#: How long nobody else takes an invocation whose server is silent.
LEASE_S = 6.0
_RENEW_S = 2.0
_GRACE_S = 3.0  # at the end, for what is being answered; the rest is given back
_TELLING = 8  # webhooks at once: one that does not answer holds up no others
_WEBHOOK_ATTEMPTS = 8
_TIDY_S = 60.0
_SWEEP_EVERY = 60  # of those
_LOOKED_BACK = timedelta(minutes=10)  # for inputs that are not needed any more: some looks, should one fail

#: What may become of sending a webhook once.
OUTCOMES = ("told", "retried", "failed")

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def _utc() -> datetime:
    return datetime.now(UTC)


class Worker:
    """Answers async invocations of the endpoints that this process serves, and tells webhooks.

    counts: by endpoint and what became of an attempt; told: by what became of sending a webhook.
    """

    def __init__(
        self,
        store: Store,
        live: LiveEndpoints,
        invocations: Invocations,
        policy: Policy,
        owner: str,
        calm: Calm,
        max_body_bytes: int,
        *,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self._queue = store.async_invocations
        self._live = live
        self._invocations = invocations
        self._policy = policy
        self._owner = owner
        self._calm = calm
        self._max_body_bytes = max_body_bytes
        self._now = now
        self._held: set[str] = set()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.told: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(policy.running + 2, thread_name_prefix="async")
        self._answering = Slots("Async invocations", policy.running, self._claim, self._answer)
        self._telling = Slots("Webhooks", _TELLING, self._claim_webhook, self._tell)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """Work while the block runs, in the event loop that it runs in. What is not done in the end is given back."""
        keeping = [asyncio.create_task(self._keep()), asyncio.create_task(self._tidy())]
        self._answering.start()
        self._telling.start()
        try:
            yield
        finally:
            await asyncio.gather(self._answering.end(_GRACE_S), self._telling.end(_GRACE_S))
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            self._threads.shutdown(wait=False)

    def wake(self) -> None:
        """Say that there may be something to do. For the event loop alone."""
        self._answering.wake()
        self._telling.wake()

    # -------------------------------------------------------------------------------------------------- answering

    async def _claim(self) -> AsyncInvocation | None:
        await self._calm.wait()
        claimed = await self._do(
            partial(self._queue.claim, self._owner, self._live.names, self._now(), lease_s=LEASE_S)
        )
        if claimed is not None:
            self._held.add(claimed.id)
        return claimed

    async def _answer(self, invocation: AsyncInvocation) -> None:
        try:
            await self._settle(invocation)
        except asyncio.CancelledError:
            await self._do(partial(self._queue.release, invocation.id, self._owner))
            raise
        finally:
            self._held.discard(invocation.id)
            self._telling.wake()

    async def _settle(self, invocation: AsyncInvocation) -> None:
        """Try once, and say what became of it."""
        if (late := self._too_late(invocation)) is not None:
            status: AsyncStatus = "expired" if invocation.attempts == 1 else "failed"
            return await self._fail(invocation, reply_of(late), status)
        if invocation.attempts > self._policy.attempts:
            return await self._fail(invocation, reply_of(_died(self._policy.attempts)))
        request, began = AsyncRequest.of(invocation), monotonic()
        reply = await self._reply(invocation, request)
        if reply.status == 200:
            return await self._complete(invocation, request, reply)
        if reply.status >= 500 and monotonic() - began >= request.timeout_s:
            return await self._fail(invocation, reply_of(_timed_out(request)), "expired")
        if reply.status >= 500:
            return await self._retry(invocation, reply)
        await self._fail(invocation, self._discreet(invocation, reply))

    def _discreet(self, invocation: AsyncInvocation, reply: Reply) -> Reply:
        """A refusal, without the value of a column that is not to be kept: what is told here is kept for a while."""
        problem = msgspec.json.decode(reply.body, type=Problem)
        redact = self._live.record(invocation.endpoint).capture.redact if invocation.endpoint in self._live else {}
        if problem.column not in redact:
            return reply
        detail = (
            f"Column {problem.column!r} holds a value in row {problem.row} that cannot be used, and that is not told "
            "here: the endpoint redacts the column. /invocations tells it."
        )
        return reply._replace(body=msgspec.json.encode(replace(problem, detail=detail)))

    def _too_late(self, invocation: AsyncInvocation) -> DeadlineError | None:
        """Why it is not begun any more, if its time is over."""
        if self._now() < invocation.expires_at:
            return None
        ttl_s = (invocation.expires_at - invocation.created_at).total_seconds()
        if invocation.attempts > 1:
            return DeadlineError(
                f"No more attempts begin after RequestTTLSeconds, {ttl_s:.0f}. The last one: {invocation.reason}"
            )
        known = "" if invocation.endpoint in self._live else f" This server serves no endpoint {invocation.endpoint!r}."
        return DeadlineError(
            f"It was not begun within RequestTTLSeconds, {ttl_s:.0f}.{known} Ask again, or allow more."
        )

    async def _reply(self, invocation: AsyncInvocation, request: AsyncRequest) -> Reply:
        """What InvokeEndpoint replies; of an attempt that got as far as this before, what that has kept."""
        try:
            if invocation.output_digest is not None:
                kept = await self._do(partial(self._queue.blobs.get, invocation.output_digest))
                return Reply(200, _coded(AsyncReply.of(invocation)), kept)
            body = await self._do(partial(self._input, invocation, request))
            headers = {name.encode("latin-1"): value.encode("latin-1") for name, value in request.headers.items()}
            headers[TIMEOUT] = str(1000 * request.timeout_s).encode()
            async with asyncio.timeout(request.timeout_s):
                variant = target_variant(headers)
                await when_loaded(lambda: self._live.find(invocation.endpoint, invocation.inference_id, variant))
        except TimeoutError:
            return reply_of(_timed_out(request))
        except AutopilotError as error:
            return reply_of(error)
        asked = Request("POST", "", request.query.encode("latin-1"), headers, body, _never)
        return await self._invocations.answer(invocation.endpoint, asked)

    def _input(self, invocation: AsyncInvocation, request: AsyncRequest) -> bytes:
        if request.location is not None:
            return objects.fetch(request.location, self._policy.inputs, self._max_body_bytes)
        assert invocation.input_digest is not None  # noqa: S101 - for the type checker: it has one or the other
        return self._queue.blobs.get(invocation.input_digest)

    # ------------------------------------------------------------------------------------------- what became of it

    async def _complete(self, invocation: AsyncInvocation, request: AsyncRequest, reply: Reply) -> None:
        kept = _encoded(reply)
        digest = await self._do(partial(self._kept, reply.body))
        if request.is_put:
            await self._do(partial(self._queue.note_output, invocation.id, self._owner, digest, kept))
            try:
                await self._do(partial(objects.put, request.output_location, reply.body))
            except AutopilotError as error:
                return await self._retry(invocation, reply_of(error))
        finish = partial(
            self._queue.finish, invocation.id, self._owner, self._now(), "completed", reply=kept, output_digest=digest
        )
        await self._ended(invocation, "completed", finish)

    async def _retry(self, invocation: AsyncInvocation, reply: Reply) -> None:
        """Have it tried again, or fail if it may not be."""
        if not await self._tried_again(invocation, _detail(reply), _retry_after_s(reply)):
            await self._fail(invocation, reply)

    async def _tried_again(self, invocation: AsyncInvocation, reason: str, least_s: float = 0.0) -> bool:
        """Have it tried again, unless this was the last attempt, or its time is over by then."""
        pause_s = max(ANSWERS.pause_s(invocation.attempts, random.random()), least_s)  # noqa: S311 - no secret
        due_at = self._now() + timedelta(seconds=pause_s)
        if invocation.attempts >= self._policy.attempts or due_at >= invocation.expires_at:
            return False
        _log.info("Async invocation %s is tried again in %.0f s: %s", invocation.id, pause_s, reason)
        if await self._do(partial(self._queue.retry, invocation.id, self._owner, due_at, reason)):
            self.counts[invocation.endpoint, "retried"] += 1
        return True

    async def _fail(self, invocation: AsyncInvocation, reply: Reply, status: AsyncStatus = "failed") -> None:
        digest = await self._do(partial(self._kept, reply.body))
        request = AsyncRequest.of(invocation)
        if request.is_put:
            try:
                await self._do(partial(objects.put, request.failure_location, reply.body))
            except AutopilotError as error:
                if await self._tried_again(invocation, str(error)):
                    return
                _log.warning("What went wrong with async invocation %s could not be put: %s", invocation.id, error)
        finish = partial(
            self._queue.finish,
            invocation.id,
            self._owner,
            self._now(),
            status,
            reply=_encoded(reply),
            failure_digest=digest,
            reason=_detail(reply),
        )
        await self._ended(invocation, status, finish)

    async def _ended(self, invocation: AsyncInvocation, status: AsyncStatus, finish: Callable[[], bool]) -> None:
        if await self._do(finish):
            self.counts[invocation.endpoint, status] += 1
        else:
            _log.info("Async invocation %s was taken over by another server.", invocation.id)

    def _kept(self, body: bytes) -> str:
        digest = self._queue.blobs.put(body)
        self._queue.blobs.keep(digest)
        return digest

    # ---------------------------------------------------------------------------------------------------- telling

    async def _claim_webhook(self) -> AsyncInvocation | None:
        claimed = await self._do(partial(self._queue.claim_webhook, self._owner, self._now(), lease_s=LEASE_S))
        if claimed is not None:
            self._held.add(claimed.id)
        return claimed

    async def _tell(self, invocation: AsyncInvocation) -> None:
        try:
            assert invocation.webhook is not None  # noqa: S101 - for the type checker: it waits to be told
            body = msgspec.json.encode(told(invocation))
            now_s = int(self._now().timestamp())
            await self._policy.webhooks.tell(invocation.webhook, invocation.id, body, now_s)
        except (FailureError, WebhookError) as error:
            await self._note_untold(invocation, error)
        else:
            await self._note_told(partial(self._queue.note_webhook, invocation.id, self._owner, "told"), "told")
        finally:
            self._held.discard(invocation.id)

    async def _note_untold(self, invocation: AsyncInvocation, error: AutopilotError) -> None:
        note = partial(self._queue.note_webhook, invocation.id, self._owner, reason=str(error))
        if isinstance(error, WebhookError) or invocation.webhook_attempts >= _WEBHOOK_ATTEMPTS:
            _log.warning("The webhook of async invocation %s is given up: %s", invocation.id, error)
            return await self._note_told(partial(note, "failed"), "failed")
        pause_s = TELLING.pause_s(invocation.webhook_attempts, random.random())  # noqa: S311 - no secret
        due_at = self._now() + timedelta(seconds=pause_s)
        await self._note_told(partial(note, "waiting", due_at=due_at), "retried")

    async def _note_told(self, note: Callable[[], bool], outcome: str) -> None:
        if await self._do(note):
            self.told[outcome] += 1

    # ---------------------------------------------------------------------------------------------------- keeping

    async def _keep(self) -> None:
        """Renew the leases of what is being worked on."""
        while True:
            await asyncio.sleep(_RENEW_S)
            if self._held:
                renew = partial(self._queue.renew, self._owner, list(self._held), self._now(), lease_s=LEASE_S)
                await self._tried(renew, "Leases of async invocations could not be renewed")

    async def _tidy(self) -> None:
        """Forget what ended long ago."""
        kept = timedelta(seconds=self._policy.kept_s)
        turn = 0
        while True:
            now = self._now()
            since = now - (_LOOKED_BACK if turn else kept)
            await self._tried(partial(self._queue.forget_inputs, since, now), _UNTIDY)
            while await self._tried(partial(self._queue.forget, now - kept, now), _UNTIDY):
                await asyncio.sleep(0)
            if turn % _SWEEP_EVERY == 0:
                await self._tried(partial(self._queue.sweep, now - kept, now), _UNTIDY)
            turn += 1
            await asyncio.sleep(_TIDY_S)

    async def _tried(self, do: Callable[[], _Result], complaint: str) -> _Result | None:
        try:
            return await self._do(do)
        except (StoreError, OSError) as error:
            _log.warning("%s: %s", complaint, error)
        except Exception:  # noqa: BLE001 - who stops to do this is noticed too late
            _log.exception(complaint)
        return None

    async def _do(self, do: Callable[[], _Result]) -> _Result:
        """Do what waits for a disk or the network, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)


_UNTIDY = "Async invocations that ended long ago could not be forgotten"


def _encoded(reply: Reply) -> str:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers)
    return msgspec.json.encode(AsyncReply(headers)).decode()


def _coded(reply: AsyncReply) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]


def _detail(reply: Reply) -> str:
    return msgspec.json.decode(reply.body, type=Problem).detail


def _retry_after_s(reply: Reply) -> float:
    return max([float(value) for name, value in reply.headers if name == b"retry-after"], default=0.0)


def _timed_out(request: AsyncRequest) -> DeadlineError:
    return DeadlineError(
        f"The answer took longer than InvocationTimeoutSeconds, {request.timeout_s}. Allow more, or send less."
    )


def _died(attempts: int) -> FailureError:
    return FailureError(
        f"The server that answered it ended {attempts} times before it had, as when memory runs out. Send less."
    )


async def _never() -> None:
    """Nobody goes away who does not wait."""
    await asyncio.Event().wait()
