"""The tests of two samples, against SciPy and by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from monitor.serial import Worth
from monitor.two_sample import LEAST_EXPECTED, Outcome, area_of, contingency, kolmogorov_smirnov

samples = hnp.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 3.0, np.inf]))


@given(samples, samples)
@settings(max_examples=80, deadline=None)
def test_kolmogorov_smirnov_is_scipys(x: np.ndarray, y: np.ndarray) -> None:
    """Those of SciPy, with ties and infinities too; the exact p-value where a side has few values."""
    is_few = min(len(x), len(y)) < 30
    outcome = kolmogorov_smirnov(np.sort(x), np.sort(y))
    if is_few and outcome.statistic * max(len(x), len(y)) < 1.001:  # SciPy's sum is 1 + 2e-16 for some, with a warning
        assert outcome.p_value == 1.0
        return
    expected = stats.ks_2samp(x, y, method="exact" if is_few else "asymp")
    assert outcome.statistic == pytest.approx(expected.statistic)
    assert outcome.p_value == pytest.approx(expected.pvalue, abs=1e-12)


def test_kolmogorov_smirnov_of_large_samples_is_scipys() -> None:
    """The statistic does not depend on which sample is the longer one."""
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.normal(size=5000)), np.sort(rng.normal(0.1, size=700))
    expected = stats.ks_2samp(x, y, method="asymp")
    for outcome in (kolmogorov_smirnov(x, y), kolmogorov_smirnov(y, x)):
        assert outcome.statistic == pytest.approx(expected.statistic)
        assert outcome.p_value == pytest.approx(expected.pvalue)


@given(samples, samples)
@settings(max_examples=80, deadline=None)
def test_areas_are_mann_whitneys(low: np.ndarray, high: np.ndarray) -> None:
    """Ties count as halves."""
    n, m = len(low), len(high)
    area = area_of(low, high)
    assert area.value == pytest.approx(stats.mannwhitneyu(high, low).statistic / (n * m))
    assert area.deviation == pytest.approx(math.sqrt(n * m * (n + m + 1) / 12) / (n * m))


@pytest.mark.parametrize(("few", "others", "expected"), [(1, 1, 1.0), (2, 2, 1 / 3), (3, 3, 0.1), (1, 9, 0.2)])
def test_few_values_that_lie_apart_are_no_certainty(few: int, others: int, expected: float) -> None:
    """All of one side below all of the other: by the two such orders of the (m + n over m) that there are."""
    x, y = np.arange(few, dtype=np.float64), 100.0 + np.arange(others)
    assert kolmogorov_smirnov(x, y).p_value == pytest.approx(expected)
    assert kolmogorov_smirnov(x, y).p_value == pytest.approx(stats.ks_2samp(x, y, method="exact").pvalue)


def test_false_alarms_of_few_values_are_at_most_as_many_as_said() -> None:
    """Of all orders of 3 beside 4 values, which are equally likely without drift, none has a p-value too often."""
    orders = [np.isin(np.arange(7), chosen) for chosen in itertools.combinations(range(7), 3)]
    values = np.arange(7.0)
    p_values = np.array([kolmogorov_smirnov(values[order], values[~order]).p_value for order in orders])
    for level in np.unique(p_values):
        assert np.mean(p_values <= level) <= level + 1e-12


@pytest.mark.parametrize("shift", [0.0, 0.002, 0.5])
@pytest.mark.parametrize("decimals", [1, 3, 12])
def test_the_largest_distance_of_many_values_is_found(shift: float, decimals: int) -> None:
    """Where most stretches are passed over, the distance is SciPy's, with ties and without."""
    rng = np.random.default_rng(5)
    x = np.sort(np.round(rng.normal(size=120_000), decimals))
    y = np.sort(np.round(rng.normal(shift, size=70_000), decimals))
    expected = stats.ks_2samp(x, y, method="asymp").statistic
    assert kolmogorov_smirnov(x, y).statistic == pytest.approx(expected, abs=1e-15)
    assert kolmogorov_smirnov(y, x).statistic == pytest.approx(expected, abs=1e-15)


def test_an_empty_sample_is_alike() -> None:
    """Without a value on one side there is nothing to compare."""
    assert kolmogorov_smirnov(np.array([1.0]), np.array([])) == Outcome("Kolmogorov-Smirnov", 0.0, 1.0, 0.0)
    assert contingency(np.array([5, 5]), np.array([0, 0])).p_value == 1.0


def test_contingency_is_pearsons_test() -> None:
    """With enough rows in each cell, it is SciPy's chi-square test of the table, and half the sum of differences."""
    table = np.array([[300, 500, 200], [120, 260, 120]])
    outcome = contingency(table[0], table[1])
    expected = stats.chi2_contingency(table, correction=False)
    assert (outcome.statistic, outcome.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert outcome.effect == pytest.approx((0.06 + 0.02 + 0.04) / 2)


@pytest.mark.parametrize("table", [[[50, 0], [45, 5]], [[2000, 3], [50, 0]], [[7, 3], [2, 8]]])
def test_two_cells_are_fishers_test(table: list[list[int]]) -> None:
    """Two cells are tested exactly, zeros included."""
    outcome = contingency(np.array(table[0]), np.array(table[1]))
    assert outcome.method == "Fisher exact"
    assert outcome.p_value == pytest.approx(stats.fisher_exact(table).pvalue)


def test_neighbours_are_joined_until_enough_rows_are_expected() -> None:
    """Of 100 and 100 rows each cell expects half of its rows: (10, 4 + 6, 80 and the last 2) remain."""
    cells = contingency(np.array([10, 4, 6, 78, 2]), np.array([10, 4, 6, 80, 0]))
    by_hand = contingency(np.array([10, 10, 80]), np.array([10, 10, 80]))
    assert (cells.statistic, cells.p_value) == (by_hand.statistic, by_hand.p_value) == (0.0, 1.0)


def test_one_frequent_cell_is_compared_to_all_others() -> None:
    """Where joining would leave a single cell, the largest and the sum of the rest are compared."""
    outcome = contingency(np.array([97, 2, 1, 0]), np.array([28, 0, 0, 2]))
    assert outcome.p_value == pytest.approx(stats.fisher_exact([[97, 3], [28, 2]]).pvalue)


def test_one_level_is_alike() -> None:
    """A constant column that stays constant has nothing to tell apart."""
    assert contingency(np.array([500]), np.array([40])).p_value == 1.0


def test_a_sparse_table_has_the_p_value_of_its_permutations() -> None:
    """SciPy's random tables with the same margins agree, where the chi-square distribution says less than half."""
    table = np.array([[4500, 50, 50, 50, 50], [470, 3, 5, 5, 17]])
    outcome = contingency(table[0], table[1])
    drawn = stats.random_table(table.sum(axis=1), table.sum(axis=0), seed=7).rvs(40_000)
    expected = stats.contingency.expected_freq(table)
    reached = ((drawn - expected) ** 2 / expected).sum(axis=(1, 2)) >= outcome.statistic
    assert outcome.method == "chi-square"
    assert outcome.p_value == pytest.approx(reached.mean(), rel=0.4)
    assert stats.chi2_contingency(table, correction=False).pvalue < outcome.p_value / 2


def test_false_alarms_of_sparse_tables_are_as_many_as_said() -> None:
    """With four cells that expect the least, p-values at or below 0.002 are about 0.002 of all.

    Drawn without drift, windows of 500 rows against 5,000. The bound is the binomial's 99.9% quantile.
    """
    rng = np.random.default_rng(4)
    share = LEAST_EXPECTED / 500
    shares = [share] * 4 + [1 - 4 * share]
    reference, current = rng.multinomial(5000, shares, size=4000), rng.multinomial(500, shares, size=4000)
    p_values = np.array([contingency(a, b).p_value for a, b in zip(reference, current, strict=True)])
    assert np.count_nonzero(p_values <= 0.002) <= stats.binom.ppf(0.999, 4000, 0.002)


def test_rows_that_are_worth_a_third_have_a_third_of_the_statistic() -> None:
    """SciPy's chi-square distribution of X² / 3; and with uneven cells, by Satterthwaite's degrees of freedom."""
    table = np.array([[300, 500, 200], [120, 260, 120]])
    worth = Worth(1000 / 3, 500 / 3, 1.0, math.inf)
    statistic = stats.chi2_contingency(table, correction=False).statistic
    assert contingency(table[0], table[1], worth).p_value == pytest.approx(stats.chi2.sf(statistic / 3, 2))
    uneven = contingency(table[0], table[1], worth._replace(spread=1.5))
    assert uneven.p_value == pytest.approx(stats.chi2.sf(statistic / 4.5, 2 / 1.5))
    assert uneven.statistic == pytest.approx(statistic)


def test_two_cells_of_dependent_rows_are_fishers_test_of_what_they_are_worth() -> None:
    """A tenth of the rows: a tenth of the counts."""
    outcome = contingency(np.array([900, 100]), np.array([250, 50]), Worth(100, 30, 1.0, math.inf))
    assert outcome.p_value == pytest.approx(stats.fisher_exact([[90, 10], [25, 5]]).pvalue)


def test_kolmogorov_smirnov_counts_what_rows_are_worth() -> None:
    """D is as it was; its p-value is that of one sample of 40 · 10 / 50 values, in the tails of t."""
    rng = np.random.default_rng(2)
    x, y = np.sort(rng.normal(size=400)), np.sort(rng.normal(0.8, size=100))
    outcome = kolmogorov_smirnov(x, y, Worth(40, 10, 1.0, math.inf))
    assert outcome.statistic == kolmogorov_smirnov(x, y).statistic
    assert outcome.p_value == pytest.approx(stats.kstwo.sf(outcome.statistic, 8))
    heavy = kolmogorov_smirnov(x, y, Worth(40, 10, 1.0, 9))
    assert heavy.p_value == pytest.approx(2 * stats.t.sf(stats.norm.isf(outcome.p_value / 2), 9))
