"""Hours are profiled while the monitor runs, whatever schedules there are."""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.schedule import utc_now, watching
from monitor.schedule.hours import AGAIN, KEPT, READ_WITHIN, Hours
from monitor.sketches import Subject, keep_hours, subject_of
from monitor.sketches.hours import whole_hour
from storage import Store
from storage.records import ModelVersion, StoredProfile, Variant
from tests import portable
from tests.monitor import till

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def version(store: Store) -> ModelVersion:
    """Deployed before midnight."""
    return till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)


def kept(store: Store, subject: Subject) -> list[tuple[int, int]]:
    """Hours after midnight and their rows, of what a subject is."""
    found: list[StoredProfile] = store.profiles.list(
        till.ENDPOINT,
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
        model=subject.version.name,
        version=subject.version.version,
        baseline=subject.baseline.digest,
        variant=subject.variant,
    )
    return [(int((one.hour - MIDNIGHT) / HOUR), one.rows) for one in found]


def test_an_hour_is_profiled_once_it_has_settled(store: Store, version: ModelVersion) -> None:
    """No schedule is needed, and what comes later is seen."""
    for hour in range(3):
        till.send(store, version, till.rows(5, seed=hour), MIDNIGHT + hour * HOUR)
    now = [MIDNIGHT + 3 * HOUR + timedelta(minutes=4)]
    hours, subject = Hours(store, clock=lambda: now[0]), subject_of(store, till.ENDPOINT)
    hours.look()
    assert kept(store, subject) == [(0, 5), (1, 5)]
    now[0] += timedelta(minutes=1)
    till.send(store, version, till.rows(7, seed=9), MIDNIGHT + HOUR)
    hours.look()
    assert kept(store, subject) == [(0, 5), (1, 12), (2, 5)]


def test_a_look_at_what_has_not_changed_reads_no_traffic(
    store: Store, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the model's reference."""
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    hours = Hours(store, clock=lambda: MIDNIGHT + 2 * HOUR)
    hours.look()
    for name in ("read", "read_part"):
        monkeypatch.setattr(type(store.traffic), name, refused)
    monkeypatch.setattr(type(store.models), "read_reference", refused)
    hours.look()
    with pytest.raises(AssertionError):
        Hours(store, clock=lambda: MIDNIGHT + 2 * HOUR).look()  # which does not know the reference yet


def refused(*_: Any, **__: Any) -> None:
    """What must not be done."""
    raise AssertionError


def test_each_version_is_compared_with_its_own_reference(store: Store, version: ModelVersion) -> None:
    """A variant's hours are those that it answered."""
    new = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    till.send(store, new, till.rows(7, seed=2), MIDNIGHT)
    both = (Variant("main", version.name, version.version), Variant("new", new.name, new.version, weight=0.1))
    served = store.endpoints.get(till.ENDPOINT)
    store.endpoints.put(replace(served, variants=both), MIDNIGHT)
    Hours(store, clock=lambda: MIDNIGHT + 2 * HOUR).look()
    assert kept(store, subject_of(store, till.ENDPOINT)) == [(0, 5)]
    assert kept(store, subject_of(store, till.ENDPOINT, "new")) == []  # it was the main variant that answered


def test_old_profiles_are_forgotten(store: Store, version: ModelVersion) -> None:
    """After 400 days; their traffic is not profiled again."""
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    subject = subject_of(store, till.ENDPOINT)
    Hours(store, clock=lambda: MIDNIGHT + 2 * HOUR).look()
    assert kept(store, subject) == [(0, 5)]
    late = Hours(store, clock=lambda: MIDNIGHT + KEPT + HOUR)
    late.look()
    late.look()
    assert kept(store, subject) == []


def test_old_hours_that_a_backtest_has_just_profiled_stay_while_it_reads(store: Store, version: ModelVersion) -> None:
    """Else it would find none of them, as if nobody had asked anything."""
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    subject, now = subject_of(store, till.ENDPOINT), MIDNIGHT + 2 * KEPT
    assert keep_hours(store, subject, MIDNIGHT, MIDNIGHT + HOUR, now=now) == 1
    Hours(store, clock=lambda: now + READ_WITHIN).look()
    assert kept(store, subject) == [(0, 5)]
    Hours(store, clock=lambda: now + READ_WITHIN + HOUR).look()
    assert kept(store, subject) == []


def test_what_comes_very_late_is_found_by_the_next_process(store: Store, version: ModelVersion) -> None:
    """One that has looked once looks back on two days."""
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    now = [MIDNIGHT + 2 * HOUR]
    hours, subject = Hours(store, clock=lambda: now[0]), subject_of(store, till.ENDPOINT)
    hours.look()
    now[0] += AGAIN
    till.send(store, version, till.rows(7, seed=2), MIDNIGHT)
    till.send(store, version, till.rows(9, seed=3), MIDNIGHT + 2 * HOUR)
    hours.look()
    assert kept(store, subject) == [(0, 5), (2, 9)]
    Hours(store, clock=lambda: now[0]).look()
    assert kept(store, subject) == [(0, 12), (2, 9)]


def test_an_endpoint_that_fails_is_told_once_and_costs_no_other(
    store: Store, version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """Here, its model's reference is gone; it comes before the other in the alphabet."""
    lost = till.deploy(store, portable.regressor(), MIDNIGHT - HOUR)
    store.endpoints.deploy("a", lost, MIDNIGHT)
    store.endpoints.deploy(till.ENDPOINT, version, MIDNIGHT)
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    folder = store.root / "traffic" / "parquet"
    hours = Hours(store, clock=lambda: MIDNIGHT + 3 * HOUR)
    hours.look()
    (folder / f"endpoint={till.ENDPOINT}").rename(folder / "endpoint=a")
    assert lost.reference_digest is not None
    store.blobs.delete(lost.reference_digest)
    till.send(store, version, till.rows(6, seed=2), MIDNIGHT + HOUR)
    with caplog.at_level(logging.WARNING):
        hours.look()
        hours.look()
    [record] = caplog.records
    assert "The hours of 'demo:4' at endpoint 'a' are not profiled: " in record.getMessage()
    assert kept(store, subject_of(store, till.ENDPOINT)) == [(0, 5), (1, 6)]


def test_a_look_ends_when_it_is_told(store: Store, version: ModelVersion) -> None:
    """And says that it has seen nothing, so that the next one looks at all."""
    till.send(store, version, till.rows(5, seed=1), MIDNIGHT)
    hours = Hours(store, clock=lambda: MIDNIGHT + 2 * HOUR)
    hours.stop()
    hours.look()
    assert kept(store, subject_of(store, till.ENDPOINT)) == []


def test_the_monitor_does_so_while_it_runs(store: Store) -> None:
    """Beside its other work."""
    now = whole_hour(utc_now()) - 3 * HOUR
    version = till.deploy(store, portable.classifier(), now)
    till.send(store, version, till.rows(5, seed=1), now)
    subject = subject_of(store, till.ENDPOINT)
    with watching(store):
        end = time.monotonic() + 60
        while not kept(store, subject) and time.monotonic() < end:
            time.sleep(0.1)
    assert [rows for _, rows in kept(store, subject)] == [5]
