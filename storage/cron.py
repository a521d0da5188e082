"""When something is due by the calendar: five fields, with the meaning that crontab(5) gives them, in a time zone.

    ┌ minute 0-59   ┌ hour 0-23   ┌ day of month 1-31   ┌ month 1-12 or JAN-DEC   ┌ day of week 0-7 or SUN-SAT
    0               6             *                     *                         MON-FRI

A field is `*`, a number, a range `a-b`, either with a step `/n`, or several of these joined by commas. 0 and 7 are
Sunday. Where both days are given (neither begins with `*`), either is enough.

SageMaker's spelling is taken too: `cron(0 6 ? * MON-FRI *)`, with `?` for `*`, a year that is always `*`, and days of
the week from 1 for Sunday. There the hour `17/6` means each six hours, one of them at 17:00.

On days when clocks change, as cron(8) has it. Where the minute or the hour begins with `*`, elapsed time counts: due is
each time that a clock on the wall shows, twice if it shows it twice, and none that it does not show. Else each time is
due once a day: the first time that it is shown; and at the moment of the change if it is not shown.

Why own code: what APScheduler calls a crontab takes 0 for Monday and wants both days at once, and no library here
answers the question that a restart asks, which is the latest due time before now.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import NamedTuple, Protocol

from storage.errors import SettingError

# How far the date on the wall may be from that in UTC, and a change of the clock may move it: Samoa left out a day.
_WALL = timedelta(hours=26)


class Timing(Protocol):
    """What knows when something is due."""

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """All due times in `after < due <= until`, ascending, in UTC. Both are aware."""
        ...


def recent(timing: Timing, until: datetime, most: int, after: datetime | None = None) -> list[datetime]:
    """The latest due times at or before a moment, ascending; at most so many, and only those after another one."""
    span = timedelta(hours=1)
    least = until - timedelta(days=_SEARCHED_DAYS) if after is None else after
    while until - span > least:
        found = timing.between(until - span, until)
        if len(found) >= most:
            return found[-most:]
        span *= 4
    return timing.between(least, until)[-most:]


def upcoming(timing: Timing, after: datetime) -> datetime:
    """The next due time after a moment."""
    span = timedelta(hours=1)
    while not (found := timing.between(after, after + span)):
        span *= 4
    return found[0]


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

    either_day: whether a day of the month or a day of the week is enough; else both must fit. elapsed: whether a time
    that is shown twice on a day is due twice. zone: of the clock that shows it.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    elapsed: bool = True
    zone: tzinfo = UTC

    def latest(self, moment: datetime) -> datetime:
        """The latest due time at or before an aware moment, in UTC.

        >>> parse_cron("30 6 * * SUN").latest(datetime(2024, 5, 1, 12, tzinfo=UTC)).isoformat()
        '2024-04-28T06:30:00+00:00'
        """
        return recent(self, moment, 1)[0]

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """All due times in `after < due <= until`, ascending, in UTC. Both are aware.

        >>> from zoneinfo import ZoneInfo
        >>> cron = parse_cron("30 2 * * *", ZoneInfo("Europe/Berlin"))  # clocks went from 2:00 to 3:00 on 31 March
        >>> days = datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC)
        >>> [f"{due:%d %H:%M}" for due in cron.between(*days)]
        ['30 01:30', '31 01:00', '01 00:30']
        """
        wall = timedelta(0) if self.zone is UTC else _WALL
        first, last = (moment.astimezone(self.zone).replace(tzinfo=None) for moment in (after, until))
        shown = self._shown(first - wall, last + wall)
        return sorted({due for moment in shown for due in self._instants(moment) if after < due <= until})

    def _shown(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """What a clock on the wall shows when something is due."""
        times = [time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]
        for number in range((last.date() - first.date()).days + 1):
            day = first.date() + timedelta(days=number)
            if self._fits(day.day, day.month, day.isoweekday() % 7):
                moments = (datetime.combine(day, shown) for shown in times)
                yield from (moment for moment in moments if first <= moment <= last)

    def _fits(self, day: int, month: int, weekday: int) -> bool:
        month_day, week_day = day in self.days, weekday in self.weekdays
        return month in self.months and (month_day or week_day if self.either_day else month_day and week_day)

    def _instants(self, shown: datetime) -> tuple[datetime, ...]:
        """When it is due that a clock on the wall shows this."""
        if self.zone is UTC:
            return (shown.replace(tzinfo=UTC),)
        first, second = (shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return (first,)
        if first < second:  # it is shown twice
            return (first, second) if self.elapsed else (first,)
        return () if self.elapsed else (_change_between(second, first, self.zone),)


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment at which clocks change, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after


def parse_cron(text: str, zone: tzinfo = UTC) -> Cron:
    """An expression of five fields, or SageMaker's. Raises SettingError that names the field and the value received.

    >>> cron = parse_cron("*/20 8-10 * * 7")
    >>> sorted(cron.minutes), sorted(cron.hours), sorted(cron.weekdays)
    ([0, 20, 40], [8, 9, 10], [0])
    >>> sorted(parse_cron("cron(0 17/6 ? * * *)").hours)
    [5, 11, 17, 23]
    >>> parse_cron("0 25 * * *")
    Traceback (most recent call last):
    storage.errors.SettingError: The hour in cron '0 25 * * *' is '25'. Use 0-23, '*', a range 'a-b', ...
    """
    fields = _fields_of_sagemaker(text) if text.startswith("cron(") else text.split()
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
    elapsed = fields[0].startswith("*") or fields[1].startswith("*")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either_day, elapsed, zone)


def _fields_of_sagemaker(text: str) -> list[str]:
    """The five fields that mean what SageMaker's six do."""
    fields = text.removeprefix("cron(").removesuffix(")").split()
    if not text.endswith(")") or len(fields) != len(_FIELDS) + 1 or fields[5] != "*":
        raise SettingError(
            f"cron is {text!r}. SageMaker writes six fields and always '*' for the year, such as 'cron(0 * ? * * *)' "
            "for each full hour."
        )
    minute, hour, day, month, weekday = ("*" if field == "?" else field for field in fields[:5])
    if each := re.fullmatch(r"(\d{1,2})/(\d{1,2})", hour):
        first, every = int(each[1]), int(each[2])
        if first > 23 or not 1 <= every <= 24:
            raise SettingError(f"The hour in cron {text!r} is {hour!r}. Use a first hour 0-23 and a step 1-24.")
        hour = "*" if every == 1 else ",".join(str((first + hours) % 24) for hours in range(0, 24, every))
    return [minute, hour, day, month, re.sub(r"(?<!/)\b[1-7]\b", lambda found: str(int(found[0]) - 1), weekday)]


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
