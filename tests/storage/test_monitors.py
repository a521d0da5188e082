"""Monitors say that they are there."""

from datetime import timedelta

from msgspec.structs import replace

from storage import Store
from storage.monitors import is_there
from storage.records import Monitor
from tests.records import NOW

SECOND = timedelta(seconds=1)
ONE = Monitor("one", "here", 42, NOW, NOW)


def test_a_monitor_is_there_until_it_has_been_silent_for_thirty_seconds(store: Store) -> None:
    """It stays known until another says that it is there."""
    store.monitors.beat(ONE)
    later = replace(ONE, seen_at=NOW + 10 * SECOND)
    store.monitors.beat(later)
    assert store.monitors.list() == [later]
    assert [is_there(later, later.seen_at + wait * SECOND) for wait in (30, 31)] == [True, False]
    other = replace(ONE, id="other", seen_at=later.seen_at + 30 * SECOND)
    store.monitors.beat(other)
    assert store.monitors.list() == [other, later]
    other = replace(other, seen_at=other.seen_at + SECOND)
    store.monitors.beat(other)
    assert store.monitors.list() == [other]


def test_a_monitor_that_ends_is_forgotten(store: Store) -> None:
    """Twice is as once."""
    store.monitors.beat(ONE)
    store.monitors.remove("one")
    store.monitors.remove("one")
    assert store.monitors.list() == []
