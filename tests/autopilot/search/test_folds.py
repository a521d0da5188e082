"""Rows are divided as they will be met: at random, by whole groups, or in the order of time."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from autopilot.search.folds import SAMPLED_ROWS, SEARCH_ROWS, TEST_ROWS, Folds, Scheme, choose_scheme, divide
from autopilot.table.infer import Table
from storage import Signature

SEEDS = st.integers(0, 2**63 - 1)


@st.composite
def targets(draw: st.DrawFn, *, least_rows: int = 10, most_rows: int = 120) -> tuple[NDArray[np.float64], int]:
    """Class numbers, skewed and with classes of one row too, or values; and the number of classes."""
    rng, rows = np.random.default_rng(draw(SEEDS)), draw(st.integers(least_rows, most_rows))
    if draw(st.booleans()):
        return rng.normal(size=rows).round(draw(st.integers(0, 3))), 0
    drawn = np.floor(rng.exponential(draw(st.floats(0.2, 5)), rows))
    found, numbers = np.unique(drawn, return_inverse=True)
    return numbers.astype(np.float64), len(found)


def table_of(
    y: NDArray[np.float64], classes: int = 0, groups: NDArray[np.int64] | None = None, times: Any = None
) -> Table:
    """A table without columns: its rows are all that is looked at."""
    signature = Signature("multiclass" if classes else "regression", "y", (), classes=tuple(range(classes)))
    return Table(signature, pl.DataFrame(), y, (), groups=groups, times=times)


def refuse_overlaps(folds: Folds, rows: int) -> None:
    """Whatever the scheme: each row searches or tests, and no part is empty."""
    assert sorted([*folds.search, *folds.test]) == list(range(rows))
    assert folds.is_nested == (len(folds.test) == 0)
    for fold, at in zip(folds.folds, folds.slices, strict=True):
        assert len(fold.train)
        assert len(fold.valid)
        assert not set(fold.train) & set(fold.valid)
        assert {*fold.train, *fold.valid} <= {*folds.search}
        assert folds.validated[at].tolist() == fold.valid.tolist() == sorted(fold.valid)
    assert len(folds.validated) == sum(len(fold.valid) for fold in folds.folds)


def same(left: Folds, right: Folds) -> bool:
    """Row for row."""
    return left.test.tolist() == right.test.tolist() and [fold.valid.tolist() for fold in left.folds] == [
        fold.valid.tolist() for fold in right.folds
    ]


# ------------------------------------------------------------------------------------------------------ at random


@given(
    target=targets(), folds=st.sampled_from([1, 3, 5, 8]), repeats=st.integers(1, 3), nested=st.booleans(), seed=SEEDS
)
@settings(max_examples=150, deadline=None)
def test_each_searched_row_validates_once_in_each_repeat(
    target: tuple[NDArray[np.float64], int], folds: int, repeats: int, nested: bool, seed: int
) -> None:
    """And trains in all other folds; of a holdout only some do."""
    y, classes = target
    scheme = Scheme("k-fold" if folds > 1 else "holdout", folds, repeats, nested, classes)
    found = divide(y, scheme, seed)
    refuse_overlaps(found, len(y))
    for fold in found.folds:
        assert sorted([*fold.train, *fold.valid]) == found.search.tolist()
    counts = np.bincount(found.validated, minlength=len(y))[found.search]
    assert set(counts) == {repeats} if folds > 1 else set(counts) <= {0, 1}
    assert same(found, divide(y, scheme, seed))


@given(target=targets(least_rows=30), folds=st.sampled_from([1, 3, 5, 8]), nested=st.booleans(), seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_each_class_of_two_rows_or_more_is_in_each_training_part(
    target: tuple[NDArray[np.float64], int], folds: int, nested: bool, seed: int
) -> None:
    """So that no model meets a class that it could have known."""
    y, classes = target
    found = divide(y, Scheme("k-fold" if folds > 1 else "holdout", folds, 1, nested, classes), seed)
    frequent = set(np.flatnonzero(np.bincount(y.astype(int)) > 1)) if classes else set()
    for fold in found.folds:
        assert frequent <= set(y[fold.train])


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_parts_hold_their_share_of_each_class_to_within_one_row(seed: int) -> None:
    """Of the test rows, and of what is left in each fold."""
    y = np.random.default_rng(seed % 1000).permutation(np.repeat([0.0, 1.0, 2.0], [500, 100, 53]))
    found = divide(y, Scheme("k-fold", 8, 2, classes=3), seed)
    assert np.abs(np.bincount(y[found.test].astype(int)) - np.array([500, 100, 53]) / 5).max() < 1
    left = np.bincount(y[found.search].astype(int))
    for fold in found.folds:
        assert np.abs(np.bincount(y[fold.valid].astype(int)) - left / 8).max() < 1


def test_parts_of_numbers_have_like_ranges() -> None:
    """The mean of each part is near that of all."""
    y = np.random.default_rng(0).lognormal(0, 1, 2000)
    found = divide(y, Scheme("k-fold", 5), 0)
    for rows in (found.test, *(fold.valid for fold in found.folds)):
        assert y[rows].mean() == pytest.approx(y.mean(), rel=0.05)


def test_repeats_and_seeds_divide_otherwise() -> None:
    """The second repeat is not the first again."""
    y = np.arange(100.0)
    found = divide(y, Scheme("k-fold", 5, 2), 1)
    assert [fold.valid.tolist() for fold in found.folds[:5]] != [fold.valid.tolist() for fold in found.folds[5:]]
    assert not same(found, divide(y, Scheme("k-fold", 5, 2), 2))


@pytest.mark.parametrize(
    ("rows", "test_rows"), [(100, 20), (2500, 500), (4000, 500), (10_000, 1000), (50_000, 2500), (400_000, 4000)]
)
@pytest.mark.parametrize("kind", ["holdout", "group", "time"])
def test_test_rows_are_a_fifth_of_few_and_some_thousands_of_many(kind: Any, rows: int, test_rows: int) -> None:
    """AutoGluon's rule, whichever the scheme."""
    numbers = np.arange(rows)
    options = {"groups": numbers // 2} if kind == "group" else {"times": numbers} if kind == "time" else {}
    found = divide(np.arange(float(rows)), Scheme(kind, 1), 0, **options)
    assert len(found.test) == pytest.approx(test_rows, rel=0.02)


def test_a_holdout_is_a_sixth_and_at_most_fifteen_thousand_rows() -> None:
    """Of the searched rows."""
    for rows, expected in ((6000, 900), (400_000, 15_000)):
        numbers = np.arange(rows)
        for options in ({}, {"groups": numbers // 2}, {"times": numbers}):
            found = divide(np.arange(float(rows)), Scheme("holdout", 1), 0, **options)
            assert len(found.folds[0].valid) == pytest.approx(expected, rel=0.02)


# ------------------------------------------------------------------------------------------------------- by group


@given(target=targets(), count=st.integers(10, 60), folds=st.sampled_from([1, 3, 5, 8]), seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_no_group_is_on_both_sides(target: tuple[NDArray[np.float64], int], count: int, folds: int, seed: int) -> None:
    """Neither of a fold nor of the test; sizes are uneven."""
    y, classes = target
    drawn = np.random.default_rng(seed).integers(count, size=len(y)) ** 2 // count
    groups = np.unique(drawn, return_inverse=True)[1]
    nested = int(groups.max()) < 9
    scheme = Scheme("group", max(folds, 3) if nested else folds, nested=nested, classes=classes)
    if groups.max() == 0:
        return
    found = divide(y, scheme, seed, groups)
    refuse_overlaps(found, len(y))
    assert not set(groups[found.search]) & set(groups[found.test])
    for fold in found.folds:
        assert not set(groups[fold.train]) & set(groups[fold.valid])
    if scheme.folds > 1:
        assert sorted(found.validated) == found.search.tolist()
        assert len(found.folds) == min(scheme.folds, len(set(groups[found.search])))
    assert same(found, divide(y, scheme, seed, groups))


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_out_as_evenly_as_scikit_learn_does(seed: int) -> None:
    """In rows of each class a part; groups have one to forty rows and lean to a class."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(150), rng.integers(1, 40, 150))
    y = (rng.random(len(groups)) < rng.beta(0.5, 2, 150)[groups]).astype(float)

    def unevenness(parts: list[NDArray[np.int64]]) -> float:
        counts = np.array([np.bincount(y[rows].astype(int), minlength=2) for rows in parts])
        return float(np.abs(counts / counts.mean(axis=0) - 1).max())

    ours = divide(y, Scheme("group", 5, nested=True, classes=2), seed, groups).folds
    theirs = StratifiedGroupKFold(5).split(y, y, groups)
    assert unevenness([fold.valid for fold in ours]) <= max(unevenness([valid for _, valid in theirs]), 0.02)


def test_very_many_groups_are_dealt_out_evenly_too() -> None:
    """Small ones in bundles."""
    rng = np.random.default_rng(0)
    groups, y = rng.integers(0, 20_000, 50_000), rng.integers(0, 3, 50_000).astype(float)
    found = divide(y, Scheme("group", 5, classes=3), 0, np.unique(groups, return_inverse=True)[1])
    for fold in found.folds:
        assert not set(groups[fold.train]) & set(groups[fold.valid])
        counts = np.bincount(y[fold.valid].astype(int))
        assert counts == pytest.approx(np.bincount(y[found.search].astype(int)) / 5, rel=0.02)


def test_of_values_each_part_of_groups_has_like_ranges() -> None:
    """Groups have levels of their own."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 10)
    y = rng.normal(size=200)[groups] + rng.normal(size=2000) / 5
    for fold in divide(y, Scheme("group", 5), 0, groups).folds:
        assert y[fold.valid].mean() == pytest.approx(y.mean(), abs=0.1)
        assert y[fold.valid].std() == pytest.approx(y.std(), rel=0.1)


# -------------------------------------------------------------------------------------------------------- in time


@given(
    rows=st.integers(10, 120),
    distinct=st.integers(3, 60),
    folds=st.sampled_from([1, 3, 5]),
    nested=st.booleans(),
    seed=SEEDS,
)
@settings(max_examples=150, deadline=None)
def test_what_validates_is_later_than_what_trains(
    rows: int, distinct: int, folds: int, nested: bool, seed: int
) -> None:
    """Rows of the same time stay together, windows follow each other, and the test is last of all."""
    drawn = np.random.default_rng(seed).integers(distinct, size=rows) ** 2
    drawn[:3] = 10_000, 10_001, 10_002  # at least three times
    times = np.unique(drawn, return_inverse=True)[1]
    scheme = Scheme("time", folds, nested=nested)
    found = divide(np.zeros(rows), scheme, seed, times=times)
    refuse_overlaps(found, rows)
    if not nested:
        assert times[found.search].max() < times[found.test].min()
    for fold in found.folds:
        assert times[fold.train].max() < times[fold.valid].min()
        assert len(fold.train) == (times[found.search] < times[fold.valid].min()).sum()
    for earlier, later in zip(found.folds, found.folds[1:], strict=False):
        assert sorted([*earlier.train, *earlier.valid]) == later.train.tolist()
    assert times[found.folds[-1].valid].max() == times[found.search].max()
    assert 1 <= len(found.folds) <= folds


@pytest.mark.parametrize(
    ("windows", "parts"),
    [
        (5, [(400, 80), (480, 80), (560, 80), (640, 80), (720, 80)]),
        (3, [(500, 100), (600, 100), (700, 100)]),
        (1, [(667, 133)]),
    ],
)
def test_windows_grow_from_half_of_the_rows_or_more(windows: int, parts: list[tuple[int, int]]) -> None:
    """Whatever the order of the rows in the table."""
    times = np.random.default_rng(0).permutation(1000)
    found = divide(np.zeros(1000), Scheme("time", windows), 0, times=times)
    assert [(len(fold.train), len(fold.valid)) for fold in found.folds] == parts
    assert sorted(times[found.test]) == list(range(800, 1000))


def test_few_times_give_few_windows() -> None:
    """Three times: one trains, one validates, one tests."""
    times = np.repeat([0, 1, 2], [2, 20, 8])
    found = divide(np.zeros(30), Scheme("time", 5), 0, times=times)
    assert [(times[fold.train].tolist(), times[fold.valid].tolist()) for fold in found.folds] == [([0] * 2, [1] * 20)]
    assert times[found.test].tolist() == [2] * 8


# ------------------------------------------------------------------------------------------------------- many rows


def test_more_than_a_million_rows_are_sampled_with_each_class_in_the_sample() -> None:
    """A class of five rows is there as a whole."""
    y = np.zeros(SAMPLED_ROWS + 1)
    y[::3], y[100:105] = 1, 2
    found = divide(y, Scheme("holdout", 1, classes=3), 0)
    assert len(found.search) == pytest.approx(SEARCH_ROWS, abs=10)
    assert len(found.test) == pytest.approx(TEST_ROWS, abs=10)
    assert not set(found.search) & set(found.test)
    assert np.bincount(y[np.concatenate([found.search, found.test])].astype(int))[2] == 5
    assert y[found.search].mean() == pytest.approx(1 / 3, abs=0.005)


def test_the_sample_of_many_rows_in_time_is_spread_over_all_of_it() -> None:
    """And the test rows are the very latest, all of them."""
    times = np.arange(SAMPLED_ROWS + 1)
    found = divide(np.zeros(SAMPLED_ROWS + 1), Scheme("time", 1), 0, times=times)
    assert found.test.tolist() == list(range(SAMPLED_ROWS + 1 - TEST_ROWS, SAMPLED_ROWS + 1))
    assert len(found.search) == pytest.approx(SEARCH_ROWS, abs=2)
    assert np.quantile(found.search, [0.25, 0.5, 0.75]) == pytest.approx([237_500, 475_000, 712_500], rel=0.02)
    assert found.folds[0].train.max() < found.folds[0].valid.min()


# --------------------------------------------------------------------------------------------------------- scheme


def scheme_of(rows: int, fold_s: float = 0.001, budget_s: float = 60, **roles: Any) -> Scheme:
    """On two workers."""
    return choose_scheme(table_of(np.zeros(rows), **roles), fold_s=fold_s, budget_s=budget_s, workers=2)


@pytest.mark.parametrize(
    ("rows", "fold_s", "scheme"),
    [
        (1000, 0.1, Scheme("k-fold", 8)),
        (100_000, 0.937, Scheme("k-fold", 8)),
        (100_000, 0.938, Scheme("k-fold", 5)),
        (100_000, 1.5, Scheme("k-fold", 5)),
        (100_000, 1.501, Scheme("k-fold", 3)),
        (100_000, 2.5, Scheme("k-fold", 3)),
        (100_000, 2.501, Scheme("holdout", 1)),
        (100_001, 0.1, Scheme("holdout", 1)),
        (999, 0.04, Scheme("k-fold", 8, 2)),
        (599, 0.04, Scheme("k-fold", 8, 3)),
        (599, 0.4, Scheme("k-fold", 8, 2)),
        (499, 0.04, Scheme("k-fold", 8, 3, nested=True)),
        (299, 0.04, Scheme("k-fold", 8, 5, nested=True)),
        (299, 9.0, Scheme("k-fold", 3, 1, nested=True)),
    ],
)
def test_more_work_for_the_time_means_fewer_folds(rows: int, fold_s: float, scheme: Scheme) -> None:
    """8 trials fit into half of a minute on two workers; few rows are divided again and again, and need folds."""
    assert scheme_of(rows, fold_s) == scheme


@pytest.mark.parametrize(
    ("rows", "fold_s", "windows"),
    [(300, 0.1, 5), (100_000, 1.5, 5), (5000, 1.6, 3), (5000, 3.0, 1), (100_001, 0.1, 1)],
)
def test_in_time_order_there_are_windows_and_always_test_rows(rows: int, fold_s: float, windows: int) -> None:
    """The latest rows are what a user wants to know about."""
    assert scheme_of(rows, fold_s, times=np.arange(rows)) == Scheme("time", windows)


@pytest.mark.parametrize(
    ("rows", "groups", "scheme"),
    [
        (1000, 100, Scheme("group", 8)),
        (499, 100, Scheme("group", 8, nested=True)),
        (5000, 10, Scheme("group", 8)),
        (5000, 9, Scheme("group", 8, nested=True)),
        (5000, 4, Scheme("group", 4, nested=True)),
        (200_000, 2, Scheme("group", 2, nested=True)),
        (200_000, 9, Scheme("group", 3, nested=True)),
        (200_000, 10, Scheme("group", 1)),
    ],
)
def test_few_groups_all_validate(rows: int, groups: int, scheme: Scheme) -> None:
    """Two of ten groups tell too little of new ones."""
    assert scheme_of(rows, groups=np.arange(rows) % groups) == scheme


@given(target=targets(most_rows=40), groups=st.integers(2, 40), distinct=st.integers(3, 40), seed=SEEDS)
@settings(max_examples=100, deadline=None)
def test_the_scheme_of_any_small_table_divides_it(
    target: tuple[NDArray[np.float64], int], groups: int, distinct: int, seed: int
) -> None:
    """From ten rows on: no part is empty."""
    y, classes = target
    numbers = np.random.default_rng(seed).permutation(len(y))
    for roles in ({}, {"groups": numbers % groups % len(y)}, {"times": numbers % distinct}):
        table = table_of(y, classes, **roles)
        scheme = choose_scheme(table, fold_s=0.01, budget_s=10, workers=2)
        refuse_overlaps(divide(y, scheme, seed, table.groups, table.times), len(y))
