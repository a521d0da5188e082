"""Data capture: what was asked and answered goes to the traffic journal.

    take() ── at the end of the turn: pack ─┬─ async ── queue ── thread, each 0.2 s ── write to a journal
    take_run() ── at once: pack ────────────┤
                                            └─ sync ─── queue ── thread, at once ───── write ── answers leave

Small answers are packed in the event loop, which costs less than to keep them for a thread (`storage.traffic.journal`);
large ones, and those of which columns are redacted, are packed by the thread. Each two seconds, a journal is closed and
ready for compaction.

`async`: an answer never waits and never fails for capture. It is in the operating system's hands 0.2 s later: a killed
server loses at most those, a server that was told to stop loses none. When the queue is full, or the disk, rows are
dropped, counted, and told once a minute in the log.

`sync` (`commits.py`): an answer leaves when it is in the operating system's hands, and is an error if it cannot get
there. A killed server loses none that it gave.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic, sleep

from serving.capture_plan import Given, Plan, Taken
from serving.commits import Commits
from serving.drain import Together
from serving.journals import Complaint, CountsByEndpoint, Journals, WriteError, reason_of
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.traffic import Traffic

_FLUSH_S = 0.2
_ROTATE_S = 2.0
_SLICE_BYTES = 250_000  # packed and written before the event loop may run: a millisecond
_QUEUE_BYTES = 100_000_000

_DEFECT = "Answers of endpoint %r could not be captured."

_log = logging.getLogger(__name__)


class Capture:
    """The capture of one server process. Use it as a context: leaving it writes what is queued."""

    def __init__(self, traffic: Traffic) -> None:
        self._journals = Journals(traffic)
        self._commits = Commits(traffic)
        self._given: list[tuple[Plan, Given]] = []
        self._queue: deque[Taken] = deque()
        self._taken_bytes = 0  # written by the event loop alone,
        self._drained_bytes = 0  # and this by the thread alone: no lock on the hot path
        self._unqueued = CountsByEndpoint()  # lost by the event loop,
        self._unwritten = CountsByEndpoint()  # and by the thread
        self._reason = ""
        self._complaint = Complaint("%d rows of traffic were answered and not captured: %s.")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> "Capture":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pack()  # the event loop may have ended before
        self._stopping.set()
        self._thread.join()
        self._commits.close()

    @property
    def queued_bytes(self) -> int:
        """What waits to be written, about."""
        return self._taken_bytes - self._drained_bytes

    @property
    def counts(self) -> CountsByEndpoint:
        """What was captured and what was not, by endpoint; a snapshot."""
        total = CountsByEndpoint()
        for part in (self._journals.counts, self._unqueued, self._unwritten, *self._commits.counts):
            for name, counts in part.copy().items():
                total[name].add(counts)
        return total

    def lags_s(self, now: float) -> dict[str, float]:
        """For how long the oldest answer of each endpoint has waited to be written; none where none waits.

        now: seconds since 1970.
        """
        lags: dict[str, float] = {}
        for answers in (*self._queue.copy(), *self._commits.queue.copy()):
            name = answers.plan.header.endpoint
            lags[name] = max(lags.get(name, 0.0), now - answers.since)
        return lags

    def take(
        self,
        plan: Plan,
        inference_id: str,
        now: float,
        blocks: Blocks,
        outputs: Outputs,
    ) -> "asyncio.Future[None] | None":
        """Have an answer captured, if its id is drawn. now: when it was given, seconds since 1970.

        Returns what the answer has to wait for, and that may raise UncapturedError; None if it may leave at once. Call
        it from the event loop only.
        """
        kept: asyncio.Future[None] | None = None
        if plan.share < 1 and not plan.draws(inference_id):
            return None
        if plan.is_sync:
            kept = asyncio.get_running_loop().create_future()
        if not self._given:
            with suppress(RuntimeError):  # no event loop: `flush` does it
                asyncio.get_running_loop().call_soon(self.pack)
        self._given.append((plan, (inference_id, now, blocks, outputs, kept)))
        return kept

    def take_run(self, plan: Plan, together: Together, ids: Sequence[str], now: float) -> None:
        """The same of all answers of a run, if the plan takes runs: a third of what each alone costs.

        ids: of each, in their order.
        """
        try:
            self._enqueue(plan, plan.taken_of(together, ids, now))
        except Exception:  # noqa: BLE001 - they were answered
            _log.exception(_DEFECT, plan.header.endpoint)
            self._unqueued[plan.header.endpoint].failed_rows += sum(together.rows)

    def pack(self) -> None:
        """Queue what was given alone in this turn of the event loop, packed.

        All at once that takes half of the time that it takes between the answers, whose code and data are others.
        """
        given, self._given = self._given, []
        for plan, answer in given:
            try:
                self._enqueue(plan, plan.taken(answer))
            except Exception:  # noqa: BLE001 - others are to be captured
                _log.exception(_DEFECT, plan.header.endpoint)
                _, _, blocks, _, kept = answer
                if kept is not None:
                    self._commits.refuse(plan, [kept], "the server has a defect, which its log tells of")
                else:
                    self._unqueued[plan.header.endpoint].failed_rows += blocks.rows

    def _enqueue(self, plan: Plan, answers: Taken) -> None:
        if plan.is_sync:
            self._commits.take(answers)
        elif self._taken_bytes - self._drained_bytes >= _QUEUE_BYTES:
            self._unqueued[plan.header.endpoint].overflowed_rows += answers.rows
        else:
            self._taken_bytes += answers.size_bytes
            self._queue.append(answers)

    def flush(self) -> None:
        """Have all that was given so far in the journals. For whoever has neither the event loop nor the thread run."""
        self.pack()
        self._flush()

    def _flush(self) -> None:
        """Append all that is queued to the journals."""
        answers: dict[Plan, list[Taken]] = {}
        for _ in range(len(self._queue)):  # not "while there are any": others are queued meanwhile
            answer = self._queue.popleft()
            answers.setdefault(answer.plan, []).append(answer)
        for plan, of_plan in answers.items():
            for part in _slices(of_plan):
                self._append(plan, part)
                sleep(0)  # lets the event loop have the interpreter

    def rotate(self) -> None:
        """Hand what was written to compaction."""
        self._journals.rotate()

    def _append(self, plan: Plan, answers: list[Taken]) -> None:
        try:
            self._journals.append(plan, answers)
        except WriteError as error:
            self._note_failure(plan, answers, reason_of(error))
        except Exception:  # noqa: BLE001 - a capture that ends is noticed when its rows are needed
            _log.exception("Traffic of endpoint %r could not be captured; capture goes on.", plan.header.endpoint)
            self._note_failure(plan, answers, "a defect, told above")
        finally:
            self._drained_bytes += sum(answer.size_bytes for answer in answers)

    def _note_failure(self, plan: Plan, answers: list[Taken], reason: str) -> None:
        self._unwritten[plan.header.endpoint].failed_rows += sum(answer.rows for answer in answers)
        self._reason = reason

    def _complain(self, now_s: float) -> None:
        """Tell the log what was lost since it was last told."""
        lost = sum(counts.lost_rows for counts in self.counts.values())
        if self._complaint.tell(lost, self._reason or "rows arrived faster than they could be written", now_s):
            self._reason = ""

    def _run(self) -> None:
        rotate_at = monotonic() + _ROTATE_S
        while not self._stopping.wait(_FLUSH_S):
            self._flush()
            if monotonic() >= rotate_at:
                self.rotate()
                rotate_at = monotonic() + _ROTATE_S
            self._complain(monotonic())
        self._flush()
        self.rotate()
        self._complain(float("inf"))


def _slices(answers: list[Taken]) -> Iterator[list[Taken]]:
    """Answers in their order, so many together as are written at once."""
    part: list[Taken] = []
    size_bytes = 0
    for answer in answers:
        if part and size_bytes + answer.size_bytes > _SLICE_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(answer)
        size_bytes += answer.size_bytes
    yield part
