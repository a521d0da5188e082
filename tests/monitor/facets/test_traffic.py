"""The bias of an endpoint's traffic, by the labels that have come."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.facets import Choice, Facet, bias_of_traffic
from storage import SettingError, Store, UnknownNameError
from storage.labels import LabelItem, put_labels
from tests import portable
from tests.monitor import till

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = (NOW - 2 * HOUR, NOW)
BONN = Facet(column="town", values=("Bonn",))
OFTEN = Facet(column="visits", threshold=4)


def label_all(store: Store, window: tuple[datetime, datetime]) -> None:
    """Each answer was right, but those of Bonn."""
    rows = store.traffic.read(till.ENDPOINT, *window)
    other = {"yes": "no", "no": "yes"}
    items = [
        LabelItem(id_, other[said] if town == "Bonn" else said)
        for id_, said, town in rows.select("autopilot.inference_id", "autopilot.label", "town").iter_rows()
    ]
    put_labels(store, till.ENDPOINT, items, NOW, look=False)


def test_traffic_is_compared_with_the_models_reference(store: Store) -> None:
    """Towns get what they got in training, and so do they who come often; nobody has a label."""
    version = till.deploy(store, portable.classifier(), NOW - 3 * HOUR)
    till.send(store, version, till.rows(300, seed=1), NOW - HOUR)
    report = bias_of_traffic(store, till.ENDPOINT, [BONN, OFTEN], WINDOW)
    assert (report.rows, report.reference_rows, report.verdict, report.positive) == (300, 400, "no drift", "yes")
    found = {one.name: one for one in report.facets[0].metrics}
    assert found["DPPL"].p_value is not None
    assert (found["RD"].value, found["RD"].note) == (None, "No current row has a label and a prediction.")
    assert all(one.p_value is not None for one in report.facets[1].metrics if one.name in ("CI", "DPPL", "DI"))


def test_labels_tell_more(store: Store) -> None:
    """Against an earlier window in which all were right; now answers on Bonn are wrong."""
    version = till.deploy(store, portable.classifier(), NOW - 5 * HOUR)
    till.send(store, version, till.rows(300, seed=1), NOW - HOUR)
    till.send(store, version, till.rows(300, seed=2), NOW - 4 * HOUR)
    label_all(store, WINDOW)
    earlier = (NOW - 5 * HOUR, NOW - 3 * HOUR)
    rows = store.traffic.read(till.ENDPOINT, *earlier)
    pairs = rows.select("autopilot.inference_id", "autopilot.label").iter_rows()
    put_labels(store, till.ENDPOINT, [LabelItem(*pair) for pair in pairs], NOW, look=False)
    report = bias_of_traffic(store, till.ENDPOINT, [BONN], WINDOW, baseline=earlier)
    found = {one.name: one for one in report.facets[0].metrics}
    assert (found["AD"].baseline, found["AD"].value, found["AD"].drifted) == (0.0, 1.0, True)
    assert not found["CI"].drifted


def test_without_traffic_there_are_too_few_rows(store: Store) -> None:
    """And a report all the same."""
    till.deploy(store, portable.classifier(), NOW - HOUR)
    report = bias_of_traffic(store, till.ENDPOINT, [BONN], WINDOW)
    assert (report.verdict, report.rows) == ("too few rows", 0)
    assert report.facets[0].note == "No current row belongs to the facet, so there is nothing to compare."


def test_a_redacted_facet_has_no_metrics(store: Store) -> None:
    """Others are as ever."""
    version = till.deploy(store, portable.classifier(), NOW - 3 * HOUR)
    till.send(store, version, till.rows(100, seed=1), NOW - HOUR, redact={"town": "drop"})
    report = bias_of_traffic(store, till.ENDPOINT, [BONN, OFTEN], WINDOW)
    assert [len(facet.metrics) > 0 for facet in report.facets] == [False, True]
    assert report.facets[0].note == "The current table has no column 'town'."


def test_a_regression_wants_to_know_what_is_favourable(store: Store) -> None:
    """Then predictions above it are."""
    version = till.deploy(store, portable.regressor(), NOW - 3 * HOUR)
    till.send(store, version, till.rows(100, seed=1), NOW - HOUR)
    with pytest.raises(SettingError, match="regression, so nobody knows which outcome is favourable"):
        bias_of_traffic(store, till.ENDPOINT, [OFTEN], WINDOW)
    report = bias_of_traffic(store, till.ENDPOINT, [OFTEN], WINDOW, positive=Choice(threshold=0.0))
    found = {one.name: one for one in report.facets[0].metrics}
    assert found["DPPL"].value == pytest.approx(0.6, abs=0.3)  # who comes often is predicted less


def test_an_unknown_endpoint_is_an_error(store: Store) -> None:
    """The name is in the message."""
    with pytest.raises(UnknownNameError, match="no endpoint 'till'"):
        bias_of_traffic(store, till.ENDPOINT, [BONN], WINDOW)
