"""Captured traffic against the reference that training left with the model."""

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.checks import Quality, check, suggest
from monitor.looked import compared_kinds, read_reference
from storage import Store
from storage.records import ModelVersion
from tests import portable
from tests.monitor import till

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def checked(store: Store, version: ModelVersion, sent: list[dict[str, Any]]) -> Quality:
    """What rows that were sent an hour ago break."""
    till.send(store, version, sent, NOW - timedelta(hours=1))
    kinds = compared_kinds(version.signature)
    baseline = suggest(read_reference(store, version).select(*kinds), kinds, now=NOW)
    traffic = store.traffic.read(till.ENDPOINT, NOW - timedelta(days=1), NOW)
    outputs = {name: name.removeprefix("autopilot.") for name in traffic.columns if name.split(".")[-1] in kinds}
    return check(traffic.rename(outputs), baseline, now=NOW)


def test_traffic_like_the_reference_breaks_nothing(store: Store) -> None:
    """Inputs, predictions, and capture's own columns beside them."""
    version = till.deploy(store, portable.classifier(), NOW - timedelta(days=2))
    quality = checked(store, version, till.rows(300, seed=1))
    assert (quality.verdict, quality.rows, quality.baseline_rows) == ("no violations", 300, 400)


def test_a_feed_that_stops_a_unit_and_a_new_town_are_found(store: Store) -> None:
    """Three columns of the till, each broken in its own way."""
    version = till.deploy(store, portable.classifier(), NOW - timedelta(days=2))
    sent = till.rows(300, seed=1)
    for number, row in enumerate(sent):
        row["visits"] = None if number % 4 == 0 else row["visits"]
        row["amount"] *= 100 if number % 10 == 0 else 1
        row["town"] = "Köln" if number % 8 == 0 else row["town"]
    found = {(one.column, one.check, one.rows) for one in checked(store, version, sent).violations}
    assert {("visits", "completeness", 75), ("amount", "range", 30), ("town", "domain", 38)} <= found
