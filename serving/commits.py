"""Captures that answers wait for.

    event loop        thread
    take() ── queue ── all that waits: one write ── event loop: answers leave
    take() ┘                                        or are refused

One write is shared by all that came while the one before was under way: the more there are, the less each costs. The
thread writes so that a slow disk holds up these answers alone.
"""

import contextlib
import logging
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from serving.capture_plan import Plan, Taken
from serving.errors import UncapturedError
from serving.journals import Complaint, CountsByEndpoint, Journals, WriteError, reason_of
from storage.traffic import Traffic

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

_ROTATE_S = 2.0
_MOST_BYTES = 100_000_000  # as of those that do not wait

_log = logging.getLogger(__name__)


#: What waited, and why it could not be captured; None if it was.
_Settled = list[tuple[Taken, str | None]]


class Commits:
    """Writes captures while their answers wait. `take` is for one event loop; the thread begins with the first.

    queue: what waits to be written.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._journals = Journals(traffic)
        self.queue: deque[Taken] = deque()
        self._waiting_bytes = 0
        self._refused = CountsByEndpoint()
        self._total = 0  # of those
        self._complaint = Complaint("%d requests were refused, for their answers could not be captured: %s.")
        self._wake = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def take(self, answers: Taken) -> None:
        """Have answers captured; their futures are done when they are, or raise UncapturedError."""
        is_full = self._waiting_bytes >= _MOST_BYTES
        self._waiting_bytes += answers.size_bytes
        if is_full:
            self._settle([(answers, "captures arrive faster than they can be written")])
            return
        self.queue.append(answers)
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
            self._thread.start()

    def refuse(self, plan: Plan, kept: "Iterable[asyncio.Future[None]]", reason: str) -> None:
        """Have answers refused that cannot be captured. In the event loop."""
        for one in kept:
            if one.done():
                continue  # its client has gone
            one.set_exception(_refusal(plan, reason))
            self._refused[plan.header.endpoint].refused += 1
            self._total += 1
            self._complaint.tell(self._total, reason, monotonic())

    def close(self) -> None:
        """Write what waits, and hand all to compaction."""
        self._is_closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def counts(self) -> tuple[CountsByEndpoint, CountsByEndpoint]:
        """What was captured, and what was refused, by endpoint."""
        return self._journals.counts, self._refused

    def _run(self) -> None:
        rotate_at = float("inf")
        while not self._is_closing:
            self._wake.wait(max(0.0, rotate_at - monotonic()) if self._journals.are_open else None)
            self._wake.clear()  # before looking at the queue: what comes from now on wakes again
            self._commit()
            if self._journals.are_open:
                rotate_at = min(rotate_at, monotonic() + _ROTATE_S)
            if monotonic() >= rotate_at:
                self._journals.rotate()
                rotate_at = float("inf")
        self._commit()
        self._journals.rotate()

    def _commit(self) -> None:
        """Write all that waits, and have its answers leave."""
        groups: dict[Plan, list[Taken]] = {}
        for _ in range(len(self.queue)):  # not "while there are any": others come meanwhile
            answers = self.queue.popleft()
            groups.setdefault(answers.plan, []).append(answers)
        settled: _Settled = []
        for plan, group in groups.items():
            reason = self._append(plan, group)
            settled += [(answers, reason) for answers in group]
        if settled:
            with contextlib.suppress(RuntimeError):  # the event loop has ended, and with it all who waited
                settled[0][0].kept[0].get_loop().call_soon_threadsafe(self._settle, settled)

    def _append(self, plan: Plan, group: list[Taken]) -> str | None:
        """Write captures; why that could not be done, if it could not."""
        try:
            self._journals.append(plan, group)
        except WriteError as error:
            return reason_of(error)
        except Exception:  # noqa: BLE001 - a thread that ends would have all later answers wait for ever
            _log.exception("Answers of endpoint %r could not be captured.", plan.header.endpoint)
            return "the server has a defect, which its log tells of"
        return None

    def _settle(self, settled: _Settled) -> None:
        """Have answers leave, or be refused. In the event loop."""
        for answers, reason in settled:
            self._waiting_bytes -= answers.size_bytes
            if reason is not None:
                self.refuse(answers.plan, answers.kept, reason)
                continue
            for one in answers.kept:
                if not one.done():  # else its client has gone
                    one.set_result(None)


def _refusal(plan: Plan, reason: str) -> UncapturedError:
    return UncapturedError(
        f"Endpoint {plan.header.endpoint!r} answers only what is captured, and this was not: {reason}. "
        "Ask again; meanwhile mend the server's disk, or have it capture in the mode async."
    )
