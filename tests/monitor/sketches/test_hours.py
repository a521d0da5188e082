"""Hours of an endpoint's traffic: profiled once, and any period told from them as from the rows."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor import run
from monitor.sketches.hours import Subject, keep_hours, load, merged, rescore, subject_of
from monitor.sketches.window import quantiles_of, summary_of
from storage import SettingError, Store, UnknownNameError
from storage.records import ModelVersion
from tests import portable
from tests.monitor import till

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = MIDNIGHT + timedelta(days=1)


def deployed(store: Store) -> tuple[ModelVersion, Subject]:
    """An endpoint with a reference of 400 rows, without traffic."""
    version = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    return version, subject_of(store, till.ENDPOINT)


def test_a_period_from_its_hours_is_judged_as_its_rows_are(store: Store) -> None:
    """Amounts rise in the third hour: the first two are alike, all three together are not; as the live report says."""
    version, subject = deployed(store)
    for hour, amount in enumerate((5.0, 5.0, 8.0)):
        till.send(store, version, till.rows(100, seed=hour + 1, amount=amount), MIDNIGHT + hour * HOUR)
    assert keep_hours(store, subject, MIDNIGHT, MIDNIGHT + 3 * HOUR, now=LATER) == 3
    for hours in (2, 3):
        end = MIDNIGHT + hours * HOUR
        told = rescore(store, subject, MIDNIGHT, end)
        _, seen = run(store, till.ENDPOINT, now=end, since=MIDNIGHT, until=end)
        assert (told.verdict, told.rows) == (seen.verdict, 100 * hours)
        assert [(column.name, column.drifted) for column in told.columns] == [
            (column.name, column.drifted) for column in seen.columns
        ]
    assert [column.name for column in told.columns if column.drifted] == ["amount", "label", "p_yes"]


def test_what_is_kept_needs_no_traffic(store: Store) -> None:
    """The rows may be deleted."""
    version, subject = deployed(store)
    till.send(store, version, till.rows(60, seed=1), MIDNIGHT)
    keep_hours(store, subject, MIDNIGHT, MIDNIGHT + HOUR, now=LATER)
    for path in store.traffic.parts(till.ENDPOINT, MIDNIGHT, MIDNIGHT):
        path.unlink()
    assert rescore(store, subject, MIDNIGHT, MIDNIGHT + HOUR).rows == 60
    assert keep_hours(store, subject, MIDNIGHT, MIDNIGHT + HOUR, now=LATER) == 0


def test_an_hour_is_profiled_once_and_anew_when_rows_come_late(store: Store) -> None:
    """Also one without any row of the version; one that has not ended waits."""
    version, subject = deployed(store)
    till.send(store, version, till.rows(50, seed=1), MIDNIGHT)
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=MIDNIGHT + HOUR) == 0
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=LATER) == 1
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=LATER) == 0
    till.send(store, version, till.rows(20, seed=2), MIDNIGHT + HOUR / 2)
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=LATER) == 1
    history = load(store, subject, MIDNIGHT, MIDNIGHT + 3 * HOUR)
    assert history.rows.tolist() == [70, 0, 0]
    other = portable.publish(store, portable.classifier(1.0), now=MIDNIGHT)
    till.send(store, other, till.rows(10, seed=3), MIDNIGHT + 2 * HOUR)
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=LATER) == 1
    assert keep_hours(store, subject, MIDNIGHT, LATER, now=LATER) == 0
    assert merged(store, subject, MIDNIGHT, LATER).rows == 70


def test_figures_of_a_period_come_from_its_hours(store: Store) -> None:
    """Of 180 amounts, 5 on average."""
    version, subject = deployed(store)
    rows = [till.rows(60, seed=hour) for hour in range(3)]
    for hour, sent in enumerate(rows):
        till.send(store, version, sent, MIDNIGHT + hour * HOUR)
    keep_hours(store, subject, MIDNIGHT, LATER, now=LATER)
    amounts = sorted(row["amount"] for sent in rows for row in sent)
    window = merged(store, subject, MIDNIGHT, LATER)
    summary = summary_of(window, subject.baseline, "amount")
    assert (summary.rows, summary.minimum, summary.maximum) == (180, amounts[0], amounts[-1])
    assert summary.mean == pytest.approx(sum(amounts) / 180, rel=1e-15)
    (median,) = quantiles_of(window, subject.baseline, "amount", [0.5])
    assert amounts[80] <= (median or 0.0) <= amounts[100]


def test_redacted_columns_are_in_none_of_the_rows(store: Store) -> None:
    """In an hour where some rows have them, those count."""
    version, subject = deployed(store)
    till.send(store, version, till.rows(40, seed=1), MIDNIGHT, redact={"amount": "drop", "town": "hash"})
    till.send(store, version, till.rows(40, seed=2), MIDNIGHT, redact={"amount": "mask"})
    keep_hours(store, subject, MIDNIGHT, LATER, now=LATER)
    columns = {column.name: column for column in rescore(store, subject, MIDNIGHT, LATER).columns}
    assert columns["amount"].note == "The column was in none of the rows."
    assert not columns["amount"].tested
    window = merged(store, subject, MIDNIGHT, LATER)
    assert summary_of(window, subject.baseline, "town").rows == 40
    assert window.extra == ()


def test_without_hours_there_are_too_few_rows(store: Store) -> None:
    """Which is a verdict."""
    _, subject = deployed(store)
    assert rescore(store, subject, MIDNIGHT, LATER).verdict == "too few rows"


def test_times_that_are_no_whole_hours_are_refused(store: Store) -> None:
    """With the hour that would do."""
    _, subject = deployed(store)
    with pytest.raises(SettingError, match=r"is no whole hour of UTC.*Use 2024-06-01T00:00:00"):
        rescore(store, subject, MIDNIGHT + HOUR / 2, LATER)
    with pytest.raises(SettingError, match="has no time zone"):
        rescore(store, subject, MIDNIGHT.replace(tzinfo=None), LATER)
    with pytest.raises(SettingError, match="ends before that"):
        rescore(store, subject, LATER, MIDNIGHT)


def test_unknown_endpoints_and_variants_are_refused(store: Store) -> None:
    """By name."""
    with pytest.raises(UnknownNameError, match="'nobody'"):
        subject_of(store, "nobody")
    deployed(store)
    with pytest.raises(SettingError, match="no variant 'other'"):
        subject_of(store, till.ENDPOINT, "other")


def test_one_variant_can_be_asked_for(store: Store) -> None:
    """Its traffic alone, of which the profiles are the same."""
    version, every = deployed(store)
    till.send(store, version, till.rows(40, seed=1), MIDNIGHT)
    keep_hours(store, every, MIDNIGHT, LATER, now=LATER)
    main = subject_of(store, till.ENDPOINT, store.endpoints.get(till.ENDPOINT).main.name)
    assert merged(store, main, MIDNIGHT, LATER).rows == 40
    assert keep_hours(store, main, MIDNIGHT, LATER, now=LATER) == 0
    (row,) = store.profiles.list(
        till.ENDPOINT,
        MIDNIGHT,
        LATER,
        model=version.name,
        version=version.version,
        baseline=every.baseline.digest,
    )
    assert (row.rows, row.files, row.hour) == (40, 1, MIDNIGHT)
