"""Schedules: what is due, who makes it, what is written down. The clock is given; nothing here waits for a minute."""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from monitor.schedule import SETTLE, Watch, execute, latest_due, utc_now, watching
from storage import Store
from storage.records import Execution, Schedule
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = Schedule(till.ENDPOINT, "0 * * * *", 0.05, NOON - 5 * HOUR)


@pytest.fixture
def till_store(store: Store) -> Store:
    """A store with an endpoint and an hourly schedule, five hours old."""
    till.deploy(store, portable.classifier(), NOON - 9 * HOUR)
    store.schedules.put(HOURLY)
    return store


def tick(store: Store, now: datetime) -> None:
    """One look at the schedules, reports made at once."""
    Watch(store, lambda work: work(), clock=lambda: now).look()


def outcomes(store: Store) -> list[tuple[datetime, str]]:
    """Due times and what became of them, oldest first."""
    return [(found.scheduled_at, found.status) for found in reversed(store.schedules.executions(till.ENDPOINT))]


def test_a_report_is_made_when_it_is_due(till_store: Store) -> None:
    """Once: later looks within the hour find it done."""
    for seconds in (3, 4, 5, 3000):
        tick(till_store, NOON + timedelta(seconds=seconds))
    assert outcomes(till_store) == [(NOON, "completed")]
    [report] = till_store.reports.list()
    assert till_store.schedules.executions(till.ENDPOINT)[0].report_id == report.id


def test_captured_rows_have_time_to_arrive(till_store: Store) -> None:
    """Before the due time has settled, nothing happens for it."""
    tick(till_store, NOON + SETTLE)
    tick(till_store, NOON + HOUR + SETTLE - timedelta(milliseconds=1))
    assert outcomes(till_store) == [(NOON, "completed")]


def test_after_a_downtime_the_latest_missed_report_is_made_once(till_store: Store) -> None:
    """Three hours without a monitor: one report, that covers them all."""
    version = till_store.models.get("demo")
    tick(till_store, NOON + SETTLE)
    till.send(till_store, version, till.rows(40, seed=1), NOON + HOUR / 2)
    till.send(till_store, version, till.rows(50, seed=2), NOON + 2.5 * HOUR)
    tick(till_store, NOON + 3.2 * HOUR)
    assert outcomes(till_store) == [(NOON, "completed"), (NOON + 3 * HOUR, "completed")]
    report = next(found for found in till_store.reports.list() if found.window_end == NOON + 3 * HOUR)
    assert (report.window_start, report.rows) == (NOON, 90)


def test_the_first_report_covers_one_period(till_store: Store) -> None:
    """From the due time before."""
    tick(till_store, NOON + SETTLE)
    [report] = till_store.reports.list()
    assert (report.window_start, report.window_end) == (NOON - HOUR, NOON)


def test_windows_join_without_gap_or_overlap(till_store: Store) -> None:
    """Each row is in one report."""
    version = till_store.models.get("demo")
    till.send(till_store, version, till.rows(100, seed=1), NOON + HOUR - timedelta(milliseconds=40))
    for hours in (0, 1, 2):
        tick(till_store, NOON + hours * HOUR + SETTLE)
    assert sorted(report.rows for report in till_store.reports.list()) == [0, 40, 60]


def test_a_new_schedule_owes_nothing_for_the_past(store: Store) -> None:
    """It counts from when it was made."""
    till.deploy(store, portable.classifier(), NOON - HOUR)
    store.schedules.put(Schedule(till.ENDPOINT, "0 * * * *", 0.05, NOON + timedelta(minutes=1)))
    tick(store, NOON + HOUR / 2)
    assert outcomes(store) == []
    tick(store, NOON + HOUR + SETTLE)
    assert outcomes(store) == [(NOON + HOUR, "completed")]


def test_a_failing_report_is_recorded_with_its_reason(till_store: Store) -> None:
    """Its level is none; the next hour is tried again, from where the last completed one ended."""
    tick(till_store, NOON + SETTLE)
    till_store.schedules.put(Schedule(till.ENDPOINT, "0 * * * *", 7.0, NOON))
    tick(till_store, NOON + HOUR + SETTLE)
    till_store.schedules.put(Schedule(till.ENDPOINT, "0 * * * *", 0.05, NOON + HOUR))
    tick(till_store, NOON + 2 * HOUR + SETTLE)
    assert [status for _, status in outcomes(till_store)] == ["completed", "failed", "completed"]
    failed = till_store.schedules.executions(till.ENDPOINT)[1]
    assert failed.reason is not None
    assert failed.reason.startswith("level is 7.0, which is no chance of an alarm")
    assert max(report.window_end - report.window_start for report in till_store.reports.list()) == 2 * HOUR


def test_a_bad_schedule_does_not_stop_the_others(till_store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Written by other means than ours, it is logged and passed over."""
    till_store.endpoints.deploy("attic", till_store.models.get("demo"), NOON)
    till_store.schedules.put(Schedule("attic", "every day", 0.05, NOON - HOUR))
    tick(till_store, NOON + SETTLE)
    assert outcomes(till_store) == [(NOON, "completed")]
    assert "The schedule of endpoint 'attic' is ignored: cron is 'every day'" in caplog.text


def test_exactly_one_of_many_makes_a_report(till_store: Store) -> None:
    """Eight at once claim the same due time through stores of their own."""
    stores = [Store.open(till_store.root) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda store: execute(store, HOURLY, NOON, lambda: NOON + SETTLE), stores))
    for store in stores:
        store.close()
    assert len([execution for execution in ended if execution is not None]) == 1
    assert len(till_store.reports.list()) == 1


def test_a_clock_that_steps_back_repeats_nothing(till_store: Store) -> None:
    """What is done is done."""
    tick(till_store, NOON + HOUR + SETTLE)
    tick(till_store, NOON + SETTLE)
    tick(till_store, NOON + HOUR + 2 * SETTLE)
    assert outcomes(till_store) == [(NOON + HOUR, "completed")]


def test_what_a_killed_monitor_left_is_covered_by_the_next_report(till_store: Store) -> None:
    """Its execution stays `running`; the window of the next one begins at the last that was completed."""
    tick(till_store, NOON + SETTLE)
    till_store.schedules.claim(Execution(till.ENDPOINT, NOON + HOUR, "running", NOON + HOUR))
    tick(till_store, NOON + 2 * HOUR + SETTLE)
    assert [status for _, status in outcomes(till_store)] == ["completed", "running", "completed"]
    assert max(report.window_end - report.window_start for report in till_store.reports.list()) == 2 * HOUR


def test_an_endpoint_has_one_report_at_a_time(till_store: Store) -> None:
    """While one is being made, the next due time waits, and is then found."""
    submitted: list[Callable[[], None]] = []
    now = [NOON + SETTLE]
    watch = Watch(till_store, submitted.append, clock=lambda: now[0])
    watch.look()
    now[0] += HOUR
    watch.look()
    assert len(submitted) == 1
    submitted[0]()
    watch.look()
    submitted[1]()
    assert outcomes(till_store) == [(NOON, "completed"), (NOON + HOUR, "completed")]


def test_an_owed_report_is_found_by_arithmetic(till_store: Store) -> None:
    """Whatever the time between: no due time before now is asked for one by one."""
    weekly = Schedule(till.ENDPOINT, "0 3 * * MON", 0.05, NOON - timedelta(days=3000))
    assert latest_due(till_store, weekly, NOON) == datetime(2024, 5, 27, 3, tzinfo=UTC)


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_running_monitor_follows_the_store(store: Store) -> None:
    """A schedule put while it runs is made up for at once, traffic is compacted, and at the end no thread is left."""
    version = till.deploy(store, portable.classifier(), utc_now() - 9 * HOUR)
    before = threading.active_count()
    with watching(store):
        till.send(store, version, till.rows(30, seed=1), utc_now() - HOUR)
        store.schedules.put(Schedule(till.ENDPOINT, "* * * * *", 0.05, utc_now() - HOUR))
        wait_for(lambda: [status for _, status in outcomes(store)][:1] == ["completed"])
        wait_for(lambda: not list(store.root.glob("traffic/journals/*/*.journal")))
    assert threading.active_count() == before


def test_a_store_that_fails_is_logged_and_tried_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The monitor goes on, and works as soon as the store does."""
    till.deploy(store, portable.classifier(), utc_now() - 9 * HOUR)
    store.schedules.put(Schedule(till.ENDPOINT, "* * * * *", 0.05, utc_now() - HOUR))
    rename_table(store, "schedules", "lost")
    with watching(store):
        wait_for(lambda: "could not be read: no such table: schedules" in caplog.text)
        rename_table(store, "lost", "schedules")
        wait_for(lambda: [status for _, status in outcomes(store)][:1] == ["completed"])


def rename_table(store: Store, name: str, to: str) -> None:
    """Break the store, or mend it."""
    with closing(sqlite3.connect(store.root / "autopilot.db", timeout=10)) as connection:
        connection.execute(f"ALTER TABLE {name} RENAME TO {to}")
