"""Exact sums: held against Python's fractions and its own exact sum, in any order."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sketches.exact import SCALE, exact_sum, mean_of, packed, unpacked, variance_of

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite))
def test_a_sum_is_that_of_fractions(values: list[float]) -> None:
    """With the smallest and the largest floats too."""
    assert Fraction(exact_sum(np.array(values, float)), 1 << SCALE) == sum(map(Fraction, values))


@given(st.lists(finite), st.randoms(use_true_random=False), st.integers(0, 5))
def test_parts_in_any_order_have_the_same_sum(values: list[float], random, cut: int) -> None:
    """Added up."""
    mixed = random.sample(values, len(values))
    assert exact_sum(np.array(mixed[:cut], float)) + exact_sum(np.array(mixed[cut:], float)) == exact_sum(
        np.array(values, float)
    )


@given(st.lists(finite.filter(lambda value: abs(value) < 1e300), min_size=1))
def test_a_mean_is_rounded_once(values: list[float]) -> None:
    """As Python's statistics have it."""
    assert mean_of(exact_sum(np.array(values)), len(values)) == float(statistics.mean(map(Fraction, values)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_variance_is_that_of_statistics(values: list[float]) -> None:
    """But for what squaring rounds away."""
    array = np.array(values)
    found = variance_of(exact_sum(array), exact_sum(array**2), len(values))
    assert found == pytest.approx(statistics.pvariance(values), rel=1e-9, abs=1e-15 * max(array**2))


@given(st.lists(finite))
def test_what_is_packed_is_unpacked(values: list[float]) -> None:
    """In few bytes for usual numbers."""
    total = exact_sum(np.array(values, float))
    assert unpacked(*packed(total)) == total


def test_a_million_usual_rows_take_few_bytes() -> None:
    """A mantissa, and room for what rows differ by; and the sum is fsum's."""
    values = np.random.default_rng(0).normal(1000, 10, size=1_000_000)
    total = exact_sum(values)
    assert len(packed(total)[1]) <= 12
    assert mean_of(total, 1) == math.fsum(values.tolist())


def test_what_exceeds_the_floats_is_infinite() -> None:
    """A sum of the largest ones."""
    assert mean_of(exact_sum(np.full(3, 1.7e308)), 1) == math.inf
    assert mean_of(exact_sum(np.full(3, -1.7e308)), 1) == -math.inf
