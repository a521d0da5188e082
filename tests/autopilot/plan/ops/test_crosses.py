"""Pairs of categories become the mean target of their joint level, where that tells more than the two do."""

import numpy as np
import polars as pl

from autopilot.plan.levels import Levels
from autopilot.plan.op import Target
from autopilot.plan.ops import Crosses
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

KINDS = ("category", "category")
PAIR = signature_of(KINDS)


def test_a_joint_level_is_its_mean_drawn_towards_the_mean_of_all() -> None:
    """(sum + 10 * prior) / (rows + 10), prior 1/2; joint levels of one row, and unseen ones, are one level."""
    train = raw_frame(KINDS, [("a", "x"), ("a", "x"), ("a", "y"), ("a", "y"), ("b", "x"), ("b", "y")])
    target = Target(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0]), 2)
    op = Crosses.of(rows_of(PAIR, train, target), [("c0", "c1")])
    assert op is not None
    assert op.names() == ("target mean of c0 × c1",)
    frame = raw_frame(KINDS, [("a", "x"), ("a", "y"), ("b", "x"), ("b", "unseen"), ("unseen", "x")])
    expected = [[(2 + 5) / 12], [(0 + 5) / 12], [(1 + 5) / 12], [(1 + 5) / 12], [(1 + 5) / 12]]
    assert both(op, PAIR, frame, Levels.fit(train, ("c0", "c1"))) == np.float32(expected).tolist()


def test_a_training_row_gets_the_mean_over_the_other_folds() -> None:
    """Four rows of one joint level, two in each fold: each fold sees the other's mean."""
    train = raw_frame(KINDS, [("a", "x")] * 4)
    rows = rows_of(PAIR, train, Target(np.array([1.0, 1.0, 0.0, 0.0]), 2), [0, 0, 1, 1])
    op = Crosses.of(rows, [("c0", "c1")])
    assert op is not None
    assert training_features(op, rows)[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]


def parity_frame(rows: int = 2000) -> tuple[pl.DataFrame, np.ndarray]:
    """Three columns; the target is whether the first two are equal, which neither tells alone."""
    rng = np.random.default_rng(0)
    columns = {f"c{index}": rng.choice(["p", "q"], rows) for index in range(3)}
    return pl.DataFrame(columns), (columns["c0"] == columns["c1"]).astype(np.float64)


def test_the_pair_that_interacts_is_chosen_and_no_other() -> None:
    """Also not one that only adds up."""
    frame, y = parity_frame()
    three = signature_of(("category",) * 3)
    folds = np.random.default_rng(1).integers(0, 5, len(y)).tolist()
    op = Crosses.fit(rows_of(three, frame, Target(y, 2), folds))
    assert op is not None
    assert [(cross.left, cross.right) for cross in op.crosses] in ([("c0", "c1")], [("c1", "c0")])
    added = (frame["c0"] == "p").to_numpy() * 1.0 + (frame["c1"] == "p").to_numpy() * 2.0
    assert Crosses.fit(rows_of(three, frame, Target(added, 1), folds)) is None


def test_keys_of_one_pair_are_never_taken_for_those_of_another() -> None:
    """Levels beyond the known joint ones, in each of three pairs."""
    kinds = ("category",) * 3
    train = raw_frame(kinds, [(left, middle, "z") for left in "abc" for middle in "xyz" for _ in range(2)])
    rows = rows_of(signature_of(kinds), train, Target(np.arange(18.0), 1))
    op = Crosses.of(rows, [("c0", "c1"), ("c1", "c2"), ("c2", "c0")])
    cells = [(left, middle, last) for left in "abcu" for middle in "xyzu" for last in "zu"]
    both(op, signature_of(kinds), raw_frame(kinds, cells), rows.levels)
