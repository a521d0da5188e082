"""Schedules: what is due, who makes it, what is written down. The clock is given; nothing here waits for a minute."""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.schedule import LEASE_S, SETTLE, Checked, Watch, Window, utc_now, watching
from storage import Store
from storage.records import Execution, Schedule, Variant
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON)


@pytest.fixture
def till_store(store: Store) -> Store:
    """A store with an endpoint and an hourly schedule, made at noon."""
    till.deploy(store, portable.classifier(), NOON - 9 * HOUR)
    store.schedules.put(HOURLY)
    return store


def tick(store: Store, now: datetime) -> None:
    """One look at the schedules, reports made at once."""
    Watch(store, lambda work: work(), clock=lambda: now).look()


def outcomes(store: Store, name: str = "hourly") -> list[tuple[datetime, str]]:
    """Due times and what became of them, oldest first."""
    return [(found.scheduled_at, found.status) for found in reversed(store.schedules.executions(name, 2000))]


def windows(store: Store) -> list[tuple[datetime, datetime]]:
    """What completed executions looked at, oldest first, as their reports say."""
    return sorted((report.window_start, report.window_end) for report in store.reports.list())


def test_a_report_is_made_when_it_is_due(till_store: Store) -> None:
    """Once: later looks within the hour find it done."""
    for seconds in (3, 4, 5, 3000):
        tick(till_store, NOON + timedelta(seconds=seconds))
    assert outcomes(till_store) == [(NOON, "completed")]
    [report] = till_store.reports.list()
    [execution] = till_store.schedules.executions("hourly")
    assert (execution.report_id, execution.verdict, execution.breached) == (report.id, "too few rows", None)
    assert (execution.window_start, execution.window_end) == (NOON - HOUR, NOON)
    assert (execution.attempts, execution.lease_until) == (1, None)


def test_captured_rows_have_time_to_arrive(till_store: Store) -> None:
    """Before the due time has settled, nothing happens for it."""
    tick(till_store, NOON + SETTLE)
    tick(till_store, NOON + HOUR + SETTLE - timedelta(milliseconds=1))
    assert outcomes(till_store) == [(NOON, "completed")]


def away(store: Store, missed: str) -> Store:
    """After a report at noon, nobody was there until a quarter past three; 40 rows came after one, 50 after two."""
    version = store.models.get("demo")
    store.schedules.put(replace(HOURLY, missed=missed))
    tick(store, NOON + SETTLE)
    till.send(store, version, till.rows(40, seed=1), NOON + 1.5 * HOUR)
    till.send(store, version, till.rows(50, seed=2), NOON + 2.5 * HOUR)
    tick(store, NOON + 3.2 * HOUR)
    return store


def test_the_latest_missed_report_covers_the_downtime(till_store: Store) -> None:
    """One report for three hours; the others are recorded as missed."""
    assert outcomes(away(till_store, "latest")) == [
        (NOON, "completed"),
        (NOON + HOUR, "missed"),
        (NOON + 2 * HOUR, "missed"),
        (NOON + 3 * HOUR, "completed"),
    ]
    assert windows(till_store) == [(NOON - HOUR, NOON), (NOON, NOON + 3 * HOUR)]
    assert till_store.reports.list()[0].rows == 90
    assert till_store.schedules.executions("hourly")[1].reason == "no monitor was there"


def test_missed_reports_are_caught_up_one_by_one(till_store: Store) -> None:
    """Each with its own hour, the oldest first."""
    assert [status for _, status in outcomes(away(till_store, "catch-up"))] == ["completed"] * 4
    assert windows(till_store) == [(NOON + hours * HOUR, NOON + (hours + 1) * HOUR) for hours in (-1, 0, 1, 2)]
    by_window = sorted(till_store.reports.list(), key=lambda report: report.window_start)
    assert [report.rows for report in by_window] == [0, 0, 40, 50]


def test_missed_reports_are_recorded_and_not_made_up_for(till_store: Store) -> None:
    """The next one looks at its own hour."""
    assert [status for _, status in outcomes(away(till_store, "record"))] == ["completed", *["missed"] * 3]
    tick(till_store, NOON + 4 * HOUR + SETTLE)
    assert windows(till_store) == [(NOON - HOUR, NOON), (NOON + 3 * HOUR, NOON + 4 * HOUR)]


def test_a_due_time_that_waits_too_long_is_missed(till_store: Store) -> None:
    """Nothing was begun at one o'clock by the time that it is two: the later one counts."""
    busy = Watch(till_store, lambda work: None, clock=lambda: NOON + HOUR + SETTLE, most=0)
    busy.look()
    assert outcomes(till_store) == [(NOON, "missed"), (NOON + HOUR, "pending")]
    tick(till_store, NOON + 2 * HOUR + SETTLE)
    assert outcomes(till_store)[1:] == [(NOON + HOUR, "missed"), (NOON + 2 * HOUR, "completed")]
    assert till_store.schedules.executions("hourly")[1].reason == "the next due time came before anybody began this one"


def test_the_first_report_covers_one_period(till_store: Store) -> None:
    """From the due time before."""
    tick(till_store, NOON + SETTLE)
    assert windows(till_store) == [(NOON - HOUR, NOON)]


def test_windows_join_without_gap_or_overlap(till_store: Store) -> None:
    """Each row is in one report."""
    version = till_store.models.get("demo")
    till.send(till_store, version, till.rows(100, seed=1), NOON + HOUR - timedelta(milliseconds=40))
    for hours in (0, 1, 2):
        tick(till_store, NOON + hours * HOUR + SETTLE)
    assert sorted(report.rows for report in till_store.reports.list()) == [0, 40, 60]


def test_offsets_say_which_window_is_looked_at(till_store: Store) -> None:
    """As SageMaker's: labels of yesterday's answers are there today."""
    till_store.schedules.put(replace(HOURLY, start_offset="-P2D", end_offset="-P1D"))
    for hours in (0, 1):
        tick(till_store, NOON + hours * HOUR + SETTLE)
    assert windows(till_store) == [(NOON + (hours - 48) * HOUR, NOON + (hours - 24) * HOUR) for hours in (0, 1)]


def test_a_new_schedule_owes_nothing_for_the_past(store: Store) -> None:
    """It counts from when it was made."""
    till.deploy(store, portable.classifier(), NOON - HOUR)
    store.schedules.put(replace(HOURLY, created_at=NOON + timedelta(minutes=1)))
    tick(store, NOON + HOUR / 2)
    assert outcomes(store) == []
    tick(store, NOON + HOUR + SETTLE)
    assert outcomes(store) == [(NOON + HOUR, "completed")]


def test_a_paused_schedule_owes_nothing(till_store: Store) -> None:
    """Neither then nor when it is resumed; after that it goes on."""
    tick(till_store, NOON + SETTLE)
    till_store.schedules.pause("hourly", NOON + HOUR / 2)
    tick(till_store, NOON + 2.1 * HOUR)
    till_store.schedules.resume("hourly", NOON + 2.5 * HOUR)
    tick(till_store, NOON + 2.6 * HOUR)
    assert outcomes(till_store) == [(NOON, "completed")]
    tick(till_store, NOON + 3 * HOUR + SETTLE)
    assert outcomes(till_store) == [(NOON, "completed"), (NOON + 3 * HOUR, "completed")]


def test_a_schedule_that_is_made_anew_by_its_name_starts_anew(till_store: Store) -> None:
    """What the one before had begun is its own, and so are its windows."""
    works: list[Callable[[], None]] = []
    Watch(till_store, works.append, clock=lambda: NOON + SETTLE).look()
    till_store.schedules.remove("hourly", NOON + HOUR / 4)
    till_store.schedules.put(replace(HOURLY, created_at=NOON + 4.5 * HOUR))
    works[0]()
    tick(till_store, NOON + 5 * HOUR + SETTLE)
    assert outcomes(till_store) == [(NOON, "completed"), (NOON + 5 * HOUR, "completed")]
    assert windows(till_store) == [(NOON - HOUR, NOON), (NOON + 4 * HOUR, NOON + 5 * HOUR)]


def test_a_report_can_be_asked_for_between_due_times(till_store: Store) -> None:
    """Also while the schedule is paused; the windows of the due times stay as they are."""
    tick(till_store, NOON + SETTLE)
    till_store.schedules.pause("hourly", NOON + HOUR / 4)
    asked = till_store.schedules.ask("hourly", NOON + HOUR / 2).scheduled_at
    tick(till_store, asked + SETTLE)
    till_store.schedules.resume("hourly", NOON + 0.6 * HOUR)
    tick(till_store, NOON + HOUR + SETTLE)
    assert outcomes(till_store) == [(time, "completed") for time in (NOON, asked, NOON + HOUR)]
    assert windows(till_store) == [(NOON - HOUR, NOON), (NOON, asked), (NOON, NOON + HOUR)]


def test_asking_hides_no_due_time(till_store: Store) -> None:
    """Two seconds past noon, noon itself has not been looked at yet."""
    till_store.schedules.ask("hourly", NOON + timedelta(seconds=2))
    tick(till_store, NOON + timedelta(seconds=10))
    assert [status for _, status in outcomes(till_store)] == ["completed", "completed"]


def test_a_failing_report_is_recorded_with_its_reason(till_store: Store) -> None:
    """The next hour is tried again, from where the last completed one ended."""
    tick(till_store, NOON + SETTLE)
    with rewritten(till_store, "level = 7.0"):
        tick(till_store, NOON + HOUR + SETTLE)
    tick(till_store, NOON + 2 * HOUR + SETTLE)
    assert [status for _, status in outcomes(till_store)] == ["completed", "failed", "completed"]
    failed = till_store.schedules.executions("hourly")[1]
    assert failed.reason is not None
    assert failed.reason.startswith("level is 7.0, which is no chance of an alarm")
    assert windows(till_store) == [(NOON - HOUR, NOON), (NOON, NOON + 2 * HOUR)]


def test_a_schedule_looks_at_its_variant(till_store: Store) -> None:
    """At what that has answered, and no more; the main one by default."""
    version = till_store.models.get("demo")
    endpoint = till_store.endpoints.get(till.ENDPOINT)
    variants = (Variant("main", "demo", version.version, 90.0), Variant("new", "demo", version.version, 10.0))
    till_store.endpoints.put(replace(endpoint, variants=variants), NOON - 8 * HOUR)
    till.send(till_store, version, till.rows(40, seed=1), NOON - HOUR / 2)
    till_store.schedules.put(replace(HOURLY, name="new", variant="new"))
    tick(till_store, NOON + SETTLE)
    rows = {
        one.schedule: till_store.reports.get(str(one.report_id)).rows
        for name in ("hourly", "new")
        for one in till_store.schedules.executions(name)
    }
    assert rows == {"hourly": 40, "new": 0}


def test_a_variant_that_is_gone_is_told(till_store: Store) -> None:
    """It was there when the schedule was made."""
    with rewritten(till_store, "variant = 'gone'"):
        tick(till_store, NOON + SETTLE)
    [failed] = till_store.schedules.executions("hourly")
    assert failed.status == "failed"
    assert "'gone'" in str(failed.reason)


def test_a_bad_schedule_does_not_stop_the_others(till_store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Written by other means than ours, it is logged and passed over."""
    till_store.schedules.put(replace(HOURLY, name="other"))
    with rewritten(till_store, "cron = 'every day or so'"):
        tick(till_store, NOON + SETTLE)
    assert outcomes(till_store) == []
    assert outcomes(till_store, "other") == [(NOON, "completed")]
    assert "Schedule 'hourly' is ignored: cron is 'every day or so'" in caplog.text


def test_exactly_one_of_many_makes_a_report(till_store: Store) -> None:
    """Eight at once look at the same due time through stores of their own."""
    stores = [Store.open(till_store.root) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda store: tick(store, NOON + SETTLE), stores))
    for store in stores:
        store.close()
    assert outcomes(till_store) == [(NOON, "completed")]
    assert len(till_store.reports.list()) == 1


def test_a_clock_that_steps_repeats_and_loses_nothing(till_store: Store) -> None:
    """It was two hours ahead, then right, then catches up: each due time has one outcome."""
    now = [NOON + 2 * HOUR + SETTLE]
    watch = Watch(till_store, lambda work: work(), clock=lambda: now[0])
    watch.look()
    for minutes in range(0, 240, 20):
        now[0] = NOON + timedelta(minutes=minutes) + SETTLE
        watch.look()
    assert outcomes(till_store) == [
        (NOON, "missed"),
        (NOON + HOUR, "missed"),
        (NOON + 2 * HOUR, "completed"),
        (NOON + 3 * HOUR, "completed"),
    ]


def test_due_times_that_a_fast_clock_jumped_over_come_when_they_are_due(till_store: Store) -> None:
    """A year ahead for a moment: only so many are written down, and the hours after noon are reported on in time."""
    now = [NOON + SETTLE]
    watch = Watch(till_store, lambda work: work(), clock=lambda: now[0])
    for now[0] in (NOON + SETTLE, NOON + 365 * 24 * HOUR + SETTLE, NOON + HOUR + SETTLE, NOON + 2 * HOUR + SETTLE):
        watch.look()
    found = outcomes(till_store)
    assert found[:3] == [(NOON + hours * HOUR, "completed") for hours in range(3)]
    assert (len(found), {status for _, status in found[3:-1]}) == (3 + 1000, {"missed"})
    oldest = till_store.schedules.executions("hourly", 1000)[-1]
    assert oldest.reason == "no monitor was there; nor was one for the due times before, not listed"


def test_what_a_killed_monitor_left_is_taken_over(till_store: Store) -> None:
    """When its lease ends and not before; the attempts are counted, and after three it has failed."""
    now = [NOON + SETTLE]
    for attempt in (1, 2, 3):
        dying = Watch(till_store, lambda work: None, clock=lambda: now[0])
        dying.look()
        [left] = till_store.schedules.executions("hourly")
        assert (left.status, left.attempts, left.owner) == ("running", attempt, dying.owner)
        now[0] += timedelta(seconds=LEASE_S - 1)
        tick(till_store, now[0])
        assert till_store.schedules.executions("hourly") == [left]
        now[0] += timedelta(seconds=1)
    tick(till_store, now[0])
    [failed] = till_store.schedules.executions("hourly")
    assert failed.status == "failed"
    assert str(failed.reason).startswith("the process that worked on it died 3 times")


def test_whoever_is_only_slow_keeps_what_it_renews(till_store: Store) -> None:
    """Nobody takes it; and it ends it."""
    now = [NOON + SETTLE]
    works: list[Callable[[], None]] = []
    slow = Watch(till_store, works.append, clock=lambda: now[0])
    slow.look()
    for _ in range(3):
        now[0] += timedelta(seconds=LEASE_S - 1)
        slow.renew()
        tick(till_store, now[0])
    works[0]()
    assert outcomes(till_store) == [(NOON, "completed")]
    assert till_store.schedules.executions("hourly")[0].owner == slow.owner


def test_whoever_lost_its_lease_changes_nothing(till_store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The outcome is that of the one who took over."""
    now = [NOON + SETTLE]
    works: list[Callable[[], None]] = []
    Watch(till_store, works.append, clock=lambda: now[0]).look()
    now[0] += timedelta(seconds=LEASE_S)
    tick(till_store, now[0])
    [ended] = till_store.schedules.executions("hourly")
    works[0]()
    assert till_store.schedules.executions("hourly") == [ended]
    assert "was taken over by another" in caplog.text


def test_a_schedule_has_one_execution_at_a_time(till_store: Store) -> None:
    """While one is being made, the next due time waits, whoever looks, and is then found; other schedules go on."""
    till_store.schedules.put(replace(HOURLY, missed="catch-up"))
    till_store.schedules.put(replace(HOURLY, name="other", cron="30 * * * *"))
    submitted: list[Callable[[], None]] = []
    now = [NOON + SETTLE]
    watch = Watch(till_store, submitted.append, clock=lambda: now[0])
    watch.look()
    now[0] += HOUR
    watch.renew()
    watch.look()
    tick(till_store, now[0])
    assert outcomes(till_store) == [(NOON, "running"), (NOON + HOUR, "pending")]
    assert outcomes(till_store, "other") == [(NOON + HOUR / 2, "running")]
    for work in submitted:
        work()
    tick(till_store, now[0])
    assert outcomes(till_store) == [(NOON, "completed"), (NOON + HOUR, "completed")]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def has_completed(store: Store) -> bool:
    return any(status == "completed" for _, status in outcomes(store))


def test_a_running_monitor_follows_the_store(store: Store) -> None:
    """A schedule put while it runs is made up for at once, traffic is compacted, and at the end no thread is left."""
    version = till.deploy(store, portable.classifier(), utc_now() - 9 * HOUR)
    before = threading.active_count()
    with watching(store):
        till.send(store, version, till.rows(30, seed=1), utc_now() - HOUR)
        store.schedules.put(replace(HOURLY, cron="every minute", created_at=utc_now() - HOUR))
        wait_for(lambda: has_completed(store))
        wait_for(lambda: not list(store.root.glob("traffic/journals/*/*.journal")))
    assert threading.active_count() == before


@pytest.mark.slow
def test_what_an_ending_monitor_still_works_on_is_its_own(store: Store) -> None:
    """It says so until the last report is made, however long that takes: no other one begins it."""
    till.deploy(store, portable.classifier(), utc_now() - 9 * HOUR)
    begun, ends = threading.Event(), threading.Event()

    def check(store: Store, schedule: Schedule, window: Window, now: datetime) -> Checked:
        begun.set()
        ends.wait(30)
        leased = lease_of(store)
        wait_for(lambda: lease_of(store) > leased)
        return Checked("no drift", False)

    with watching(store, make=check):
        store.schedules.put(replace(HOURLY, cron="every hour", created_at=utc_now() - HOUR))
        begun.wait(30)
        ends.set()
    [made] = store.schedules.executions("hourly")
    assert (made.status, made.attempts) == ("completed", 1)


def lease_of(store: Store) -> datetime:
    """Until when the hourly schedule's execution is somebody's."""
    [running] = store.schedules.executions("hourly")
    assert running.lease_until is not None
    return running.lease_until


def test_a_store_that_fails_is_logged_and_tried_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The monitor goes on, and works as soon as the store does."""
    till.deploy(store, portable.classifier(), utc_now() - 9 * HOUR)
    store.schedules.put(replace(HOURLY, cron="* * * * *", created_at=utc_now() - HOUR))
    change(store, "ALTER TABLE schedules RENAME TO lost")
    with watching(store):
        wait_for(lambda: "could not be read: no such table: schedules" in caplog.text)
        change(store, "ALTER TABLE lost RENAME TO schedules")
        wait_for(lambda: has_completed(store))


def change(store: Store, statement: str) -> None:
    """Change the store by other means than ours."""
    with closing(sqlite3.connect(store.root / "autopilot.db", timeout=60)) as connection, connection:
        connection.execute(statement)


class rewritten:  # noqa: N801 - it reads as a verb
    """The hourly schedule with something that `put` refuses, while the block runs."""

    def __init__(self, store: Store, values: str) -> None:
        self._store, self._values = store, values

    def __enter__(self) -> None:
        change(self._store, f"UPDATE schedules SET {self._values} WHERE name = 'hourly'")  # noqa: S608

    def __exit__(self, *error: Any) -> None:
        change(self._store, "UPDATE schedules SET level = 0.05, variant = NULL, cron = '0 * * * *'")


def test_a_due_time_is_recorded_once(till_store: Store) -> None:
    """However often it is tried."""
    due = Execution("hourly", NOON, "pending", NOON)
    assert [till_store.schedules.plan([due], NOON, waiting=1) for _ in range(2)] == [True, False]
    assert outcomes(till_store) == [(NOON, "pending")]
