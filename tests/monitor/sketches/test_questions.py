"""Tests over counts: SciPy's p-values lie between the bounds, and windows together are as each alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from monitor.calibrated import GROUPS
from monitor.serial import UNKNOWN
from monitor.sketches.questions import Question, ask_contingency, ask_smirnov, commonest_first, grouped
from monitor.sketches.worth import Tallied, Worths

ALWAYS = np.ones(1, bool)
counts = st.lists(st.integers(0, 400), min_size=3, max_size=12)


def independent(windows: int = 1) -> Worths:
    """Of windows that tell nothing of neighbours."""
    rows = np.ones(windows, np.int64)
    told = Tallied(np.zeros((windows, 0, 5), np.int64), rows, np.zeros((windows, 1), np.int64), rows)
    return Worths(UNKNOWN, 1, told, np.ones((1, 1)), lambda _: told)


def arrays(first: list[int], second: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the shorter one's length; the second as one window."""
    size = min(len(first), len(second))
    return np.array(first[:size]), np.array([second[:size]])


def checked(question: Question, p_value: float, effect: float) -> None:
    """The exact outcome is this, and the bounds hold it."""
    outcome = question.exact(0)
    assert outcome.p_value == pytest.approx(p_value, rel=1e-7)
    assert outcome.effect == pytest.approx(effect, abs=1e-12)
    assert question.effect[0] == pytest.approx(effect, abs=1e-12)
    assert question.low[0] <= outcome.p_value <= question.high[0] * (1 + 1e-12)


@settings(max_examples=60)
@given(counts, counts)
def test_smirnov_is_scipys_over_cells(first: list[int], second: list[int]) -> None:
    """Of cells as values."""
    reference, current = arrays(first, second)
    if not reference.sum() or not current.sum():
        assert not ask_smirnov(reference, current, ALWAYS, independent()).asked[0]
        return
    assume(reference.sum() + current.sum() > 2)  # of one row each, SciPy makes a sample of none, and warns
    cells = np.arange(len(reference))
    oracle: Any = stats.ks_2samp(np.repeat(cells, reference), np.repeat(cells, current[0]), method="asymp")
    checked(ask_smirnov(reference, current, ALWAYS, independent()), oracle.pvalue, oracle.statistic)


def test_bounds_of_smirnov_hold_far_out() -> None:
    """Of windows of 16 to 100,000 rows, down to p-values of 1e-12."""
    for rows in (16, 20, 50, 101, 200, 5000, 100_000):
        moved = np.linspace(0, rows // 2, 60).astype(int)
        current = np.stack([rows // 2 - moved, rows - rows // 2 + moved], axis=1)
        question = ask_smirnov(np.array([10**6, 10**6]), current, np.ones(60, bool), independent(60))
        for at in range(60):
            p_value = question.exact(at).p_value
            assert question.low[at] <= p_value <= question.high[at] or p_value < 1e-12


@settings(max_examples=60)
@given(*[st.integers(0, 2000)] * 4)
def test_two_cells_are_fishers(a: int, b: int, c: int, d: int) -> None:
    """However few their rows."""
    reference, current = arrays([a, b], [c, d])
    question = ask_contingency(reference, current, ALWAYS, "", independent())
    if not (a + b and c + d):
        assert not question.asked[0]
    elif a + c and b + d:
        oracle: Any = stats.fisher_exact([[a, b], [c, d]])
        checked(question, oracle[1], abs(a / (a + b) - c / (c + d)))
    else:
        checked(question, 1.0, 0.0)


@settings(max_examples=60)
@given(st.lists(st.integers(300, 900), min_size=3, max_size=7), st.lists(st.integers(300, 900), min_size=3, max_size=7))
def test_full_cells_are_chi_squares(first: list[int], second: list[int]) -> None:
    """By SciPy's contingency table; the p-value is raised a little, as each cell expects hundreds of rows."""
    reference, current = arrays(first, second)
    oracle: Any = stats.chi2_contingency(np.stack([reference, current[0]]), correction=False)
    outcome = ask_contingency(reference, current, ALWAYS, "of cells", independent()).exact(0)
    assert outcome.method == "chi-square of cells"
    assert outcome.statistic == pytest.approx(oracle.statistic)
    assert outcome.p_value ** (1 / 0.97) <= oracle.pvalue <= outcome.p_value * (1 + 1e-9)


def test_neighbours_are_joined_until_they_expect_enough() -> None:
    """By hand: 80 current rows of 160, so that an eighth are 10 in each cell; the leftover belongs to the last."""
    reference = np.array([40, 4, 6, 10, 3, 3, 14])
    current = np.array([[40, 6, 4, 10, 3, 3, 14]])
    outcome = ask_contingency(reference, current, ALWAYS, "", independent()).exact(0)
    assert (outcome.method, outcome.statistic, outcome.effect) == ("chi-square", 0.0, 0.0)
    current = np.array([[30, 4, 6, 20, 3, 3, 14]])
    joined = np.array([[40, 10, 10, 20], [30, 10, 20, 20]])
    oracle: Any = stats.chi2_contingency(joined, correction=False)
    outcome = ask_contingency(reference, current, ALWAYS, "", independent()).exact(0)
    assert outcome.statistic == pytest.approx(oracle.statistic)


def test_one_cell_that_is_left_is_held_against_the_others() -> None:
    """Exactly, by Fisher."""
    reference, current = np.array([1000, 1, 2, 1]), np.array([[30, 3, 0, 1]])
    oracle: Any = stats.fisher_exact([[1000, 4], [30, 4]])
    checked(ask_contingency(reference, current, ALWAYS, "", independent()), oracle[1], abs(1000 / 1004 - 30 / 34))


@settings(max_examples=60)
@given(counts, counts)
def test_groups_end_at_quantiles_of_both(first: list[int], second: list[int]) -> None:
    """Each row's group holds the quantiles of its own value and not those before, whatever other windows hold."""
    reference, current = arrays(first, second)
    both = np.sort(np.repeat(np.arange(len(reference)), reference + current[0]))
    if not len(both):
        return
    edges = np.unique(both[np.arange(1, GROUPS) * len(both) // GROUPS])
    edges = edges[edges < both[-1]]
    place = np.searchsorted(edges, np.arange(len(reference)), "left")
    expected = [np.bincount(place, side, minlength=GROUPS).tolist() for side in (reference, current[0])]
    ours = grouped(reference, np.vstack([current, current[:, ::-1] + 1]), GROUPS)
    assert [side[0].tolist() for side in ours] == expected


def test_levels_are_ordered_by_both_samples_rows() -> None:
    """Each window by itself."""
    ours, theirs = commonest_first(np.array([5, 50, 20]), np.array([[0, 0, 0], [99, 0, 0]]))
    assert ours.tolist() == [[50, 20, 5], [5, 50, 20]]
    assert theirs.tolist() == [[0, 0, 0], [99, 0, 0]]
