"""Rows are divided into test, validation and training, each kind of target in every part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autopilot.search.folds import Folds, divide

TARGETS = st.one_of(
    st.lists(st.integers(0, 3), min_size=20, max_size=200).map(lambda y: np.array(y, dtype=np.float64)),
    st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=200).map(np.array),
)


@given(y=TARGETS, budget_s=st.floats(0.5, 1000), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=60)
def test_each_row_is_in_one_part_and_each_searched_row_validates_at_most_once(
    y: NDArray[np.float64], budget_s: float, seed: int
) -> None:
    """Test rows are in no fold; a fold's two parts are the searched rows."""
    folds = divide(y, 1, budget_s, seed)
    assert sorted([*folds.search, *folds.test]) == list(range(len(y)))
    for fold in folds.folds:
        assert sorted([*fold.train, *fold.valid]) == folds.search.tolist()
        assert len(fold.train)
        assert len(fold.valid)
    validated = np.concatenate([fold.valid for fold in folds.folds])
    assert len(set(validated.tolist())) == len(validated)
    assert folds.validated.tolist() == sorted(validated.tolist())
    if len(folds.folds) > 1:
        assert folds.validated.tolist() == folds.search.tolist()


@given(counts=st.lists(st.integers(6, 40), min_size=2, max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_every_class_of_a_few_rows_is_in_every_training_part(counts: list[int], seed: int) -> None:
    """Rows of a class are dealt out one part after the other."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.float64)
    folds = divide(y, len(counts), 60, seed)
    for fold in folds.folds:
        assert set(y[fold.train]) == set(range(len(counts)))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_parts_hold_like_shares_of_each_class(seed: int) -> None:
    """Within one row of what the class's size says."""
    y = np.repeat([0.0, 1.0, 2.0], [500, 100, 50])
    folds = divide(y, 3, 600, seed)
    assert len(folds.folds) == 5
    for rows, parts in ((folds.test, 5), *((fold.valid, 6.25) for fold in folds.folds)):
        counts = np.bincount(y[rows].astype(int), minlength=3)
        assert np.abs(counts - np.array([500, 100, 50]) / parts).max() <= 2


def test_parts_of_numbers_have_like_ranges() -> None:
    """The mean of each part is near that of all."""
    y = np.random.default_rng(0).lognormal(0, 1, 2000)
    folds = divide(y, 1, 600, 0)
    for rows in (folds.test, *(fold.valid for fold in folds.folds)):
        assert y[rows].mean() == pytest.approx(y.mean(), rel=0.05)


def test_the_seed_decides() -> None:
    """The same gives the same, another gives another."""
    y = np.arange(100.0)
    assert _same(divide(y, 1, 60, 1), divide(y, 1, 60, 1))
    assert not _same(divide(y, 1, 60, 1), divide(y, 1, 60, 2))


def _same(left: Folds, right: Folds) -> bool:
    return left.test.tolist() == right.test.tolist() and [fold.valid.tolist() for fold in left.folds] == [
        fold.valid.tolist() for fold in right.folds
    ]


@pytest.mark.parametrize(
    ("rows", "outputs", "budget_s", "folds"),
    [
        (1000, 1, 60, 5),
        (18_000, 1, 60, 5),
        (18_001, 1, 60, 3),
        (2000, 10, 60, 3),
        (100_000, 1, 60, 3),
        (100_000, 1, 600, 5),
        (100_001, 1, 1e6, 1),
        (2000, 100, 60, 1),
    ],
)
def test_more_work_for_the_time_means_fewer_folds(rows: int, outputs: int, budget_s: float, folds: int) -> None:
    """5 up to 300 rows times outputs a second, 3 up to 2,500, a holdout beyond, and beyond 100,000 rows."""
    assert len(divide(np.arange(float(rows)), outputs, budget_s, 0).folds) == folds


@pytest.mark.parametrize(
    ("rows", "test_rows"), [(100, 20), (2500, 500), (4000, 500), (10_000, 1000), (50_000, 2500), (400_000, 4000)]
)
def test_test_rows_are_a_fifth_of_few_and_some_thousands_of_many(rows: int, test_rows: int) -> None:
    """AutoGluon's rule."""
    assert len(divide(np.arange(float(rows)), 1, 60, 0).test) == pytest.approx(test_rows, rel=0.02)


def test_a_holdout_is_a_sixth_and_at_most_thirty_thousand_rows() -> None:
    """Of the searched rows."""
    small, large = divide(np.arange(6000.0), 100, 10, 0), divide(np.arange(400_000.0), 1, 60, 0)
    assert len(small.folds[0].valid) == pytest.approx(len(small.search) / 6, rel=0.01)
    assert len(large.folds[0].valid) == pytest.approx(30_000, rel=0.02)
