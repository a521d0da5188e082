"""The ratios are what they are said to be, and have a mean of at most 1 where there is no harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom, nchypergeom_fisher

from serving.rollouts.odds import ODDS, log_ratios, log_ratios_above, upper_bound

COUNTS = st.integers(1, 40)


@given(COUNTS, COUNTS, st.data())
def test_it_is_the_ratio_of_fishers_distribution_to_the_hypergeometric(n0: int, n1: int, data: st.DataObject) -> None:
    """By scipy's."""
    total = data.draw(st.integers(1, n0 + n1 - 1))
    k1 = data.draw(st.integers(max(0, total - n0), min(n1, total)))
    wanted = [nchypergeom_fisher.logpmf(k1, n0 + n1, n1, total, odds) for odds in ODDS]
    wanted = np.array(wanted) - hypergeom.logpmf(k1, n0 + n1, n1, total)
    np.testing.assert_allclose(log_ratios(n0, total - k1, n1, k1), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("odds", [1.0, 0.8, 0.2])
@pytest.mark.parametrize(("n0", "n1", "total"), [(9, 1, 3), (90, 10, 5), (40, 60, 50), (300, 20, 2), (5, 5, 9)])
def test_its_mean_is_at_most_1_where_the_new_are_not_worse(odds: float, n0: int, n1: int, total: int) -> None:
    """Summed over all that may come; exactly 1 where there is no difference."""
    ks = range(max(0, total - n0), min(n1, total) + 1)
    ratios = np.array([np.exp(log_ratios(n0, total - k, n1, k)) for k in ks])
    means = nchypergeom_fisher.pmf(ks, n0 + n1, n1, total, odds) @ ratios
    assert (means <= 1 + 1e-9).all()
    if odds == 1:
        np.testing.assert_allclose(means, 1, rtol=1e-9)


@pytest.mark.parametrize("table", [(10, 0, 10, 0), (10, 10, 10, 10), (0, 0, 10, 4), (10, 4, 0, 0)])
def test_a_table_without_a_comparison_tells_nothing(table: tuple[int, int, int, int]) -> None:
    """No yes, no no, or one side alone."""
    assert not log_ratios(*table).any()


def test_a_large_table_overflows_nothing() -> None:
    """A second of a busy server."""
    ratios = log_ratios(200_000, 100_000, 100_000, 51_000)
    assert np.isfinite(ratios).all()
    assert ratios.max() > 5


@pytest.mark.parametrize("share", [0.05, 0.04, 0.001])
def test_above_a_bound_its_mean_is_at_most_1_below(share: float) -> None:
    """Of 50 requests."""
    ratios = np.array([np.exp(log_ratios_above(0.05, 50, k)) for k in range(51)])
    means = binom.pmf(np.arange(51), 50, share) @ ratios
    assert (means <= 1 + 1e-9).all()


@pytest.mark.parametrize(("n", "share"), [(20, 0.05), (100, 0.001), (500, 0.05), (500, 0.5)])
def test_the_true_share_is_below_the_bound_but_for_delta(n: int, share: float) -> None:
    """Summed over all counts."""
    missed = sum(binom.pmf(k, n, share) for k in range(n + 1) if upper_bound(n, k, 0.01) < share)
    assert missed <= 0.01
