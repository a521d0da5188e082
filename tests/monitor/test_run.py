"""The report on an endpoint: traffic from a journal, the reference from the store, the record, the page."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import polars as pl
import pytest

from monitor import run
from monitor.compare import compare
from monitor.drift import Bars
from monitor.looked import compared_kinds, masked
from monitor.report import EndpointReport
from storage import Column, SettingError, Signature, Store, UnknownNameError
from tests import portable
from tests.monitor import till

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_drift_in_traffic_is_reported(store: Store) -> None:
    """Amounts that rose by two standard deviations, and with them the probabilities; towns and visits are as ever."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    till.send(store, version, till.rows(300, seed=1, amount=7.0), NOW - HOUR)
    report, drift = run(store, till.ENDPOINT, now=NOW)
    found = {column.name: column.drifted for column in drift.columns}
    assert {name: found[name] for name in ("amount", "town", "visits", "p_yes")} == {
        "amount": True,
        "town": False,
        "visits": False,
        "p_yes": True,
    }
    assert list(found) == ["amount", "town", "visits", "seen", "label", "p_yes"]
    assert (report.verdict, report.drifted, report.rows) == ("drift", True, 300)
    assert (report.endpoint, report.model, report.version) == (till.ENDPOINT, "demo", version.version)
    assert (report.window_start, report.window_end, report.created_at) == (NOW - timedelta(days=1), NOW, NOW)


def test_redacted_columns_are_told_and_not_compared(store: Store) -> None:
    """Whatever they would have shown; also where only some rows of the window are redacted."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    for seed, redact in enumerate(({"amount": "hash", "town": "drop"}, {"town": "mask"}, {})):
        till.send(store, version, till.rows(100, seed=seed + 1), NOW - HOUR, redact=redact)
    report, drift = run(store, till.ENDPOINT, now=NOW)
    found = {column.name: column for column in drift.columns}
    assert list(found) == ["amount", "town", "visits", "seen", "label", "p_yes"]
    assert found["amount"].note == "Redacted in captured traffic (hash), so there is nothing to compare."
    assert found["town"].note.startswith("Redacted in captured traffic (")
    assert [name for name, column in found.items() if not column.tested] == ["amount", "town", "seen"]  # no times are
    assert (report.rows, drift.drifted) == (300, False)
    assert b"Redacted in captured traffic" in store.reports.read_html(report)


def test_traffic_like_the_reference_has_no_drift(store: Store) -> None:
    """Another sample of the same rows."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    till.send(store, version, till.rows(300, seed=2), NOW - HOUR)
    report, _ = run(store, till.ENDPOINT, now=NOW)
    assert (report.verdict, report.drifted) == ("no drift", False)


def test_the_report_is_in_the_store(store: Store) -> None:
    """The record, the JSON that reads back as the report, and the page."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    till.send(store, version, till.rows(40, seed=1, amount=9.0), NOW - HOUR)
    report, drift = run(store, till.ENDPOINT, now=NOW)
    assert store.reports.list(till.ENDPOINT) == [report]
    assert EndpointReport.parse(store.reports.read_json(report)) == drift
    assert b"<h1>Drift in " in store.reports.read_html(report)
    assert b"model <b>demo:2</b>" in store.reports.read_html(report)


def test_a_regression_model_is_watched_by_its_predictions(store: Store) -> None:
    """There is no label; the prediction is a number."""
    version = till.deploy(store, portable.regressor(), NOW - 2 * HOUR)
    till.send(store, version, till.rows(200, seed=1, amount=7.0), NOW - HOUR)
    _, drift = run(store, till.ENDPOINT, now=NOW)
    prediction = drift.columns[-1]
    assert (prediction.name, prediction.kind, prediction.drifted) == ("prediction", "number", True)


def test_without_traffic_there_are_too_few_rows(store: Store) -> None:
    """A report all the same: silence is a finding."""
    till.deploy(store, portable.classifier(), NOW - HOUR)
    report, drift = run(store, till.ENDPOINT, now=NOW)
    assert (report.verdict, report.drifted, report.rows) == ("too few rows", False, 0)
    assert [column.p_value for column in drift.columns] == [None] * 6
    assert b"Too few rows to judge" in store.reports.read_html(report)


def test_the_window_is_half_open(store: Store) -> None:
    """Rows answered at `since` count, rows at `until` do not."""
    version = till.deploy(store, portable.classifier(), NOW - 9 * HOUR)
    sent = till.rows(100, seed=3)  # one a millisecond
    till.send(store, version, sent, NOW - HOUR)
    start, end = NOW - HOUR + timedelta(milliseconds=10), NOW - HOUR + timedelta(milliseconds=50)
    report, _ = run(store, till.ENDPOINT, now=NOW, since=start, until=end)
    assert (report.rows, report.window_start, report.window_end) == (40, start, end)


def test_instants_may_be_of_any_zone(store: Store) -> None:
    """The window is the same, and so are the rows: 07:00 at UTC-5 is noon."""
    version = till.deploy(store, portable.classifier(), NOW - 9 * HOUR)
    till.send(store, version, till.rows(40, seed=3), NOW - HOUR)
    west = timezone(-5 * HOUR)
    report, _ = run(store, till.ENDPOINT, now=NOW, since=(NOW - 2 * HOUR).astimezone(west), until=NOW.astimezone(west))
    assert report.rows == 40
    assert b"<b>2024-06-01 10:00</b> to <b>2024-06-01 12:00</b> UTC" in store.reports.read_html(report)


def test_only_the_version_that_is_served_is_watched(store: Store) -> None:
    """What an older version answered belongs to another reference."""
    older = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    till.send(store, older, till.rows(50, seed=1), NOW - HOUR)
    newer = till.deploy(store, portable.classifier(shift=1.0), NOW - HOUR)
    till.send(store, newer, till.rows(60, seed=2), NOW - HOUR / 2)
    report, _ = run(store, till.ENDPOINT, now=NOW)
    assert (report.rows, report.version) == (60, newer.version)


def test_missing_values_of_traffic_are_missing(store: Store) -> None:
    """The journal writes sentinels; nobody must compare those."""
    version = till.deploy(store, portable.classifier(), NOW - 2 * HOUR)
    nulls = dict.fromkeys(("amount", "town", "visits", "seen"))
    till.send(store, version, [nulls] * 100, NOW - HOUR)
    _, drift = run(store, till.ENDPOINT, now=NOW)
    assert [(column.missing.current, column.drifted) for column in drift.columns[:4]] == [(100, True)] * 4


def test_an_input_named_as_an_output_keeps_its_name() -> None:
    """The output is then called as it is in the store."""
    columns = (Column("prediction", "number", "Float64"),)
    assert compared_kinds(Signature("regression", "y", columns)) == {
        "prediction": "number",
        "autopilot.prediction": "number",
    }


def test_of_many_classes_the_label_is_watched() -> None:
    """Probabilities of each class would be as many columns more."""
    signature = Signature("multiclass", "y", (Column("x", "number", "Float64"),), classes=(1, 2, 3))
    assert compared_kinds(signature) == {"x": "number", "label": "category"}


def test_an_input_named_as_a_probability_keeps_its_name() -> None:
    """Only the output of that name is called otherwise."""
    columns = tuple(
        msgspec.structs.replace(column, name="p_yes") if column.name == "visits" else column
        for column in portable.COLUMNS
    )
    assert compared_kinds(msgspec.structs.replace(portable.CLASSIFIER, columns=columns)) == {
        "amount": "number",
        "town": "category",
        "p_yes": "number",
        "seen": "time",
        "label": "category",
        "autopilot.p_yes": "number",
    }


def test_an_unknown_endpoint_is_an_error(store: Store) -> None:
    """The name is in the message."""
    with pytest.raises(UnknownNameError, match="no endpoint 'till'"):
        run(store, till.ENDPOINT, now=NOW)


def test_a_bad_level_leaves_no_report(store: Store) -> None:
    """Nothing is half-written."""
    till.deploy(store, portable.classifier(), NOW - HOUR)
    with pytest.raises(SettingError):
        run(store, till.ENDPOINT, now=NOW, level=5)
    assert store.reports.list() == []


def test_charts_show_no_value_of_a_sensitive_column() -> None:
    """Levels lose their names, ranges of numbers and times their chart; lengths of texts are no values, tests stay."""
    columns = (
        Column("name", "category", "String", sensitive=True),
        Column("pay", "number", "Int64", sensitive=True),
        Column("born", "time", "Datetime", sensitive=True),
        Column("note", "text", "String", sensitive=True),
    )
    table = pl.DataFrame(
        {
            "name": ["Jane", "Jim"] * 20,
            "pay": range(40),
            "born": [NOW - number * HOUR for number in range(40)],
            "note": [f"a note of number {number}" for number in range(40)],
        }
    )
    drift = compare(table, table, kinds={column.name: column.kind for column in columns})
    name, pay, born, note = masked(drift, Signature("regression", "y", columns)).columns
    assert isinstance(name.chart, Bars)
    assert name.chart.levels == ("level 1", "level 2")
    assert (pay.chart, born.chart, note.chart) == (None, None, drift.columns[3].chart)
    assert (name.p_value, pay.p_value) == (drift.columns[0].p_value, drift.columns[1].p_value)
    assert masked(drift, Signature("regression", "y", ())) == drift
