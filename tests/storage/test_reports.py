"""Drift reports, schedules, and their executions, each due time claimed once."""

import pytest
from msgspec.structs import replace

from storage import Store, UnknownNameError
from tests import portable, processes
from tests.records import HOUR, NOW, execution, report, schedule
from tests.refusals import raises


@pytest.fixture
def deployed(store: Store) -> Store:
    """A store with an endpoint `late`."""
    portable.publish(store, portable.classifier(), endpoint="late")
    return store


def test_a_report_is_read_as_it_was_added(store: Store) -> None:
    """The record and both of its files."""
    added = replace(report(), json_digest=store.blobs.put(b"{}"), html_digest=store.blobs.put(b"<html>"))
    store.reports.add(added)
    assert store.reports.get("d1") == added
    assert (store.reports.read_json(added), store.reports.read_html(added)) == (b"{}", b"<html>")


def test_reports_are_listed_newest_first_of_one_endpoint_or_all(store: Store) -> None:
    """Up to a limit."""
    for name, endpoint, hours in (("a", "x", 0), ("b", "y", 2), ("c", "x", 1)):
        store.reports.add(report(name, endpoint=endpoint, created_at=NOW + hours * HOUR))
    assert [found.id for found in store.reports.list()] == ["b", "c", "a"]
    assert [found.id for found in store.reports.list("x")] == ["c", "a"]
    assert [found.id for found in store.reports.list(limit=1)] == ["b"]


def test_an_unknown_report_is_named(store: Store) -> None:
    """The message says what was asked for."""
    with raises(UnknownNameError, "The store has no report 'd9'."):
        store.reports.get("d9")


def test_an_endpoint_has_one_schedule_and_the_last_one_counts(deployed: Store) -> None:
    """Putting again replaces it."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.put(schedule("late", cron="*/5 * * * *"))
    assert deployed.schedules.list() == [schedule("late", cron="*/5 * * * *")]


def test_a_schedule_is_removed_once(deployed: Store) -> None:
    """The answer tells whether there was one."""
    deployed.schedules.put(schedule("late"))
    assert deployed.schedules.remove("late") is True
    assert deployed.schedules.remove("late") is False
    assert deployed.schedules.list() == []


def test_a_due_time_can_be_claimed_once(store: Store) -> None:
    """Another endpoint's due time at the same moment, and the next one, are others."""
    assert store.schedules.claim(execution("late")) is True
    assert store.schedules.claim(execution("late")) is False
    assert store.schedules.claim(execution("paid")) is True
    assert store.schedules.claim(execution("late", scheduled_at=NOW + HOUR)) is True


def test_a_claimed_due_time_is_told_how_it_ended(store: Store) -> None:
    """Executions are listed newest first, up to a limit."""
    first, second = execution(), execution(scheduled_at=NOW + HOUR)
    for due in (first, second):
        store.schedules.claim(due)
    ended = replace(first, status="failed", ended_at=NOW + HOUR, reason="StoreError: no")
    store.schedules.end(ended)
    assert store.schedules.executions("late") == [second, ended]
    assert store.schedules.executions("late", limit=1) == [second]
    assert store.schedules.executions("paid") == []


def test_the_next_window_begins_at_the_last_completed_due_time(store: Store) -> None:
    """Failed and running executions do not count: their window is looked at again."""
    assert store.schedules.last_end("late") is None
    for hours, status in ((0, "completed"), (1, "completed"), (2, "failed"), (3, "running")):
        due = execution(scheduled_at=NOW + hours * HOUR)
        store.schedules.claim(due)
        store.schedules.end(replace(due, status=status))
    assert store.schedules.last_end("late") == NOW + HOUR


def test_two_processes_that_claim_at_once_share_the_due_times(store: Store) -> None:
    """Each of 40 due times goes to one of two processes, none to both."""
    script = """
import sys
from datetime import UTC, datetime, timedelta
from storage import Store
from storage.records import Execution
store = Store.open(sys.argv[1])
times = [datetime(2024, 5, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(40)]
input("ready\\n")
for time in times:
    if store.schedules.claim(Execution("late", time, "running", time)):
        print(time.minute)
"""
    printed = processes.run_at_once(script, store.root)
    assert sorted(int(line) for out in printed for line in out.split()) == list(range(40))
