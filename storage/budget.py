"""An alarm budget: at most so many false alarms in a month, a quarter or a year, kept by the level of each report.

The level of a report is the chance of any alarm in it without drift. So the false alarms that a period brings are, on
average, the sum of the levels of its reports: that is true of sums whatever the reports have in common, be it rows, a
reference or a season. The budget is shared out evenly over the due times of the calendar's period that a report is due
in, in the schedule's time zone:

    level = alarms / due times in the period

The sum over the period is then `alarms` exactly. The chance of any false alarm in the period is at most that, too
(Boole's inequality): a budget of 0.05 a quarter is a chance of 5% that a quarter brings one. Of an alert that waits for
M alarming reports of N there are no more than alarms, since only a report that alarms can start one.

What the budget counts: reports that are made because they are due. One that is caught up has the level of its due time;
a missed one spends nothing; a report that somebody asks for comes on top. Other schedules have budgets of their own.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

from msgspec.structs import replace

from storage.cron import Timing
from storage.errors import SettingError
from storage.records import Schedule
from storage.timing import parse_timing, zone_of

Period = Literal["day", "week", "month", "quarter", "year"]

#: A report alarms no more often than this, however few reports there are: above one half it would say nothing.
LARGEST_LEVEL = 0.5

_PERIODS: tuple[Period, ...] = ("day", "week", "month", "quarter", "year")
_BUDGET = re.compile(rf"(\d{{1,6}}(?:\.\d{{1,6}})?) (?:per|an?|each|every) ({'|'.join(_PERIODS)})", re.ASCII)


class Budget(NamedTuple):
    """At most `alarms` false alarms in a period, on average over periods without drift. Above 0; fractions are fine."""

    alarms: float
    period: Period


def parse_budget(text: str) -> Budget:
    """A budget as people write it. Raises SettingError with the value received.

    >>> parse_budget("1 per quarter"), parse_budget("0.05 a year")
    (Budget(alarms=1.0, period='quarter'), Budget(alarms=0.05, period='year'))
    >>> parse_budget("seldom")
    Traceback (most recent call last):
    storage.errors.SettingError: The alarm budget is 'seldom'. Write '1 per quarter', ...
    """
    found = _BUDGET.fullmatch(" ".join(text.lower().split()))
    if found is None or not float(found[1]):
        raise SettingError(
            f"The alarm budget is {text[:80]!r}. Write '1 per quarter', with a number above 0 and one of "
            f"{', '.join(_PERIODS)}."
        )
    return Budget(float(found[1]), cast("Period", found[2]))


def level_at(budget: Budget, timing: Timing, due: datetime, zone: tzinfo = UTC) -> float:
    """The level of the report that is due at a moment.

    due: aware. zone: whose calendar the periods are of. A report that is due outside the timing counts as one more.

    >>> from storage.cron import parse_cron
    >>> due = datetime(2024, 5, 1, 6, tzinfo=UTC)
    >>> 1 / level_at(Budget(1, "quarter"), parse_cron("0 6 * * *"), due)  # April, May and June have 91 days
    91.0
    """
    start, end = period_of(budget.period, due, zone)
    return min(budget.alarms / max(_reports(timing, start, end), 1), LARGEST_LEVEL)


def changed(schedule: Schedule, changes: Mapping[str, Any]) -> Schedule:
    """A schedule with other values of some fields. A level takes the place of its budget, too.

    Raises SettingError where both are given.
    """
    level, budget = changes.get("level"), changes.get("budget")
    if level is not None and budget is not None:
        raise SettingError(f"level is {level:g} and budget {budget[:80]!r}, which decides the level. Give one of them.")
    return replace(schedule, **changes) if level is None else replace(schedule, **{"budget": None, **changes})


def level_of(schedule: Schedule, due: datetime) -> float:
    """The level of a schedule's report that is due at a moment: its own, or by its budget. Raises SettingError for a
    cron, a zone or a budget that is none."""
    if schedule.budget is None:
        return schedule.level
    timing = parse_timing(schedule.cron, schedule.zone)
    return level_at(parse_budget(schedule.budget), timing, due, zone_of(schedule.zone))


def period_of(period: Period, moment: datetime, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """The calendar's period that a moment is in: its first instant and the next one's, in UTC. Weeks begin on Monday.

    >>> [f"{end:%d %b %H:%M}" for end in period_of("quarter", datetime(2024, 5, 1, tzinfo=UTC))]
    ['01 Apr 00:00', '01 Jul 00:00']
    """
    day = moment.astimezone(zone).date()
    match period:
        case "day":
            start, end = _day_at(day.toordinal(), zone), _day_at(day.toordinal() + 1, zone)
        case "week":
            monday = day.toordinal() - day.weekday()
            start, end = _day_at(monday, zone), _day_at(monday + 7, zone)
        case _:
            months = {"month": 1, "quarter": 3, "year": 12}[period]
            first = (day.month - 1) // months * months
            start, end = _month_at(day.year, first, zone), _month_at(day.year, first + months, zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def _day_at(ordinal: int, zone: tzinfo) -> datetime:
    return datetime.fromordinal(ordinal).replace(tzinfo=zone)


def _month_at(year: int, month: int, zone: tzinfo) -> datetime:
    """The first instant of a month, which is counted from 0 and may be beyond the year."""
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)


@lru_cache(maxsize=256)
def _reports(timing: Timing, start: datetime, end: datetime) -> int:
    """Due times in `start <= due < end`, counted once for all reports of the period."""
    moment = timedelta(microseconds=1)
    return len(timing.between(start - moment, end - moment))
