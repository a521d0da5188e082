"""What a schedule of each kind of check comes to: a report whose verdict is the kind's."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from monitor.report import EndpointReport
from monitor.schedule import SETTLE, Watch, Window, check
from storage import SettingError, Store
from storage.labels.items import NewLabel
from storage.records import CheckKind, Execution, ModelVersion, Schedule
from storage.schedules import CHECKS
from storage.traffic import OUTPUT_PREFIX
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def version(store: Store) -> ModelVersion:
    """Deployed ten days ago."""
    return till.deploy(store, portable.classifier(), NOON - 10 * DAY)


def executed(store: Store, schedule: Schedule, now: datetime) -> Execution:
    """The execution that is due at a moment."""
    if schedule not in store.schedules.list():
        store.schedules.put(schedule)
    Watch(store, lambda work: work(), clock=lambda: now + SETTLE).look()
    return store.schedules.executions(schedule.name, 1)[0]


def report_of(store: Store, execution: Execution) -> EndpointReport:
    """The report that it made."""
    assert execution.report_id is not None, execution.reason
    return msgspec.json.decode(store.reports.read_json(store.reports.get(execution.report_id)), type=EndpointReport)


@pytest.mark.parametrize("kind", CHECKS)
def test_each_kind_has_a_verdict_of_its_own(store: Store, version: ModelVersion, kind: CheckKind) -> None:
    """Amounts have doubled: whether that is bad depends on the question."""
    till.send(store, version, till.rows(120, seed=1, amount=10.0), NOON - HOUR)
    facets = ("town=Ulm",) if kind == "bias" else ()
    done = executed(store, Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON, check=kind, facets=facets), NOON)
    found = report_of(store, done)
    assert (done.status, done.breached) == ("completed", found.breached)
    assert store.reports.get(done.report_id or "").check == found.check == kind
    assert (found.bias is not None) == (kind == "bias")
    if kind in ("drift", "multivariate"):
        assert (done.verdict, done.breached) == ("drift", True)


def test_facets_are_those_that_the_schedule_names(store: Store, version: ModelVersion) -> None:
    """Each value of a category, and those above a number."""
    till.send(store, version, till.rows(120, seed=1), NOON - HOUR)
    facets = ("town", "amount>5")
    fair = Schedule("fair", till.ENDPOINT, "0 * * * *", 0.05, NOON, check="bias", facets=facets)
    found = report_of(store, executed(store, fair, NOON)).bias
    assert found is not None
    names = {(one.column, one.value_or_threshold) for one in found.facets}
    assert names == {("town", "Ulm"), ("town", "Bonn"), ("town", "Rome"), ("amount", "5")}


def fitted_with(store: Store, version: ModelVersion, *fairness: str) -> ModelVersion:
    """The next version of the model, fitted with `fairness=`, deployed."""
    card = msgspec.structs.replace(version.card, fairness=fairness)
    newer = store.models.publish(msgspec.structs.replace(version, card=card))
    store.endpoints.deploy(till.ENDPOINT, newer, NOON - 10 * DAY)
    return newer


def test_without_facets_bias_is_of_the_columns_that_the_model_was_fitted_with(
    store: Store, version: ModelVersion
) -> None:
    """Each value of a category, and of numbers those above each quartile of the reference; `id` is in no traffic."""
    fair = fitted_with(store, version, "town", "amount", "id")
    till.send(store, fair, till.rows(120, seed=1), NOON - HOUR)
    schedule = Schedule("fair", till.ENDPOINT, "0 * * * *", 0.05, NOON, check="bias")
    found = report_of(store, executed(store, schedule, NOON)).bias
    assert found is not None
    assert {one.value_or_threshold for one in found.facets if one.column == "town"} == {"Ulm", "Bonn", "Rome"}
    above = [float(one.value_or_threshold) for one in found.facets if one.column == "amount"]
    assert above == sorted(sorted(row["amount"] for row in till.rows(400, seed=0))[at] for at in (99, 199, 299))


def test_a_later_version_of_which_nobody_knows_a_facet_fails_the_check(store: Store, version: ModelVersion) -> None:
    """With what to do; it was fitted without fairness= after the schedule was made."""
    fitted_with(store, version, "town")
    schedule = Schedule("fair", till.ENDPOINT, "0 * * * *", 0.05, NOON - HOUR, check="bias")
    store.schedules.put(schedule)
    store.endpoints.deploy(till.ENDPOINT, version, NOON - HOUR)
    done = executed(store, schedule, NOON)
    assert done.status == "failed"
    assert (done.reason or "").startswith("No facet was named, and demo:2 was fitted without fairness=. Name one,")


def test_the_level_is_that_of_the_due_time(store: Store, version: ModelVersion) -> None:
    """By the budget; June has 30 days."""
    till.send(store, version, till.rows(60, seed=1), NOON - HOUR)
    spread = Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON, budget="1 per month")
    assert report_of(store, executed(store, spread, NOON)).level == 1 / (30 * 24)


def test_labels_that_come_late_count_where_the_window_lies_back(store: Store, version: ModelVersion) -> None:
    """Those of a week ago are there by now, and are all wrong; those of the day after are not."""
    for days in (8, 7):
        till.send(store, version, till.rows(120, seed=days), NOON - days * DAY + HOUR)
    store.traffic.compact()
    answered = store.traffic.read(till.ENDPOINT, NOON - 8 * DAY, NOON - 7 * DAY)
    ids, said = (answered.get_column(f"{OUTPUT_PREFIX}{name}").to_list() for name in ("inference_id", "label"))
    happened_us = int((NOON - DAY).timestamp() * 1e6)
    other = {"yes": "no", "no": "yes"}
    wrong = [NewLabel(one, 0, other[label], happened_us) for one, label in zip(ids, said, strict=True)]
    store.labels.put(till.ENDPOINT, wrong, NOON - DAY)
    late = Schedule(
        "late",
        till.ENDPOINT,
        "0 12 * * *",
        0.05,
        NOON,
        check="model-quality",
        start_offset="-P8D",
        end_offset="-P7D",
    )
    first = executed(store, late, NOON)
    realised = report_of(store, first).realised
    assert realised is not None
    assert (realised.whole.rows, realised.whole.labelled) == (120, 120)
    assert realised.known_at == NOON + SETTLE
    assert realised.whole.figure("accuracy").value == 0
    second = report_of(store, executed(store, late, NOON + DAY)).realised
    assert second is not None
    assert (second.whole.rows, second.whole.labelled) == (120, 0)


def test_a_facet_that_the_model_does_not_take_is_said(store: Store, version: ModelVersion) -> None:
    """It took it when the schedule was made."""
    fair = Schedule("fair", till.ENDPOINT, "0 * * * *", 0.05, NOON, check="bias", facets=("sex",))
    with pytest.raises(SettingError, match="of no column that the model takes"):
        check(store, fair, Window(NOON - HOUR, NOON), NOON)


def test_a_check_that_cannot_be_made_has_failed(store: Store, version: ModelVersion) -> None:
    """The file of the model is gone: its answers cannot be explained. Nobody takes that for no alarm."""
    till.send(store, version, till.rows(120, seed=1), NOON - HOUR)
    store.blobs.delete(version.digest)
    schedule = Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON, check="attribution")
    done = executed(store, schedule, NOON)
    assert (done.status, done.breached, done.verdict) == ("failed", None, None)
    assert "The check 'attribution' was not made" in (done.reason or "")
    (report,) = store.reports.list(till.ENDPOINT)
    assert report.id in (done.reason or "")
    assert store.reports.read_json(report)
