"""Offsets are ISO 8601 durations as SageMaker has them."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.performance.windows import offset_of, offset_window
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
