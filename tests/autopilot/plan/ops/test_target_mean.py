"""Levels become the smoothed mean target of their rows, training rows without their own."""

import numpy as np
import polars as pl

from autopilot.plan.levels import Levels
from autopilot.plan.op import Target
from autopilot.plan.ops import TargetMean
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

CATEGORY = signature_of(("category",))
TRAIN = raw_frame(("category",), [("a",), ("a",), ("a",), ("b",), ("b",), (None,)])
TARGET = Target(np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0]), 2)  # mean 1/2
FOLDS = [0, 1, 1, 0, 1, 1]


def test_a_level_is_its_mean_drawn_towards_the_mean_of_all() -> None:
    """(sum + 10 * prior) / (rows + 10), prior 1/2; the one null is rare, and unseen levels are taken for rare ones."""
    op = TargetMean.fit(rows_of(CATEGORY, TRAIN, TARGET, FOLDS))
    assert op is not None
    assert op.names() == ("target mean of c0",)
    frame = raw_frame(("category",), [("a",), ("b",), (None,), ("unseen",)])
    expected = [[(2 + 5) / 13], [(0 + 5) / 12], [(1 + 5) / 11], [(1 + 5) / 11]]
    assert both(op, CATEGORY, frame, Levels.fit(TRAIN, ("c0",))) == np.float32(expected).tolist()


def test_a_training_row_gets_the_mean_over_the_other_folds() -> None:
    """Level and prior both; fold 0 holds a and b, fold 1 the rest."""
    rows = rows_of(CATEGORY, TRAIN, TARGET, FOLDS)
    op = TargetMean.fit(rows)
    assert op is not None
    # Rows of fold 0 see fold 1: y = 0, 1, 0, 1, mean 1/2. Rows of fold 1 see fold 0: y = 1, 0, mean 1/2.
    expected = [(1 + 5) / 12, (1 + 5) / 11, (1 + 5) / 11, (0 + 5) / 11, (0 + 5) / 11, (0 + 5) / 10]
    assert training_features(op, rows)[:, 0].tolist() == np.float32(expected).tolist()


def test_the_prior_of_a_training_row_is_without_its_own_fold() -> None:
    """A level that only this fold holds gives the mean of the others, not of all."""
    target = Target(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), 1)
    train = raw_frame(("category",), [("a",), ("a",), ("b",), ("b",), ("b",), ("b",)])
    rows = rows_of(CATEGORY, train, target, [0, 0, 1, 1, 1, 1])
    op = TargetMean.fit(rows)
    assert op is not None
    assert training_features(op, rows)[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_several_classes_give_a_feature_each() -> None:
    """Class by class; unseen levels get the classes' shares where no level was rare."""
    kinds = ("category", "category")
    train = raw_frame(kinds, [("a", "x"), ("a", "x"), ("b", "x"), ("b", "x"), ("b", "x"), ("b", "x")])
    target = Target(np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0]), 3)
    op = TargetMean.fit(rows_of(signature_of(kinds), train, target, FOLDS))
    assert op is not None
    assert op.names()[:3] == (
        "target mean of c0, class 0",
        "target mean of c1, class 0",
        "target mean of c0, class 1",
    )
    frame = raw_frame(kinds, [("a", None), ("b", "x")])
    found = np.array(both(op, signature_of(kinds), frame, Levels.fit(train, ("c0", "c1"))))
    shares = [2 / 6, 3 / 6, 1 / 6]
    a = [(count + 10 * share) / 12 for count, share in zip((2, 0, 0), shares, strict=True)]
    b = [(count + 10 * share) / 14 for count, share in zip((0, 3, 1), shares, strict=True)]
    x = [(count + 10 * share) / 16 for count, share in zip((2, 3, 1), shares, strict=True)]
    assert found[:, 0::2].tolist() == np.float32([a, b]).tolist()
    assert found[:, 1::2].tolist() == np.float32([shares, x]).tolist()


def test_beyond_twelve_classes_there_is_no_op() -> None:
    """A feature for each would be too many."""
    train = pl.DataFrame({"c0": ["a"] * 13})
    assert TargetMean.fit(rows_of(CATEGORY, train, Target(np.arange(13.0), 13))) is None
