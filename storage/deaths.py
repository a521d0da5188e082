"""Processes that end unasked: killed, out of memory, or by a defect."""

import signal

_LIVED_S = 10.0  # who lived longer did not die of how it was started
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class Deaths:
    """Decides when the dead are replaced: the first at once, those that die one after another later and later.

    total: all deaths. in_a_row: of processes that did not live for ten seconds, one after another.
    """

    def __init__(self) -> None:
        self.total = 0
        self.in_a_row = 0
        self._paused_until = 0.0

    def add(self, lived_s: float, now: float) -> float:
        """Note one; gives the seconds until it is to be replaced: 0, 0.5, 1, 2, ... 30. now: by `monotonic`."""
        self.total += 1
        self.in_a_row = self.in_a_row + 1 if lived_s < _LIVED_S else 0
        pause_s = min(_PAUSE_S * 2.0 ** (min(self.in_a_row, 10) - 2), _LONGEST_PAUSE_S) if self.in_a_row > 1 else 0.0
        self._paused_until = now + pause_s
        return pause_s

    def may_replace(self, now: float) -> bool:
        """Whether the pause is over."""
        return now >= self._paused_until


def reason_of(code: int) -> str:
    """How a process ended, by its return code, negative for a signal.

    >>> reason_of(-9), reason_of(1)
    ('was ended by SIGKILL, as when memory runs out', 'ended with exit code 1')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")
