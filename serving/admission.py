"""Who is answered when there is more to do than time: nobody's answer is computed if nobody waits for it.

A request is told at once that it is refused, when it would be answered after its deadline (`X-Request-Timeout-Ms`), or
behind more work than is kept waiting. Both are predicted: work in threads by the seconds that earlier bodies took for
each byte, the event loop's by how many requests it has read, and by what each took lately.
"""

from collections.abc import Mapping
from time import monotonic
from typing import NamedTuple

from serving.errors import DeadlineError, OverloadedError, TimeoutHeaderError

TIMEOUT = b"x-request-timeout-ms"

_MOST_QUEUED_S = 10.0  # of work that waits for a thread: beyond it clients have given up, or should
_TURNS = 3
_FORGETTING = 0.1  # the weight of the latest request in what is known of earlier ones
_DEVIATIONS = 4
_DOUBT = 0.02  # 34 refusals halve what is believed: less than a second of overload
_LEAST_BYTES = 50_000  # what shorter bodies take is not for their bytes
_IDLE_S = 0.005  # between two turns: more than threads keep an event loop that has something to do
_LONGEST_MS = 3_600_000


def deadline_of(headers: Mapping[bytes, bytes], now: float) -> float | None:
    """The `monotonic` time after which the client does not wait; None if it did not say. Raises TimeoutHeaderError."""
    header = headers.get(TIMEOUT)
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if not (text.isdecimal() and text.isascii() and len(text) <= 9 and 1 <= int(text) <= _LONGEST_MS):
        raise TimeoutHeaderError(
            f"X-Request-Timeout-Ms is {text[:40]!r}. Send whole milliseconds from 1 to {_LONGEST_MS}, or leave it out."
        )
    return now + int(text) / 1000


def too_late(late_s: float) -> DeadlineError:
    """What a client is told whose request would be answered so many seconds after its deadline."""
    return DeadlineError(
        f"The answer would come {1000 * late_s:.0f} ms after X-Request-Timeout-Ms. Try later, or allow more.",
        retry_after_s=late_s,
    )


class Turn:
    """What a turn of the event loop takes, which is what its requests wait for, by how many they are.

    A request is read when the turn before it ends, and written when its own does: it takes two turns, and most of a
    third where others are written first.
    """

    def __init__(self) -> None:
        self._per_request_s = 0.0

    def predict(self, company: int) -> float:
        """Seconds from a client's sending to its answer, where so many requests are read and not answered."""
        return _TURNS * company * self._per_request_s

    def learn(self, company: int, seconds: float) -> None:
        """Note how long a request took, of so many."""
        self._per_request_s += _FORGETTING * (seconds / max(company, 1) - self._per_request_s)

    def doubt(self) -> None:
        """Note that a request was refused: where all are, nothing else is learnt, and one slow one would last."""
        self._per_request_s *= 1 - _DOUBT


class Turns:
    """The turns of the wire (`serving/wire.py`): how long they take, and whom the next one has time for.

    All of a turn are answered in its end, so each that is admitted is one more for which all wait.
    """

    def __init__(self) -> None:
        self._cost_s = 0.0  # of a turn for each that it admits
        self._length_s = 0.0  # of the last turn, from its first request
        self._arrived = self._began = self._ended = float("-inf")
        self._admitted = 0
        self._limit = float("inf")

    def arrived(self, now: float) -> None:
        """Note that the first request of a turn was read from its connection."""
        self._arrived = now

    def begin(self, now: float) -> float:
        """Begin with what was read; gives the earliest time at which it can have come: while the last turn went on."""
        self._began, self._admitted, self._limit = now, 0, float("inf")
        was_idle = self._arrived - self._ended > _IDLE_S
        return self._arrived if was_idle else self._ended - self._length_s

    def admit(self, deadline: float | None) -> float:
        """Admit one more; gives how many seconds too late it would be answered, and has not admitted it, if above 0."""
        limit = self._limit if deadline is None else min(self._limit, deadline)
        late_s = self._began + (self._admitted + 1) * self._cost_s - limit
        if deadline is not None and late_s > 0:
            return late_s
        self._admitted, self._limit = self._admitted + 1, limit
        return 0.0

    def end(self, now: float) -> None:
        """Learn from a turn. One that admitted nobody teaches doubt: one slow turn would last otherwise."""
        self._length_s, self._ended = now - self._arrived, now
        if self._admitted:
            self._cost_s += _FORGETTING * ((now - self._began) / self._admitted - self._cost_s)
        else:
            self._cost_s *= 1 - _FORGETTING


class Pace:
    """Seconds that work takes for each byte, learnt from what was done; safe to share between threads as it is used."""

    def __init__(self, seconds_per_byte: float) -> None:
        self._per_byte = seconds_per_byte

    def predict(self, length: int) -> float:
        """Seconds that a body of so many bytes will take."""
        return self._per_byte * length

    def learn(self, length: int, seconds: float) -> None:
        """Note what a body took."""
        self._per_byte += _FORGETTING * (seconds / max(length, _LEAST_BYTES) - self._per_byte)

    def doubt(self) -> None:
        """Note that a body was refused, as `Turn.doubt`."""
        self._per_byte *= 1 - _DOUBT


class Margin:
    """By how much work in threads may be later than it was predicted: the mean, and four mean deviations more.

    As TCP predicts the time of a round trip (RFC 6298): a deadline that is met on average is missed by every second.
    """

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._deviation_s = 0.0

    @property
    def seconds(self) -> float:
        """To be added to a prediction; at least 0."""
        return max(0.0, self._mean_s + _DEVIATIONS * self._deviation_s)

    def learn(self, late_s: float) -> None:
        """Note how much later than predicted something was; less than 0 for earlier."""
        self._deviation_s += _FORGETTING * (abs(late_s - self._mean_s) - self._deviation_s)
        self._mean_s += _FORGETTING * (late_s - self._mean_s)

    def doubt(self) -> None:
        """Note that a request was refused, as `Turn.doubt`."""
        self._mean_s *= 1 - _DOUBT
        self._deviation_s *= 1 - _DOUBT


class Admitted(NamedTuple):
    """Work that is admitted to threads. work_s: seconds that it will take there. done_s: from now to its end."""

    work_s: float
    done_s: float


class Admission:
    """Admits requests. For the event loop alone.

    queued_s: seconds of work that is admitted to threads and not done.
    """

    def __init__(self, threads: int) -> None:
        self.turn = Turn()
        self.margin = Margin()
        self.queued_s = 0.0
        self._threads = threads

    @property
    def wait_s(self) -> float:
        """Seconds that new work will wait for a thread."""
        return self.queued_s / self._threads

    def admit_small(self, deadline: float | None, company: int) -> None:
        """Admit what the event loop answers itself, with so many requests under way. Raises DeadlineError."""
        if deadline is not None:
            self._check(deadline, self.turn.predict(company), self.turn)

    def admit_large(self, deadline: float | None, pace: Pace, length: int) -> Admitted:
        """Admit a body of so many bytes for a thread.

        Raises DeadlineError, OverloadedError.
        """
        wait_s = self.wait_s
        if wait_s > _MOST_QUEUED_S:
            raise OverloadedError(
                f"The server has work for {wait_s:.1f} s, and keeps no more waiting. Try again then.",
                retry_after_s=wait_s,
            )
        work_s = pace.predict(length)
        done_s = wait_s + work_s
        if deadline is not None:
            self._check(deadline, done_s + self.margin.seconds, pace, self.margin)
        return Admitted(work_s, done_s)

    def _check(self, deadline: float, needed_s: float, *guesses: Turn | Pace | Margin) -> None:
        late_s = monotonic() + needed_s - deadline
        if late_s > 0:
            for guess in guesses:
                guess.doubt()
            raise too_late(late_s)
