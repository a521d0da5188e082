"""Levels of categories, most frequent first."""

from autopilot.plan.ops.levels import count_levels
from tests.strategies import raw_frame


def test_levels_are_ordered_by_frequency_then_name() -> None:
    """Missing is the level "" and ranks like another."""
    frame = raw_frame(("category",), [(cell,) for cell in ("b", "a", None, "c", "c", None)])
    assert count_levels(frame, "c0", least_rows=1, most=9) == ("", "c", "a", "b")
    assert count_levels(frame, "c0", least_rows=2, most=9) == ("", "c")
    assert count_levels(frame, "c0", least_rows=1, most=3) == ("", "c", "a")
    assert count_levels(frame, "c0", least_rows=3, most=9) == ()
