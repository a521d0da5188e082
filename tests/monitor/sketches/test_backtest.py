"""Backtests: a schedule's past as it would have been, window by window as the report on each says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from monitor.sketches.backtest import backtest, windows_of
from monitor.sketches.baseline import Baseline
from monitor.sketches.hours import keep_hours, rescore, subject_of
from monitor.sketches.rescore import judge, report_on
from monitor.sketches.window import profile
from storage import SettingError, Store
from storage.records import AlertRule, Schedule
from tests import portable
from tests.monitor import till

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def schedule(cron: str = "0 * * * *", **changes: object) -> Schedule:
    """An hourly one."""
    return replace(Schedule("watch", till.ENDPOINT, cron, 0.05, MIDNIGHT), **changes)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Eight hours of 60 rows, but for the second, which has 10; amounts are another in the fifth and the sixth."""
    store = Store.open(tmp_path_factory.mktemp("watched") / "store")
    version = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    for hour in range(8):
        rows = till.rows(10 if hour == 1 else 60, seed=hour + 1, amount=8.0 if hour in (4, 5) else 5.0)
        till.send(store, version, rows, MIDNIGHT + hour * HOUR)
    subject = subject_of(store, till.ENDPOINT)
    keep_hours(store, subject, MIDNIGHT, MIDNIGHT + 8 * HOUR, now=MIDNIGHT + 24 * HOUR)
    yield store
    store.close()


def test_each_due_time_has_the_outcome_of_its_window(watched: Store) -> None:
    """As `rescore` tells it of the window alone."""
    found = backtest(watched, schedule(), MIDNIGHT, MIDNIGHT + 8 * HOUR)
    verdicts = [outcome.verdict for outcome in found.outcomes]
    assert verdicts == ["no drift", "too few rows", *["no drift"] * 2, "drift", "drift", *["no drift"] * 2]
    assert (found.alarms, found.alerts) == (2, 1)
    subject = subject_of(watched, till.ENDPOINT)
    for outcome in found.outcomes:
        alone = rescore(watched, subject, outcome.window_start, outcome.window_end)
        drifted = {column.name for column in alone.columns if column.drifted}
        assert (alone.verdict, alone.rows) == (outcome.verdict, outcome.rows)
        assert {column.name for column in outcome.drifted} == drifted
    assert {column.name for column in found.outcomes[4].drifted} == {"amount", "label", "p_yes"}


def test_an_alert_takes_as_many_verdicts_as_its_rule_says(watched: Store) -> None:
    """Two of three: it goes off with the second, and ends when one of three is left; too few rows do not count."""
    rule = AlertRule(datapoints=2, of=3)
    found = backtest(watched, schedule(alert=rule), MIDNIGHT, MIDNIGHT + 8 * HOUR)
    assert [outcome.state for outcome in found.outcomes] == ["OK"] * 5 + ["InAlert"] * 2 + ["OK"]
    assert (found.alarms, found.alerts) == (2, 1)


def test_windows_may_overlap(watched: Store) -> None:
    """Of three hours each, every two hours: drifted rows weigh less, and are found in all windows that hold them."""
    wide = schedule("0 */2 * * *", start_offset="-PT3H", end_offset="PT0M")
    found = backtest(watched, wide, MIDNIGHT + 2 * HOUR, MIDNIGHT + 8 * HOUR)
    assert [(outcome.rows, outcome.verdict) for outcome in found.outcomes] == [
        (130, "no drift"),
        (180, "drift"),
        (180, "drift"),
    ]


def test_windows_are_those_of_the_schedule() -> None:
    """All since the due time before, on the day when clocks go forward too: 23 hours."""
    daily = windows_of(
        schedule("0 0 * * *", zone="Europe/Berlin"),
        datetime(2024, 3, 30, tzinfo=UTC),
        datetime(2024, 4, 1, tzinfo=UTC),
    )
    assert [end - start for start, end in zip(daily.starts, daily.ends, strict=True)] == [24 * HOUR, 23 * HOUR]
    weekly = windows_of(schedule("0 6 * * 1", start_offset="-P8D", end_offset="-P1D"), MIDNIGHT, MIDNIGHT + 72 * HOUR)
    assert weekly.starts == (datetime(2024, 5, 26, 6, tzinfo=UTC),)
    assert weekly.ends == (datetime(2024, 6, 2, 6, tzinfo=UTC),)


def test_a_level_that_asks_for_more_finds_less(watched: Store) -> None:
    """The hours are read again, and no row."""
    strict = backtest(watched, schedule(level=1e-100), MIDNIGHT, MIDNIGHT + 8 * HOUR)
    assert strict.alarms == 0


def test_what_cannot_be_tried_is_said(watched: Store) -> None:
    """Windows within an hour, and other checks."""
    with pytest.raises(SettingError, match="whole hours of UTC"):
        backtest(watched, schedule("*/15 * * * *"), MIDNIGHT, MIDNIGHT + 8 * HOUR)
    with pytest.raises(SettingError, match="only drift"):
        backtest(watched, schedule(check="bias"), MIDNIGHT, MIDNIGHT + 8 * HOUR)
    assert backtest(watched, schedule("0 0 1 1 *"), MIDNIGHT, MIDNIGHT + 8 * HOUR).outcomes == ()


def test_windows_judged_together_are_judged_as_each_alone() -> None:
    """Of 60 windows of 30 to 3,000 rows, some drifted a little: verdicts near the threshold are the exact ones."""
    rng = np.random.default_rng(5)

    def frame(rows: int, shift: float) -> pl.DataFrame:
        gaps = rng.random(rows) < 0.05 + 0.03 * shift
        return pl.DataFrame(
            {
                "number": pl.Series(rng.normal(shift / 4, size=rows)).set(pl.Series(gaps), None),
                "zeros": np.maximum(rng.normal(shift / 4, size=rows), 0),
                "level": rng.choice(
                    list("abcdef"), rows, p=np.array([40, 30 + 9 * shift, 15, 10 - 9 * shift, 3, 2]) / 100
                ),
                "many": np.char.add("id ", rng.zipf(1.4 + shift / 20, rows).astype(str)),
                "flag": rng.random(rows) < 0.5 + shift / 20,
            }
        )

    baseline = Baseline.of(frame(4000, 0.0))
    windows = [
        profile(frame(int(10 ** rng.uniform(1.4, 3.5)), rng.choice([0.0, 0.5, 1.0])), baseline) for _ in range(60)
    ]
    counts = np.stack([window.counts for window in windows])
    rows = np.array([window.rows for window in windows])
    for level in (0.5, 1e-3):
        together = judge(
            baseline, rows, lambda at: counts[:, baseline.starts[at] : baseline.starts[at + 1]], level=level
        )
        alone = [report_on(window, baseline, level=level) for window in windows]
        assert together.drifted.tolist() == [[column.drifted for column in report.columns] for report in alone]
        assert together.tested.tolist() == [[column.tested for column in report.columns] for report in alone]
        assert 10 < together.drifted.sum() < 290
