"""Backtests are asked for as jobs: what is tried, what is refused, and what one that waits tells."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from storage import InputError, SettingError, Store, UnknownNameError
from storage.backtests import (
    NOBODY,
    Backtest,
    BacktestConfig,
    BacktestProgress,
    ask,
    get,
    list_backtests,
    stop,
    tried,
)
from storage.batch import jobs as transforms
from storage.records import AlertRule, Schedule
from tests import portable
from tests.records import NOW
from tests.refusals import raises

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NIGHTLY = Schedule("nightly", "flights", "0 2 * * *", 0.05, NOW, zone="Europe/Berlin", budget="1 per year")


@pytest.fixture
def store(tmp_path: Any) -> Iterator[Store]:
    """With an endpoint `flights`, a schedule for drift and one for data quality."""
    for opened in portable.served(tmp_path / "store", "flights"):
        opened.schedules.put(NIGHTLY)
        opened.schedules.put(replace(NIGHTLY, name="quality", check="data-quality"))
        yield opened


def test_what_is_given_takes_the_place_of_the_schedules_own() -> None:
    """The rest stays; a level takes the place of a budget."""
    assert tried(NIGHTLY, BacktestConfig()) == NIGHTLY
    changes: dict[str, Any] = {"cron": "0 * * * *", "variant": "main", "zone": "UTC", "alert": AlertRule(2, 3)}
    changes |= {"start_offset": "-P2D", "end_offset": "-P1D", "budget": "2 per day"}
    assert tried(NIGHTLY, BacktestConfig(**changes)) == replace(NIGHTLY, **changes)
    assert tried(NIGHTLY, BacktestConfig(level=0.01)) == replace(NIGHTLY, level=0.01, budget=None)
    with raises(SettingError, "level is 0.01 and budget '1 per day', which decides the level. Give one of them."):
        tried(NIGHTLY, BacktestConfig(level=0.01, budget="1 per day"))


def test_a_backtest_is_asked_for_and_looked_at(store: Store) -> None:
    """As it is tried, of the last 30 days; the schedule stays as it is."""
    asked = ask(store, "nightly", BacktestConfig(level=0.2), NOW)
    assert (asked.status, asked.schedule.level, asked.schedule.budget) == ("queued", 0.2, None)
    assert (asked.start, asked.end) == (NOW - 30 * DAY, NOW)
    assert store.schedules.get("nightly") == NIGHTLY
    claimed = store.jobs.claim("backtest", "me", NOW, lease_s=60)
    assert claimed is not None
    store.jobs.renew(claimed.id, "me", NOW, lease_s=60, progress='{"step": "read", "hours": 2, "of": 9}')
    seen = get(store, asked.id, NOW)
    assert (seen.status, seen.progress, seen.reason) == ("running", BacktestProgress("read", 2, 9), None)
    found = Backtest("All is well.", 0, 0, 1.5, "nightly", NOW - 30 * DAY, NOW, ())
    store.jobs.finish(asked.id, "me", NOW, "completed", result=msgspec.json.encode(found).decode())
    assert get(store, asked.id, NOW).result == found
    with raises(InputError, "has completed. There is nothing left to stop."):
        stop(store, asked.id, NOW)


def test_one_that_waits_tells_for_what(store: Store) -> None:
    """For a monitor, that there is none, or for another backtest."""
    first, second = (ask(store, "nightly", BacktestConfig(), NOW + number * SECOND) for number in range(2))
    assert get(store, first.id, NOW + SECOND).reason == "it waits for a monitor, which looks each second"
    nobody = get(store, first.id, NOW + NOBODY).reason
    assert nobody is not None
    assert nobody.startswith("no monitor has taken it, so that none seems to follow this store: start one by ")
    store.jobs.claim("backtest", "me", NOW, lease_s=60)
    assert get(store, first.id, NOW + NOBODY).reason is None
    assert get(store, second.id, NOW + NOBODY).reason == "it waits for another backtest: one is made at a time"
    dead = NOW + 60 * SECOND
    assert get(store, first.id, dead).reason == "it waits for a monitor, which looks each second"
    assert get(store, first.id, dead + NOBODY).reason == nobody
    assert stop(store, first.id, dead).reason == "stopped by a user"
    assert get(store, first.id, dead + NOBODY).reason == "stopped by a user"


def test_those_of_a_schedule_are_listed(store: Store) -> None:
    """Without results, the newest first, also when it was removed."""
    store.schedules.put(replace(NIGHTLY, name="other"))
    asked = [ask(store, name, BacktestConfig(), NOW + at * SECOND) for at, name in enumerate(("nightly", "other") * 2)]
    store.schedules.remove("nightly", NOW)
    found = list_backtests(store, "nightly", limit=1)
    assert found == [asked[2]]
    assert list_backtests(store, "nightly", limit=9, before=found[0].id) == [asked[0]]
    assert list_backtests(store, "nobody", limit=9) == []


def test_a_backtest_is_no_transform(store: Store) -> None:
    """Whoever looks for one by its id is told; no list has both."""
    asked = ask(store, "nightly", BacktestConfig(), NOW)
    for call in (
        lambda: transforms.get(store, asked.id),
        lambda: transforms.stop(store, asked.id, NOW),
    ):
        with raises(UnknownNameError, f"Job '{asked.id}' is a backtest job, and a batch job was asked for."):
            call()
    assert transforms.list_jobs(store) == []
    assert transforms.rows_under_way(store) == 0
    assert get(store, asked.id, NOW).status == "queued"
    store.jobs.create("batch", "{}", NOW)
    [transform] = store.jobs.list(kind="batch")
    with raises(UnknownNameError, f"Job '{transform.id}' is a batch job, and a backtest job was asked for."):
        get(store, transform.id, NOW)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("nobody", {}, "The store has no schedule 'nobody'."),
        ("quality", {}, "check is 'data-quality'. From profiles, only drift can be tried on the past."),
        ("nightly", {"variant": "new"}, "Endpoint 'flights' has no variant 'new'. It has: main."),
        ("nightly", {"cron": "0 25 * * *"}, "The hour in cron '0 25 * * *' is '25'."),
        ("nightly", {"level": 2.0}, "level is 2, the chance of any alarm."),
        ("nightly", {"start": NOW}, "start is 2024-05-01T13:30:00.123456+00:00, and end 2024-05-01T13:30:00.123456"),
        (
            "nightly",
            {"start": NOW - 400 * DAY},
            "and its first window begins 400 days before the end, 2024-05-01T13:30:00.123456+00:00. They span 400 "
            "days at most: give a later start, or an earlier end.",
        ),
        (
            "nightly",
            {"start": NOW + DAY, "end": NOW + 2 * DAY},
            "start is 2024-05-02T13:30:00.123456+00:00, which is yet",
        ),
        ("nightly", {"start_offset": "-P371D"}, "and its first window begins 401 days before the end"),
        ("nightly", {"start_offset": "-P99999W"}, "and its first window begins 700,023 days before the end"),
        ("nightly", {"cron": "0 0 29 2 *", "start": NOW - 100 * DAY}, "first window begins 1,523 days before the end"),
        ("nightly", {"start": NOW.replace(year=1969)}, "there is no traffic of before 1970. Have it begin later."),
        ("nightly", {"start": NOW.replace(year=1969), "end": NOW.replace(year=2)}, "no traffic of before 1970."),
    ],
)
def test_what_cannot_be_tried_is_refused(store: Store, name: str, changes: dict[str, Any], message: str) -> None:
    """At once, so that no job fails for it."""
    with pytest.raises(InputError) as refused:
        ask(store, name, BacktestConfig(**changes), NOW)
    assert message in str(refused.value)
    assert store.jobs.list() == []
