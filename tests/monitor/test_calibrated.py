"""Which test a column gets, and what it finds."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor import compare
from monitor.calibrated import MINIMUM_EFFECT, Finding, benjamini_hochberg, bonferroni, calibrated
from monitor.drift import Kind
from monitor.pair import pair_up
from storage.errors import SettingError


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


def test_of_tests_that_alarm_the_largest_effect_is_told() -> None:
    """A twentieth of the rows lost their value, which is the surer finding; by how far the others moved is the larger
    one, and ranks the column. The note tells both."""
    rows = np.random.default_rng(0).permutation(2000)
    finding = judge(rows, [None] * 100 + [int(row) + 300 for row in rows[100:]])
    assert finding.method == "Kolmogorov-Smirnov"
    assert finding.effect == pytest.approx(0.15, abs=0.01)
    assert finding.note == "Fisher exact of missing values alarms too, with an effect of 0.050."


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
    assert [finding.note for finding in findings[1::2]] == ["", "There is no value on either side."]


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_benjamini_hochberg_alarms_where_scipys_does(p_values: list[float], level: float) -> None:
    """A column alarms at the threshold exactly where SciPy's adjusted p-value is at most the level."""
    adjusted = stats.false_discovery_control(p_values, method="bh")
    alarms = np.array(p_values) <= benjamini_hochberg(p_values, level)
    undecided = abs(adjusted - level) < 1e-12  # the two differ in the last bits
    assert ((alarms == (adjusted <= level)) | undecided).all()
    assert benjamini_hochberg(p_values, level) >= bonferroni(p_values, level)


def test_benjamini_hochberg_finds_more_where_much_drifts() -> None:
    """Ten of twenty columns move by 0.17 standard deviations in 500 rows; the others alarm seldom."""
    rng = np.random.default_rng(0)
    shifts = np.repeat([0.17, 0.0], 10)
    pairs = [pair_up(pl.Series(rng.normal(size=5000)), pl.Series(rng.normal(shift, size=500))) for shift in shifts]
    few, many = (
        [finding.drifted for finding in calibrated(pairs, 0.05, control=control)]
        for control in ("bonferroni", "benjamini-hochberg")
    )
    assert sum(many[:10]) > sum(few[:10])
    assert all(later for earlier, later in zip(few, many, strict=True) if earlier)
    assert sum(many[10:]) <= 1


def test_trifles_open_no_door_to_others() -> None:
    """A column with a tiny p-value and a tiny effect does not raise the threshold of Benjamini and Hochberg."""
    rows = np.random.default_rng(1).permutation(400_000)
    trifle = pair_up(pl.Series(rows < 200_000), pl.Series(rows < 202_000))
    same = pair_up(pl.Series(rows[:300]), pl.Series(rows[300:600]))
    found = calibrated([trifle, same], 0.05, control="benjamini-hochberg")
    assert found[0].p_value is not None
    assert found[0].p_value < 1e-4
    assert [finding.threshold for finding in found] == [0.025, 0.025]


def test_the_minimum_effect_can_be_set() -> None:
    """The same tables alarm with a smaller one."""
    rows = np.random.default_rng(1).permutation(400_000)
    pair = pair_up(pl.Series(rows < 200_000), pl.Series(rows < 202_000))
    assert [calibrated([pair], 0.05, minimum_effect=effect)[0].drifted for effect in (0.02, 0.004)] == [False, True]


def test_compare_hands_the_choices_on() -> None:
    """They are the calibrated method's."""
    rows = np.random.default_rng(0).permutation(4000)
    reference, current = pl.DataFrame({"x": rows}), pl.DataFrame({"x": rows[:1000] + 400})
    assert compare(reference, current).drifted
    assert not compare(reference, current, control="benjamini-hochberg", minimum_effect=0.5).drifted


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"control": "holm"}, "control is 'holm', which is unknown. Use one of: bonferroni, benjamini-hochberg"),
        ({"minimum_effect": 1.0}, "minimum_effect is 1.0. Use a share"),
        ({"minimum_effect": float("nan")}, "minimum_effect is nan"),
    ],
)
def test_compare_refuses_what_is_no_choice(choices: dict[str, Any], said: str) -> None:
    """With the value received and what would be right."""
    table = pl.DataFrame({"x": range(100)})
    with pytest.raises(SettingError, match=said):
        compare(table, table, **choices)
