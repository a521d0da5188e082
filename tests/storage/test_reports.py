"""Drift reports."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast

from msgspec.structs import replace
from sqlalchemy import Engine, event

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


def test_old_reports_are_forgotten_with_their_blobs(store: Store) -> None:
    """A blob stays that another report has, or that may be of one that is just being added."""
    for number, (json, html) in enumerate(((b"none", b"a"), (b"some", b"b"), (b"none", b"c"))):
        digests = {"json_digest": store.blobs.put(json), "html_digest": store.blobs.put(html)}
        store.reports.add(replace(report(f"d{number}", created_at=NOW + number * HOUR), **digests))
    later = datetime.now(UTC) + 2 * HOUR
    os.utime(store.blobs.path(sha256(b"b").hexdigest()), (later.timestamp(), later.timestamp()))
    assert store.reports.forget(NOW + HOUR, later) == 1
    assert store.reports.forget(NOW + 9 * HOUR, later) == 1  # the newest stays
    assert [one.id for one in store.reports.list()] == ["d2"]
    assert sorted(store.blobs.get(digest) for digest in store.blobs.digests()) == [b"b", b"c", b"none"]


def test_many_reports_are_forgotten_some_hundred_at_once(store: Store) -> None:
    """So that others can write in between."""
    for number in range(250):
        store.reports.add(report(f"d{number}", created_at=NOW + number * HOUR))
    later = NOW + 1000 * HOUR
    assert [store.reports.forget(later, later) for _ in range(3)] == [200, 49, 0]


def test_what_names_a_report_is_found_by_an_index(store: Store) -> None:
    """There are as many executions as due times in 400 days: nobody reads them all each hour."""
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        store.reports.forget(NOW, NOW)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    (statement, parameters), *_ = [one for one in asked if "FROM reports" in one[0]]
    with closing(sqlite3.connect(store.root / "autopilot.db")) as connection:
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", cast("Any", parameters))]
    for table in ("executions", "alert_changes"):
        assert [step for step in plan if f"ix_{table}_report_id" in step and step.startswith("SEARCH")]
