"""What this process sees of roll-outs: it counts answers of old and new variants, and tells the store.

    LiveVariant.watchers ── Watcher ── cells: scores and times        about 1 us an answer, while one runs
    EndpointMetrics ─────── looked at twice a second: replies, faults nothing

Without a roll-out on an endpoint it has no watcher, and answers cost nothing more. Of each request one answer counts,
its first row's: rows of one request have to do with each other, and would be taken for more evidence than they are.

The time that counts is that of reading and running a request, without the wait for others: where requests of both sides
arrive together, the few of the new variants wait for the run of the many. By the whole time the same version was taken
back in six of twelve roll-outs on a busy server (`bench.rollouts faults --rate 1500 --clients 32`).
"""

import logging
import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from serving.endpoints import Answered, LiveEndpoints, LiveVariant, Watcher
from serving.problems import KINDS
from serving.rollouts.counts import Counted, Counts, Sample, Score, Sides, bins_of
from storage import AutopilotError, Store
from storage.errors import RowError
from storage.records import Measured, Rollout
from storage.rollouts import old_variants

if TYPE_CHECKING:
    from serving.metrics import EndpointMetrics
    from storage.predictor import Outputs
    from storage.signature import Signature

_MOST_SAMPLED = 300  # answers of one server: some kB
_KEPT_REVISIONS = 2  # counts of steps before the last were taken in long ago
_UNREADABLE = KINDS[RowError].name

_log = logging.getLogger(__name__)


class _Scale(NamedTuple):
    """How an answer becomes a cell. bin_of: of a score."""

    slow_s: float
    bins: int
    bin_of: Callable[[Score], int]


class _Side:
    """Counts the answers of one side at one revision; for the event loop.

    Each answer adds 1 to one number, so that whoever reads them at any time reads sums that agree.
    """

    def __init__(self, signature: "Signature", sample: Sample | None) -> None:
        self._score = _score_of(signature)
        self._sample = sample
        self._scale: _Scale | None = None
        self.cells: list[int] = []

    def measure(self, measured: Measured) -> None:
        """Count by a measure from now on."""
        if self._scale is None:
            bins = bins_of(measured)
            self.cells = [0] * (2 * bins)
            slow_s = math.inf if measured.slow_ms is None else measured.slow_ms / 1000
            self._scale = _Scale(slow_s, bins, _bin_of(measured))

    def __call__(self, answered: Answered) -> None:
        if not answered.blocks.rows:
            return
        began, read, queued, ran, _ = answered.times
        seconds = read - began + ran - queued
        scale = self._scale
        if scale is not None:
            at = scale.bin_of(self._score(answered.outputs))
            self.cells[at + scale.bins if seconds > scale.slow_s else at] += 1
        elif self._sample is not None and len(self._sample.ms) < _MOST_SAMPLED:
            score = self._score(answered.outputs)
            self._sample.ms.append(seconds * 1000)
            if not isinstance(score, float) or math.isfinite(score):
                self._sample.scores.append(score)


class _Watched:
    """What this process has counted for one roll-out."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.sample = Sample()
        self.told = ""
        self._new = {variant.name for variant in rollout.after}
        self._old = {variant.name for variant in old_variants(rollout)}
        self._sides: dict[tuple[int, bool], _Side] = {}
        self._replies: dict[tuple[int, bool], Counts] = {}
        self._last: dict[EndpointMetrics, Counts] = {}

    def watcher(self, live: LiveVariant) -> Watcher | None:
        """What is told the answers of a variant, if it is of either side."""
        name, revision = live.variant.name, live.record.revision
        if name not in self._new | self._old:
            return None
        self._last.setdefault(live.metrics, _replies(live.metrics))
        key = (revision, name in self._new)
        side = self._sides.get(key)
        if side is None:
            side = _Side(live.signature, None if name in self._new else self.sample)
            if self.rollout.measured is not None:
                side.measure(self.rollout.measured)
            self._sides[key] = side
        return side

    def follow(self, rollout: Rollout) -> None:
        """Take over what became of the roll-out meanwhile."""
        self.rollout = rollout
        if rollout.measured is not None:
            for side in self._sides.values():
                side.measure(rollout.measured)
            self.sample = Sample()

    def count_replies(self, live: Iterable[LiveVariant]) -> None:
        """Count what was replied since the last look, as of the revision that serves now."""
        for variant in live:
            last = self._last.get(variant.metrics)
            if last is not None:
                now = self._last[variant.metrics] = _replies(variant.metrics)
                key = (variant.record.revision, variant.variant.name in self._new)
                self._replies[key] = self._replies.get(key, Counts()) + (now - last)

    def counted(self) -> Counted:
        """All that was counted of the last revisions."""
        last = sorted({revision for revision, _ in self._sides})[-_KEPT_REVISIONS:]
        revisions = {at: Sides(self._counts((at, False)), self._counts((at, True))) for at in last}
        return Counted(revisions, Sample(list(self.sample.ms), list(self.sample.scores)))

    def _counts(self, key: tuple[int, bool]) -> Counts:
        replies, side = self._replies.get(key, Counts()), self._sides.get(key)
        return Counts(replies.replies, replies.faults, [] if side is None else list(side.cells))


class Watching:
    """Counts for all roll-outs that run. server_id: whose counts they are."""

    def __init__(self, store: Store, live: LiveEndpoints, server_id: str) -> None:
        self._store = store
        self._live = live
        self._server_id = server_id
        self._watched: dict[str, _Watched] = {}
        self._changing = threading.Lock()

    def watchers(self, live: LiveVariant) -> list[Watcher]:
        """Who is told the answers of a variant that is about to serve; asked in threads that load."""
        try:
            rollout = self._store.rollouts.running(live.record.name)
        except AutopilotError as error:
            _log.error("Endpoint %r is not watched for a roll-out: %s", live.record.name, error)
            return []
        if rollout is None:
            return []
        with self._changing:
            watcher = self._watched.setdefault(rollout.id, _Watched(rollout)).watcher(live)
        return [] if watcher is None else [watcher]

    def look(self, running: Sequence[Rollout], now: datetime) -> None:
        """Follow the roll-outs that run, count replies, and tell what is new."""
        known = {rollout.id: rollout for rollout in running}
        for watched in list(self._watched.values()):
            rollout = known.get(watched.rollout.id) or self._store.rollouts.get(watched.rollout.id)
            if rollout.status == "running":
                self._tell(watched, rollout, now)
            else:
                with self._changing:
                    del self._watched[rollout.id]

    def _tell(self, watched: _Watched, rollout: Rollout, now: datetime) -> None:
        with self._changing:
            watched.follow(rollout)
            watched.count_replies(live for live in self._live.variants if live.record.name == rollout.endpoint)
            body = msgspec.json.encode(watched.counted()).decode()
        if body != watched.told:
            self._store.rollouts.tell(rollout, self._server_id, now, body)
            watched.told = body


def _replies(metrics: "EndpointMetrics") -> Counts:
    """What was replied so far. Clients' mistakes do not count, but for rows that could not be read: a version that
    wants another column refuses what the one before has answered."""
    replies = metrics.replies
    unreadable = sum(count for (_, kind), count in replies.refused.copy().items() if kind == _UNREADABLE)
    statuses = replies.by_status.copy().items()
    faults = unreadable + sum(count for (_, status), count in statuses if status >= 500)
    return Counts(faults + sum(count for (_, status), count in statuses if status < 400), faults)


def _score_of(signature: "Signature") -> "Callable[[Outputs], Score]":
    """The score of the first row of an answer."""
    if signature.task == "regression":
        return lambda outputs: float(outputs.prediction[0])  # type: ignore[index] - the task has it
    if signature.task == "binary":
        return lambda outputs: float(outputs.probabilities[0, 1])  # type: ignore[index]
    return lambda outputs: outputs.label.item(0)  # type: ignore[union-attr]


def _bin_of(measured: Measured) -> Callable[[Score], int]:
    if measured.classes:
        others = len(measured.classes)
        numbers = {name: number for number, name in enumerate(measured.classes)}
        return lambda score: numbers.get(score, others)  # type: ignore[arg-type]
    cuts = measured.cuts
    return lambda score: bisect_left(cuts, score)  # type: ignore[type-var]
