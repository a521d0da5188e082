"""Cron expressions, against APScheduler's triggers and by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import SettingError
from storage.cron import parse_cron, recent, upcoming


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


@pytest.mark.parametrize(
    ("cron", "same"),
    [
        ("cron(0 * ? * * *)", "0 * * * *"),  # each hour, as SageMaker's own guide writes it
        ("cron(0 0 ? * * *)", "0 0 * * *"),
        ("cron(0 12/1 ? * * *)", "0 * * * *"),
        ("cron(0 17/12 ? * * *)", "0 5,17 * * *"),
        ("cron(0 9/10 ? * * *)", "0 5,9,19 * * *"),
        ("cron(15 10 ? * MON-FRI *)", "15 10 * * 1-5"),
        ("cron(15 10 ? * 2-6 *)", "15 10 * * 1-5"),
        ("cron(15 10 ? * 1,7 *)", "15 10 * * SUN,SAT"),
        ("cron(0/10 * 1 JAN ? *)", "0/10 * 1 1 *"),
    ],
)
def test_sagemakers_spelling_means_what_it_means_there(cron: str, same: str) -> None:
    """Days of the week count from 1, `?` is any, and hours with a step go round the clock."""
    assert parse_cron(cron) == parse_cron(same)


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("cron(0 * * * *)", "SageMaker writes six fields"),
        ("cron(0 * ? * * *", "SageMaker writes six fields"),
        ("cron(0 * ? * * 2026)", "always '\\*' for the year"),
        ("cron(0 24/2 ? * * *)", "The hour in cron .* is '24/2'. Use a first hour 0-23 and a step 1-24."),
        ("cron(0 0/0 ? * * *)", "a step 1-24"),
        ("cron(0 0 L * ? *)", "The day of month in cron .* is 'L'"),
        ("cron(0 0 ? * 2#1 *)", "The day of week in cron"),
    ],
)
def test_what_is_not_sagemakers_is_refused(cron: str, message: str) -> None:
    """Nor what only other services have."""
    with pytest.raises(SettingError, match=message):
        parse_cron(cron)


def due(cron: str, zone: str, first: str, last: str) -> list[str]:
    """Due times after one instant and until another, as a clock on the wall shows them, with its offset."""
    clock = ZoneInfo(zone)
    found = parse_cron(cron, clock).between(at(first), at(last))
    return [f"{moment.astimezone(clock):%d %H:%M %z}" for moment in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["30 02:30 +0100", "31 03:00 +0200", "01 02:30 +0200"]),
        ("15,45 2 * * *", ["30 02:15 +0100", "30 02:45 +0100", "31 03:00 +0200", "01 02:15 +0200", "01 02:45 +0200"]),
        ("0 3 * * *", ["30 03:00 +0100", "31 03:00 +0200", "01 03:00 +0200"]),
        ("0 2,3 * * SUN", ["31 03:00 +0200"]),
        ("*/40 2 * * SUN", []),
    ],
)
def test_a_time_that_clocks_leave_out_comes_at_the_moment_of_the_change(cron: str, expected: list[str]) -> None:
    """In Berlin they went from 2:00 to 3:00 on 31 March 2024. What counts elapsed time leaves it out as well."""
    assert due(cron, "Europe/Berlin", "2024-03-30T00:00", "2024-04-01T12:00") == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["26 02:30 +0200", "27 02:30 +0200", "28 02:30 +0100"]),
        ("*/30 2 * * SUN", ["27 02:00 +0200", "27 02:30 +0200", "27 02:00 +0100", "27 02:30 +0100"]),
        ("0 3 * * SUN", ["27 03:00 +0100"]),
    ],
)
def test_a_time_that_clocks_show_twice_comes_the_first_time(cron: str, expected: list[str]) -> None:
    """In Berlin they went from 3:00 to 2:00 on 27 October 2024. What counts elapsed time comes both times."""
    assert due(cron, "Europe/Berlin", "2024-10-25T22:00", "2024-10-28T12:00") == expected


@pytest.mark.parametrize(
    ("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24)], ids=["short", "long", "usual"]
)
def test_each_full_hour_of_a_day_comes_once(day: str, hours: int) -> None:
    """However many the day has."""
    clock = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(day).replace(tzinfo=clock)
    end = (start + timedelta(days=1)).astimezone(UTC)
    found = parse_cron("0 * * * *", clock).between(start - timedelta(microseconds=1), end - timedelta(microseconds=1))
    assert found == [start.astimezone(UTC) + timedelta(hours=hour) for hour in range(hours)]


def test_a_day_that_is_left_out_comes_at_the_moment_of_the_change() -> None:
    """Samoa went from the end of 29 December 2011 to the start of the 31st."""
    found = due("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00", "2011-12-31T20:00")
    assert found == ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400", "01 09:00 +1400"]


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata", "UTC"]


@given(
    st.tuples(field(0, 59), field(0, 23), st.just("*"), st.just("*"), field(0, 6)),
    st.sampled_from(ZONES),
    st.sampled_from(["2007-03-10", "2007-11-03", "2024-03-30", "2024-10-26", "2024-04-06", "2024-10-05", "2025-06-01"]),
)
@settings(max_examples=15, deadline=None)
def test_due_times_are_those_of_a_clock_that_is_watched(
    fields: tuple[str, str, str, str, str], zone: str, day: str
) -> None:
    """Minute by minute over three days: what it shows and fits is due; where it jumped, what it left out is too."""
    clock, cron = ZoneInfo(zone), parse_cron(" ".join(fields), ZoneInfo(zone))
    start = at(day)
    expected: list[datetime] = []
    seen: set[datetime] = set()
    shown = (start - timedelta(days=1)).astimezone(clock).replace(tzinfo=None)
    for minute in range(-1440, 3 * 1440):
        moment = start + timedelta(minutes=minute)
        before, shown = shown, moment.astimezone(clock).replace(tzinfo=None)
        left_out = [before + timedelta(minutes=step) for step in range(1, round((shown - before).total_seconds() / 60))]
        jumped = not cron.elapsed and any(fits(fields, one) for one in left_out)
        if jumped or (fits(fields, shown) and (cron.elapsed or shown not in seen)):
            expected.append(moment)
        seen.add(shown)
    expected = [moment for moment in expected if moment > start]
    end = start + timedelta(minutes=3 * 1440 - 1)
    assert cron.between(start, end) == expected
    assert recent(cron, end, 5, start) == expected[-5:]
    if expected:
        assert cron.latest(end) == expected[-1]
        assert upcoming(cron, start) == expected[0]


def fits(fields: tuple[str, str, str, str, str], shown: datetime) -> bool:
    """Whether a clock shows a time of these minutes, hours and weekdays; by the expression without a zone."""
    cron = parse_cron(" ".join(fields))
    weekday = shown.isoweekday() % 7
    return shown.minute in cron.minutes and shown.hour in cron.hours and weekday in cron.weekdays
