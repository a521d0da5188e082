"""Columns that hold the answer, alone, in pairs, or as a mean of it."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.linear_model import LinearRegression

from autopilot.guardrails import pairs
from tests.autopilot.guardrails.tables import KINDS, Kind, N, clean, codes, found, guarded, number

RNG = np.random.default_rng(5)


def left_out(frame: pl.DataFrame, kept: tuple[str, ...] = ()) -> list[str]:
    """Columns that are not learnt from."""
    return [drop.name for drop in guarded(frame, kept=kept).left_out]


# ------------------------------------------------------------------------------------------------------ one column


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_with_noise_is_left_out(kind: Kind) -> None:
    """However it is scaled."""
    frame = clean(kind)
    y = number(frame)
    frame = frame.with_columns(copy=pl.Series(3 - (y + 0.05 * y.std() * RNG.normal(size=N)) / 7))
    caught = guarded(frame)
    assert [drop.name for drop in caught.left_out] == ["copy"]
    one = found(caught, "leak")
    assert (one.severity, one.column) == ("error", "copy")
    assert (one.action, one.overrule) == ("It was left out.", "To keep it: columns={'copy': 'number'}.")


def test_the_evidence_says_how_far_it_is_ahead() -> None:
    """A copy of two classes has an AUC of 1."""
    frame = clean("binary")
    evidence = found(guarded(frame.with_columns(copy=number(frame) * 2)), "leak").evidence
    assert evidence.startswith("roc_auc 1.0000 of this column alone, roc_auc 0.8")
    assert evidence.endswith("of all others together, on rows that they had not learnt from; 1,600 rows looked at")


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_category_that_goes_with_the_classes_is_left_out(kind: Kind) -> None:
    """Several levels for each."""
    frame = clean(kind)
    levels = [f"{value} {RNG.integers(3)}" for value in frame["y"].to_list()]
    assert left_out(frame.with_columns(outcome=pl.Series(levels))) == ["outcome"]


def test_a_date_that_is_there_only_if_it_happened_is_left_out() -> None:
    """Its missing cells tell, not its days."""
    frame = clean("binary")
    days = [datetime(2024, 1, 1) + timedelta(hours=int(hours)) for hours in RNG.integers(0, 9000, N)]  # noqa: DTZ001
    frame = frame.with_columns(closed=pl.when(pl.col("y") == "yes").then(pl.Series(days)))
    one = found(guarded(frame), "leak_missing")
    assert one.message.startswith("Whether 'closed' is missing tells nearly all of the target")
    assert one.overrule == "To keep it: columns={'closed': 'time'}."


def test_missing_cells_that_tell_much_are_told_and_kept() -> None:
    """A warning, since they may be missing for a good reason."""
    frame = clean("binary")
    is_told = (pl.col("y") == "yes") & (pl.Series(RNG.random(N)) < 0.7)
    caught = guarded(frame.with_columns(visit=pl.when(is_told).then(pl.Series(RNG.normal(size=N)))))
    assert found(caught, "missing_tells").column == "visit"
    assert caught.left_out == ()


def test_a_column_that_the_user_gave_a_kind_is_told_and_kept() -> None:
    """With what would leave it out."""
    frame = clean("regression")
    caught = guarded(frame.with_columns(copy=2 * pl.col("y")), kept=("copy",))
    assert caught.left_out == ()
    assert (found(caught, "leak").action, found(caught, "leak").overrule) == (
        "It was kept.",
        "To leave it out: ignore=['copy'].",
    )


def test_the_only_column_that_tells_anything_is_kept() -> None:
    """A table made up to try us: nothing would be left to learn."""
    x = RNG.random(N)
    frame = pl.DataFrame({"x": x, "noise": RNG.normal(size=N), "y": x > 0.4})
    caught = guarded(frame)
    assert (found(caught, "leak").column, found(caught, "leak").action) == ("x", "It was kept.")
    assert caught.left_out == ()


def test_good_columns_that_are_alike_are_no_leaks() -> None:
    """Three measures of one size tell 93% of the target each: none is far ahead of the others."""
    size = RNG.normal(size=(N, 1)) + 0.2 * RNG.normal(size=(N, 3))
    frame = pl.DataFrame(size, schema=["x", "y_size", "z"]).with_columns(y=pl.Series(size.mean(axis=1)))
    frame = frame.with_columns(pl.col("y") + 0.2 * pl.Series(RNG.normal(size=N)))
    assert codes(guarded(frame)) == set()


@pytest.mark.parametrize("seed", range(3))
def test_in_a_small_table_no_column_is_suspected_by_chance(seed: int) -> None:
    """Of 400 random columns, some go with 30 rows nearly."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(rng.normal(size=(30, 400)), schema=[f"x{at}" for at in range(400)])
    assert codes(guarded(frame.with_columns(y=pl.Series(np.arange(30) % 2 == 0)).sample(30, seed=seed))) <= {"few_rows"}


@pytest.mark.parametrize("seed", range(6))
def test_classes_that_any_column_tells_apart_are_no_fault(seed: int) -> None:
    """scikit-learn's blobs: whatever pair tells them, others do."""
    X, y = make_blobs(600, 4, centers=3, random_state=seed)
    frame = pl.DataFrame(X, schema=["x0", "x1", "x2", "x3"]).with_columns(y=pl.Series(y))
    assert codes(guarded(frame)) == set()


# ----------------------------------------------------------------------------------------------------- two columns


def test_parts_of_a_sum_are_both_left_out() -> None:
    """A total's parts are known when it is."""
    frame = clean("regression")
    part = pl.Series(80 * RNG.normal(size=N))
    caught = guarded(frame.with_columns(casual=part, registered=pl.col("y") - part))
    assert sorted(drop.name for drop in caught.left_out) == ["casual", "registered"]
    assert (
        "casual + 1 registered" in found(caught, "leak_pair").message
        or "registered + 1 casual" in found(caught, "leak_pair").message
    )


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_difference_one_column_is_left_out(kind: Kind) -> None:
    """Classes: the border lies between two columns."""
    frame = clean(kind)
    y = number(frame)
    start = 3 * y.std() * RNG.normal(size=N)
    gap = y + (0 if kind == "regression" else 0.4 * RNG.random(N))
    caught = guarded(frame.with_columns(start=pl.Series(start), end=pl.Series(start + gap)))
    assert len(caught.left_out) == 1
    assert caught.left_out[0].name in ("start", "end")


def test_of_begin_and_end_the_end_is_left_out() -> None:
    """Times, whose difference is the target."""
    frame = clean("regression").with_columns(pl.col("y").abs())
    begin = pl.Series([datetime(2024, 1, 1) + timedelta(minutes=int(at)) for at in RNG.integers(0, 500_000, N)])  # noqa: DTZ001
    end = begin + pl.Series([timedelta(seconds=float(60 * value)) for value in frame["y"]])
    assert left_out(frame.with_columns(begin=begin, end=end)) == ["end"]


def test_factors_of_a_product_are_both_left_out() -> None:
    """A price for each, and how many."""
    frame = clean("regression").with_columns(pl.col("y").abs() + 1)
    count = pl.Series(np.exp(RNG.normal(size=N)))
    caught = guarded(frame.with_columns(count=count, price=pl.col("y") / count))
    assert sorted(drop.name for drop in caught.left_out) == ["count", "price"]
    assert " x " in found(caught, "leak_pair").message


def test_two_categories_that_give_the_class_together_are_told() -> None:
    """Each alone says nothing."""
    frame = clean("binary")
    coin = RNG.integers(0, 2, N)
    left, right = coin, (coin + (number(frame) == 2)) % 2
    frame = frame.with_columns(left=pl.Series([f"l{at}" for at in left]), right=pl.Series([f"r{at}" for at in right]))
    assert len(left_out(frame)) == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_pair_that_explains_most_is_that_of_a_regression_on_each(seed: int) -> None:
    """scikit-learn fits all planes one by one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 7)) @ rng.normal(size=(7, 7))
    y = X[:, [0]] - X[:, [3]] + 0.3 * rng.normal(size=(80, 1))
    scores = {
        (left, right): LinearRegression().fit(X[:, [left, right]], y).score(X[:, [left, right]], y)
        for left in range(7)
        for right in range(left + 1, 7)
    }
    assert max(scores, key=lambda pair: scores[pair]) in pairs._best(X, y)


# ------------------------------------------------------------------------------------------------------- a mean of it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, -100.0])
def test_the_mean_of_the_target_by_group_is_left_out(kind: Kind, scale: float) -> None:
    """The groups need not be in the table; per cent are the same."""
    frame = clean(kind)
    y = number(frame) if kind == "regression" else (number(frame) == 1).astype(np.float64)
    group = RNG.integers(0, N // 5, N)
    means = (np.bincount(group, y) / np.maximum(np.bincount(group), 1))[group]
    assert left_out(frame.with_columns(rate=pl.Series(scale * means))) == ["rate"]


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_mean_over_the_others_of_a_group_is_left_out(kind: Kind) -> None:
    """It goes against the target, within a group, to the bit."""
    frame = clean(kind)
    y, group = number(frame), np.arange(N) % (N // 10)
    others = ((np.bincount(group, y) / 10)[group] * 10 - y) / 9
    frame = frame.with_columns(others=pl.Series(others), shop=pl.Series([f"shop {at}" for at in group]))
    caught = guarded(frame)
    assert [drop.name for drop in caught.left_out] == ["others"]
    assert found(caught, "leak_within").message.startswith("Within the rows of one 'shop', 'others' gives the target")
