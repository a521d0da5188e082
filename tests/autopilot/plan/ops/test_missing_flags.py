"""Missing numbers are flagged in the columns that lacked values in training."""

import math

import pytest

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


@pytest.mark.parametrize(
    ("rows", "missing", "is_kept"), [(50, 1, True), (100, 1, False), (100, 2, True), (1000, 4, False), (1000, 5, True)]
)
def test_what_is_hardly_ever_missing_has_no_flag(rows: int, missing: int, is_kept: bool) -> None:
    """Of 5 rows something can be learnt, of small tables from one in fifty."""
    frame = raw_frame(("number",), [(None,)] * missing + [(1.0,)] * (rows - missing))
    assert (MissingFlags.fit(rows_of(signature_of(("number",)), frame)) is not None) is is_kept
