"""Our rules by SageMaker's name: Deequ's formulas, its own tests' numbers, and verdicts."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.calibrated import Finding
from monitor.checks.sagemaker.distance import robust
from monitor.conventions import CONVENTIONS, Column
from monitor.pair import pair_up


def judge(method: str, reference: list, current: list) -> Finding:
    """The verdict on one column."""
    before, after = pl.Series("x", reference), pl.Series("x", current)
    return CONVENTIONS[method]([Column(pair_up(before, after), before, after)])[0]


def rows(counts: dict[str, int]) -> list[str]:
    """So many rows of each level."""
    return [level for level, count in counts.items() for _ in range(count)]


BASELINE = {"a": 10, "b": 20, "c": 25, "d": 10, "e": 5}


@pytest.mark.parametrize(
    ("reference", "current", "simple"),
    [
        ([1, 2, 3, 4], [2, 3, 4, 5], 0.25),
        (rows(BASELINE), rows({"a": 11, "b": 20, "c": 25, "d": 10, "e": 10}), 0.06015037593984962),
        (rows(BASELINE), rows({"f": 11, "a": 20, "c": 25, "d": 10, "e": 10}), 0.2857142857142857),
    ],
)
def test_distances_are_those_of_deequs_tests(reference: list, current: list, simple: float) -> None:
    """Deequ's KLLDistanceTest: linf_simple as given, linf_robust 0 in each case."""
    assert judge("sagemaker-simple", reference, current).statistic == pytest.approx(simple, abs=1e-15)
    assert judge("sagemaker-robust", reference, current).statistic == 0.0


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_both_rules_are_their_formulas(m: int, n: int, seed: int) -> None:
    """SciPy's largest distance D, and max(0, D - 1.8 √((m + n) / mn)); a violation is a distance above 0.1."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=m), rng.normal(seed / 1000, size=n)
    d = float(stats.ks_2samp(x, y).statistic)
    robust = max(0.0, d - 1.8 * math.sqrt((m + n) / (m * n)))
    for method, expected in (("sagemaker-simple", d), ("sagemaker-robust", robust)):
        finding = judge(method, x.tolist(), y.tolist())
        assert finding.statistic == pytest.approx(expected, abs=1e-12)
        assert finding.drifted == (finding.statistic > 0.1)
        assert (finding.p_value, finding.threshold) == (None, 0.1)


def test_the_robust_rule_takes_off_what_it_says() -> None:
    """By hand: 1.8 √(2 / 100) = 0.2546 of 100 rows a side."""
    assert robust(0.3, 100, 100) == pytest.approx(0.3 - 0.254558, abs=1e-6)


def test_exactly_the_threshold_is_no_violation() -> None:
    """Deequ's distance has to be above it: 1 of 10 rows has moved."""
    assert not judge("sagemaker-simple", ["a"] * 10, ["a"] * 9 + ["b"]).drifted


def test_written_times_are_categories_to_deequ() -> None:
    """Strings like others, of which none is shared: half of the rows have each."""
    finding = judge("sagemaker-simple", ["2024-05-01", "2024-05-02"] * 50, ["2024-06-01", "2024-06-02"] * 50)
    assert (finding.statistic, finding.drifted) == (0.5, True)


def test_texts_are_categories_to_deequ() -> None:
    """So that texts, which all differ, are hardly ever apart."""
    before = [f"this is message number {number}" for number in range(100)]
    after = [f"that was another message {number}" for number in range(100)]
    assert judge("sagemaker-simple", before, after).statistic == pytest.approx(0.01)


def test_times_that_are_written_as_text_are_text_to_deequ() -> None:
    """As all text, they are categories."""
    days = [f"2013-01-{day:02}" for day in range(1, 11)]
    assert judge("sagemaker-simple", days, days[5:] * 2).statistic == pytest.approx(0.1)


@pytest.mark.parametrize(("reference", "current"), [([None, None], [1.0, 2.0]), ([1.0], [None]), ([[1]], [[2]])])
def test_without_a_distance_there_is_a_note(reference: list, current: list) -> None:
    """A side without values, or lists."""
    finding = judge("sagemaker-robust", reference, current)
    assert (finding.method, finding.drifted) == ("none", False)
    assert finding.note
