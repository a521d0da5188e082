"""Who is answered when there is more to do than time: nobody's answer is computed if nobody waits for it.

A request is told at once that it is refused, when it would be answered after its deadline (`X-Request-Timeout-Ms`), or
behind more work than is kept waiting. Both are predicted: work in threads by the seconds that earlier bodies took for
each byte, the event loop's by how many requests it has read, and by what each took lately.
"""

from collections.abc import Mapping
from time import monotonic

from serving.errors import DeadlineError, OverloadedError, TimeoutHeaderError

TIMEOUT = b"x-request-timeout-ms"

_MOST_QUEUED_S = 10.0  # of work that waits for a thread: beyond it clients have given up, or should
_TURNS = 3
_FORGETTING = 0.1  # the weight of the latest request in what is known of earlier ones
_DOUBT = 0.02  # 34 refusals halve what is believed: less than a second of overload
_LEAST_BYTES = 50_000  # what shorter bodies take is not for their bytes
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


class Admission:
    """Admits requests. For the event loop alone.

    queued_s: seconds of work that is admitted to threads and not done.
    """

    def __init__(self, threads: int) -> None:
        self.turn = Turn()
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

    def admit_large(self, deadline: float | None, pace: "Pace", length: int) -> float:
        """Admit a body of so many bytes for a thread; gives the seconds that it will take there, once it has its turn.

        Raises DeadlineError, OverloadedError.
        """
        wait_s = self.wait_s
        if wait_s > _MOST_QUEUED_S:
            raise OverloadedError(
                f"The server has work for {wait_s:.1f} s, and keeps no more waiting. Try again then.",
                retry_after_s=wait_s,
            )
        predicted_s = pace.predict(length)
        if deadline is not None:
            self._check(deadline, wait_s + predicted_s, pace)
        return predicted_s

    def _check(self, deadline: float, needed_s: float, guess: "Turn | Pace") -> None:
        late_s = monotonic() + needed_s - deadline
        if late_s > 0:
            guess.doubt()
            raise DeadlineError(
                f"The answer would come {1000 * late_s:.0f} ms after X-Request-Timeout-Ms. Try later, or allow more.",
                retry_after_s=late_s,
            )
