"""The controller: a thread of each server process that sees roll-outs through.

All processes count (`watching.py`). One of them owns a roll-out, by a lease in the store: it judges the evidence, does
the steps, and takes it back. When it ends or is killed, another goes on from what is written there.

    each half second    count ── own it? ── read what all have counted ── harm? ─── yes: take it back
                                                                          └─ no ─── due? the next step
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from serving.endpoints import LiveEndpoints
from serving.rollouts.counts import Counted
from serving.rollouts.evidence import Evidence, State, decoded, encoded, old_counts, sides_at
from serving.rollouts.watching import Watching
from storage import AutopilotError, InputError, Store, UnknownNameError
from storage.records import Endpoint, Measured, Rollout, RolloutProgress, Server, Tally
from storage.rollouts import EVIDENCE, LEASE_S, share_at, shares_of

_LOOK_S = 0.5
_MEASURED_REQUESTS = 100  # of the old variants: a limit and cuts that are near their quantiles
_BEFORE_REQUESTS = 500  # of blue/green: 5 % are then known to be less than 9 %
_BEFORE_S = 30.0
_SLOW_SHARE, _SLOW_FACTOR, _SLOW_MORE_MS = 0.95, 1.25, 1.0  # a variant of few requests finds cold caches, and others'
# runs before its own: the same model is a tenth of a millisecond slower then
_CUTS = tuple(number / 8 for number in range(1, 8))
_MOST_CLASSES = 20

_log = logging.getLogger(__name__)


class Controller:
    """Sees to the roll-outs of a store while it is entered. server_id: of this process, in the store."""

    def __init__(self, store: Store, live: LiveEndpoints, server_id: str) -> None:
        self._store = store
        self._live = live
        self._id = server_id
        self.watching = Watching(store, live, server_id)
        self._running: tuple[Rollout, ...] = ()
        self._counts: Mapping[str, int] = {}
        self._ended: set[str] = set()
        self._is_heard = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)

    def __enter__(self) -> "Controller":
        self._live.watch(self.watching.watchers)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        try:
            self._store.rollouts.release(self._id)
        except AutopilotError as error:
            _log.warning("Roll-outs could not be handed over: %s Another server takes them in %s s.", error, LEASE_S)

    @property
    def running(self) -> tuple[Rollout, ...]:
        """The roll-outs that run; a snapshot."""
        return self._running

    @property
    def ended(self) -> Mapping[str, int]:
        """How many this process has ended, by status; a snapshot."""
        return self._counts

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                self.look(datetime.now(UTC))
                self._is_heard = True
            except AutopilotError as error:
                if self._is_heard:
                    _log.error("Roll-outs could not be looked after: %s", error)
                self._is_heard = False
            except Exception:  # noqa: BLE001 - a roll-out that nobody watches is not taken back
                _log.exception("Roll-outs could not be looked after; the next try is in %s s.", _LOOK_S)

    def look(self, now: datetime) -> None:
        """Count, and act for those roll-outs that are this process's."""
        running = self._store.rollouts.list(status="running", limit=1000)
        self._ended.clear()
        self.watching.look(running, now)
        for rollout in running:
            try:
                if self._owns(rollout, now):
                    self._act(rollout, now)
            except AutopilotError:
                raise
            except Exception:  # noqa: BLE001 - others are to be looked after all the same
                _log.exception("Roll-out %s could not be looked after.", rollout.id)
        self._running = tuple(rollout for rollout in running if rollout.id not in self._ended)

    def _owns(self, rollout: Rollout, now: datetime) -> bool:
        """Whether this process has the roll-out, for long enough yet to act; else it tries to take it."""
        half = timedelta(seconds=LEASE_S / 2)
        if rollout.owner == self._id and rollout.lease_until is not None and rollout.lease_until - now > half:
            return True
        return self._store.rollouts.claim(rollout, self._id, now)

    def _act(self, rollout: Rollout, now: datetime) -> None:
        try:
            endpoint = self._store.endpoints.get(rollout.endpoint)
        except UnknownNameError:
            self._end(self._store.rollouts.give_up(rollout, self._id, now, "The endpoint was deleted."))
            return
        if endpoint.revision != rollout.revision:
            shares = shares_of(endpoint.variants)
            self._give_up(rollout, now, f"another gave the endpoint other variants or weights, {shares}.")
            return
        try:
            self._step(rollout, endpoint, now)
        except InputError as error:  # of a change that the store refuses: another was first, or the variants do not fit
            self._give_up(rollout, now, str(error))

    def _step(self, rollout: Rollout, endpoint: Endpoint, now: datetime) -> None:
        """Look at the evidence, and do what is to be done."""
        rollouts, servers = self._store.rollouts, self._store.servers.list(now)
        if (failed := _failed(endpoint, servers)) is not None:
            self._end(rollouts.take_back(rollout, self._id, now, failed))
            return
        counted, state = _told(rollouts.told(rollout))
        measured = rollout.measured or _measured(rollout, counted)
        evidence = Evidence(rollout, measured, state)
        evidence.look(counted)
        waits_for = _waits_for(rollout, measured, endpoint, servers, counted, now)
        share = share_at(rollout, rollout.step)
        progress = RolloutProgress(now, share, evidence.value, evidence.needed, evidence.progress(), waits_for)
        if not rollouts.report(rollout, self._id, now, progress, measured, encoded(evidence.state)):
            return
        if evidence.is_harm and evidence.state.total.new.replies >= rollout.minimum:
            self._end(rollouts.take_back(rollout, self._id, now, evidence.reason()))
        elif waits_for is None and (rollout.step == 0 or (now - rollout.step_at).total_seconds() >= rollout.wait_s):
            self._advanced(rollouts.advance(rollout, self._id, now))

    def _advanced(self, rollout: Rollout | None) -> None:
        if rollout is not None and rollout.status == "running":
            share = 100 * share_at(rollout, rollout.step)
            _log.info("Roll-out %s: step %d, the new variants get %.3g %%.", rollout.id, rollout.step, share)
        else:
            self._end(rollout)

    def _give_up(self, rollout: Rollout, now: datetime, why: str) -> None:
        share = 100 * share_at(rollout, rollout.step)
        reason = f"Stopped in step {rollout.step}, where the new variants had got {share:.3g} %: {why}"
        self._end(self._store.rollouts.give_up(rollout, self._id, now, reason))

    def _end(self, rollout: Rollout | None) -> None:
        """Note how a roll-out ended; None if another process has it by now."""
        if rollout is None:
            return
        self._ended.add(rollout.id)
        self._counts = {**self._counts, rollout.status: self._counts.get(rollout.status, 0) + 1}
        level = logging.INFO if rollout.status == "completed" else logging.WARNING
        about = (rollout.id, rollout.endpoint, rollout.status, rollout.reason)
        _log.log(level, "Roll-out %s of endpoint %r is %s. %s", *about)


def _told(tallies: "list[Tally]") -> tuple[dict[str, Counted], State | None]:
    """What the servers have counted, and what to go on from."""
    state = next((decoded(tally.body) for tally in tallies if tally.server_id == EVIDENCE), None)
    bodies = {tally.server_id: tally.body for tally in tallies if tally.server_id != EVIDENCE}
    return {server: msgspec.json.decode(body, type=Counted) for server, body in bodies.items()}, state


def _failed(endpoint: Endpoint, servers: "list[Server]") -> str | None:
    """Why a server cannot serve what the roll-out asks for."""
    for server in servers:
        serving = server.serving.get(endpoint.name)
        if serving is not None and serving.failed == endpoint.revision:
            return f"Server {server.host}, process {server.pid}, could not load the new variants: {serving.reason}"
    return None


def _measured(rollout: Rollout, counted: Mapping[str, Counted]) -> Measured | None:
    """The limit and the cuts, once there are enough answers of the old variants; guards may need neither."""
    limit = next((guard.limit for guard in rollout.guards if guard.kind == "latency"), None)
    if not _needs_sample(rollout):
        return Measured(slow_ms=limit)
    ms = [one for told in counted.values() for one in told.sample.ms]
    if len(ms) < _MEASURED_REQUESTS:
        return None
    slow_ms = _SLOW_FACTOR * float(np.quantile(ms, _SLOW_SHARE)) + _SLOW_MORE_MS if limit is None else limit
    scores = [score for told in counted.values() for score in told.sample.scores]
    numbers = [score for score in scores if isinstance(score, float)]
    if not any(guard.kind == "scores" for guard in rollout.guards):
        return Measured(len(ms), slow_ms)
    if numbers:
        return Measured(len(ms), slow_ms, cuts=tuple(np.unique(np.quantile(numbers, _CUTS, method="lower")).tolist()))
    names = [score for score in scores if not isinstance(score, float)]
    return Measured(len(ms), slow_ms, classes=tuple(name for name, _ in Counter(names).most_common(_MOST_CLASSES)))


def _needs_sample(rollout: Rollout) -> bool:
    return any(g.kind == "scores" or (g.kind == "latency" and g.limit is None) for g in rollout.guards)


def _waits_for(
    rollout: Rollout,
    measured: Measured | None,
    endpoint: Endpoint,
    servers: "list[Server]",
    counted: Mapping[str, Counted],
    now: datetime,
) -> str | None:
    """What has to be there before the next step, beside time; a sentence."""
    if rollout.step > 0:
        answered = sides_at(counted, rollout.revision).new.replies
        if answered >= rollout.minimum:
            return None
        return f"Waits for traffic: the new variants have answered {answered} of {rollout.minimum} requests."
    for server in servers:
        serving = server.serving.get(endpoint.name)
        if serving is None or serving.revision != endpoint.revision:
            return f"Waits for server {server.host}, process {server.pid}, to load the new variants."
    if measured is None:
        found = sum(len(told.sample.ms) for told in counted.values())
        return f"Waits for traffic: {found} of {_MEASURED_REQUESTS} requests of the old variants are measured."
    if rollout.strategy != "blue_green":
        return None
    old = old_counts(counted, before=rollout.revision + 1)
    before = old.replies if all(guard.kind == "errors" for guard in rollout.guards) else sum(old.cells)
    left_s = _BEFORE_S - (now - rollout.step_at).total_seconds()
    if before >= _BEFORE_REQUESTS or left_s <= 0:
        return None
    return f"Watches the old variants: {before} of {_BEFORE_REQUESTS} requests, {left_s:.0f} s at most."
