"""Levels become their rank by frequency."""

from autopilot.plan.levels import Levels
from autopilot.plan.ops import OrdinalCodes
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

CATEGORY = signature_of(("category",))


def test_codes_rank_levels_by_frequency() -> None:
    """0 is the most frequent, ties by name; seen once or never is the last rank; missing is a level."""
    cells = ["b", "b", "a", None, "a", None, "b", "once"]
    train = raw_frame(("category",), [(cell,) for cell in cells])
    op = OrdinalCodes.fit(rows_of(CATEGORY, train))
    assert op == OrdinalCodes(("c0",))
    assert op.names() == ("rank of c0",)
    frame = raw_frame(("category",), [("b",), (None,), ("a",), ("once",), ("unseen",), ("B",)])
    assert both(op, CATEGORY, frame, Levels.fit(train, ("c0",))) == [[0], [1], [2], [3], [3], [3]]


def test_a_column_without_repeated_levels_is_left_out() -> None:
    """And where all are, there is no op."""
    kinds = ("category", "category")
    train = raw_frame(kinds, [("a", "x"), ("b", "x")])
    op = OrdinalCodes.fit(rows_of(signature_of(kinds), train))
    assert op is not None
    assert op.columns == ("c1",)
    assert both(op, signature_of(kinds), train, Levels.fit(train, ("c0", "c1"))) == [[0], [0]]
    assert OrdinalCodes.fit(rows_of(CATEGORY, raw_frame(("category",), [("a",), ("b",)]))) is None
