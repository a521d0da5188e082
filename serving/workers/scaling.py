"""How many workers there are to be, and which of them have too many connections: decisions, without the doing.

The clock and the loads come in as arguments, so that tests live through days of load in a moment.
"""

from collections.abc import Sequence
from math import ceil, floor

from serving.workers.bounds import Bounds
from serving.workers.messages import Report

_HOT = 0.7  # of what a worker can do: beyond it the tails of a queue grow fast, 3 times the work at 0.7, 10 at 0.9
_HOT_S = 1.0  # for so long, so that one large body or a deployment starts nothing
_AIM = 0.6  # what each is to do after more were started
_COOL = 0.5  # what each would do with one fewer: far from _HOT, so that what was ended is not wanted again
_COOL_S = 120.0  # for so long without a break
_UNEVEN = 0.2  # more busy than the average by this


class Scaling:
    """The number of workers that there should be.

    One more, or as many as the work asks for, when they are busier than 0.7 on average for a second; one fewer when
    those left would have been less busy than 0.5 all through two minutes. Between the two nothing changes: a steady
    load never makes workers come and go.
    """

    def __init__(self, bounds: Bounds, *, hot_s: float = _HOT_S, cool_s: float = _COOL_S) -> None:
        self._bounds = bounds
        self._hot_s, self._cool_s = hot_s, cool_s
        self._wanted = bounds.least
        self._hot_since: float | None = None
        self._cool_since: float | None = None

    def wanted(self, busy: Sequence[float], now: float) -> int:
        """How many workers there should be, by how busy those are that answer, 0 to 1 each. now: by `monotonic`.

        While there are more or fewer than were wanted, nothing is learnt: the load is not yet where it will be.
        """
        if len(busy) != self._wanted:
            self._hot_since = self._cool_since = None
            return self._wanted
        work = sum(busy)
        self._hot_since = _since(self._hot_since, work > _HOT * len(busy), now)
        self._cool_since = _since(self._cool_since, work < _COOL * (len(busy) - 1), now)
        if self._hot_since is not None and now - self._hot_since >= self._hot_s:
            self._become(max(len(busy) + 1, ceil(work / _AIM)))
        elif self._cool_since is not None and now - self._cool_since >= self._cool_s:
            self._become(len(busy) - 1)
        return self._wanted

    def _become(self, workers: int) -> None:
        self._wanted = min(max(workers, self._bounds.least), self._bounds.most)
        self._hot_since = self._cool_since = None


def _since(since: float | None, is_so: bool, now: float) -> float | None:
    """Since when something has been so without a break; None if it is not."""
    if not is_so:
        return None
    return now if since is None else since


def surplus(reports: Sequence[Report]) -> list[int]:
    """How many connections each worker should let go, so that others get them.

    A new worker has none at first, and clients keep those that they have: without this it would stay idle. Only what
    a busy worker has beyond the average is let go, in proportion to its work.

    >>> surplus([Report(1.0, 16), Report(0.0, 0)])
    [8, 0]
    """
    average = sum(report.busy for report in reports) / max(len(reports), 1)
    return [
        floor(report.connections * (report.busy - average) / report.busy)
        if report.busy > _HOT and report.busy - average > _UNEVEN
        else 0
        for report in reports
    ]
