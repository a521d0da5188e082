"""Cron expressions, against APScheduler's triggers and by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import SettingError
from storage.cron import parse_cron


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("* * * * *", "2024-05-01T12:34:56", "2024-05-01T12:34"),
        ("0 * * * *", "2024-05-01T12:34:56", "2024-05-01T12:00"),
        ("0 * * * *", "2024-05-01T12:00:00", "2024-05-01T12:00"),
        ("*/15 * * * *", "2024-05-01T12:14:59", "2024-05-01T12:00"),
        ("30 6 * * *", "2024-05-01T06:29:59", "2024-04-30T06:30"),
        ("0 0 * * 0", "2024-05-01T12:00", "2024-04-28T00:00"),  # a Sunday
        ("0 0 * * 7", "2024-05-01T12:00", "2024-04-28T00:00"),
        ("0 0 * * 1", "2024-05-01T12:00", "2024-04-29T00:00"),  # a Monday
        ("0 0 * * 5-7", "2024-04-27T12:00", "2024-04-27T00:00"),  # Friday to Sunday: a Saturday
        ("0 0 * * MON-fri", "2024-04-28T12:00", "2024-04-26T00:00"),  # the Friday before a Sunday
        ("0 0 1 jan *", "2024-05-01T12:00", "2024-01-01T00:00"),
        ("0 0 29 2 *", "2023-05-01T12:00", "2020-02-29T00:00"),
        ("0 0 31 * *", "2024-05-01T12:00", "2024-03-31T00:00"),
        ("0 0 13 * 5", "2024-05-17T12:00", "2024-05-17T00:00"),  # a Friday: either day is enough
        ("0 0 13 * 5", "2024-05-14T12:00", "2024-05-13T00:00"),  # the 13th
        ("0 0 */2 * 5", "2024-05-24T12:00", "2024-05-17T00:00"),  # a star is no day: both must fit
        ("5,35 8-10/2 * * *", "2024-05-01T12:00", "2024-05-01T10:35"),
        ("50/5 * * * *", "2024-05-01T12:56", "2024-05-01T12:55"),
    ],
)
def test_the_latest_due_time(cron: str, now: str, due: str) -> None:
    """At or before now, with the meaning of crontab(5)."""
    assert parse_cron(cron).latest(at(now)) == at(due)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Expressions of one field."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, 5).map(lambda every: f"*/{every}")  # it refuses a step that is longer than a range
    part = number.map(str) | span
    return st.just("*") | step | st.lists(part, min_size=1, max_size=3).map(",".join)


@given(
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12)),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - Hypothesis wants them without a zone
)
@settings(max_examples=60, deadline=None)
def test_due_times_are_those_of_apscheduler(fields: tuple[str, str, str, str], now: datetime) -> None:
    """Its next due time after ours is beyond now, and ours is one of its own. Weekdays aside: it counts from Monday."""
    minute, hour, day, month = fields
    moment = now.replace(tzinfo=UTC)
    trigger = CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone=UTC)
    latest = parse_cron(f"{minute} {hour} {day} {month} *").latest(moment)
    assert latest <= moment
    assert trigger.get_next_fire_time(None, latest) == latest
    following = trigger.get_next_fire_time(latest, latest + timedelta(seconds=1))
    assert following > moment


@pytest.mark.parametrize("weekday", range(8))
def test_weekdays_count_from_sunday(weekday: int) -> None:
    """As in crontab(5), by APScheduler's names."""
    name = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")[weekday]
    latest = parse_cron(f"0 12 * * {weekday}").latest(at("2024-05-08T00:00"))
    assert CronTrigger(day_of_week=name, hour=12, timezone=UTC).get_next_fire_time(None, latest) == latest


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("", "cron is '', which has 0 fields"),
        ("0 * * *", "which has 4 fields"),
        ("0 0 * * * *", "which has 6 fields"),
        ("60 * * * *", "The minute in cron '60 \\* \\* \\* \\*' is '60'. Use 0-59"),
        ("-1 * * * *", "The minute in cron .* is '-1'"),
        ("0 24 * * *", "The hour in cron .* is '24'. Use 0-23"),
        ("0 0 0 * *", "The day of month in cron .* is '0'. Use 1-31"),
        ("0 0 * 13 *", "The month in cron .* is '13'. Use 1-12 or JAN-DEC"),
        ("0 0 * * 8", "The day of week in cron .* is '8'. Use 0-7 or SUN-SAT"),
        ("0 0 * * FUN", "The day of week in cron .* is 'FUN'"),
        ("*/0 * * * *", "The minute in cron .* is '\\*/0'"),
        ("5-1 * * * *", "The minute in cron .* is '5-1'"),
        ("1,,2 * * * *", "The minute in cron .* is '1,,2'"),
        ("@daily", "which has 1 fields"),
        ("٣ * * * *", "The minute in cron"),
        ("0 0 31 2 *", "The day of month in cron .* is '31', which month '2' never has"),
        ("0 0 31 4,6,9,11 *", "never has"),
    ],
)
def test_a_bad_expression_names_field_and_value(cron: str, message: str) -> None:
    """And what would be right."""
    with pytest.raises(SettingError, match=message):
        parse_cron(cron)
