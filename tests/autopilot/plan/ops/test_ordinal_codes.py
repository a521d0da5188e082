"""Levels become their rank by frequency."""

import numpy as np
import polars as pl

from autopilot.plan.op import Target
from autopilot.plan.ops import OrdinalCodes
from tests.graphs import both
from tests.strategies import raw_frame, signature_of

TARGET = Target.of(np.zeros(6), 1)
CATEGORY = signature_of(("category",))


def test_codes_rank_levels_by_frequency() -> None:
    """0 is the most frequent, ties by name; seen once or never is -1; missing is a level."""
    cells = ["b", "b", "a", None, "a", None, "b", "once"]
    train = raw_frame(("category",), [(cell,) for cell in cells])
    op = OrdinalCodes.fit(train, ("c0",), TARGET)
    assert op == OrdinalCodes(("c0",), (("b", "", "a"),))
    assert op.names() == ("code of c0",)
    frame = raw_frame(("category",), [("b",), (None,), ("a",), ("once",), ("unseen",), ("B",)])
    assert both(op, CATEGORY, frame) == [[0], [1], [2], [-1], [-1], [-1]]


def test_at_most_ten_thousand_levels_are_known() -> None:
    """The rest are -1."""
    train = pl.DataFrame({"c0": [f"{i:05}" for i in range(10_002)] * 2})
    op = OrdinalCodes.fit(train, ("c0",), TARGET)
    frame = raw_frame(("category",), [("00000",), ("09999",), ("10000",)])
    assert both(op, CATEGORY, frame) == [[0], [9999], [-1]]


def test_a_column_without_repeated_levels_is_left_out() -> None:
    """And where all are, there is no op."""
    kinds = ("category", "category")
    train = raw_frame(kinds, [("a", "x"), ("b", "x")])
    op = OrdinalCodes.fit(train, ("c0", "c1"), TARGET)
    assert op is not None
    assert op.columns == ("c1",)
    assert both(op, signature_of(kinds), train) == [[0], [0]]
    assert OrdinalCodes.fit(train, ("c0",), TARGET) is None
