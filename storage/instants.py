"""Moments as people read them, and as a command line names them."""

import re
from datetime import UTC, datetime, timedelta

from storage.errors import SettingError

_AGO = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def minute_of(moment: datetime) -> str:
    """A moment for people, to the minute, in UTC. It is aware.

    >>> minute_of(datetime.fromisoformat("2024-05-01T13:30:59+02:00"))
    '2024-05-01 11:30 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span_of(start: datetime, end: datetime) -> str:
    """From when to when, as `minute_of`.

    >>> span_of(datetime(2024, 5, 1, 11, tzinfo=UTC), datetime(2024, 5, 1, 12, 30, tzinfo=UTC))
    '2024-05-01 11:00 to 2024-05-01 12:30 UTC'
    """
    return f"{start.astimezone(UTC):%Y-%m-%d %H:%M} to {minute_of(end)}"


def instant_of(text: str, option: str, now: datetime) -> datetime:
    """A moment by ISO 8601, in UTC where no zone is given, or so long ago: 30m, 24h, 7d, 2w.

    Raises SettingError that names the option.

    >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> instant_of("2024-05-01", "--from", noon), instant_of("90m", "--from", noon)
    (datetime.datetime(2024, 5, 1, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(2024, 5, 1, 10, 30, tzinfo=datetime.timezone.utc))
    """  # noqa: E501 - a doctest's output cannot be broken
    if (ago := _AGO.fullmatch(text)) is not None:
        return now - timedelta(seconds=int(ago["count"]) * _SECONDS[ago["unit"]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(
            f"{option} is {text[:80]!r}, which is no moment. Write 2024-05-01, 2024-05-01T13:30:00Z, or 24h for a day "
            "ago."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
