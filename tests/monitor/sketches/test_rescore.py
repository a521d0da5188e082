"""Verdicts from profiles: near those of the rows, calibrated, and defined for what is broken."""

import numpy as np
import polars as pl
import pytest

from monitor.compare import compare
from monitor.sketches.baseline import Baseline
from monitor.sketches.blocks import stacked
from monitor.sketches.cells import NumberCells
from monitor.sketches.rescore import Column, Counted, judge, report_on
from monitor.sketches.window import profile
from storage import SettingError

RNG = np.random.default_rng(0)


def test_the_distance_is_that_of_the_rows_but_for_the_grid() -> None:
    """Never above it, and below it by what the cells say at most; of 30 windows of another shape each."""
    reference = RNG.normal(size=3000)
    baseline = Baseline.of(pl.DataFrame({"x": reference}))
    (column,) = baseline.columns
    assert isinstance(column.cells, NumberCells)
    assert column.cells.error <= 1 / 120
    for number in range(30):
        window = pl.DataFrame({"x": RNG.normal(number / 30, 1 + number / 15, 200 + 50 * number)})
        told = report_on(profile(window, baseline), baseline).columns[0]
        seen = compare(pl.DataFrame({"x": reference}), window).columns[0]
        assert told.effect is not None
        assert seen.effect is not None
        assert told.effect - 1e-12 <= seen.effect <= told.effect + column.cells.error + 1e-12
        assert told.method == seen.method


def test_few_whole_numbers_are_judged_as_their_rows() -> None:
    """Their cells are points, so the distance is the same; groups of fewer rows than an alarm needs are joined."""
    for weights, apart in (([0.5, 0.2, 0.1, 0.1, 0.05, 0.05], 0.02), ([1 / 30] * 30, 1e-12)):
        reference = pl.DataFrame({"x": RNG.choice(len(weights), 3000, p=weights)})
        window = pl.DataFrame({"x": RNG.choice(len(weights), 500, p=weights[::-1])})
        baseline = Baseline.of(reference)
        told, seen = report_on(profile(window, baseline), baseline).columns[0], compare(reference, window).columns[0]
        assert (told.method, told.effect) == (seen.method, pytest.approx(seen.effect, abs=apart))


@pytest.mark.parametrize(
    "kind",
    ["number", "whole", "zeros", "two levels", "many levels", "rare levels", "gaps"],
)
def test_without_drift_alarms_are_as_rare_as_promised(kind: str) -> None:
    """A level of 20%, 40 references of 2,000 rows and 10 windows of 150 each: 80 alarms of 400 on average at most.

    120 are 3.5 standard deviations above that, if windows of one reference were each other's double.
    """
    rng = np.random.default_rng(11)
    makers = {
        "number": lambda rows: rng.standard_t(3, rows),
        "whole": lambda rows: rng.integers(0, 130, rows),
        "zeros": lambda rows: np.maximum(rng.normal(-0.5, size=rows), 0),
        "two levels": lambda rows: rng.choice(["a", "b"], rows, p=[0.9, 0.1]),
        "many levels": lambda rows: rng.integers(0, 40, rows).astype(str),
        "rare levels": lambda rows: rng.integers(0, 3000, rows).astype(str),
        "gaps": lambda rows: np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
    }
    alarms = 0
    for _ in range(40):
        baseline = Baseline.of(pl.DataFrame({"x": makers[kind](2000)}))
        windows = [profile(pl.DataFrame({"x": makers[kind](150)}), baseline) for _ in range(10)]
        hour = Counted(np.stack([one.counts for one in windows]), stacked([one.blocks for one in windows])[:, 0])
        found = judge(
            baseline,
            np.full(10, 150),
            lambda _, hour=hour: Column(hour, lambda at: Counted(*(values[at : at + 1] for values in hour))),
            levels=np.full(10, 0.2),
        )
        alarms += int(found.drifted.sum())
    assert alarms <= 120


def test_new_levels_are_found() -> None:
    """A tenth of the rows has levels that the reference lacks: where all of its levels are known, and where most are
    rare."""
    for levels in (5, 3000):
        reference = pl.DataFrame({"x": RNG.integers(0, levels, 4000).astype(str)})
        usual = RNG.integers(0, levels, 1000).astype(str)
        baseline = Baseline.of(reference)
        window = pl.DataFrame({"x": np.where(RNG.random(1000) < 0.2, np.char.add("new ", usual), usual)})
        column = report_on(profile(window, baseline), baseline).columns[0]
        assert column.drifted
        assert "rows have a level that the reference lacks" in column.note
        calm = report_on(profile(pl.DataFrame({"x": RNG.integers(0, levels, 1000).astype(str)}), baseline), baseline)
        assert not calm.drifted


def test_values_that_went_missing_are_found() -> None:
    """Also where the column became another type, whose values cannot be read."""
    baseline = Baseline.of(pl.DataFrame({"age": RNG.normal(40, 9, 1000)}))
    window = pl.DataFrame({"age": ["forty"] * 60 + ["40.5"] * 60})
    (column,) = report_on(profile(window, baseline), baseline).columns
    assert (column.drifted, column.missing.current) == (True, 60)
    assert "60 values are no number and count as missing." in column.note


def test_columns_without_values_are_told() -> None:
    """All null on both sides is nothing to test; values where there were none are drift."""
    baseline = Baseline.of(pl.DataFrame({"x": pl.Series([None] * 100, dtype=pl.Float64)}))
    for values, verdict in (([None] * 100, "no drift"), ([1.0] * 100, "drift")):
        window = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
        assert report_on(profile(window, baseline), baseline).verdict == verdict


def test_few_rows_are_a_verdict() -> None:
    """And nothing is tested."""
    baseline = Baseline.of(pl.DataFrame({"x": range(100)}))
    report = report_on(profile(pl.DataFrame({"x": range(29)}), baseline), baseline)
    assert (report.verdict, report.tested) == ("too few rows", 0)
    assert "needs 30 rows" in report.columns[0].note


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_levels_out_of_range_are_refused(level: float) -> None:
    """With the value received."""
    baseline = Baseline.of(pl.DataFrame({"x": range(100)}))
    with pytest.raises(SettingError, match=f"level is {level}"):
        report_on(profile(pl.DataFrame({"x": range(50)}), baseline), baseline, level=level)
