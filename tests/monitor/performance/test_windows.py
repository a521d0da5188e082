"""Offsets are ISO 8601 durations as SageMaker has them; a level is shared out between a period and its pieces."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.performance.windows import levels_of, offset_of, offset_window
from storage.errors import SettingError


@pytest.mark.parametrize(
    ("text", "hours"), [("-P1D", -24), ("P2W", 336), ("PT90M", 1.5), ("-P1DT12H", -36), ("PT3600S", 1), ("-PT0H", 0)]
)
def test_durations_are_read(text: str, hours: float) -> None:
    """Weeks, days, hours, minutes, seconds."""
    assert offset_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "P", "-P1M", "P1Y", "1D", "PT", "P1DT", "P-1D", "P1W2D", "P1.5D", "-P1D\n"])
def test_what_has_no_fixed_length_is_refused(text: str) -> None:
    """The error shows what came and what would be right."""
    with pytest.raises(SettingError, match="Write one such as -P1D"):
        offset_of(text)


def test_a_window_that_starts_after_its_end_is_refused() -> None:
    """Offsets that were given in the wrong order."""
    with pytest.raises(SettingError, match="no length"):
        offset_window(datetime(2024, 5, 1, tzinfo=UTC), "-P1D", "-P8D")


@given(st.floats(0.001, 0.999), st.lists(st.booleans(), min_size=1, max_size=40))
def test_levels_add_up_to_that_of_the_report(level: float, judged: list[bool]) -> None:
    """Whatever is judged; half is the whole's where there are pieces, too."""
    levels = levels_of(level, judged)
    shared = levels.of_windows(judged)
    assert [one is not None for one in shared] == judged
    assert sum(one or 0.0 for one in shared) == pytest.approx(level if any(judged) else 0.0)
    if judged[-1]:
        assert levels.whole == (level / 2 if any(judged[:-1]) else level)


@pytest.mark.parametrize(
    ("judged", "words"),
    [
        ([True, False, True], "2.5% for the whole period, 2.5% for a piece of it"),
        ([True] * 30 + [False], "0.167% for each of 30 pieces"),
        ([False, False, True], "5% for the whole period"),
        ([False, False, False], ""),
    ],
)
def test_levels_are_told_in_words(judged: list[bool], words: str) -> None:
    """Of those that have some."""
    assert levels_of(0.05, judged).words == words


def test_a_level_that_is_none_is_refused() -> None:
    """With the value received."""
    with pytest.raises(SettingError, match="level is 0"):
        levels_of(0, [True])
