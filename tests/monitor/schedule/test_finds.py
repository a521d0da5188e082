"""How small a drift a schedule will find, told when it is made."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from monitor.looked import compared_kinds, read_reference
from monitor.power import finds_of, smallest_drifts
from monitor.schedule.finds import finds
from storage import SettingError, Store, UnknownNameError
from storage.records import ModelVersion, Schedule
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON)


@pytest.fixture
def version(store: Store) -> ModelVersion:
    """Deployed in the morning."""
    return till.deploy(store, portable.classifier(), NOON - 9 * HOUR)


def test_windows_have_the_rows_that_the_last_ones_had(store: Store, version: ModelVersion) -> None:
    """Their median, of those that had any; so the table is that of the reference with as many rows."""
    for hours, rows in ((1, 40), (2, 60), (4, 500), (30, 9)):
        till.send(store, version, till.rows(rows, seed=hours), NOON - hours * HOUR)
    found = finds(store, HOURLY, NOON)
    assert (found.rows, found.windows, found.level, found.power, found.left_out) == (60, 3, 0.05, 0.8, 0)
    kinds = compared_kinds(version.signature)
    reference = read_reference(store, version).select(list(kinds))
    assert found.columns == smallest_drifts(reference, 60, kinds=kinds)
    amount = found.columns[0]
    assert amount.name == "amount"
    assert amount.shift_sd is not None
    assert 0.4 < amount.shift_sd < 0.8  # D of 60 rows at p = 0.05 / 6 columns is 0.2, and of a normal shift 0.6 sd


def test_rows_and_a_budget_can_be_given(store: Store, version: ModelVersion) -> None:
    """Windows of more rows find less, and a lower level more."""
    usual = finds(store, HOURLY, NOON, rows=500)
    assert (usual.rows, usual.windows) == (500, 0)
    strict = finds(store, replace(HOURLY, budget="1 per month"), NOON, rows=500)
    assert strict.level == 1 / (30 * 24)
    shifts = [one.columns[0].shift or 0 for one in (usual, strict)]
    assert 0 < shifts[0] < shifts[1]


def test_without_any_window_nothing_is_told(store: Store, version: ModelVersion) -> None:
    """Nor where the variant that is looked at has answered nothing."""
    assert finds(store, HOURLY, NOON).rows is None
    till.send(store, version, till.rows(5, seed=1), NOON - 9 * HOUR)
    assert finds(store, HOURLY, NOON).rows is None
    assert finds(store, replace(HOURLY, cron="every 999999 weeks"), NOON).rows is None


def test_windows_may_be_shorter_than_an_hour_and_lie_back(store: Store, version: ModelVersion) -> None:
    """As the offsets say."""
    till.send(store, version, till.rows(40, seed=1), NOON - timedelta(minutes=14))
    assert finds(store, replace(HOURLY, cron="every 15 minutes"), NOON).rows == 40
    back = replace(HOURLY, cron="every 15 minutes", start_offset="-PT60M", end_offset="-PT45M")
    assert finds(store, back, NOON).rows is None
    assert finds(store, back, NOON + HOUR).rows == 40


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"check": "bias"}, SettingError, "can be told of drift alone"),
        ({"endpoint": "nobody"}, UnknownNameError, "no endpoint 'nobody'"),
        ({"variant": "new"}, UnknownNameError, "no variant 'new'"),
    ],
)
def test_what_cannot_be_told_is_said(
    store: Store, version: ModelVersion, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """With what was received."""
    with pytest.raises(kind, match=message):
        finds(store, replace(HOURLY, **changes), NOON, rows=50)


def test_no_value_of_a_sensitive_column_is_told(store: Store) -> None:
    """How far it has to move is told in standard deviations alone."""
    signature = portable.CLASSIFIER
    columns = tuple(replace(column, sensitive=column.name == "amount") for column in signature.columns)
    till.deploy(store, portable.classifier(signature=replace(signature, columns=columns)), NOON)
    amount, *others = finds(store, HOURLY, NOON, rows=100).columns
    assert (amount.name, amount.shift) == ("amount", None)
    assert amount.shift_sd is not None
    assert any(one.shift is not None for one in others)


def test_of_many_columns_the_first_are_told() -> None:
    """At the threshold that all share: here, only the first one is of numbers."""
    times = {f"seen {number}": [NOON] * 60 for number in range(101)}
    table = pl.DataFrame({"x": [float(row) for row in range(60)], **times})
    found = finds_of(table, 200, level=0.05)
    assert (len(found.columns), found.left_out) == (100, 2)
    assert found.columns[0] == smallest_drifts(table.select("x"), 200)[0]
