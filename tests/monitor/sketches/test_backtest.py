"""Backtests: a schedule's past as it would have been, window by window as the report on each says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import signal

from monitor.sketches.backtest import backtest, windows_of
from monitor.sketches.baseline import Baseline
from monitor.sketches.blocks import stacked
from monitor.sketches.hours import keep_hours, rescore, subject_of
from monitor.sketches.rescore import Column, Counted, judge, report_on
from monitor.sketches.window import profile
from storage import SettingError, Store
from storage.backtests import Backtest
from storage.records import AlertRule, Schedule
from tests import portable
from tests.monitor import till

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def schedule(cron: str = "0 * * * *", **changes: object) -> Schedule:
    """An hourly one."""
    return replace(Schedule("watch", till.ENDPOINT, cron, 0.05, MIDNIGHT), **changes)


def column_of(counts: NDArray[np.int64], blocks: NDArray[np.int64]) -> Column:
    """Of windows of an hour each."""
    return Column(Counted(counts, blocks), lambda at: Counted(counts[at : at + 1], blocks[at : at + 1]))


def tried(store: Store, asked: Schedule, start: datetime = MIDNIGHT) -> Backtest:
    """On the eight hours, a day later."""
    return backtest(store, asked, start, MIDNIGHT + 8 * HOUR, now=MIDNIGHT + 24 * HOUR)


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
    found = tried(watched, schedule())
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
    found = tried(watched, schedule(alert=rule))
    assert [outcome.state for outcome in found.outcomes] == ["OK"] * 5 + ["InAlert"] * 2 + ["OK"]
    assert (found.alarms, found.alerts) == (2, 1)


def test_windows_may_overlap(watched: Store) -> None:
    """Of three hours each, every two hours: drifted rows weigh less, and are found in all windows that hold them."""
    wide = schedule("0 */2 * * *", start_offset="-PT3H", end_offset="PT0M")
    found = tried(watched, wide, start=MIDNIGHT + 2 * HOUR)
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
    strict = tried(watched, schedule(level=1e-100))
    assert strict.alarms == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cron": "*/15 * * * *"},
            "A window of the schedule begins or ends at 2024-06-01 00:15 UTC, and the past is kept by whole hours of",
        ),
        ({"check": "multivariate"}, "only drift can be tried on the past"),
        (
            {"cron": "0 0 1 1 *"},
            "Nothing is due at '0 0 1 1 *' (UTC) from 2024-06-01 00:00 UTC to 2024-06-01 08:00 UTC.",
        ),
        ({"cron": "0 25 * * *"}, "The hour in cron"),
        ({"budget": "seldom"}, "The alarm budget is 'seldom'."),
        ({"alert": AlertRule(3, 2)}, "The alert takes 3 of 2 verdicts."),
        ({"variant": "new"}, "has no variant 'new'"),
        (
            {"start_offset": "-P8D", "end_offset": "-P7D"},
            "Nothing is there of what demo:2 answered at endpoint 'till' from 2024-05-24 01:00 UTC to 2024-05-25 08:00",
        ),
    ],
)
def test_what_cannot_be_tried_is_said(watched: Store, changes: dict[str, Any], message: str) -> None:
    """With what to do."""
    with pytest.raises(SettingError) as refused:
        tried(watched, schedule(**changes))
    assert message in str(refused.value)


def test_hours_that_have_traffic_and_no_profile_are_profiled_first(store: Store) -> None:
    """But for what has not settled: the last hour is left out until five minutes after its end."""
    version = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    for hour in range(3):
        till.send(store, version, till.rows(60, seed=hour + 1), MIDNIGHT + hour * HOUR)
    end = MIDNIGHT + 3 * HOUR
    early = backtest(store, schedule(), MIDNIGHT, end, now=end + timedelta(minutes=4))
    assert [outcome.rows for outcome in early.outcomes] == [60, 60]
    late = backtest(store, schedule(), MIDNIGHT, end, now=end + timedelta(minutes=5))
    assert [outcome.rows for outcome in late.outcomes] == [60, 60, 60]


def test_each_due_time_has_the_level_that_the_budget_gives_it(watched: Store) -> None:
    """Of a budget of 24 a day, an hourly report may waste one: it alarms no more often than one in two."""
    found = tried(watched, schedule(budget="24 per day"))
    assert [outcome.level for outcome in found.outcomes] == [0.5] * 8
    spread = tried(watched, schedule(budget="1 per day", level=0.9))
    assert [outcome.level for outcome in spread.outcomes] == [1 / 24] * 8
    assert spread.expected == pytest.approx(7 / 24)  # one has too few rows
    assert spread.sentence == (
        "2 of 8 reports would have alarmed (1 had too few rows); the alert would have gone off once. Had nothing "
        "changed, 0.2917 false alarms would be expected at most."
    )


def test_windows_judged_together_are_judged_as_each_alone() -> None:
    """Of 60 windows of 30 to 3,000 rows, some drifted a little, and some columns' rows depend on their neighbours:
    verdicts near the threshold are the exact ones."""
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
                "slow": signal.lfilter([0.6], [1.0, -0.8], rng.normal(shift / 4, size=rows)),
                "sticky": np.repeat(rng.choice(list("abc"), rows // 5 + 1), 5)[:rows],
            }
        )

    baseline = Baseline.of(frame(4000, 0.0))
    windows = [
        profile(frame(int(10 ** rng.uniform(1.4, 3.5)), rng.choice([0.0, 0.5, 1.0])), baseline) for _ in range(60)
    ]
    counts = np.stack([window.counts for window in windows])
    blocks = stacked([window.blocks for window in windows])
    rows = np.array([window.rows for window in windows])
    for level in (0.5, 1e-3):
        levels = np.full(60, level)
        together = judge(
            baseline,
            rows,
            lambda at: column_of(counts[:, baseline.starts[at] : baseline.starts[at + 1]], blocks[:, at]),
            levels=levels,
        )
        alone = [report_on(window, baseline, level=level) for window in windows]
        assert together.drifted.tolist() == [[column.drifted for column in report.columns] for report in alone]
        assert together.tested.tolist() == [[column.tested for column in report.columns] for report in alone]
        assert 10 < together.drifted.sum() < 290
