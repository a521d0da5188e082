"""Missing numbers are flagged in the columns that lacked values in training."""

import math

import numpy as np

from autopilot.plan.op import Target
from autopilot.plan.ops import MissingFlags
from tests.graphs import both
from tests.strategies import raw_frame, signature_of

TARGET = Target.of(np.zeros(6), 1)
KINDS = ("number", "number")


def test_missing_is_one_and_any_number_zero() -> None:
    """Infinite numbers are there."""
    frame = raw_frame(KINDS, [(None, 1.0), (0.0, 1.0), (math.inf, 1.0)])
    op = MissingFlags.fit(frame, ("c0", "c1"), TARGET)
    assert op == MissingFlags(("c0",))
    assert op.names() == ("c0 is missing",)
    assert both(op, signature_of(KINDS), frame) == [[1.0], [0.0], [0.0]]


def test_without_missing_values_there_is_no_op() -> None:
    """A flag that is always 0 teaches nothing."""
    assert MissingFlags.fit(raw_frame(KINDS, [(1.0, 2.0)]), ("c0", "c1"), TARGET) is None
