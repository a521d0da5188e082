"""The tests behind violations, against SciPy, statsmodels' figures and brute force."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.checks.chance import beyond, growth, more_often, repeated, unseen, wilson

counts = st.integers(0, 60)


@given(counts, st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_the_interval_is_scipys(hits: int, more: int) -> None:
    """Wilson's interval at 95%, at nothing and at everything too."""
    if hits + more:
        expected = stats.binomtest(hits, hits + more).proportion_ci(method="wilson")
        assert wilson(hits, hits + more) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_rows_every_share_is_plausible() -> None:
    """Nothing was seen, so nothing is excluded."""
    assert wilson(0, 0) == (0.0, 1.0)


@given(counts, counts, counts, counts)
@settings(max_examples=100, deadline=None)
def test_what_is_known_beforehand_is_tested_by_fisher(hits: int, rest: int, before: int, before_rest: int) -> None:
    """One-sided, as SciPy has it."""
    if hits + rest and before + before_rest:
        expected = stats.fisher_exact([[hits, rest], [before, before_rest]], alternative="greater").pvalue
        assert more_often(hits, hits + rest, before, before + before_rest) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("hits", "rows", "before"), [(1, 3, 4), (2, 3, 4), (3, 3, 4), (2, 5, 2)])
def test_values_beyond_the_extreme_are_counted_over_all_orders(hits: int, rows: int, before: int) -> None:
    """Of all ways to deal the ranks out, those in which the largest ones are all the window's."""
    total = rows + before
    top = set(range(total - hits, total))
    reached = sum(top <= set(chosen) for chosen in combinations(range(total), rows))
    assert beyond(hits, rows, before) == pytest.approx(reached / comb(total, rows))


def test_more_than_all_is_impossible() -> None:
    """A window of two rows has no three values beyond."""
    assert beyond(3, 2, 10) == 0.0


@given(st.lists(st.integers(1, 8), min_size=1, max_size=8), st.integers(1, 12), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_bound_on_unseen_levels_is_one(level_rows: list[int], hits: int, seed: int) -> None:
    """Dealing the rows out anew at random reaches as many unseen ones at most as often."""
    labels = np.repeat(np.arange(len(level_rows)), level_rows)
    rows = max(1, len(labels) // 2)
    rng = np.random.default_rng(seed)
    deals = np.array([rng.permutation(labels) for _ in range(400)])
    reached = 0
    for deal in deals:
        reached += np.count_nonzero(~np.isin(deal[:rows], deal[rows:])) >= hits
    bound = unseen(hits, rows, len(labels) - rows, np.array(level_rows))
    assert reached / 400 <= bound + 4 * np.sqrt(bound * (1 - bound) / 400) + 1e-9


def test_the_bound_of_a_single_level_is_exact() -> None:
    """That all of six rows are the window's, who has a sixth of all rows."""
    assert unseen(6, 1000, 5000, np.array([6, 4000])) == pytest.approx(beyond(6, 1000, 5000), rel=1e-6)


@pytest.mark.parametrize("p", [more_often, repeated])
def test_nothing_is_as_likely_as_can_be(p: object) -> None:
    """Without a hit there is nothing to explain."""
    assert callable(p)
    assert p(0, 100, 0, 100) == 1.0


def test_repeats_are_a_binomial_with_pairs_for_exposure() -> None:
    """A window twice as large as the baseline has four times its pairs."""
    assert growth(200, 100) == 2.0
    assert repeated(5, 200, 1, 100) == pytest.approx(stats.binomtest(5, 6, 4 / 5, alternative="greater").pvalue)
    assert repeated(5, 50, 1, 100) == pytest.approx(stats.binomtest(5, 6, 1 / 3, alternative="greater").pvalue)


@pytest.mark.parametrize(("rows", "before"), [(300, 600), (600, 300)])
def test_repeats_of_a_heavy_row_keep_the_promise(rows: int, before: int) -> None:
    """One row in two hundred is the same: p at or below 0.01 comes in at most 0.01 of windows."""
    rng = np.random.default_rng(5)
    now, then = rng.binomial(rows, 0.005, 4000), rng.binomial(before, 0.005, 4000)
    p_values = [repeated(max(a - 1, 0), rows, max(b - 1, 0), before) for a, b in zip(now, then, strict=True)]
    assert np.count_nonzero(np.array(p_values) <= 0.01) <= stats.binom.ppf(0.999, 4000, 0.01)
