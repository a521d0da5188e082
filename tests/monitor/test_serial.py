"""What rows are worth that depend on their neighbours."""

import json
import math
import re
from functools import partial
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import signal, stats

from monitor import compare
from monitor.calibrated import calibrated, note_of
from monitor.drift import Counts
from monitor.markdown import markdown
from monitor.page import render
from monitor.pair import STRETCH_ROWS, pair_up
from monitor.serial import (
    MINIMUM_WORTH,
    Worth,
    before_studentising,
    in_order_of_levels,
    in_order_of_values,
    inflation,
    measure,
    studentised,
    weigh,
)

Scores = NDArray[np.float64]


def autoregression(rng: np.random.Generator, rows: int, phi: float) -> Scores:
    """Standard normal values, each of which remembers a part of the one before."""
    noise = rng.normal(size=rows + 1000) * math.sqrt(1 - phi**2)
    return signal.lfilter([1.0], [1.0, -phi], noise)[1000:]


def drifted(reference: Scores, current: Scores) -> bool:
    """Whether a column alarms at 5%."""
    return calibrated([pair_up(pl.Series(reference), pl.Series(current))], 0.05)[0].drifted


@pytest.mark.parametrize("phi", [0.2, 0.5, 0.8])
def test_the_inflation_of_an_autoregression_is_what_theory_says(phi: float) -> None:
    """The mean of an AR(1) varies (1 + φ) / (1 - φ) times as much as that of independent rows."""
    rng = np.random.default_rng(0)
    found = [inflation(measure(autoregression(rng, 20_000, phi)[:, None], 10_000), 10_000).factor for _ in range(10)]
    assert np.median(found) == pytest.approx((1 + phi) / (1 - phi), rel=0.15)


def test_the_inflation_of_short_windows_is_their_own() -> None:
    """Windows of 10 rows: 1 + 2 Σ (1 - k/10) φᵏ, which is less than that of long ones."""
    rng = np.random.default_rng(1)
    expected = 1 + 2 * sum((1 - lag / 10) * 0.9**lag for lag in range(1, 10))
    found = inflation(measure(autoregression(rng, 40_000, 0.9)[:, None], 10), 10)
    assert found.factor == pytest.approx(expected, rel=0.1)
    assert found.freedom == pytest.approx(1.5 * 3999)


def test_whole_seasons_even_out() -> None:
    """A day of 24 rows: half a day varies far more than independent rows, whole days do not."""
    rng = np.random.default_rng(2)
    season = np.sin(2 * np.pi * np.arange(9600) / 24) + 0.5 * rng.normal(size=9600)
    curve = measure(season[:, None], 12)
    assert inflation(curve, 12).factor > 3
    assert inflation(measure(season[:, None], 240), 240).factor == 1.0


def test_independent_rows_are_worth_what_they_are() -> None:
    """Noticed by chance is at most one pair of columns in 25."""
    rng = np.random.default_rng(3)
    found = [weigh(rng.normal(size=(2000, 1)), rng.normal(size=(300, 1)), (2000, 300)) for _ in range(200)]
    assert sum(worth is not None for worth in found) <= 8


def test_the_window_counts_as_what_the_reference_says() -> None:
    """Fifty rows do not tell of themselves how much they depend on one another; 5,000 before them do."""
    rng = np.random.default_rng(4)
    worth = weigh(autoregression(rng, 5000, 0.9)[:, None], autoregression(rng, 50, 0.9)[:, None], (5000, 50))
    assert worth is not None
    assert worth.current < 5
    assert not worth.enough


def test_an_order_that_the_window_does_not_follow_says_nothing() -> None:
    """Somebody sorted the reference by another column; the window's rows are independent."""
    rng = np.random.default_rng(5)
    key = np.sort(rng.normal(size=5000))
    reference, current = key + rng.normal(size=5000), math.sqrt(2) * rng.normal(size=500)
    assert weigh(reference[:, None], current[:, None], (5000, 500)) is None


@pytest.mark.parametrize("place", [150, 400])
def test_drift_that_begins_within_a_window_is_no_dependence(place: int) -> None:
    """Its rows are alike before and after; that is what should be found."""
    rng = np.random.default_rng(6)
    late = 1.5 * (np.arange(500) >= place)
    assert sum(drifted(rng.normal(size=5000), rng.normal(size=500) + late) for _ in range(20)) >= 17


@pytest.mark.parametrize(("phi", "rows"), [(0.5, 50), (0.5, 500), (0.9, 200), (0.9, 1000)])
def test_false_alarms_of_dependent_rows_are_as_rare_as_promised(phi: float, rows: int) -> None:
    """Of 200 columns at 5%, no more than the binomial's 99% quantile; as independent rows, many more would."""
    rng = np.random.default_rng(rows)
    draw = partial(autoregression, rng, phi=phi)
    pairs = [(draw(5000), draw(rows)) for _ in range(200)]
    assert sum(drifted(x, y) for x, y in pairs) <= stats.binom.ppf(0.99, 200, 0.05)
    assert sum(float(cast("Any", stats.ks_2samp(x, y, method="asymp")).pvalue) <= 0.05 for x, y in pairs) > 30


def test_false_alarms_of_sticky_levels_are_as_rare_as_promised() -> None:
    """A level stays for ten rows on average: of 200 columns at 5%, at most the binomial's 99% quantile alarm."""
    rng = np.random.default_rng(7)

    def sticky(rows: int) -> pl.Series:
        drawn = rng.integers(0, 5, rows)
        changed = np.maximum.accumulate(np.where(rng.random(rows) < 0.1, np.arange(rows), 0))
        return pl.Series(drawn[changed].astype(str))

    pairs = [pair_up(sticky(5000), sticky(500)) for _ in range(200)]
    assert sum(calibrated([pair], 0.05)[0].drifted for pair in pairs) <= stats.binom.ppf(0.99, 200, 0.05)
    tables = [pair.levels.select("reference", "current").to_numpy().T for pair in pairs]
    assert sum(float(cast("Any", stats.chi2_contingency(table)).pvalue) <= 0.05 for table in tables) > 60


def test_gaps_that_come_in_bursts_are_no_drift() -> None:
    """Twenty rows at a time without a value, in a twentieth of the rows."""
    rng = np.random.default_rng(8)

    def gappy(rows: int) -> pl.Series:
        begins = rng.random(rows + 20) < 0.0025
        missing = np.convolve(begins, np.ones(20), "valid")[:rows] > 0
        return pl.Series(rng.normal(size=rows)).set(pl.Series(missing), None)

    pairs = [pair_up(gappy(5000), gappy(400)) for _ in range(200)]
    assert sum(calibrated([pair], 0.05)[0].drifted for pair in pairs) <= stats.binom.ppf(0.99, 200, 0.05)


def test_drift_of_dependent_rows_is_found() -> None:
    """A standard deviation in 500 rows that are worth about forty."""
    rng = np.random.default_rng(9)
    found = [drifted(autoregression(rng, 5000, 0.9), autoregression(rng, 500, 0.9) + 1.2) for _ in range(20)]
    assert sum(found) >= 18


def test_the_note_is_of_a_side_that_lost_rows() -> None:
    """Which may be the one that is worth more; and rounding takes none."""
    spread, freedom = 0.1, 100.0
    told = note_of(Worth(200, 600.4, spread, freedom), Counts(200, 1000), "values")
    assert told == "Rows depend on their neighbours: 1,000 current rows count as 600 to the test of values."
    assert note_of(Worth(1999.8, 2000, spread, freedom), Counts(2000, 2000), "values") == ""


def test_each_note_says_which_test_it_is_of() -> None:
    """Values, missing values, lengths and words of the same rows are worth different ones."""
    rng = np.random.default_rng(3)
    slow, gaps = autoregression(rng, 2000, 0.95), autoregression(rng, 2000, 0.9) > 1
    numbers = pl.Series(slow).set(pl.Series(gaps), None)
    words = [["it was not late", "it is lost"][int(gap)] for gap in gaps]
    texts = pl.Series(
        [f"{said} {'.' * int(20 + 3 * value)} {row}" for row, (said, value) in enumerate(zip(words, slow, strict=True))]
    )
    found = calibrated([pair_up(series, series.tail(1000)) for series in (numbers, texts)], 0.05)
    said = [re.findall(r"count as [\d,]+ to the test of ([a-z ]+)", finding.note) for finding in found]
    assert said == [["values", "missing values"], ["length", "words"]]


def test_the_finding_tells_what_rows_are_worth() -> None:
    """Of a window that is worth too little, why it was not compared."""
    rng = np.random.default_rng(10)
    x, y = autoregression(rng, 5000, 0.9), autoregression(rng, 50, 0.9)
    long, short = (
        calibrated([pair_up(pl.Series(x), pl.Series(current))], 0.05)[0]
        for current in (autoregression(rng, 500, 0.9), y)
    )
    assert (long.method, long.note[:50]) == ("Kolmogorov-Smirnov", "Rows depend on their neighbours: 500 current rows ")
    assert (short.method, short.p_value) == ("none", None)
    assert short.note == (
        "Rows depend on their neighbours: 50 current rows count as 4 to the test of values; "
        f"a comparison needs {MINIMUM_WORTH}. "
        f"A difference of {short.unjudged:.1%} may be usual there; rows of a longer time would tell."
    )
    assert compare(pl.DataFrame({"x": x}), pl.DataFrame({"x": y})).verdict == "too few rows"
    known = np.random.default_rng(0)
    independent = {"x": x, "y": known.normal(size=5000)}, {"x": y, "y": known.normal(size=50)}
    assert compare(*map(pl.DataFrame, independent), level=0.01).verdict == "no drift"


def test_a_difference_that_nobody_can_judge_is_shown_as_such() -> None:
    """Of two months in the order of time: where they lie apart, that is told, and nothing is promised."""
    rng = np.random.default_rng(12)
    sides = [
        pl.DataFrame({"x": [None, *autoregression(rng, 400, 0.99)], "y": rng.normal(size=401)}).with_columns(
            pl.col("x") + away
        )
        for away in (0.0, 60.0)
    ]
    report = compare(*sides)
    apart, alike = report.columns
    assert (report.verdict, apart.drifted, apart.verdict, alike.verdict) == (
        "no drift",
        False,
        "not judged",
        "no drift",
    )
    assert (apart.method, apart.effect) == ("Fisher exact of missing values", 0.0)
    assert apart.unjudged == apart.difference == 1.0
    assert report.unjudged == report.ranked[:1] == (apart,)
    assert alike.unjudged is None
    assert "A difference of 100.0% may be usual there; rows of a longer time would tell." in apart.note
    assert "| x | not tested | - | 100% | " in markdown(report)
    assert '<span class="pill none">not judged</span>' in render(report)


def test_what_nobody_can_judge_goes_by_the_effect_that_was_asked_for() -> None:
    """In the report, its note, its JSON and its table alike: a trifle is no reason to ask for a longer time."""
    rng = np.random.default_rng(12)
    sides = [pl.DataFrame({"x": autoregression(rng, 400, 0.99), "y": rng.normal(size=400)}) for _ in range(2)]
    told = [compare(*sides, minimum_effect=effect) for effect in (0.02, 0.99)]
    assert [report.columns[0].verdict for report in told] == ["not judged", "not tested"]
    assert ["may be usual" in report.columns[0].note for report in told] == [True, False]
    assert [len(report.unjudged) for report in told] == [1, 0]
    assert [json.loads(report.json())["columns"][0]["verdict"] for report in told] == ["not judged", "not tested"]
    assert ["| not judged |" in markdown(report) for report in told] == [True, False]


def test_large_columns_are_looked_at_in_steps() -> None:
    """A dependence over thousands of rows is seen although one row of three is kept."""
    rng = np.random.default_rng(11)
    sides = [pl.Series(np.repeat(rng.normal(size=90), 1000) + 0.1 * rng.normal(size=90_000)) for _ in range(2)]
    pair = pair_up(sides[0], sides[1])
    assert [len(side) for side in pair.stretches] == [30_000, 30_000]
    assert len(pair_up(sides[0], sides[1].head(100)).stretches[0]) == STRETCH_ROWS
    finding = calibrated([pair], 0.05)[0]
    assert not finding.drifted
    assert "Rows depend" in finding.note


@given(st.floats(1e-12, 1.0), st.floats(1.0, 1e4))
@settings(max_examples=60, deadline=None)
def test_studentised_p_values_are_those_of_t(p_value: float, freedom: float) -> None:
    """SciPy's quantile of the normal, looked up in its t; never smaller, and undone by its inverse."""
    found = studentised(p_value, freedom)
    assert found == pytest.approx(2 * stats.t.sf(stats.norm.isf(p_value / 2), freedom), rel=1e-6)
    assert found >= p_value * (1 - 1e-9)
    assert before_studentising(found, freedom) == pytest.approx(p_value, rel=1e-4)


@given(hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e300, 1e300)))
@settings(max_examples=60, deadline=None)
def test_sorted_numbers_say_nothing(numbers: Scores) -> None:
    """Up or down."""
    assert in_order_of_values(np.sort(numbers))
    assert in_order_of_values(-np.sort(numbers))


@given(hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 5)))
@settings(max_examples=60, deadline=None)
def test_sorted_levels_say_nothing(levels: NDArray[np.int64]) -> None:
    """Each level in one place."""
    assert in_order_of_levels(np.sort(levels))


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 80), st.integers(1, 3)), elements=st.sampled_from([0.0, 1.0])),
    hnp.arrays(np.float64, st.tuples(st.integers(0, 80), st.just(1)), elements=st.sampled_from([0.0, 1.0])),
)
@settings(max_examples=100, deadline=None)
def test_rows_are_never_worth_more_than_they_are(first: Scores, second: Scores) -> None:
    """Whatever the order: without values, constant, alternating."""
    for reference, current in ((first, second.repeat(first.shape[1], axis=1)), (second, second[::-1])):
        rows = (len(reference), len(current))
        worth = weigh(reference, current, rows)
        assert worth is None or (0 < worth.reference <= rows[0] and 0 < worth.current <= rows[1] and worth.spread >= 1)
