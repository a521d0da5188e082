"""The kinds of check that a schedule can ask for: each is a function, listed in `CHECKS` by its name.

To add one, write a function such as `drift`, list it here, and its name in `storage.schedules.CHECKS`: what makes
schedules refuses those that are not listed there, and cannot see this file.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from monitor.run import run
from storage.errors import SettingError
from storage.records import CheckKind, Schedule
from storage.store import Store


class Window(NamedTuple):
    """What is looked at: `start <= time < end`, in UTC."""

    start: datetime
    end: datetime


class Checked(Struct, frozen=True):
    """What a check found. breached: whether that is bad; None where there is too little to say so."""

    verdict: str
    breached: bool | None
    report_id: str | None = None


#: Looks at a window of a schedule's endpoint, and keeps a report. The last argument is the time.
Check: TypeAlias = Callable[[Store, Schedule, Window, datetime], Checked]


def drift(store: Store, schedule: Schedule, window: Window, now: datetime) -> Checked:
    """Is the traffic still like the reference? Raises what `monitor.run.run` does."""
    report, _ = run(
        store,
        schedule.endpoint,
        now=now,
        level=schedule.level,
        since=window.start,
        until=window.end,
        variant=schedule.variant,
    )
    return Checked(report.verdict, None if report.verdict == "too few rows" else report.drifted, report.id)


CHECKS: dict[CheckKind, Check] = {"drift": drift}


def check_of(kind: CheckKind, checks: Mapping[CheckKind, Check] = CHECKS) -> Check:
    """The function of a kind of check. Raises SettingError for one that is not listed.

    >>> check_of("bias", {"drift": drift})
    Traceback (most recent call last):
    storage.errors.SettingError: check is 'bias', which this monitor does not know. Checks are: drift.
    """
    try:
        return checks[kind]
    except KeyError:
        raise SettingError(
            f"check is {kind!r}, which this monitor does not know. Checks are: {', '.join(checks)}."
        ) from None
