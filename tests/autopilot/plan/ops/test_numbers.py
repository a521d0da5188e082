"""Numbers become float32, rounded to nearest, missing stays missing."""

import math

from autopilot.plan.ops import Numbers
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

LARGEST = 3.4028234663852886e38  # numpy.finfo(numpy.float32).max


def test_numbers_are_rounded_to_the_nearest_float32() -> None:
    """Ties go to the even one; what is beyond float32, infinities too, ends at the largest."""
    cells = [0.1, 16_777_217.0, 1e39, -math.inf, math.inf, -0.0]
    frame = raw_frame(("number",), [(cell,) for cell in cells])
    found = both(Numbers.fit(rows_of(signature_of(("number",)), frame)), signature_of(("number",)), frame)
    assert found == [[0.10000000149011612], [16_777_216.0], [LARGEST], [-LARGEST], [LARGEST], [0.0]]
    assert math.copysign(1, found[5][0]) == -1


def test_missing_numbers_are_nan() -> None:
    """Each column on its own."""
    frame = raw_frame(("number", "number"), [(None, 1.0), (2.0, None)])
    op = Numbers.fit(rows_of(signature_of(("number",) * 2), frame))
    assert op == Numbers(("c0", "c1"))
    assert op.names() == ("c0", "c1")
    found = both(op, signature_of(("number", "number")), frame)
    assert [[math.isnan(x) for x in row] for row in found] == [[True, False], [False, True]]


def test_only_the_columns_that_are_asked_for_stay() -> None:
    """In their order."""
    assert Numbers(("a", "b", "c")).narrowed([0, 2]) == Numbers(("a", "c"))
