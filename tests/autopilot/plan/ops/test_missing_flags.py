"""Missing numbers are flagged in the columns that lacked values in training."""

import math

from autopilot.plan.ops import MissingFlags
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

KINDS = ("number", "number")


def test_missing_is_one_and_any_number_zero() -> None:
    """Infinite numbers are there."""
    frame = raw_frame(KINDS, [(None, 1.0), (0.0, 1.0), (math.inf, 1.0)])
    op = MissingFlags.fit(rows_of(signature_of(("number",) * 2), frame))
    assert op == MissingFlags(("c0",))
    assert op.names() == ("c0 is missing",)
    assert both(op, signature_of(KINDS), frame) == [[1.0], [0.0], [0.0]]


def test_without_missing_values_there_is_no_op() -> None:
    """A flag that is always 0 teaches nothing."""
    assert MissingFlags.fit(rows_of(signature_of(("number",) * 2), raw_frame(KINDS, [(1.0, 2.0)]))) is None
