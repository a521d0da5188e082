"""Windows: a period in pieces, and periods that end some time ago because labels arrive late."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from monitor.calibrated import check_level
from storage.errors import SettingError

_MOST = 10_000
_DURATION = re.compile(r"(-?)P(?:(\d{1,6})W|(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?)")


class Window(NamedTuple):
    """A half-open interval in UTC: start <= time < end."""

    start: datetime
    end: datetime


def windows_of(start: datetime, end: datetime, every: timedelta | None = None) -> list[Window]:
    """A period in windows of a length, the last one may be shorter; without a length, the period itself.

    Raises SettingError if the period ends before it starts, the length is not above 0, or there would be over 10,000.

    >>> day = datetime(2024, 5, 1, tzinfo=UTC)
    >>> [window.end.hour for window in windows_of(day, day + timedelta(hours=5), timedelta(hours=2))]
    [2, 4, 5]
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        raise SettingError(f"The period from {start} to {end} has no length. Let it end after it starts.")
    if every is None:
        return [Window(start, end)]
    if every <= timedelta():
        raise SettingError(f"The length of a window is {every}. Use one above 0.")
    count = -((start - end) // every)
    if count > _MOST:
        raise SettingError(f"The period has {count:,} windows of {every}. Use longer ones: {_MOST:,} are the most.")
    return [Window(start + n * every, min(start + (n + 1) * every, end)) for n in range(count)]


def with_whole(windows: Sequence[Window]) -> list[Window]:
    """Windows that follow one another, and after several of them the whole period.

    >>> day = datetime(2024, 5, 1, tzinfo=UTC)
    >>> found = with_whole(windows_of(day, day + timedelta(hours=4), timedelta(hours=2)))
    >>> [(window.start.hour, window.end.hour) for window in found]
    [(0, 2), (2, 4), (0, 4)]
    """
    whole = [Window(windows[0].start, windows[-1].end)] if len(windows) > 1 else []
    return [*windows, *whole]


def offset_window(now: datetime, start_offset: str, end_offset: str) -> Window:
    """The period that a schedule with SageMaker's `StartTimeOffset` and `EndTimeOffset` looks at when it runs: labels
    that take up to a day are there for what was predicted until a day ago.

    Raises SettingError as `offset_of` and `windows_of` do.

    >>> window = offset_window(datetime(2024, 5, 10, tzinfo=UTC), "-P8D", "-P1D")
    >>> window.start.day, window.end.day
    (2, 9)
    """
    (window,) = windows_of(now + offset_of(start_offset), now + offset_of(end_offset))
    return window


def offset_of(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, or of days, hours, minutes and seconds. Raises SettingError for what is none, and
    for months and years, which have no fixed length.

    >>> offset_of("-P1DT12H") == -timedelta(days=1.5), offset_of("PT15M") == timedelta(minutes=15)
    (True, True)
    """
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()[1:]):
        raise SettingError(f"The offset is {text!r:.80}. Write one such as -P1D, -PT12H or P2W.")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -length if found[1] else length


class Levels(Struct, frozen=True):
    """What the tests of a report may take of its level, 0..1: together no more than it.

    whole: the test of the whole period. piece: that of each of the `pieces` that are judged. None where there is none.
    """

    whole: float | None
    piece: float | None
    pieces: int

    def of_windows(self, judged: Sequence[bool]) -> list[float | None]:
        """What each window of `with_whole` may take; None of one that is not judged.

        >>> Levels(0.025, 0.0125, 2).of_windows([True, False, True, True])
        [0.0125, None, 0.0125, 0.025]
        """
        return [*(self.piece if is_judged else None for is_judged in judged[:-1]), self.whole]

    @property
    def words(self) -> str:
        """For people; empty where nothing is judged.

        >>> Levels(0.025, 0.0125, 2).words
        '2.5% for the whole period, 1.25% for each of 2 pieces'
        """
        whole = [] if self.whole is None else [f"{self.whole * 100:.3g}% for the whole period"]
        which = "a piece of it" if self.pieces == 1 else f"each of {self.pieces:,} pieces"
        pieces = [] if self.piece is None else [f"{self.piece * 100:.3g}% for {which}"]
        return ", ".join([*whole, *pieces])


def levels_of(level: float, judged: Sequence[bool]) -> Levels:
    """The level shared out: half to the whole period, which shows a small drop that lasts, and half to its pieces in
    equal parts, of which one shows a sharp drop that does not. Where only one of the two is judged, it has all.

    judged: of each window of `with_whole`, whether it has enough to be judged; never how it differs. Raises
    SettingError for a level that is none.

    >>> levels_of(0.05, [True, False, True, True])
    Levels(whole=0.025, piece=0.0125, pieces=2)
    >>> levels_of(0.05, [True])
    Levels(whole=0.05, piece=None, pieces=0)
    """
    check_level(level)
    pieces, whole = sum(judged[:-1]), judged[-1]
    half = level / max(whole + (pieces > 0), 1)
    return Levels(half if whole else None, half / pieces if pieces else None, pieces)
