"""Who is answered when there is more to do than time: nobody's answer is computed if nobody waits for it.

A request is told at once that it is refused, when it would be answered after its deadline (`X-Request-Timeout-Ms`), or
behind more work than is kept waiting. Both are predicted: work in threads by the seconds that earlier bodies took for
each byte, the event loop's by how late its clock is.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic

from serving.errors import DeadlineError, OverloadedError, TimeoutHeaderError

TIMEOUT = b"x-request-timeout-ms"

_MOST_QUEUED_S = 10.0  # of work that waits for a thread: beyond it clients have given up, or should
_TICK_S = 0.005
_REMEMBERED_S = 0.1  # what was late a tenth of a second ago says nothing of now
_FORGETTING = 0.1  # the weight of the latest request in what is known of earlier ones
_LONGEST_MS = 3_600_000


def deadline_of(headers: Mapping[bytes, bytes], now: float) -> float | None:
    """The `monotonic` time after which the client does not wait; None if it did not say. Raises TimeoutHeaderError."""
    header = headers.get(TIMEOUT)
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if not (text.isdecimal() and text.isascii() and 1 <= int(text[:9]) <= _LONGEST_MS):
        raise TimeoutHeaderError(
            f"X-Request-Timeout-Ms is {text[:40]!r}. Send whole milliseconds from 1 to {_LONGEST_MS}, or leave it out."
        )
    return now + int(text) / 1000


class LoopLag:
    """How late the event loop is, in seconds: what a request has waited before anybody saw it, about.

    A timer of 5 ms runs while requests come, and none while there are none.
    """

    def __init__(self) -> None:
        self._late_s = 0.0
        self._seen_at = 0.0
        self._due: float | None = None

    def at(self, now: float) -> float:
        """Seconds by which the loop is late; 0 if that was not measured lately. now: by `monotonic`."""
        return self._late_s if now - self._seen_at < _REMEMBERED_S else 0.0

    def watch(self) -> None:
        """Note that a request came."""
        if self._due is None:
            self._due = monotonic() + _TICK_S
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        if self._due is not None:
            self._seen_at = monotonic()
            self._late_s = max(0.0, self._seen_at - self._due)
            self._due = None


class Pace:
    """Seconds that work takes for each byte, learnt from what was done; safe to share between threads as it is used."""

    def __init__(self, seconds_per_byte: float) -> None:
        self._per_byte = seconds_per_byte

    def predict(self, length: int) -> float:
        """Seconds that a body of so many bytes will take."""
        return self._per_byte * length

    def learn(self, length: int, seconds: float) -> None:
        """Note what a body took."""
        self._per_byte += _FORGETTING * (seconds / max(length, 1) - self._per_byte)


class Admission:
    """Admits requests. For the event loop alone.

    queued_s: seconds of work that is admitted to threads and not done. refused: requests that were not admitted.
    """

    def __init__(self, threads: int) -> None:
        self.lag = LoopLag()
        self.queued_s = 0.0
        self.refused = 0
        self._threads = threads

    def admit_small(self, deadline: float | None) -> None:
        """Admit what the event loop answers itself. Raises DeadlineError."""
        if deadline is not None:
            self.lag.watch()
            now = monotonic()
            self._check(deadline, now + self.lag.at(now))  # what was read late is, in the same turn, written late

    def admit_large(self, deadline: float | None, predicted_s: float) -> None:
        """Admit work for a thread. Raises DeadlineError, OverloadedError."""
        wait_s = self.queued_s / self._threads
        if wait_s > _MOST_QUEUED_S:
            self.refused += 1
            raise OverloadedError(
                f"The server has work for {wait_s:.1f} s, and keeps no more waiting. Try again then.",
                retry_after_s=wait_s,
            )
        self._check(deadline, monotonic() + wait_s + predicted_s)

    def _check(self, deadline: float | None, finish: float) -> None:
        if deadline is not None and finish > deadline:
            self.refused += 1
            late_s = finish - deadline
            raise DeadlineError(
                f"The answer would come {1000 * late_s:.0f} ms after X-Request-Timeout-Ms. Try later, or allow more.",
                retry_after_s=late_s,
            )
