"""Schedules: each due time is claimed by one process, reported on once, and written down.

The store decides. Once a second each schedule is read and asked for its latest due time (`storage/cron.py`); if nothing
became of that yet, the process that claims it in the store makes the report:

    due ──claim──> running ──> completed (report) | failed (reason)

So a new, changed or removed schedule counts within a second; after a downtime the latest due time that was missed is
made up for, once; and a second process, or a clock that steps back, finds the claim and does nothing.

APScheduler is the clock and lends its threads, with the memory store alone: its cron triggers, stores and misfires are
not used, because processes that share them lose and repeat runs (no locks, and a job that cannot be unpickled is
deleted). This is the only file that imports it.
"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.run import run
from storage.cron import parse_cron
from storage.errors import AutopilotError, SettingError
from storage.records import Execution, Schedule
from storage.store import Store

#: A report waits this long after its due time: captured rows can take two seconds until they are readable.
SETTLE = timedelta(seconds=3)

#: How often the store is asked for schedules, and how often journals are compacted.
LOOK_EVERY_S = 1
COMPACT_EVERY_S = 5

#: Reports made at once; each uses all cores for the few seconds that it takes.
REPORTS_AT_ONCE = 2

_log = logging.getLogger("monitor")


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def latest_due(store: Store, schedule: Schedule, now: datetime) -> datetime | None:
    """The due time that a schedule still owes a report at `now`; None if there is none.

    Only the latest counts, and only if the schedule was there at the time. Raises SettingError for a bad cron.
    """
    due = parse_cron(schedule.cron).latest(now - SETTLE)
    if due < schedule.created_at:
        return None
    known = store.schedules.executions(schedule.endpoint, limit=1)
    return None if known and known[0].scheduled_at >= due else due


def execute(
    store: Store, schedule: Schedule, due: datetime, clock: Callable[[], datetime] = utc_now
) -> Execution | None:
    """Claim a due time, make its report and write down what became of it; None if another process has claimed it.

    The window ends at the due time and begins at that of the last completed execution; for the first one, at the due
    time before. A report that cannot be made is an execution that failed, with the reason: nothing is raised for it.
    Raises StoreError if the store cannot keep the record.
    """
    running = Execution(schedule.endpoint, due, "running", started_at=clock())
    if not store.schedules.claim(running):
        return None
    try:
        since = store.schedules.last_end(schedule.endpoint) or parse_cron(schedule.cron).latest(
            due - timedelta(minutes=1)
        )
        report, _ = run(store, schedule.endpoint, now=clock(), level=schedule.level, since=since, until=due)
        ended = msgspec.structs.replace(running, status="completed", ended_at=clock(), report_id=report.id)
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this execution and must not stop others
        reason = str(error) if isinstance(error, AutopilotError) else f"{type(error).__name__}: {error}"
        _log.warning("The report on endpoint %r due at %s failed: %s", schedule.endpoint, due, reason)
        ended = msgspec.structs.replace(running, status="failed", ended_at=clock(), reason=reason)
    store.schedules.end(ended)
    return ended


class Watch:
    """Follows the schedules of a store: `look` finds what is due and hands it to `submit`, one report per endpoint.

    submit: runs a function without arguments, now or later, in this thread or another.
    """

    def __init__(
        self, store: Store, submit: Callable[[Callable[[], None]], object], clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._submit = submit
        self._clock = clock
        self._busy: set[str] = set()

    def look(self) -> None:
        """Start the reports that are due. Raises StoreError if the store cannot be read."""
        for schedule in self._store.schedules.list():
            if schedule.endpoint in self._busy:
                continue
            due = self._due(schedule)
            if due is not None:
                self._busy.add(schedule.endpoint)
                self._submit(lambda schedule=schedule, due=due: self._execute(schedule, due))

    def _due(self, schedule: Schedule) -> datetime | None:
        try:
            return latest_due(self._store, schedule, self._clock())
        except SettingError as error:  # `put` by other means than ours; the other schedules go on
            _log.warning("The schedule of endpoint %r is ignored: %s", schedule.endpoint, error)
            return None

    def _execute(self, schedule: Schedule, due: datetime) -> None:
        try:
            execute(self._store, schedule, due, self._clock)
        finally:
            self._busy.discard(schedule.endpoint)


@contextmanager
def watching(store: Store) -> Generator[None]:
    """Follow schedules and compact traffic in threads of their own; at the end, reports under way are waited for."""
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(2), "reports": ThreadPoolExecutor(REPORTS_AT_ONCE)},
        # A tick that comes late still counts (the default drops what is a second late), and several late ones are one.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    watch = Watch(store, lambda work: scheduler.add_job(_logged(work), executor="reports"))
    for tick, every_s in ((watch.look, LOOK_EVERY_S), (store.traffic.compact, COMPACT_EVERY_S)):
        scheduler.add_job(_logged(tick), "interval", seconds=every_s, next_run_time=utc_now())
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=True)


def _logged(work: Callable[[], object]) -> Callable[[], None]:
    """The work as a tick that never raises: what goes wrong is logged, and the next tick tries again."""

    def tick() -> None:
        try:
            work()
        except AutopilotError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - a tick that dies silently would be worse than any error that it could have
            _log.exception("The monitor goes on after an error that nobody foresaw.")

    return tick
