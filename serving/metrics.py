"""What the server counts while it answers.

Plain numbers, added to by the event loop alone: no locks, and about a microsecond a request. Whoever exports them reads
them as they are (`exposition.py`, at the time of the scrape).

    Metrics             of the server: loads, replies that no endpoint gave
    └── EndpointMetrics of one model version behind one variant of an endpoint; it outlives a redeploy of that version
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, NamedTuple

from storage.records import MAIN

if TYPE_CHECKING:
    from serving.exchange import Exchange

#: Upper ends of the histograms' buckets, in seconds: from a small model's row to what a client still waits for.
SECONDS = (0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: The same for rows of one run of the graph.
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

#: What the time of a request is spent on, in this order. queue: waiting for the model or for a thread.
PHASES = ("read", "queue", "run", "write")

#: When each phase of an answer began and the last one ended, in seconds of one clock.
Times = tuple[float, float, float, float, float]

_KEPT_S = 3600.0  # a version that is no longer served is told for an hour: scrapers have long seen its last numbers
_MOST_KEPT = 100  # of those; who deploys each minute does not fill the memory


class Histogram:
    """Observations counted in buckets. counts: of each bucket, and in the end of what is beyond the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Replies:
    """Replies counted. by_status: by protocol and status. refused: by protocol and kind of problem."""

    __slots__ = ("by_status", "refused")

    def __init__(self) -> None:
        self.by_status: Counter[tuple[str, int]] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()


class Key(NamedTuple):
    """What counts are kept by."""

    endpoint: str
    model: str
    version: int
    variant: str = MAIN


class EndpointMetrics:
    """The counts of one model version behind one variant of an endpoint.

    waiting: requests that are being answered. last_at: seconds since 1970 of the last answer; 0 if there was none.
    """

    def __init__(self, endpoint: str, model: str, version: int, variant: str = MAIN) -> None:
        self.endpoint, self.model, self.version, self.variant = endpoint, model, version, variant
        self.waiting = 0
        self.answered = 0
        self.rows = 0
        self.replies = Replies()
        self.runs = 0
        self.last_at = 0.0
        self.seconds = {phase: Histogram(SECONDS) for phase in PHASES}
        self.total = Histogram(SECONDS)
        self.batch = Histogram(ROWS)

    def ran(self, rows: int) -> None:
        """Count one run of the graph."""
        self.runs += 1
        self.batch.observe(rows)

    def answer(self, rows: int, times: Times, now: float) -> None:
        """Count an answered request."""
        self.answered += 1
        self.rows += rows
        self.last_at = now
        seconds = self.seconds
        began, read, queued, ran, ended = times
        seconds["read"].observe(read - began)
        seconds["queue"].observe(queued - read)
        seconds["run"].observe(ran - queued)
        seconds["write"].observe(ended - ran)
        self.total.observe(ended - began)


class Loads:
    """Models loaded for one endpoint. seconds: that the loads took which succeeded. evicted: times that they had to
    make room for others."""

    def __init__(self) -> None:
        self.loaded = 0
        self.failed = 0
        self.evicted = 0
        self.seconds = 0.0


class Metrics:
    """The counts of one server; safe to share between threads.

    unserved: replies that no endpoint gave: of pages and lists, and refusals of endpoints that do not exist. The names
    of these are not kept: clients invent them.
    """

    def __init__(self) -> None:
        self.unserved = Replies()
        self._changing = threading.Lock()
        self._endpoints: Mapping[Key, EndpointMetrics] = {}
        self._left_at: dict[Key, float] = {}
        self._loads: Mapping[str, Loads] = {}

    @property
    def endpoints(self) -> Mapping[Key, EndpointMetrics]:
        """Counts of all versions that are served, and of those that lately were; a snapshot."""
        return self._endpoints

    @property
    def loads(self) -> Mapping[str, Loads]:
        """Loads by endpoint; a snapshot."""
        return self._loads

    def observe(self, exchange: "Exchange") -> None:
        """Count a reply."""
        replies = self.unserved if exchange.metrics is None else exchange.metrics.replies
        replies.by_status[exchange.protocol, exchange.status] += 1
        if exchange.problem:
            replies.refused[exchange.protocol, exchange.problem] += 1

    def of(self, endpoint: str, model: str, version: int, variant: str = MAIN) -> EndpointMetrics:
        """The counts of a version behind a variant; those of before if it was served before."""
        key = Key(endpoint, model, version, variant)
        with self._changing:
            if key not in self._endpoints:
                self._endpoints = {**self._endpoints, key: EndpointMetrics(*key)}
            return self._endpoints[key]

    def loads_of(self, endpoint: str) -> Loads:
        """The loads of an endpoint."""
        with self._changing:
            if endpoint not in self._loads:
                self._loads = {**self._loads, endpoint: Loads()}
            return self._loads[endpoint]

    def keep(self, live: Set[Key], names: Set[str], now: float) -> None:
        """Drop what nobody asks for any more: loads of endpoints that the store does not have, and counts of versions
        that are not live, after an hour or when a hundred left later. now: by `monotonic`."""
        with self._changing:
            self._keep(live, names, now)

    def _keep(self, live: Set[Key], names: Set[str], now: float) -> None:
        if not names >= self._loads.keys():
            self._loads = {name: loads for name, loads in self._loads.items() if name in names}
        left = [key for key in self._endpoints if key not in live]
        self._left_at = {key: self._left_at.get(key, now) for key in left}
        kept = sorted((key for key in left if now - self._left_at[key] < _KEPT_S), key=self._left_at.__getitem__)
        if dropped := set(left).difference(kept[-_MOST_KEPT:]):
            self._endpoints = {key: counts for key, counts in self._endpoints.items() if key not in dropped}
