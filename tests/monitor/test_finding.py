"""What people are told first of a report."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.finding import MOST_COLUMNS, finding_of
from monitor.report import EndpointReport
from monitor.run import run
from storage import Store
from storage.records import CheckKind
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Amounts have doubled in the last hour, everybody is of Ulm, and half of the visits are missing; hours before, the
    amounts of those with many visits had doubled."""
    opened = Store.open(tmp_path_factory.mktemp("store"))
    version = till.deploy(opened, portable.classifier(), NOON - 9 * HOUR)
    till.send(opened, version, till.rows(120, seed=2), NOON - 3 * HOUR)
    unfair = [{**row, "amount": row["amount"] * (2 if row["visits"] > 4 else 1)} for row in till.rows(400, seed=3)]
    till.send(opened, version, unfair, NOON - 5 * HOUR)
    odd: list[dict[str, Any]] = [{**row, "town": "Ulm"} for row in till.rows(120, seed=1, amount=10.0)]
    till.send(opened, version, [{**row, "visits": None} if row["visits"] % 2 else row for row in odd], NOON - HOUR)
    yield opened
    opened.close()


def report(
    store: Store, check: CheckKind, since: datetime = NOON - 2 * HOUR, facet: str | None = None
) -> EndpointReport:
    """Of two hours."""
    until = since + 2 * HOUR
    return run(store, till.ENDPOINT, now=NOON, since=since, until=until, check=check, facets=[facet] if facet else [])[
        1
    ]


@pytest.fixture(scope="module")
def drifted(store: Store) -> EndpointReport:
    """The report of the last hours."""
    return report(store, "drift")


def test_columns_that_drifted_come_by_likely_harm(drifted: EndpointReport) -> None:
    """Each with what it does; no more than a person reads."""
    found = drifted
    told = finding_of(found)
    assert told.sentence == found.sentence
    names = [column.name for column in found.ranked if column.drifted]
    assert {"amount", "town", "visits"} <= set(names)
    assert [column.name for column in told.columns] == names[:MOST_COLUMNS]
    assert found.harm is not None
    assert [column.words for column in told.columns] == [one.words for one in found.harm.columns[: len(told.columns)]]
    all_of_them = replace(found, columns=tuple(replace(column, drifted=True) for column in found.columns))
    assert (len(found.columns), len(finding_of(all_of_them).columns)) == (6, MOST_COLUMNS)


def test_where_harm_is_unknown_the_drift_is_told(drifted: EndpointReport) -> None:
    """In the order of its size."""
    found = replace(drifted, harm=None)
    first = found.ranked[0]
    assert finding_of(found).columns[0].name == first.name
    assert finding_of(found).columns[0].words == f"A drift of {first.effect:.0%}."


def test_of_a_verdict_that_is_not_bad_no_column_is_told(store: Store) -> None:
    """Nobody has to look."""
    found = report(store, "drift", NOON - 4 * HOUR)
    assert (found.breached, finding_of(found).columns) == (False, ())


def test_of_data_quality_columns_with_broken_constraints_are_told(store: Store) -> None:
    """With the constraint and by how many rows."""
    found = report(store, "data-quality")
    assert (found.breached, found.quality is not None) == (True, True)
    told = {column.name: column.words for column in finding_of(found).columns}
    assert told["visits"].startswith("58 of 120 rows (48.3%) have no value.")


def test_of_bias_columns_of_groups_are_told(store: Store) -> None:
    """With what is otherwise."""
    found = report(store, "bias", NOON - 6 * HOUR, facet="visits>4")
    assert found.breached
    [told] = finding_of(found).columns
    assert told.name == "visits"
    assert told.words.startswith("visits > 4: ")
