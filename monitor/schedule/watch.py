"""Following the schedules of a store: what is due is planned, what waits is taken, checked, and ended."""

import logging
import os
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from monitor.schedule.checks import Check, check
from monitor.schedule.due import SETTLE, plan, window_of
from storage.budget import level_of
from storage.cron import upcoming
from storage.errors import AutopilotError, SettingError
from storage.records import NO_FINDING, Execution, Schedule
from storage.store import Store
from storage.timing import parse_timing

#: For how long an execution belongs to a process that says nothing more of it. It says so four times in that time.
LEASE_S = 60.0

#: Reports made at once; each uses all cores for the few seconds that it takes.
REPORTS_AT_ONCE = 2

_NEVER = datetime.max.replace(tzinfo=UTC)
_log = logging.getLogger("monitor")


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def owner_of_process() -> str:
    """A name that no other owner of leases has, and that tells people which process it is."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def execute(
    store: Store,
    schedule: Schedule,
    execution: Execution,
    clock: Callable[[], datetime] = utc_now,
    make: Check = check,
) -> Execution:
    """Make the check of an execution that was taken, and write down what became of it, which is returned.

    Its level is the schedule's, or by its budget that of the due time.

    A check that cannot be made is an execution that failed, with the reason: nothing is raised for it. If another
    process has the execution by now, as after a lease that ended, that is logged and nothing is written. Raises
    StoreError if the store cannot keep the record.
    """
    finding = NO_FINDING
    try:
        window = window_of(store, schedule, execution.scheduled_at)
        at_level = replace(schedule, level=level_of(schedule, execution.scheduled_at))
        found = make(store, at_level, window, clock())
        ended = replace(
            execution,
            status="completed",
            report_id=found.report_id,
            verdict=found.verdict,
            breached=found.breached,
            window_start=window.start,
            window_end=window.end,
        )
        finding = found.finding
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this execution and must not stop others
        reason = str(error) if isinstance(error, AutopilotError) else f"{type(error).__name__}: {error}"
        _log.warning("Schedule %r, due at %s, failed: %s", schedule.name, execution.scheduled_at, reason)
        ended = replace(execution, status="failed", reason=reason)
    ended = replace(ended, ended_at=clock(), lease_until=None)
    if not store.schedules.end(ended, finding):
        _log.warning("Schedule %r, due at %s, was taken over by another.", schedule.name, execution.scheduled_at)
    return ended


class _Planned(NamedTuple):
    """What need not be looked at again: from when on, and until when. schedule: as it was."""

    schedule: Schedule
    since: datetime
    until: datetime


class Watch:
    """Follows the schedules of a store: `look` hands what is due to `submit`, one execution of a schedule at a time.

    submit: runs a function without arguments, now or later, in this thread or another. make: what an execution does.
    most: executions at once.
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], datetime] = utc_now,
        *,
        make: Check = check,
        most: int = REPORTS_AT_ONCE,
    ) -> None:
        self.owner = owner_of_process()
        self._store = store
        self._submit = submit
        self._clock = clock
        self._make = make
        self._most = most
        self._planned: dict[str, _Planned] = {}
        self._running: set[tuple[str, datetime, int]] = set()
        self._is_over = False

    def look(self) -> None:
        """Plan what is due, and begin what waits. Raises StoreError if the store cannot be used."""
        for schedule in self._store.schedules.list():
            if not schedule.paused:
                self._plan(schedule, self._clock())
        while self._has_room() and (taken := self._take(self._clock())) is not None:
            schedule, execution = taken
            key = (execution.schedule, execution.scheduled_at, execution.attempts)
            self._running.add(key)
            self._submit(lambda taken=taken, key=key: self._execute(*taken, key))

    def renew(self) -> None:
        """Say that this process still works on what it has begun. Raises StoreError if the store cannot be used."""
        self._store.schedules.renew(self.owner, self._clock(), lease_s=LEASE_S)

    def stop(self) -> None:
        """Begin nothing more: it waits for another monitor."""
        self._is_over = True

    def _has_room(self) -> bool:
        return len(self._running) < self._most and not self._is_over

    def _plan(self, schedule: Schedule, now: datetime) -> None:
        """As `plan`, where that is worth a look: the clock may have stepped back."""
        known = self._planned.get(schedule.name)
        if known is not None and known.schedule == schedule and known.since <= now < known.until:
            return
        try:
            if plan(self._store, schedule, now):
                following = upcoming(parse_timing(schedule.cron, schedule.zone), now - SETTLE)
                self._planned[schedule.name] = _Planned(schedule, now, following + SETTLE)
        except SettingError as error:  # written by other means than ours; the other schedules go on
            self._planned[schedule.name] = _Planned(schedule, now, _NEVER)
            _log.warning("Schedule %r is ignored: %s", schedule.name, error)

    def _take(self, now: datetime) -> tuple[Schedule, Execution] | None:
        return self._store.schedules.take(self.owner, now, ready=now - SETTLE, lease_s=LEASE_S)

    def _execute(self, schedule: Schedule, execution: Execution, key: tuple[str, datetime, int]) -> None:
        try:
            execute(self._store, schedule, execution, self._clock, self._make)
        finally:
            self._running.discard(key)
