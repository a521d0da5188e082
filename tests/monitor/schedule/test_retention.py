"""What is long past is forgotten, and what schedules and alerts look back on is not. The clock is given."""

import time
from datetime import timedelta

import pytest
from msgspec.structs import replace

from monitor.schedule import SETTLE, Watch, utc_now, watching
from monitor.schedule.retention import forget
from storage import Store
from tests.monitor.alerts.told import HOUR, NOON, channel, judge, messenger, schedule
from tests.records import report

DAY = timedelta(days=1)


def hours(store: Store, name: str = "hourly") -> list[float]:
    """Due times that are recorded, in hours after noon, oldest first."""
    return [(one.scheduled_at - NOON) / HOUR for one in reversed(store.schedules.executions(name, 1000))]


def forget_at(store: Store, hour: int, kept_days: int = 1) -> None:
    """So many hours after noon."""
    forget(store, kept_days, lambda: NOON + hour * HOUR)


def test_executions_are_forgotten_some_days_after_they_ended(store: Store) -> None:
    """Of what is older, the last due time stays; with 0 days, all do."""
    schedule(store)
    judge(store, *[False] * 30)
    forget_at(store, 30, kept_days=0)
    assert len(hours(store)) == 30
    forget_at(store, 30)  # a check of six hours after noon ended three seconds after that
    assert hours(store) == list(range(5, 30))


def test_an_alert_weighs_the_verdicts_that_it_did(store: Store) -> None:
    """However old they are, as where nothing but errors came since; and the next window begins where it would have."""
    schedule(store, datapoints=2, of=3)
    judge(store, False, True, True, True, *[ValueError("no")] * 30)
    forget_at(store, 60)
    assert hours(store) == [1, 2, 3, 33]
    judge(store, False, since=34)
    newest = store.schedules.executions("hourly")[0]
    assert newest.window_start == NOON + 3 * HOUR
    changes = [(one.state, one.bad) for one in store.schedules.alerts.changes("hourly")]
    assert changes == [("InAlert", 2), ("Failing", 3), ("InAlert", 2)]
    judge(store, False, since=35)
    assert store.schedules.alerts.state("hourly") == "OK"


def test_a_due_time_that_is_forgotten_is_not_due_again(store: Store) -> None:
    """Of a schedule whose due times are further apart than what is kept."""
    schedule(store)
    yearly = replace(store.schedules.get("hourly"), name="yearly", cron="0 12 1 6 *")
    store.schedules.remove("hourly", NOON)
    store.schedules.put(yearly)
    for day in (0, 100, 365, 465):
        now = NOON + day * DAY + SETTLE
        Watch(store, lambda work: work(), clock=lambda now=now: now).look()
        forget(store, 30, lambda now=now: now)
    assert hours(store, "yearly") == [365 * 24]


def test_of_a_schedule_that_is_gone_everything_goes_but_its_last_change(store: Store) -> None:
    """Its numbers go on if it is made anew."""
    schedule(store)
    judge(store, True, False, True)
    store.schedules.remove("hourly", NOON)
    forget_at(store, 50)
    assert hours(store) == []
    assert [change.number for change in store.schedules.alerts.changes("hourly")] == [3]


def test_what_channels_have_still_to_be_told_stays(store: Store) -> None:
    """What they were told, or never will be, goes with the changes."""
    schedule(store, channel("command", "true"), channel("command", "no such program", name="broken", states=["OK"]))
    judge(store, True, False, True)
    teller = messenger(store, NOON + 3 * HOUR)
    teller.look()
    alerts = store.schedules.alerts
    assert alerts.delivery_counts() == {"told": 3, "waiting": 1}
    forget_at(store, 27)  # 24 h after they were told
    assert alerts.delivery_counts() == {"told": 3, "waiting": 1}
    assert [change.number for change in alerts.changes("hourly")] == [3]
    forget_at(store, 28)
    assert [one.channel for one in alerts.deliveries()] == ["broken"]
    assert alerts.state("hourly") == "InAlert"


def test_reports_stay_as_long_as_something_names_them(store: Store) -> None:
    """The newest of an endpoint does in any case."""
    schedule(store)
    judge(store, False, True, True)
    for number, name in enumerate(("r12", "r13", "r14", "asked", "newest")):
        store.reports.add(report(name, endpoint="till", created_at=NOON + number * HOUR))
    store.reports.add(report("alone", endpoint="other", created_at=NOON))
    forget_at(store, 60)
    # Hour 14 is the last due time, and the change to InAlert was decided at 13.
    assert {one.id for one in store.reports.list()} == {"r13", "r14", "newest", "alone"}


def test_the_monitor_forgets_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the setting has it, from its start on."""
    monkeypatch.setenv("AUTOPILOT_MONITOR_KEPT_DAYS", "3")
    now = utc_now()
    for days in (5, 4, 2):
        store.reports.add(report(f"of {days} days ago", created_at=now - days * DAY))
    with watching(store):
        end = time.monotonic() + 60
        while len(store.reports.list()) > 1 and time.monotonic() < end:
            time.sleep(0.02)
    assert [one.id for one in store.reports.list()] == ["of 2 days ago"]
