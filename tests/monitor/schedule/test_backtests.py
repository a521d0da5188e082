"""Backtests that wait in the store are made, one at a time, whatever becomes of who makes them. The clock is given."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from monitor.schedule import LEASE_S, utc_now, watching
from monitor.schedule.backtests import Backtests
from monitor.schedule.retention import forget
from monitor.sketches import backtest, subject_of
from storage import Store
from storage.backtests import BacktestConfig, BacktestProgress, BacktestView, ask, get, stop
from storage.records import Schedule
from tests import portable
from tests.monitor import till

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = MIDNIGHT + 24 * HOUR
HOURLY = Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, MIDNIGHT)


@pytest.fixture
def asked(store: Store) -> BacktestView:
    """A backtest of four hours of 60 rows, of which the third has other amounts."""
    version = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    for hour in range(4):
        till.send(
            store, version, till.rows(60, seed=hour + 1, amount=8.0 if hour == 2 else 5.0), MIDNIGHT + hour * HOUR
        )
    store.schedules.put(HOURLY)
    return ask(store, "hourly", BacktestConfig(MIDNIGHT, MIDNIGHT + 4 * HOUR), NOW)


class Interrupted(Backtests):
    """What `interrupt` does comes in before the second hour is profiled."""

    def interrupt(self) -> None:
        """Nothing."""

    def _observe(self, step: str, hours: int, of: int) -> None:
        super()._observe(step, hours, of)  # pyright: ignore[reportArgumentType]
        if (step, hours) == ("profiled", 0):
            self.interrupt()


def test_one_that_waits_is_made(store: Store, asked: BacktestView) -> None:
    """With what `backtest` says; looked at again, there is nothing to do."""
    monitor = Backtests(store, lambda: NOW + HOUR)
    monitor.look()
    found = get(store, asked.id, NOW)
    expected = backtest(store, HOURLY, MIDNIGHT, MIDNIGHT + 4 * HOUR, now=NOW)
    assert (found.status, found.attempts, found.ended_at, found.result) == ("completed", 1, NOW + HOUR, expected)
    assert [one.verdict for one in expected.outcomes] == ["no drift", "no drift", "drift", "no drift"]
    monitor.look()
    assert get(store, asked.id, NOW) == found


def test_whoever_looks_is_told_how_far_it_is(store: Store, asked: BacktestView) -> None:
    """As its lease is renewed."""
    seen: list[BacktestView] = []

    class Renewed(Interrupted):
        def interrupt(self) -> None:
            self.renew()
            seen.append(get(store, asked.id, NOW))

    Renewed(store, lambda: NOW).look()
    assert [(one.status, one.progress) for one in seen] == [("running", BacktestProgress("profiled", 0, 4))]
    assert store.jobs.get(asked.id).lease_until is None


def test_one_that_cannot_be_made_tells_why(store: Store, asked: BacktestView) -> None:
    """And those after it are made all the same."""
    broken = ask(store, "hourly", BacktestConfig(MIDNIGHT, NOW, cron="30 * * * *"), NOW - HOUR)
    empty = ask(store, "hourly", BacktestConfig(MIDNIGHT - 48 * HOUR, MIDNIGHT - 24 * HOUR), NOW - HOUR)
    Backtests(store, lambda: NOW).look()
    told = {one: get(store, one.id, NOW) for one in (broken, empty, asked)}
    assert [one.status for one in told.values()] == ["failed", "failed", "completed"]
    assert (told[broken].reason or "").startswith("A window of the schedule begins or ends at 2024-05-31 23:30 UTC")
    assert (told[empty].reason or "").startswith(
        "Nothing is there of what demo:2 answered at endpoint 'till' from 2024-05-30 00:00 UTC to 2024-05-31 00:00 UTC,"
    )


def test_one_that_is_stopped_is_made_no_further(store: Store, asked: BacktestView) -> None:
    """Within the hour that it is at."""

    class Stopped(Interrupted):
        def interrupt(self) -> None:
            stop(store, asked.id, NOW)
            self.renew()

    Stopped(store, lambda: NOW).look()
    found = get(store, asked.id, NOW)
    assert (found.status, found.result, found.reason) == ("stopped", None, "stopped by a user")
    assert hours_kept(store) == 1


def test_one_under_way_is_given_back_when_the_monitor_ends(store: Store, asked: BacktestView) -> None:
    """Another makes it at once, and the attempt does not count."""

    class Ended(Interrupted):
        def interrupt(self) -> None:
            self.stop()

    Ended(store, lambda: NOW).look()
    waiting = get(store, asked.id, NOW)
    assert (waiting.status, waiting.attempts, hours_kept(store)) == ("queued", 0, 1)
    Backtests(store, lambda: NOW).look()
    assert (get(store, asked.id, NOW).status, get(store, asked.id, NOW).attempts) == ("completed", 1)


def test_one_whose_monitor_is_silent_is_made_by_another(store: Store, asked: BacktestView) -> None:
    """After its lease, and not before; what the first says then counts no more."""
    later = NOW + timedelta(seconds=LEASE_S)
    other = Backtests(store, lambda: later)

    class Silent(Interrupted):
        def interrupt(self) -> None:
            Backtests(store, lambda: NOW).look()
            assert get(store, asked.id, NOW).status == "running"
            other.look()

    Silent(store, lambda: NOW).look()
    found = get(store, asked.id, later)
    assert (found.status, found.attempts, found.ended_at) == ("completed", 2, later)
    assert store.jobs.get(asked.id).owner == other.owner


def test_the_monitor_makes_what_waits_and_forgets_it_later(store: Store, asked: BacktestView) -> None:
    """By itself."""
    with watching(store):
        end = time.monotonic() + 60
        while get(store, asked.id, utc_now()).status != "completed":
            assert time.monotonic() < end
            time.sleep(0.02)
    ended = get(store, asked.id, utc_now()).ended_at
    assert ended is not None
    for days, left in ((399, 1), (401, 0)):
        forget(store, 400, lambda days=days: ended + timedelta(days=days))
        assert len(store.jobs.list(kind="backtest")) == left


def hours_kept(store: Store) -> int:
    """How many hours have profiles."""
    subject = subject_of(store, till.ENDPOINT)
    version = subject.version
    kept = store.profiles.list(
        till.ENDPOINT, MIDNIGHT, NOW, model=version.name, version=version.version, baseline=subject.baseline.digest
    )
    return len(kept)
