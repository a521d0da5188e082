"""Schedules and their executions: each due time is recorded once, and ended by the one who has it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from storage import SettingError, Store, UnknownNameError
from storage.errors import InputError
from storage.records import AlertRule
from tests import portable, processes
from tests.records import HOUR, NOW, execution, schedule
from tests.refusals import raises


@pytest.fixture
def deployed(store: Store) -> Store:
    """A store with endpoints `late` and `other`."""
    portable.publish(store, portable.classifier(), endpoint="late")
    store.endpoints.deploy("other", store.models.get("demo"), NOW)
    return store


def test_an_endpoint_has_schedules_by_name(deployed: Store) -> None:
    """Putting one again replaces it."""
    daily = replace(schedule("late"), name="daily", cron="0 6 * * *", zone="Europe/Berlin", variant="main")
    for one in (schedule("late"), daily, schedule("late", cron="*/5 * * * *"), schedule("other")):
        deployed.schedules.put(one)
    assert deployed.schedules.list() == [daily, schedule("late", cron="*/5 * * * *"), schedule("other")]
    assert deployed.schedules.list("late") == [daily, schedule("late", cron="*/5 * * * *")]
    assert deployed.schedules.get("daily") == daily
    with raises(UnknownNameError, "The store has no schedule 'weekly'."):
        deployed.schedules.get("weekly")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"name": "a/b"}, InputError, "'a/b' cannot name a schedule."),
        ({"cron": "0 25 * * *"}, SettingError, "The hour in cron '0 25 * * *' is '25'."),
        ({"cron": "every now and then"}, SettingError, "cron is 'every now and then'. Write 'every 15 minutes'"),
        ({"zone": "Mars/Olympus"}, SettingError, "zone is 'Mars/Olympus', which is no time zone."),
        ({"level": 1.0}, SettingError, "level is 1, the chance of any alarm."),
        ({"level": float("nan")}, SettingError, "level is nan, the chance of any alarm."),
        (
            {"check": "taste"},
            SettingError,
            "check is 'taste', which this version cannot make. Those that it can: drift,",
        ),
        ({"check": "bias"}, SettingError, "No facet was named, and demo:1 was fitted without fairness=."),
        ({"facets": ("town=Ulm",)}, SettingError, "A schedule for drift has 1 facets."),
        ({"check": "bias", "facets": ("sex",)}, SettingError, "The facet 'sex' is of no column that the model takes."),
        ({"budget": "seldom"}, SettingError, "The alarm budget is 'seldom'. Write '1 per quarter'"),
        ({"start_offset": "8 days"}, SettingError, "'8 days' is no duration."),
        ({"start_offset": "-P1D", "end_offset": "-P2D"}, SettingError, "holds nothing"),
        ({"start_offset": "PT0M"}, SettingError, "holds nothing"),
        ({"end_offset": "PT1H"}, SettingError, "holds nothing that is there by then."),
        ({"alert": AlertRule(0, 1)}, SettingError, "The alert takes 0 of 1 verdicts."),
        ({"alert": AlertRule(3, 2)}, SettingError, "The alert takes 3 of 2 verdicts."),
        ({"alert": AlertRule(1, 101)}, SettingError, "Use at least 1 of at most 100."),
        ({"alert": AlertRule(1, 1, ("ops",))}, UnknownNameError, "The store has no channel 'ops'."),
        ({"endpoint": "nobody"}, UnknownNameError, "The store has no endpoint 'nobody'."),
        ({"variant": "new"}, UnknownNameError, "Endpoint 'late' has no variant 'new'. It has: main."),
        ({"endpoint": "other"}, SettingError, "Schedule 'late' is one of endpoint 'late'."),
    ],
)
def test_what_a_schedule_cannot_have_is_refused(
    deployed: Store, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """And the one that is there stays."""
    deployed.schedules.put(schedule("late"))
    with raises(kind, message):
        deployed.schedules.put(replace(schedule("late"), **changes))
    assert deployed.schedules.list() == [schedule("late")]


def test_facets_and_a_budget_are_kept(deployed: Store) -> None:
    """As they were written."""
    fair = replace(
        schedule("late"), check="bias", facets=("town=Ulm", "amount>5", "town"), budget="1 per quarter", variant="main"
    )
    deployed.schedules.put(fair)
    assert deployed.schedules.get("late") == fair


def test_a_schedule_is_paused_and_resumed(deployed: Store) -> None:
    """Again changes nothing."""
    deployed.schedules.put(schedule("late"))
    paused = deployed.schedules.pause("late", NOW + HOUR)
    assert (paused.paused, paused.created_at) == (True, NOW + HOUR)
    assert deployed.schedules.pause("late", NOW + 2 * HOUR) == paused
    resumed = deployed.schedules.resume("late", NOW + 3 * HOUR)
    assert (resumed.paused, resumed.created_at) == (False, NOW + 3 * HOUR)
    assert deployed.schedules.list() == [resumed]


def test_an_execution_that_waits_cannot_be_asked_for_again(deployed: Store) -> None:
    """Once it has begun, it can."""
    deployed.schedules.put(schedule("late"))
    asked = deployed.schedules.ask("late", NOW)
    assert (asked.status, asked.asked, asked.scheduled_at) == ("pending", True, NOW)
    with raises(InputError, "Schedule 'late' was asked to run already, and has not begun yet."):
        deployed.schedules.ask("late", NOW + HOUR)
    deployed.schedules.take("me", NOW, ready=NOW, lease_s=60)
    deployed.schedules.ask("late", NOW + HOUR)
    with raises(UnknownNameError, "The store has no schedule 'nobody'."):
        deployed.schedules.ask("nobody", NOW)


def test_what_is_asked_for_takes_no_due_times_place(deployed: Store) -> None:
    """Also where it is asked for at that very moment."""
    deployed.schedules.put(schedule("late"))
    due = NOW.replace(microsecond=0) + timedelta(seconds=1)
    asked = deployed.schedules.ask("late", due)
    assert asked.scheduled_at == due + timedelta(microseconds=1)
    assert deployed.schedules.plan([execution("late", scheduled_at=due)], due, waiting=1)


def test_the_oldest_execution_is_taken_first_and_one_of_a_schedule_at_a_time(deployed: Store) -> None:
    """Not before it is ready."""
    for name in ("late", "other"):
        deployed.schedules.put(schedule(name))
    for name, minutes in (("late", 2), ("late", 1), ("other", 3), ("gone", 0)):
        at = NOW + minutes * HOUR / 60
        deployed.schedules.claim(replace(execution(name, scheduled_at=at), status="pending"))
    taken = [
        deployed.schedules.take("me", NOW + HOUR, ready=NOW + 2.5 * HOUR / 60, lease_s=60),
        deployed.schedules.take("me", NOW + HOUR, ready=NOW + 2.5 * HOUR / 60, lease_s=60),
        deployed.schedules.take("me", NOW + HOUR, ready=NOW + HOUR, lease_s=60),
        deployed.schedules.take("me", NOW + HOUR, ready=NOW + HOUR, lease_s=60),
    ]
    found = [None if one is None else (one[0].name, one[1].scheduled_at, one[1].attempts) for one in taken]
    assert found == [("late", NOW + HOUR / 60, 1), None, ("other", NOW + 3 * HOUR / 60, 1), None]
    assert deployed.schedules.counts() == {
        ("late", "running"): 1,
        ("late", "pending"): 1,
        ("other", "running"): 1,
        ("gone", "pending"): 1,
    }
    assert deployed.schedules.oldest_pending() == NOW


@pytest.mark.parametrize("waiting", [{"a": 1, "b": 1, "c": 1}, {"a": 9, "b": 9, "c": 1}])
def test_schedules_take_turns_where_there_is_more_to_do_than_can_be_done(
    deployed: Store, waiting: dict[str, int]
) -> None:
    """Two of three each hour: none is always missed, whatever it is called, and however many of the others wait."""
    begun: list[str] = []
    for name in waiting:
        deployed.schedules.put(replace(schedule("late"), name=name))
    for hour in range(6):
        now = NOW + hour * HOUR
        for name, most in waiting.items():
            due = replace(execution(name, scheduled_at=now), status="pending")
            assert deployed.schedules.plan([due], now, waiting=most)
        for minute in (1, 2):
            taken = deployed.schedules.take("me", now + minute * HOUR / 60, ready=now, lease_s=60)
            assert taken is not None
            assert deployed.schedules.end(replace(taken[1], status="completed", ended_at=now, lease_until=None))
            begun.append(taken[0].name)
    assert "".join(begun) == "abcabcabcabc"


def test_only_the_owner_ends_an_execution(deployed: Store) -> None:
    """Neither one that is late nor one that ends it again."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.ask("late", NOW)
    mine, other = (
        deployed.schedules.take(owner, NOW + hours * HOUR, ready=NOW, lease_s=60)
        for owner, hours in (("me", 0), ("it", 1))
    )
    assert mine is not None
    assert other is not None
    done = [replace(one[1], status="completed", ended_at=NOW + HOUR, lease_until=None) for one in (mine, other)]
    assert [deployed.schedules.end(one) for one in (done[0], done[1], done[1])] == [False, True, False]
    assert deployed.schedules.executions("late") == [done[1]]


def test_what_waits_is_missed_when_a_schedule_changes(deployed: Store) -> None:
    """It was planned by the one before."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.ask("late", NOW)
    deployed.schedules.claim(replace(execution("late", scheduled_at=NOW + HOUR), status="pending"))
    deployed.schedules.put(replace(schedule("late"), level=0.01, created_at=NOW + 2 * HOUR))
    assert [(one.status, one.reason) for one in deployed.schedules.executions("late")] == [
        ("missed", "the schedule was changed")
    ] * 2


def test_a_schedule_is_removed_once(deployed: Store) -> None:
    """The answer tells whether there was one."""
    deployed.schedules.put(schedule("late"))
    assert deployed.schedules.remove("late", NOW) is True
    assert deployed.schedules.remove("late", NOW) is False
    assert deployed.schedules.list() == []


REMOVALS: list[Callable[[Store], object]] = [
    lambda store: store.schedules.remove("late", NOW + HOUR),
    lambda store: store.endpoints.delete("late", NOW + HOUR),
]


@pytest.mark.parametrize("remove", REMOVALS, ids=["the schedule", "its endpoint"])
def test_what_waits_when_a_schedule_is_removed_is_missed(deployed: Store, remove: Callable[[Store], object]) -> None:
    """Due times, and what a user asked for; the lag of what waits does not grow for them."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.claim(replace(execution("late", scheduled_at=NOW - HOUR), status="pending"))
    deployed.schedules.ask("late", NOW)
    remove(deployed)
    assert [(one.status, one.reason, one.ended_at, one.removed) for one in deployed.schedules.executions("late")] == [
        ("missed", "the schedule was removed", NOW + HOUR, True)
    ] * 2
    assert deployed.schedules.oldest_pending() is None
    assert deployed.schedules.counts() == {}
    assert deployed.schedules.forget(NOW + 2 * HOUR) == 2


@pytest.mark.parametrize("remove", REMOVALS, ids=["the schedule", "its endpoint"])
def test_what_runs_when_a_schedule_is_removed_ends_as_it_does(
    deployed: Store, remove: Callable[[Store], object]
) -> None:
    """A schedule that is made by its name has nothing to do with that: neither its window nor its counts."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.claim(replace(execution("late"), status="pending"))
    taken = deployed.schedules.take("me", NOW, ready=NOW, lease_s=60)
    assert taken is not None
    remove(deployed)
    if not any(one.name == "late" for one in deployed.endpoints.list()):
        deployed.endpoints.deploy("late", deployed.models.get("demo"), NOW + 2 * HOUR)
    deployed.schedules.put(replace(schedule("late"), created_at=NOW + 2 * HOUR))
    assert deployed.schedules.end(replace(taken[1], status="completed", ended_at=NOW + 3 * HOUR, window_end=NOW))
    [ended] = deployed.schedules.executions("late")
    assert (ended.status, ended.removed) == ("completed", True)
    assert deployed.schedules.last_end("late") is None
    assert deployed.schedules.counts() == {}
    assert deployed.schedules.forget(NOW + 4 * HOUR) == 1


@pytest.mark.parametrize("again", [False, True], ids=["removed", "made anew"])
def test_what_a_killed_process_left_of_a_schedule_that_was_removed_has_failed(deployed: Store, *, again: bool) -> None:
    """When its lease ends; a schedule that is made by its name does not begin it again."""
    deployed.schedules.put(schedule("late"))
    deployed.schedules.ask("late", NOW)
    deployed.schedules.take("dead", NOW, ready=NOW, lease_s=60)
    deployed.schedules.remove("late", NOW)
    if again:
        deployed.schedules.put(replace(schedule("late"), created_at=NOW + timedelta(seconds=1)))
    for seconds, status in ((59, "running"), (60, "failed")):
        at = NOW + timedelta(seconds=seconds)
        assert deployed.schedules.take("me", at, ready=at, lease_s=60) is None
        [left] = deployed.schedules.executions("late")
        assert (left.status, left.attempts) == (status, 1)
    assert left.reason == "the process that worked on it died, and the schedule was removed"
    assert left.ended_at == NOW + timedelta(seconds=60)


def test_due_times_of_a_schedule_that_is_gone_or_changed_are_not_written_down(deployed: Store) -> None:
    """Whoever planned them saw it as it was."""
    due = [execution("late", scheduled_at=NOW + HOUR)]
    assert not deployed.schedules.plan(due, NOW + HOUR, waiting=1)
    deployed.schedules.put(replace(schedule("late"), created_at=NOW + 2 * HOUR))
    assert not deployed.schedules.plan(due, NOW + HOUR, waiting=1)
    assert deployed.schedules.executions("late") == []


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
