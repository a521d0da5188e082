"""Which test a column gets, and what it finds."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from monitor.calibrated import MINIMUM_EFFECT, Finding, calibrated
from monitor.drift import Kind
from monitor.pair import pair_up


def judge(reference: object, current: object, kind: Kind | None = None) -> Finding:
    """The finding on a single column at a level of 5%."""
    return calibrated([pair_up(pl.Series(reference), pl.Series(current), kind)], 0.05)[0]


def test_numbers_are_compared_by_kolmogorov_smirnov() -> None:
    """Without missing values it is the column's only test, so the p-value is SciPy's own."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=900), rng.normal(0.2, size=300)
    finding = judge(x, y)
    assert finding.method == "Kolmogorov-Smirnov"
    assert finding.p_value == pytest.approx(stats.ks_2samp(x, y, method="asymp").pvalue)


def test_numbers_with_many_equal_values_are_compared_by_groups() -> None:
    """0, 1, 2 and 3 are four groups: SciPy's test of their counts."""
    counts = np.array([[2000, 1200, 600, 200], [800, 720, 360, 120]])
    finding = judge(*(np.repeat([0, 1, 2, 3], row) for row in counts))
    expected = stats.chi2_contingency(counts, correction=False)
    assert finding.method == "chi-square of groups"
    assert (finding.statistic, finding.p_value) == pytest.approx((expected.statistic, expected.pvalue))


def test_a_change_in_the_share_of_zeros_is_found() -> None:
    """5% of 1,000 against 12% of 500: ties would hide it from Kolmogorov-Smirnov."""
    tail = np.linspace(0.1, 9, 50)
    finding = judge(np.r_[np.zeros(950), tail], np.r_[np.zeros(440), tail, tail[:10]])
    assert finding.drifted
    assert finding.effect == pytest.approx(0.07)


def test_text_is_compared_by_its_length() -> None:
    """The method says so."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 300, 1000)
    finding = judge(["x" * n for n in lengths[:700]], ["x" * (n + 60) for n in lengths[700:]], "text")
    assert finding.method == "Kolmogorov-Smirnov of length in characters"
    assert finding.drifted


def test_categories_are_compared_by_chi_square() -> None:
    """Three frequent levels: SciPy's test of their counts."""
    finding = judge(["a"] * 500 + ["b"] * 300 + ["c"] * 200, ["a"] * 150 + ["b"] * 150 + ["c"] * 100)
    expected = stats.chi2_contingency([[500, 300, 200], [150, 150, 100]], correction=False)
    assert finding.method == "chi-square"
    assert finding.p_value == pytest.approx(expected.pvalue)
    assert finding.effect == pytest.approx(0.125)


def test_a_new_level_is_found() -> None:
    """A level that a tenth of the rows have suddenly has a cell of its own."""
    finding = judge(["a", "b"] * 500, ["a", "b"] * 225 + ["new"] * 50)
    assert finding.drifted
    assert finding.effect == pytest.approx(0.1)


def test_rare_levels_that_are_all_new_are_found() -> None:
    """Thousands of levels, each too rare to be counted alone: only the test of unseen levels can tell."""
    rng = np.random.default_rng(0)
    old, new = 2 * rng.integers(0, 3000, 2000), 2 * rng.integers(0, 3000, 2000) + 1
    finding = judge([f"plane {i}" for i in old], [f"plane {i}" for i in new])
    assert finding.method == "Fisher exact of unseen levels"
    assert finding.drifted
    assert finding.effect is not None
    assert finding.effect > 0.25


def test_missing_values_are_found() -> None:
    """10 of 1,000 against 20 of 200: Fisher's test, times two, because the values were tested too."""
    finding = judge([None] * 10 + list(range(0, 1980, 2)), [None] * 20 + list(range(0, 1980, 11)))
    assert finding.method == "Fisher exact of missing values"
    assert finding.p_value == pytest.approx(2 * stats.fisher_exact([[10, 990], [20, 180]]).pvalue)
    assert finding.effect == pytest.approx(0.09)


def test_a_column_that_went_missing_altogether_is_found() -> None:
    """No value is left to compare, but all rows miss one."""
    finding = judge(range(100), [None] * 100)
    assert (finding.method, finding.drifted, finding.effect) == ("Fisher exact of missing values", True, 1.0)


def test_values_where_there_were_none_are_found() -> None:
    """The other way round."""
    assert judge([None] * 100, [1.0] * 100).drifted


def test_trifles_in_huge_windows_do_not_alarm() -> None:
    """49% against 50.5% of 400,000 rows each: far beyond chance, and less than two rows in a hundred."""
    finding = judge([0, 1] * 200_000, [0] * 202_000 + [1] * 198_000)
    assert finding.p_value is not None
    assert finding.threshold is not None
    assert finding.effect is not None
    assert finding.p_value <= finding.threshold
    assert finding.effect < MINIMUM_EFFECT
    assert not finding.drifted


def test_a_real_change_is_not_hidden_by_a_significant_trifle() -> None:
    """The missing share grows by 0.5% with the smaller p-value, values move by 4%: the column alarms for its values."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=20_000), rng.normal(0.1, size=20_000)
    reference, current = pl.Series(x), pl.Series(y).scatter(range(300), None)
    finding = judge(reference, current)
    assert finding.drifted
    assert finding.method == "Kolmogorov-Smirnov"


def test_the_level_is_shared_among_tested_columns() -> None:
    """Times and columns without values take no share."""
    number = pair_up(pl.Series("n", range(50)), pl.Series("n", range(50)))
    time = pair_up(pl.Series("t", range(50)).cast(pl.Datetime("us")), pl.Series("t", range(50)).cast(pl.Datetime("us")))
    empty = pair_up(pl.Series("e", [None]), pl.Series("e", [None]))
    findings = calibrated([number, time, number, empty], 0.05)
    assert [finding.threshold for finding in findings] == [0.025, None, 0.025, None]
    assert [finding.note for finding in findings[1::2]] == [
        "Instants always move forward, so they are not compared.",
        "There is no value on either side.",
    ]


def test_missing_times_are_compared() -> None:
    """Instants are not, but whether there is one is."""
    times = pl.Series(range(200)).cast(pl.Datetime("us"))
    finding = judge(times, times.clone().scatter(range(100), None))
    assert (finding.method, finding.drifted) == ("Fisher exact of missing values", True)


def test_the_same_tables_give_the_same_findings() -> None:
    """Random halves and permutations are drawn with a fixed seed."""
    rng = np.random.default_rng(3)
    reference, current = ([f"l{i}" for i in rng.zipf(1.4, n)] for n in (3000, 400))
    assert judge(reference, current) == judge(reference, current)
