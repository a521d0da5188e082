"""Drift reports."""

from msgspec.structs import replace

from storage import Store, UnknownNameError
from tests.records import HOUR, NOW, report
from tests.refusals import raises


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
