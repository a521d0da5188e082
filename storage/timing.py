"""When a schedule is due: by the calendar (`cron.py`) or each so long, and which window it then looks at."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from storage.cron import Timing, parse_cron
from storage.errors import SettingError

#: From when periods count: the start of a Monday, so that each hour, day and week begins with its first.
_ANCHOR = datetime(1970, 1, 5, tzinfo=UTC)

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_EVERY = re.compile(rf"every (?:(\d{{1,6}}) )?({'|'.join(_UNITS)})s?", re.ASCII)

_DURATION = re.compile(
    r"(?P<sign>-?)P(?=.)(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,6})M)?)?",
    re.ASCII,
)


class Interval(NamedTuple):
    """Due each so long, whatever clocks on walls do; counted from 5 January 1970, a Monday, 0:00 UTC."""

    period: timedelta

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """All due times in `after < due <= until`, ascending, in UTC. Both are aware.

        >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
        >>> [f"{due:%H:%M}" for due in Interval(timedelta(minutes=20)).between(noon, noon + timedelta(hours=1))]
        ['12:20', '12:40', '13:00']
        """
        first, last = (after - _ANCHOR) // self.period + 1, (until - _ANCHOR) // self.period
        return [_ANCHOR + number * self.period for number in range(first, last + 1)]


def parse_timing(text: str, zone: str = "UTC") -> Timing:
    """`every 15 minutes`, or an expression of `cron.py` in a time zone. Raises SettingError with the value received.

    >>> parse_timing("every 6 hours")
    Interval(period=datetime.timedelta(seconds=21600))
    >>> parse_timing("every other day")
    Traceback (most recent call last):
    storage.errors.SettingError: cron is 'every other day'. Write 'every 15 minutes', ...
    """
    clock = zone_of(zone)
    if not text.startswith("every"):
        return parse_cron(text, clock)
    found = _EVERY.fullmatch(text)
    count = int(found[1] or 1) if found else 0
    if found is None or not count:
        raise SettingError(f"cron is {text!r}. Write 'every 15 minutes', or hours, days or weeks.")
    return Interval(count * _UNITS[found[2]])


def zone_of(name: str) -> tzinfo:
    """A time zone by its name in the IANA database. Raises SettingError for one that it does not have."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # one that is unknown, a folder's name, a path
        raise SettingError(
            f"zone is {name[:80]!r}, which is no time zone. Write one of IANA's, such as Europe/Berlin."
        ) from error


def duration_of(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours and minutes, as SageMaker has them. Raises SettingError.

    >>> duration_of("-P8D"), duration_of("-P1DT12H")
    (datetime.timedelta(days=-8), datetime.timedelta(days=-2, seconds=43200))
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise SettingError(
            f"{text[:80]!r} is no duration. Write it by ISO 8601, such as -P8D for eight days before, or -PT90M."
        )
    parts = {name: int(value) for name, value in found.groupdict().items() if name != "sign" and value}
    return timedelta(**parts) * (-1 if found["sign"] else 1)
