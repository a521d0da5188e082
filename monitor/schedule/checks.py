"""What an execution of a schedule does: a report on its window, whose verdict is that of the schedule's check."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from monitor.finding import finding_of
from monitor.run import run
from monitor.verdict import LEFT_OUT
from storage.errors import FailureError
from storage.records import NO_FINDING, Finding, Schedule
from storage.store import Store


class Window(NamedTuple):
    """What is looked at: `start <= time < end`, in UTC."""

    start: datetime
    end: datetime


class Checked(Struct, frozen=True):
    """What a check found, and what people are told of it.

    breached: whether it is bad; None where there is too little to say so.
    """

    verdict: str
    breached: bool | None
    report_id: str | None = None
    finding: Finding = NO_FINDING


#: Looks at a window of a schedule's endpoint, at the schedule's level, and keeps a report. Last comes the time.
Check: TypeAlias = Callable[[Store, Schedule, Window, datetime], Checked]


def check(store: Store, schedule: Schedule, window: Window, now: datetime) -> Checked:
    """The report on a window. Labels that have come by now count, however late they came.

    Raises what `monitor.run.run` does, SettingError for a facet of a column that the model no longer takes, and
    FailureError where the report has all but what is checked: nobody may take that for no alarm.
    """
    report, found = run(
        store,
        schedule.endpoint,
        now=now,
        level=schedule.level,
        since=window.start,
        until=window.end,
        variant=schedule.variant,
        check=schedule.check,
        facets=schedule.facets,
    )
    if report.verdict == LEFT_OUT:
        raise FailureError(f"{found.sentence} Report {report.id} has the rest.")
    return Checked(report.verdict, found.breached, report.id, finding_of(found))
