"""The clock: what is done again and again while the monitor runs. The only file that imports APScheduler."""

import logging
from collections.abc import Callable, Generator
from concurrent import futures
from contextlib import contextmanager
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.alerts import Messenger, Senders
from monitor.schedule.backtests import Backtests
from monitor.schedule.checks import Check, check
from monitor.schedule.heartbeat import Heartbeat
from monitor.schedule.hours import Hours
from monitor.schedule.retention import forget
from monitor.schedule.watch import LEASE_S, REPORTS_AT_ONCE, Watch, utc_now
from storage.alerts import obstacle
from storage.errors import AutopilotError
from storage.monitors import BEAT_S
from storage.settings import Settings
from storage.store import Store

#: How often the store is asked for schedules and alerts, how often journals are compacted, and hours profiled.
LOOK_EVERY_S = 1
COMPACT_EVERY_S = 5
KEEP_EVERY_S = 300

#: How often what is long past is forgotten.
FORGET_EVERY_S = 3600

#: Channels told at once.
TOLD_AT_ONCE = 4

_log = logging.getLogger("monitor")


@contextmanager
def watching(store: Store, senders: Senders | None = None, make: Check = check) -> Generator[None]:
    """Follow schedules, tell of alerts, compact traffic, profile its hours, make backtests and forget what is long
    past, in threads of their own; and tell the store that this process does.

    At the end, reports and the hour under way are waited for, and are this process's until then, however long they
    take; commands that are told of alerts are ended, and told again later; a backtest is given back.

    senders: what brings alerts to channels; by default as the settings have it. make: what an execution does.
    """
    beginning, keeping = _scheduler(default=4, hours=1, backtests=1), _scheduler(default=2)
    # Not as jobs of the scheduler: it holds the lock that adding one takes while it waits for its threads at the end.
    reports, tellings = futures.ThreadPoolExecutor(REPORTS_AT_ONCE), futures.ThreadPoolExecutor(TOLD_AT_ONCE)
    settings = Settings.load()
    senders = senders or Senders.of(settings)
    _warn_of_channels(store, settings)
    watch = Watch(store, lambda work: reports.submit(_logged(work)), make=make)
    messenger = Messenger(store, senders, lambda work: tellings.submit(_logged(work)), most=TOLD_AT_ONCE)
    heartbeat = Heartbeat(store, watch.owner)
    hours = Hours(store)
    backtests = Backtests(store)
    ticks = (
        (beginning, "default", LOOK_EVERY_S, watch.look),
        (beginning, "default", LOOK_EVERY_S, messenger.look),
        (beginning, "default", COMPACT_EVERY_S, store.traffic.compact),
        (beginning, "hours", KEEP_EVERY_S, hours.look),
        (beginning, "backtests", LOOK_EVERY_S, backtests.look),
        (beginning, "default", FORGET_EVERY_S, lambda: forget(store, settings.monitor_kept_days, utc_now)),
        (keeping, "default", LEASE_S / 4, watch.renew),
        (keeping, "default", LEASE_S / 4, messenger.renew),
        (keeping, "default", LOOK_EVERY_S, backtests.renew),
        (keeping, "default", BEAT_S, heartbeat.beat),
    )
    for scheduler, executor, every_s, tick in ticks:
        scheduler.add_job(_logged(tick), "interval", seconds=every_s, next_run_time=utc_now(), executor=executor)
    beginning.start()
    keeping.start()
    try:
        yield
    finally:
        watch.stop()
        messenger.stop()
        hours.stop()
        backtests.stop()
        beginning.shutdown(wait=True)  # before the two pools, as its ticks hand work to them
        reports.shutdown()
        tellings.shutdown()
        keeping.shutdown(wait=True)  # after all, as it says that they are at work
        _logged(heartbeat.end)()


def _scheduler(**threads: int) -> BackgroundScheduler:
    """One with so many threads of each executor."""
    return BackgroundScheduler(
        timezone=UTC,
        executors={name: ThreadPoolExecutor(count) for name, count in threads.items()},
        # A tick that comes late still counts (the default drops what is a second late), and several late ones are one.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )


def _warn_of_channels(store: Store, settings: Settings) -> None:
    """Log which channels this monitor will not be able to tell, before there is something to tell."""
    for channel in store.schedules.alerts.list_channels():
        if (found := obstacle(channel, settings)) is not None:
            _log.warning("Channel %r cannot be told: %s", channel.name, found)


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
