"""Intervals and tests are what statistics has in closed form, and keep their promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from monitor.facets import resampling
from monitor.facets.metrics import METRICS
from monitor.facets.resampling import bootstrap_interval, difference_p_values

BY_NAME = {metric.name: metric for metric in METRICS}
OF_PREDICTIONS = [BY_NAME["DPPL"], BY_NAME["DI"]]


def test_the_interval_of_a_difference_of_shares_is_the_normal_one() -> None:
    """DPPL of 400 and 600 rows: ± 1.96 √(p q / n + p q / m), within what 1,000 resamples leave open."""
    counts = np.array([[200, 400], [240, 160]])
    found = bootstrap_interval(BY_NAME["DPPL"], counts, 0.95, seed=0)
    assert found is not None
    half = 1.959964 * np.sqrt((1 / 3) * (2 / 3) / 600 + 0.6 * 0.4 / 400)
    assert (found.high + found.low) / 2 == pytest.approx(2 / 3 - 0.4)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.07)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """DPPL of 0.1 in tables of 300 rows: 95 % of the intervals."""
    rng = np.random.default_rng(0)
    shares = np.array([0.3, 0.3, 0.24, 0.16])
    tables = rng.multinomial(300, shares, size=300).reshape(-1, 2, 2)
    found = [bootstrap_interval(BY_NAME["DPPL"], table, 0.95, seed=0) for table in tables]
    held = sum(one is not None and one.low <= 0.1 <= one.high for one in found)
    assert stats.binom.cdf(held, 300, 0.95) > 0.001
    assert stats.binom.sf(held - 1, 300, 0.95) > 0.001


def test_what_is_infinite_in_all_resamples_has_both_ends_there() -> None:
    """Others that are never accepted, in the facet many."""
    found = bootstrap_interval(BY_NAME["DI"], np.array([[500, 0], [200, 300]]), 0.95, seed=0)
    assert found == (float("inf"), float("inf"))


def test_what_is_infinite_too_often_has_no_interval() -> None:
    """One accepted row of the others is missing in a third of the resamples; no number at all has none either."""
    assert bootstrap_interval(BY_NAME["DI"], np.array([[500, 1], [200, 300]]), 0.95, seed=0) is None
    assert bootstrap_interval(BY_NAME["DPPL"], np.array([[0, 0], [20, 30]]), 0.95, seed=0) is None


def test_a_difference_of_imbalance_is_fishers() -> None:
    """CI of two tables is a comparison of two shares of rows."""
    before, after = np.array([300, 200]), np.array([90, 30])
    found = difference_p_values([BY_NAME["CI"]], before, after, 0.0005, seed=0)[0]
    assert found == pytest.approx(stats.fisher_exact([before, after]).pvalue, abs=0.003)


def test_the_jackknife_is_that_of_the_rows() -> None:
    """Leaving out one row after the other: for shares, p q / (n - 1)."""
    counts = np.array([[[20.0, 30.0], [45.0, 15.0]]])
    found = resampling._variance(BY_NAME["DPPL"], counts)[0]  # what it is made of, which no caller sees
    rows = np.repeat(np.arange(4), counts.astype(int).ravel())
    left_out = [
        float(BY_NAME["DPPL"].of(np.bincount(np.delete(rows, at), minlength=4).reshape(2, 2).astype(float)))
        for at in range(len(rows))
    ]
    n = len(rows)
    assert found == pytest.approx((n - 1) / n * np.sum((left_out - np.mean(left_out)) ** 2))


@given(arrays(np.int64, (3, 2, 2), elements=st.integers(0, 9)))
def test_what_is_faster_than_one_cell_after_the_other_is_the_same(table: np.ndarray) -> None:
    """Of conditional disparities, for cells that have rows."""
    counts = table[None].astype(float)
    slow = BY_NAME["CDDL"]._replace(left_out=None)
    there = (counts.reshape(1, -1) > 0) & ~np.isnan(resampling._left_out(counts, slow))
    fast = resampling._left_out(counts, BY_NAME["CDDL"])
    np.testing.assert_allclose(fast[there], resampling._left_out(counts, slow)[there], atol=1e-12)


def test_metrics_that_say_the_same_pay_once() -> None:
    """The absolute size of one difference, told by four metrics: no p-value is multiplied."""
    names = ("LP", "TVD", "KS")
    before, after = np.array([[300, 300], [200, 200]]), np.array([[100, 80], [30, 50]])
    together = difference_p_values([BY_NAME[name] for name in names], before, after, 0.01, seed=0)
    alone = difference_p_values([BY_NAME["TVD"]], before, after, 0.01, seed=0)
    assert together == pytest.approx(alone * 3, abs=1e-9)


def test_what_cannot_be_told_has_no_p_value() -> None:
    """A side is empty in one of the tables; the other metrics are tested all the same."""
    metrics = [BY_NAME["DPPL"], BY_NAME["DI"]]
    assert difference_p_values(metrics, np.array([[0, 0], [9, 9]]), np.array([[9, 9], [9, 9]]), 0.01, 0) == [None, None]


def test_an_infinite_difference_is_the_largest() -> None:
    """Others were accepted as often as the facet, and now never are."""
    found = difference_p_values(
        OF_PREDICTIONS, np.array([[200, 200], [200, 200]]), np.array([[150, 0], [70, 70]]), 0.01, 0
    )
    assert found == [pytest.approx(1 / 1001)] * 2


def test_without_drift_the_smallest_p_value_is_as_rare_as_it_says() -> None:
    """A hundred pairs of small tables with nine metrics: binomial bounds at 5 % and 20 %."""
    rng = np.random.default_rng(1)
    family = [metric for metric in METRICS if metric.needs == ("label", "predicted")]
    shares = np.array([0.2, 0.1, 0.05, 0.25, 0.1, 0.1, 0.05, 0.15])
    smallest = np.array(
        [
            min(
                value
                for value in difference_p_values(
                    family,
                    rng.multinomial(200, shares).reshape(2, 2, 2),
                    rng.multinomial(60, shares).reshape(2, 2, 2),
                    0.01,
                    seed,
                )
                if value is not None
            )
            for seed in range(100)
        ]
    )
    for level in (0.05, 0.2):
        alarms = int(np.count_nonzero(smallest <= level))
        assert stats.binom.sf(alarms - 1, 100, level) > 0.005
        assert stats.binom.cdf(alarms, 100, level) > 0.005


def test_another_distribution_with_the_same_bias_is_no_drift() -> None:
    """Twice as many are accepted on both sides, of five times as many women: DPPL is 0 as before."""
    rng = np.random.default_rng(2)
    before = np.array([0.56, 0.24, 0.14, 0.06])  # 30 % accepted, a fifth of them women
    after = np.array([0.16, 0.24, 0.24, 0.36])  # 60 %, three fifths
    alarms = 0
    for seed in range(200):
        tables = [rng.multinomial(rows, shares).reshape(2, 2) for rows, shares in ((900, before), (300, after))]
        p_value = difference_p_values([BY_NAME["DPPL"]], *tables, 0.01, seed)[0]
        alarms += p_value is not None and p_value <= 0.05
    assert stats.binom.sf(alarms - 1, 200, 0.05) > 0.005
    assert alarms
