"""Deequ's distances, against the values of its own tests and against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.checks.sagemaker.distance import chi_square, level_distance, robust, value_distance

#: src/test/scala/com/amazon/deequ/KLL/KLLDistanceTest.scala
ONE = {"a": 10, "b": 20, "c": 25, "d": 10, "e": 5}
NEAR = {"a": 11, "b": 20, "c": 25, "d": 10, "e": 10}
OTHER = {"f": 11, "a": 20, "c": 25, "d": 10, "e": 10}

numbers = st.lists(st.sampled_from([-2.0, 0.0, 0.5, 3.0, 7.0]), min_size=2, max_size=60)
tables = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 400), min_size=1)


def test_values_of_deequs_own_tests() -> None:
    """Simple and robust, of values and of levels."""
    once = np.ones(4, dtype=np.int64)
    distance = value_distance(np.array([1.0, 2, 3, 4]), once, np.array([2.0, 3, 4, 5]), once)
    assert distance == 0.25
    assert robust(distance, 4, 4) == 0.0
    assert level_distance(ONE, NEAR) == 0.06015037593984962
    assert level_distance(ONE, OTHER) == 0.2857142857142857
    assert robust(level_distance(ONE, OTHER), 70, 76) == 0.0


def test_p_values_of_deequs_own_tests() -> None:
    """With levels that the sample lacks, and one that the baseline lacks."""
    sample = {"a": 207, "b": 20, "c": 25, "d": 14, "e": 25, "g": 13}
    expected = {"a": 223, "b": 20, "c": 25, "d": 12, "e": 13, "f": 15}
    assert chi_square(sample, expected) == pytest.approx(3.3640191298478506e-05, rel=1e-9)


@given(numbers, numbers)
@settings(max_examples=80, deadline=None)
def test_the_distance_of_values_is_that_of_kolmogorov_and_smirnov(x: list[float], y: list[float]) -> None:
    """SciPy's statistic, with ties."""
    sides = [np.unique(np.array(side), return_counts=True) for side in (x, y)]
    found = value_distance(*sides[0], *sides[1])
    assert found == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)


@given(tables, tables)
@settings(max_examples=80, deadline=None)
def test_the_distance_of_levels_is_chebyshevs(before: dict[str, int], now: dict[str, int]) -> None:
    """SciPy's, of the shares of all levels."""
    from scipy.spatial.distance import chebyshev

    shares = [np.array([side.get(level, 0) for level in "abcdef"]) / sum(side.values()) for side in (before, now)]
    assert level_distance(before, now) == pytest.approx(chebyshev(*shares), abs=1e-12)


def test_with_enough_rows_the_test_is_scipys() -> None:
    """Of shares that the baseline is taken to know; levels that it lacks do not count."""
    sample, expected = {"a": 310, "b": 480, "c": 220, "new": 50}, {"a": 300, "b": 500, "c": 200}
    total = 310 + 480 + 220
    oracle = stats.chisquare([310, 480, 220], [0.3 * total, 0.5 * total, 0.2 * total])
    assert chi_square(sample, expected) == pytest.approx(oracle.pvalue)


def test_small_levels_are_joined_with_the_next_larger_one() -> None:
    """Of five levels a fifth may expect less than 5, of four none: 1 row joins the 3, and both then the 16."""
    expected = {"a": 500, "b": 300, "c": 160, "d": 30, "e": 10}
    sample = {"a": 45, "b": 35, "c": 15, "d": 4, "e": 1}
    oracle = stats.chisquare([45, 35, 20], [50, 30, 20])
    assert chi_square(sample, expected) == pytest.approx(oracle.pvalue)


@pytest.mark.parametrize("sample", [{"a": 15, "b": 3}, {"a": 40}, {"z": 5}, {}])
def test_fewer_than_two_levels_have_no_test(sample: dict[str, int]) -> None:
    """Two levels of which one expects less than 10 are one; and nothing can be said of no rows."""
    assert chi_square(sample, {"a": 80, "b": 20}) is None
