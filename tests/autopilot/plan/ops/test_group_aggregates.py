"""Numbers become their distance from what is usual for a category."""

import math

import numpy as np
import polars as pl

from autopilot.plan.levels import Levels
from autopilot.plan.op import Target
from autopilot.plan.ops import GroupAggregates
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

KINDS = ("category", "number")
PAIR = signature_of(KINDS)


def test_a_number_is_compared_with_the_mean_of_its_level() -> None:
    """Means drawn towards the mean of all, 4, as if five more rows had it; rare and unseen levels are one."""
    train = raw_frame(KINDS, [("a", 1.0), ("a", 3.0), ("b", 5.0), ("b", 9.0), ("b", None), ("once", 2.0)])
    op = GroupAggregates.of(rows_of(PAIR, train), [("c0", "c1")])
    assert op is not None
    assert op.names() == ("c1 less its mean by c0",)
    a, b, rare = (4 + 20) / 7, (14 + 20) / 7, (2 + 20) / 6
    frame = raw_frame(KINDS, [("a", 1.0), ("b", None), ("b", 10.0), ("unseen", 2.0), (None, math.inf)])
    found = both(op, PAIR, frame, Levels.fit(train, ("c0",)))
    expected = [[1 - a], [math.nan], [10 - b], [2 - rare], [1e30 - rare]]
    assert np.array_equal(np.float32(found), np.float32(expected), equal_nan=True)


def test_only_pairs_that_tell_more_than_their_parts_are_chosen() -> None:
    """The target is whether a number is high for its group; a second number means nothing."""
    rng = np.random.default_rng(0)
    level, noise = rng.integers(0, 10, 3000), rng.normal(size=3000)
    own = rng.normal(size=3000)
    frame = pl.DataFrame({"c0": [f"group {i}" for i in level], "c1": own + 5.0 * level, "c2": noise})
    folds = rng.integers(0, 5, 3000).tolist()
    op = GroupAggregates.fit(rows_of(signature_of((*KINDS, "number")), frame, Target((own > 0) * 1.0, 2), folds))
    assert op is not None
    assert [(group.category, group.number) for group in op.groups] == [("c0", "c1")]
    noisy = Target((noise > 0) * 1.0, 2)
    assert GroupAggregates.fit(rows_of(signature_of((*KINDS, "number")), frame, noisy, folds)) is None
