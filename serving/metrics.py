"""What the server counts while it answers.

Plain numbers, added to by the event loop alone: no locks, and about a microsecond a request. Whoever exports them reads
them as they are.
"""

from bisect import bisect_left
from collections import Counter

#: Upper ends of the histograms' buckets, in seconds: from a small model's row to what a client still waits for.
SECONDS = (0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: The same for rows of one run of the graph.
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

#: What the time of a request is spent on, in this order. queue: waiting for the model or for a thread.
PHASES = ("read", "queue", "run", "write")


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


class EndpointMetrics:
    """The counts of one model version behind one endpoint.

    waiting: requests that are being answered. last_at: seconds since 1970 of the last answer; 0 if there was none.
    """

    def __init__(self, endpoint: str, model: str, version: int) -> None:
        self.endpoint, self.model, self.version = endpoint, model, version
        self.waiting = 0
        self.answered = 0
        self.rows = 0
        self.refused: Counter[int] = Counter()  # by status
        self.runs = 0
        self.last_at = 0.0
        self.seconds = {phase: Histogram(SECONDS) for phase in PHASES}
        self.total = Histogram(SECONDS)
        self.batch = Histogram(ROWS)

    def ran(self, rows: int) -> None:
        """Count one run of the graph."""
        self.runs += 1
        self.batch.observe(rows)

    def answer(self, rows: int, times: tuple[float, float, float, float, float], now: float) -> None:
        """Count an answered request. times: when each phase began and the last ended, in seconds of one clock."""
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
