"""When schedules are due, and the durations and zones that they are written with."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import SettingError
from storage.cron import recent, upcoming
from storage.timing import Interval, duration_of, parse_timing, zone_of

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "latest", "following"),
    [
        ("every minute", NOON, NOON + timedelta(minutes=1)),
        ("every 15 minutes", NOON, NOON + timedelta(minutes=15)),
        ("every 7 hours", datetime(2024, 5, 1, 8, tzinfo=UTC), datetime(2024, 5, 1, 15, tzinfo=UTC)),
        ("every day", datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 2, tzinfo=UTC)),
        ("every 1 week", datetime(2024, 4, 29, tzinfo=UTC), datetime(2024, 5, 6, tzinfo=UTC)),
        ("30 6 * * *", datetime(2024, 5, 1, 6, 30, tzinfo=UTC), datetime(2024, 5, 2, 6, 30, tzinfo=UTC)),
    ],
)
def test_what_was_due_last_and_is_due_next(text: str, latest: datetime, following: datetime) -> None:
    """At or before noon, and after it."""
    timing = parse_timing(text)
    assert (recent(timing, NOON, 1), upcoming(timing, NOON)) == ([latest], following)


@given(
    st.integers(1, 100_000).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(0, 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_intervals_neither_lose_nor_double_where_two_spans_meet(
    period: timedelta, start: datetime, span: timedelta
) -> None:
    """Any span is the sum of its halves, and due times are a period apart."""
    timing, middle = Interval(max(period, span / 1000)), start + span / 3
    whole = timing.between(start, start + span)
    assert timing.between(start, middle) + timing.between(middle, start + span) == whole
    assert all(later - earlier == timing.period for earlier, later in pairwise(whole))
    assert abs(len(whole) - span / timing.period) <= 1


def test_only_so_many_of_the_latest_are_given() -> None:
    """Ascending, and after a moment where one is given."""
    timing = parse_timing("every 10 minutes")
    found = recent(timing, NOON, 3)
    assert [f"{due:%H:%M}" for due in found] == ["11:40", "11:50", "12:00"]
    assert recent(timing, NOON, 3, NOON - timedelta(minutes=15)) == found[1:]
    assert recent(timing, NOON, 3, NOON) == []


@pytest.mark.parametrize(
    "text", ["every", "every 0 minutes", "every -5 minutes", "every 5", "every 5 seconds", "every٣hours"]
)
def test_a_bad_interval_is_told(text: str) -> None:
    """With what would be right."""
    with pytest.raises(SettingError, match=r"cron is 'every.*Write 'every 15 minutes', or hours, days or weeks."):
        parse_timing(text)


@pytest.mark.parametrize("name", ["", "Berlin", "Europe/Atlantis", "../zone", "/etc/passwd", "Europe", "Zürich\0"])
def test_a_bad_zone_is_told(name: str) -> None:
    """Also one that is a folder or a path."""
    with pytest.raises(SettingError, match=r"which is no time zone. Write one of IANA's, such as Europe/Berlin."):
        zone_of(name)


@given(
    st.sampled_from(["", "-"]),
    st.integers(0, 9_999),
    st.integers(0, 9_999),
    st.integers(0, 23),  # pandas takes no more, nor more minutes than an hour has
    st.integers(0, 59),
)
def test_durations_are_those_of_iso_8601(sign: str, weeks: int, days: int, hours: int, minutes: int) -> None:
    """As pandas reads them."""
    text = f"{sign}P{days}DT{hours}H{minutes}M"
    assert duration_of(text) == pd.Timedelta(text).to_pytimedelta()
    assert duration_of(f"{sign}P{weeks}W") == pd.Timedelta(f"{sign}P{weeks}W").to_pytimedelta()


@pytest.mark.parametrize("text", ["", "P", "PT", "-P", "8D", "P1M", "P1Y", "PT1S", "P-8D", "P1DT", "P٣D", "-P8D "])
def test_a_bad_duration_is_told(text: str) -> None:
    """Months and years have no length of their own; seconds no use."""
    with pytest.raises(SettingError, match=r"is no duration. Write it by ISO 8601"):
        duration_of(text)
