"""Points in time by which work has to end."""

import re
import threading
import time
from typing import NamedTuple, Self

from autopilot.errors import BudgetError

_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LEAST_S = 1.0


class Deadline(NamedTuple):
    """A point on the monotonic clock. Training loops look at it once a round and stop.

    at: by `time.monotonic`. stopped: set, it is over at once, for all deadlines that were made of this one too.
    """

    at: float
    stopped: threading.Event

    @classmethod
    def at_time(cls, at: float) -> Self:
        """At a point on the clock of `time.monotonic`."""
        return cls(at, threading.Event())

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now."""
        return cls.at_time(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return 0.0 if self.stopped.is_set() else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.left_s == 0.0

    def share(self, fraction: float) -> "Deadline":
        """The deadline after this fraction of what is left."""
        return Deadline(time.monotonic() + fraction * self.left_s, self.stopped)

    def earlier(self, seconds: float) -> "Deadline":
        """The same, so many seconds sooner."""
        return Deadline(self.at - seconds, self.stopped)


def parse_budget(budget: str | float) -> float:
    """Seconds from `60s`, `5m`, `1.5h`, `90` or a number. Raises BudgetError.

    >>> parse_budget("5m"), parse_budget(30)
    (300.0, 30.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", str(budget))
    if found is None:
        raise BudgetError(f"The budget {budget!r} is no time. Write it as 60s, 5m or 1h.")
    seconds = float(found[1]) * _UNITS_S.get(found[2], 1.0)
    if seconds < _LEAST_S:
        raise BudgetError(f"The budget {budget!r} is too short to train anything. Give at least {_LEAST_S:g} s.")
    return seconds
