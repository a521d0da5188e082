"""What level a report gets so that a period's budget of false alarms is kept."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from storage.budget import LARGEST_LEVEL, Budget, Period, level_at, level_of, parse_budget, period_of
from storage.cron import parse_cron
from storage.errors import SettingError
from storage.records import Schedule
from storage.timing import parse_timing


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("1 per quarter", Budget(1, "quarter")),
        ("2 a year", Budget(2, "year")),
        ("0.05 per Month", Budget(0.05, "month")),
        ("3  each week", Budget(3, "week")),
        ("1 every day", Budget(1, "day")),
        ("1 an day", Budget(1, "day")),
    ],
)
def test_a_budget_is_written_as_people_say_it(text: str, budget: Budget) -> None:
    """Case and spaces do not matter."""
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "1", "per quarter", "0 per quarter", "-1 a year", "1 per fortnight", "\u0661 per day"]
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    """With what was received, and what would be right."""
    with pytest.raises(SettingError, match="1 per quarter"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("cron", "due", "reports"),
    [
        ("0 6 * * *", "2024-02-01T06:00", 31 + 29 + 31),
        ("0 * * * *", "2024-08-01T06:00", 24 * 92),
        ("0 6 * * MON", "2024-05-06T06:00", 13),
        ("every 15 minutes", "2023-11-01T06:15", 4 * 24 * 92),
        ("0 0 1 1 *", "2024-01-01T00:00", 1),
    ],
)
def test_a_quarter_is_shared_out_over_its_reports(cron: str, due: str, reports: int) -> None:
    """Counted by hand."""
    moment = datetime.fromisoformat(due).replace(tzinfo=UTC)
    assert level_at(Budget(0.25, "quarter"), parse_timing(cron), moment) == 0.25 / reports


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_levels_of_a_period_add_up_to_the_budget(period: Period, zone: str) -> None:
    """Exactly, over days on which clocks change; each due time is in one period."""
    clock = ZoneInfo(zone)
    timing = parse_cron("30 */3 * * *", clock)
    start, end = period_of(period, datetime(2024, 3, 31, 12, tzinfo=UTC), clock)
    dues = timing.between(start - timedelta(microseconds=1), end - timedelta(microseconds=1))
    assert {period_of(period, due, clock) for due in dues} == {(start, end)}
    levels = [level_at(Budget(0.5, period), timing, due, clock) for due in dues]
    assert sum(map(Fraction, levels)) == pytest.approx(Fraction(1, 2), rel=1e-12)


def test_few_reports_leave_a_level_that_says_something() -> None:
    """Ten false alarms a day of one report: no level above one half."""
    due = datetime(2024, 5, 1, 6, tzinfo=UTC)
    assert level_at(Budget(10, "day"), parse_cron("0 6 * * *"), due) == LARGEST_LEVEL


def test_a_report_outside_of_the_timing_has_a_level() -> None:
    """A schedule that is due once a year in another quarter: as if it were the only one."""
    due = datetime(2024, 5, 1, tzinfo=UTC)
    assert level_at(Budget(0.1, "quarter"), parse_cron("0 0 1 1 *"), due) == 0.1


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - gets its zone below
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
)
@settings(max_examples=150, deadline=None)
def test_periods_follow_one_another(naive: datetime, zone: str, period: Period) -> None:
    """Each moment is in its period, whose end is the beginning of the next one."""
    moment, clock = naive.replace(tzinfo=UTC), ZoneInfo(zone)
    start, end = period_of(period, moment, clock)
    assert start <= moment < end
    assert period_of(period, end, clock)[0] == end
    assert period_of(period, start, clock) == (start, end)


def test_a_schedule_has_its_own_level_or_its_budgets() -> None:
    """In the schedule's zone: in Berlin, the first hour of May is the last of April in UTC."""
    hourly = Schedule("hourly", "till", "0 * * * *", 0.01, datetime(2024, 1, 1, tzinfo=UTC), zone="Europe/Berlin")
    due = datetime(2024, 4, 30, 22, tzinfo=UTC)
    assert level_of(hourly, due) == 0.01
    assert level_of(replace(hourly, budget="1 per month"), due) == 1 / (31 * 24)
    assert level_of(replace(hourly, budget="1 per month"), due - timedelta(hours=1)) == 1 / (30 * 24)
