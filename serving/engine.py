"""The engine: what all protocols do with a body, the fastest way that it allows.

    few rows      read, run together with what arrived with it, write: in the event loop
    all others    unpack, read, run in pieces, write: in a thread, while somebody waits for it

Small requests stay in the event loop because a hop to a thread and back takes longer than they do. What is answered is
captured and counted here, for every protocol.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, perf_counter
from typing import NamedTuple, TypeVar

import numpy as np

from serving.admission import Admission
from serving.capture import Capture
from serving.capture_plan import Plan
from serving.drain import Ran
from serving.endpoints import Answered, LiveVariant
from serving.errors import (
    AbandonedError,
    BodyTooLargeError,
    DeadlineError,
    OptionError,
    OverloadedError,
    TooManyRowsError,
)
from serving.exchange import note_answer
from serving.formats import Answer, Explained
from serving.formats.table_rows import close_processes
from serving.limits import Limits
from serving.media import unpack
from serving.options import Options
from serving.replies import Headers
from serving.requests import Request
from storage.boundary import Blocks
from storage.predictor import Outputs, Predictor

_MOST_EXPLAINING = 32  # some seconds of one thread
_PIECE_ROWS = 1_000  # between two looks whether anybody still waits

_Result = TypeVar("_Result")


class Written(NamedTuple):
    """The body of an answer, and the headers that tell what it is.

    kept: what the answer has to wait for before it leaves: its capture, where that was promised; else None.
    """

    headers: Headers
    body: bytes
    kept: "asyncio.Future[None] | None" = None


class Asked(NamedTuple):
    """What a body asks: rows, options, and how the answer is written.

    inference_id, deadline: where the body itself says them, as of `Call`; the earlier deadline holds.
    """

    blocks: Blocks
    options: Options
    write: Callable[[Answer], Written]
    inference_id: str | None = None
    deadline: float | None = None


class Call(NamedTuple):
    """A request as a protocol understood it.

    read: what the unpacked body asks; it raises BodyError and RowError. few: whether the body surely holds at most 50
    rows, for the format that it is in. deadline: `monotonic` time after which nobody waits.
    """

    endpoint: LiveVariant
    request: Request
    read: Callable[[bytes], Asked]
    few: bool
    inference_id: str
    deadline: float | None


class Engine:
    """Answers calls of all protocols. Use it as a context: leaving it waits for its threads.

    company: how many requests the server has read and not answered; one that is alone runs at once.
    """

    company: Callable[[], int] = staticmethod(lambda: 1)

    def __init__(self, capture: Capture, *, threads: int, max_body_bytes: int, max_rows: int) -> None:
        self.admission = Admission(threads)
        self._capture = capture
        self._limits = Limits(max_body_bytes, max_rows)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._explainers = ThreadPoolExecutor(max(1, threads // 2), thread_name_prefix="explain")
        self._explaining = 0

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        close_processes()  # a thread that waits for a table would hold up the end
        self._threads.shutdown()
        self._explainers.shutdown()

    async def answer(self, call: Call) -> Written:
        """The answer to a call.

        Raises what `call.read` raises, OptionError, TooManyRowsError, and where the call is not answered in time
        DeadlineError, OverloadedError, or AbandonedError if its client has gone; and UncapturedError where the endpoint
        answers only what is captured, and it could not be.
        """
        call.endpoint.metrics.waiting += 1
        try:
            written = await (self._small(call) if self._is_short(call) else self._in_thread(call, _Work.whole))
            if written.kept is not None:
                await written.kept
            return written
        finally:
            call.endpoint.metrics.waiting -= 1

    def is_small(self, call: Call) -> bool:
        """Whether a body, not read yet, is surely one that the event loop reads itself, and answers at once."""
        capture = call.endpoint.capture
        return self._is_short(call) and (capture is None or not capture.is_sync)

    def _is_short(self, call: Call) -> bool:
        endpoint, request = call.endpoint, call.request
        is_short = call.few and len(request.body) <= endpoint.inline_bytes and endpoint.inline_rows > 0
        return is_short and b"content-encoding" not in request.headers

    async def pieces(self, call: Call) -> AsyncGenerator[Written]:
        """The same answer in pieces of 1,000 rows, each written as soon as it is run; its own `write` writes each.

        Raises what `answer` raises: before the first piece, but for deadlines, clients that go away, and defects. An
        answer counts, and is captured, when its last piece is there.
        """
        endpoint, length = call.endpoint, len(call.request.body)
        endpoint.metrics.waiting += 1
        work = _Work(call, self._limits.or_tighter(call.endpoint.record.limits))
        gone = asyncio.ensure_future(call.request.gone())
        gone.add_done_callback(lambda _: work.abandon())
        try:
            predicted_s = self.admission.admit_large(call.deadline, endpoint.pace, length).work_s
            began = perf_counter()
            asked = await self._run(work.read, predicted_s)
            read = perf_counter()
            starts = range(0, asked.blocks.rows, _PIECE_ROWS)
            outputs: list[Outputs] = []
            parts: list[_Times] = []
            for start in starts:
                part = await self._run(lambda start=start: work.piece(asked, start), predicted_s / len(starts))
                outputs.append(part.outputs)
                parts.append(part.times)
                endpoint.metrics.ran(part.blocks.rows)
                if start == starts[-1]:
                    times = _summed(began, read, parts)
                    self._learn(call, asked.options, times)
                    kept = self._note(work.call, asked.blocks, _joined(outputs), times)
                    if kept is not None:
                        await kept
                yield part.written
        finally:
            gone.cancel()
            endpoint.metrics.waiting -= 1

    async def _small(self, call: Call) -> Written:
        company = self.company()
        self.admission.admit_small(call.deadline, company)
        begun = self.begin(call)
        call, asked, began, read = begun
        if asked.deadline is not None:
            self.admission.admit_small(call.deadline, company)
        if not is_quick(begun):
            _refuse_many(
                call.endpoint, asked.blocks.rows, self._limits.or_tighter(call.endpoint.record.limits).max_rows
            )
            explains = asked.options.explain
            return await self._in_thread(call, lambda work: work.finish(asked, began, read), explains=explains)
        drain = call.endpoint.drain
        is_alone = company <= 1 or not drain.steady
        ran = drain.run_now(asked.blocks) if is_alone else await drain.run(asked.blocks)
        written = self.finish(begun, ran)
        self.admission.turn.learn(company, perf_counter() - began)
        return written

    def begin(self, call: Call) -> "Begun":
        """Read a small body. Raises what `call.read` raises."""
        began = perf_counter()
        asked = call.read(call.request.body)
        return Begun(_as_told(call, asked), asked, began, perf_counter())

    def finish(self, begun: "Begun", ran: Ran) -> Written:
        """The answer to what was begun and is quick, once it was run. `capture_run` captures what was packed."""
        call, asked, began, read = begun
        written = asked.write(Answer(ran.outputs, asked.options))
        times = (began, read, ran.began, ran.ended, perf_counter())
        kept = self._note(call, asked.blocks, ran.outputs, times, ran)
        return written if kept is None else written._replace(kept=kept)

    def capture_run(
        self, plan: Plan, begun: "Sequence[Begun]", rans: Sequence[Ran | Exception], answered: Sequence[bool]
    ) -> None:
        """Capture those of a run's requests that were answered. What ran alone was captured by `finish`.

        plan: one that takes runs. Call it from the event loop only.
        """
        now = time.time()
        together = None if isinstance(rans[0], Exception) else rans[0].together
        if together is not None and all(answered):
            self._capture.take_run(plan, together, [one.call.inference_id for one in begun], now)
        elif together is not None:
            for one, ran, is_answered in zip(begun, rans, answered, strict=True):
                if is_answered and not isinstance(ran, Exception):
                    self._capture.take(plan, one.call.inference_id, now, one.asked.blocks, ran.outputs)

    async def _in_thread(self, call: Call, do: "Callable[[_Work], _Done]", *, explains: bool = False) -> Written:
        """Do a call's work in a thread, unless its client goes away before.

        explains: whether it is known to be explained. That takes so long that there are threads for it alone.
        """
        length = len(call.request.body)
        admitted, began = self.admission.admit_large(call.deadline, call.endpoint.pace, length), monotonic()
        work = _Work(call, self._limits.or_tighter(call.endpoint.record.limits))
        gone = asyncio.ensure_future(call.request.gone())
        gone.add_done_callback(lambda _: work.abandon())
        try:
            done = await (
                self._explained(lambda: do(work)) if explains else self._run(lambda: do(work), admitted.work_s)
            )
        finally:
            gone.cancel()
        if not explains:
            self.admission.margin.learn(monotonic() - began - admitted.done_s)
        self._learn(call, done.options, done.times)
        for start in range(0, done.blocks.rows, _PIECE_ROWS):
            call.endpoint.metrics.ran(min(_PIECE_ROWS, done.blocks.rows - start))
        kept = self._note(work.call, done.blocks, done.outputs, done.times)
        return done.written if kept is None else done.written._replace(kept=kept)

    async def _explained(self, do: Callable[[], _Result]) -> _Result:
        """Do what explains in one of the threads for it. Raises OverloadedError if many wait for that already."""
        if self._explaining >= _MOST_EXPLAINING:
            raise OverloadedError(f"{_MOST_EXPLAINING} requests wait to be explained. Try again in some seconds.")
        self._explaining += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._explainers, do)
        finally:
            self._explaining -= 1

    def _learn(self, call: Call, options: Options, times: "_Times") -> None:
        """Learn from what a body took, unless it was packed, or was explained: that is another pace."""
        if not options.explain and b"content-encoding" not in call.request.headers:
            call.endpoint.pace.learn(len(call.request.body), times[-1] - times[0])

    async def _run(self, do: Callable[[], _Result], predicted_s: float) -> _Result:
        """Do something in a thread that will take about so long."""
        self.admission.queued_s += predicted_s
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, do)
        finally:
            self.admission.queued_s -= predicted_s

    def _note(
        self, call: Call, blocks: Blocks, outputs: Outputs, times: "_Times", ran: Ran | None = None
    ) -> "asyncio.Future[None] | None":
        """Capture and count what was answered. Gives what the answer has to wait for, if anything."""
        endpoint, now, kept = call.endpoint, time.time(), None
        if (plan := endpoint.capture) is not None and (ran is None or ran.together is None):
            kept = self._capture.take(plan, call.inference_id, now, blocks, outputs)
        endpoint.metrics.answer(blocks.rows, times, now)
        note_answer(blocks.rows, times)
        for watch in endpoint.watchers:
            watch(Answered(call.inference_id, blocks, outputs, times))
        return kept


class Begun(NamedTuple):
    """A small call that was read. began, read: when that was begun and done, by `perf_counter`."""

    call: Call
    asked: Asked
    began: float
    read: float


def is_quick(begun: Begun) -> bool:
    """Whether the event loop runs it too: it has some rows, not many, and only what the model always gives is asked."""
    call, asked, _, _ = begun
    options = asked.options
    return not (options.explain or options.interval) and 0 < asked.blocks.rows <= call.endpoint.inline_rows


_Times = tuple[float, float, float, float, float]


def _as_told(call: Call, asked: Asked) -> Call:
    """A call, with what its body says of it."""
    if asked.inference_id is None and asked.deadline is None:
        return call
    deadlines = [deadline for deadline in (call.deadline, asked.deadline) if deadline is not None]
    return call._replace(inference_id=asked.inference_id or call.inference_id, deadline=min(deadlines, default=None))


def _refuse_many(endpoint: LiveVariant, rows: int, most: int) -> None:
    """Raise TooManyRowsError if these are more than are answered at once."""
    if rows > most:
        own = endpoint.record.limits.max_rows == most
        limit = f"max_rows of endpoint {endpoint.record.name!r}" if own else "AUTOPILOT_MAX_ROWS"
        raise TooManyRowsError(
            f"The body has {rows} rows; {most} are answered at once. Send them in several requests, or raise {limit}."
        )


def _refuse_long(endpoint: LiveVariant, length: int, most: int) -> None:
    """Raise BodyTooLargeError if a body is longer than its endpoint takes; the server's limit was held before."""
    if length > most:
        raise BodyTooLargeError(
            f"The body is longer than {most} bytes, which endpoint {endpoint.record.name!r} takes at most. Send fewer "
            "rows in each request, or raise max_body_bytes of the endpoint."
        )


class _Done(NamedTuple):
    """Work that is done."""

    written: Written
    options: Options
    blocks: Blocks
    outputs: Outputs
    times: _Times


class _Work:
    """One call's work in a thread. It ends early, by an error, when nobody waits for it any more."""

    def __init__(self, call: Call, limits: Limits) -> None:
        self.call = call
        self._limits = limits
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """Say that the client has gone."""
        self._abandoned.set()

    def whole(self) -> _Done:
        """Everything, from the body as it was sent."""
        began = perf_counter()
        asked = self.read()
        return self.finish(asked, began, perf_counter())

    def read(self) -> Asked:
        """What the body asks."""
        self._check(self.call.endpoint.pace.predict(len(self.call.request.body)))
        body, encoding = self.call.request.body, self.call.request.headers.get(b"content-encoding")
        _refuse_long(self.call.endpoint, len(body), self._limits.max_body_bytes)
        if encoding is not None:
            body = unpack(body, encoding, self._limits.max_body_bytes)
        asked = self.call.read(body)
        self.call = _as_told(self.call, asked)
        _refuse_many(self.call.endpoint, asked.blocks.rows, self._limits.max_rows)
        return asked

    def piece(self, asked: Asked, start: int) -> _Done:
        """1,000 rows of what comes after reading."""
        now = perf_counter()
        return self.finish(asked._replace(blocks=asked.blocks.slice(start, start + _PIECE_ROWS)), now, now)

    def finish(self, asked: Asked, began: float, read: float) -> _Done:
        """What comes after reading."""
        self._check()
        queued = perf_counter()
        explained = self._explain(asked.blocks) if asked.options.explain else None
        outputs = self._run(asked)
        ran = perf_counter()
        written = asked.write(Answer(outputs, asked.options, explained))
        return _Done(written, asked.options, asked.blocks, outputs, (began, read, queued, ran, perf_counter()))

    def _run(self, asked: Asked) -> Outputs:
        predictor, interval = self.call.endpoint.predictor, asked.options.interval
        starts = range(0, max(asked.blocks.rows, 1), _PIECE_ROWS)
        return _joined([self._piece(predictor, asked.blocks, start, interval=interval) for start in starts])

    def _piece(self, predictor: Predictor, blocks: Blocks, start: int, *, interval: bool) -> Outputs:
        self._check()
        return predictor.run(blocks.slice(start, start + _PIECE_ROWS), interval=interval)

    def _explain(self, blocks: Blocks) -> Explained:
        explaining = self.call.endpoint.explaining
        if explaining is None:
            raise OptionError("Option 'explain' cannot be followed: no rows of training are stored with the model.")
        return explaining.explain(blocks, self._check)

    def _check(self, needed_s: float = 0.0) -> None:
        """Raise AbandonedError or DeadlineError if nobody will wait for so long."""
        if self._abandoned.is_set():
            raise AbandonedError("The client went away before its answer was ready.")
        deadline = self.call.deadline
        if deadline is not None and monotonic() + needed_s > deadline:
            self.call.endpoint.pace.doubt()
            raise DeadlineError("X-Request-Timeout-Ms is over before the answer is ready. Allow more, or send less.")


def _joined(parts: list[Outputs]) -> Outputs:
    if len(parts) == 1:
        return parts[0]
    return Outputs(*(None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True)))


def _summed(began: float, read: float, times: "list[_Times]") -> "_Times":
    """Times of one answer, of those of its pieces: what passed between them is nobody's."""
    queued = read + sum(piece[2] - piece[1] for piece in times)
    ran = queued + sum(piece[3] - piece[2] for piece in times)
    return began, read, queued, ran, ran + sum(piece[4] - piece[3] for piece in times)
