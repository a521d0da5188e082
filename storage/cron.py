"""Cron expressions: five fields, UTC, with the meaning that crontab(5) gives them.

    ┌ minute 0-59   ┌ hour 0-23   ┌ day of month 1-31   ┌ month 1-12 or JAN-DEC   ┌ day of week 0-7 or SUN-SAT
    0               6             *                     *                         MON-FRI

A field is `*`, a number, a range `a-b`, either with a step `/n`, or several of these joined by commas. 0 and 7 are
Sunday. Where both days are given (neither begins with `*`), either is enough.

Why own code: what APScheduler calls a crontab takes 0 for Monday and wants both days at once, and no library here
answers the question that a restart asks, which is the latest due time before now.
"""

import calendar
from datetime import datetime, timedelta
from typing import NamedTuple

from storage.errors import SettingError


class Field(NamedTuple):
    """What one of the five fields may hold."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, tuple(name.upper() for name in calendar.month_abbr)),
    Field("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)

#: A 29 February is at most eight years away (1896 to 1904, 2096 to 2104), and the same weekday at most forty.
_SEARCHED_DAYS = 366 * 41


class Cron(NamedTuple):
    """When something is due. Days of the week count from Sunday, 0 to 6.

    either_day: whether a day of the month or a day of the week is enough; else both must fit.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def latest(self, moment: datetime) -> datetime:
        """The latest due time at or before an aware moment in UTC.

        >>> from datetime import UTC
        >>> parse_cron("30 6 * * SUN").latest(datetime(2024, 5, 1, 12, tzinfo=UTC)).isoformat()
        '2024-04-28T06:30:00+00:00'
        """
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for back in range(_SEARCHED_DAYS):
            today = day - timedelta(days=back)
            due = self._latest_of_day(today, before=moment) if self._fits(today) else None
            if due is not None:
                return due
        raise AssertionError("parse_cron refuses expressions that are never due")

    def _fits(self, day: datetime) -> bool:
        month_day, weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (month_day or weekday if self.either_day else month_day and weekday)

    def _latest_of_day(self, day: datetime, before: datetime) -> datetime | None:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                due = day.replace(hour=hour, minute=minute)
                if due <= before:
                    return due
        return None


def parse_cron(text: str) -> Cron:
    """An expression of five fields. Raises SettingError that names the field and the value received.

    >>> cron = parse_cron("*/20 8-10 * * 7")
    >>> sorted(cron.minutes), sorted(cron.hours), sorted(cron.weekdays)
    ([0, 20, 40], [8, 9, 10], [0])
    >>> parse_cron("0 25 * * *")
    Traceback (most recent call last):
    storage.errors.SettingError: The hour in cron '0 25 * * *' is '25'. Use 0-23, '*', a range 'a-b', ...
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise SettingError(
            f"cron is {text!r}, which has {len(fields)} fields. Write five: minute, hour, day of month, month and day "
            "of week, such as '0 * * * *' for each full hour."
        )
    minutes, hours, days, months, weekdays = (
        _parse_field(value, field, text) for value, field in zip(fields, _FIELDS, strict=True)
    )
    either_day = not fields[2].startswith("*") and not fields[4].startswith("*")
    if not either_day and min(days) > max(calendar.monthrange(2024, month)[1] for month in months):
        raise SettingError(f"The day of month in cron {text!r} is {fields[2]!r}, which month {fields[3]!r} never has.")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either_day)


def _parse_field(value: str, field: Field, text: str) -> frozenset[int]:
    try:
        return frozenset(number for part in value.split(",") for number in _parse_part(part, field))
    except ValueError:
        words = f" or {field.words[-7]}-{field.words[-1]}" if field.name == "day of week" else ""
        words = " or JAN-DEC" if field.name == "month" else words
        raise SettingError(
            f"The {field.name} in cron {text!r} is {value!r}. Use {field.low}-{field.high}{words}, '*', a range 'a-b', "
            "a step '/n', or several joined by commas."
        ) from None


def _parse_part(part: str, field: Field) -> range:
    """`*`, `a`, `a-b`, each with `/n` or without; `a/n` means from a on. Raises ValueError."""
    span, slash, step = part.partition("/")
    if span == "*":
        low, high = field.low, field.high
    else:
        first, dash, last = span.partition("-")
        low = _parse_number(first, field)
        high = _parse_number(last, field) if dash else field.high if slash else low
    every = int(step) if slash and step.isdecimal() else 0 if slash else 1
    if not field.low <= low <= high <= field.high or every < 1:
        raise ValueError(part)
    return range(low, high + 1, every)


def _parse_number(text: str, field: Field) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    return field.words.index(text.upper())
