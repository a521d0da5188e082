"""Levels become the share of the rows that have them."""

import numpy as np

from autopilot.plan.levels import Levels
from autopilot.plan.ops import Frequencies
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

CATEGORY = signature_of(("category",))
TRAIN = raw_frame(("category",), [(cell,) for cell in [*"aaabbccdd", None, None, "once"]])


def test_a_level_is_its_share_of_the_rows() -> None:
    """Twelve rows; rare and unseen levels count as one row, missing is a level."""
    op = Frequencies.fit(rows_of(CATEGORY, TRAIN))
    assert op is not None
    assert op.names() == ("frequency of c0",)
    frame = raw_frame(("category",), [("a",), ("b",), (None,), ("once",), ("unseen",)])
    expected = np.float32([[3 / 12], [2 / 12], [2 / 12], [1 / 12], [1 / 12]])
    assert both(op, CATEGORY, frame, Levels.fit(TRAIN, ("c0",))) == expected.tolist()


def test_columns_of_few_levels_are_left_out() -> None:
    """With four levels the rank says the same."""
    train = raw_frame(("category",), [(cell,) for cell in "aabbccdd"])
    assert Frequencies.fit(rows_of(CATEGORY, train)) is None
