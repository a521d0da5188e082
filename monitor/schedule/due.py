"""Which due times nobody has written down yet, and which window an execution looks at."""

from datetime import datetime, timedelta

from monitor.schedule.checks import Window
from storage.cron import recent
from storage.records import Execution, Schedule
from storage.store import Store
from storage.timing import duration_of, parse_timing

#: A report waits this long after its due time: captured rows can take two seconds until they are readable.
SETTLE = timedelta(seconds=3)

#: Where missed due times are only recorded, one that is seen so late is missed: a monitor starts anew in less.
LATE = timedelta(minutes=1)

#: Due times that wait to be made up for; the oldest beyond are missed.
MOST_WAITING = 100

#: Missed due times that are written down one by one; the oldest of them stands for those before.
MOST_RECORDED = 1000

_INSTANT = timedelta(microseconds=1)


def plan(store: Store, schedule: Schedule, now: datetime) -> bool:
    """Write down the due times of a schedule that nobody has; False if another process did so at the same moment.

    Each is to be executed, or missed at once, as `schedule.missed` has it. Only those count at which the schedule was
    there. Raises SettingError for a bad cron and StoreError if the store cannot be used.
    """
    ready = now - SETTLE
    since = schedule.created_at - _INSTANT
    after = max(since, store.schedules.planned_until(schedule.name, ready) or since)
    if after >= ready:
        return True
    due = recent(parse_timing(schedule.cron, schedule.zone), ready, MOST_RECORDED + 1, after)
    if not due:
        return True
    waiting = MOST_WAITING if schedule.missed == "catch-up" else 1
    kept = due[-MOST_RECORDED:]
    planned = [
        _planned(schedule, at, now, is_missed=schedule.missed == "record" and (at != kept[-1] or ready - at > LATE))
        for at in kept
    ]
    planned[:-waiting] = [_missed(one) for one in planned[:-waiting]]
    if len(due) > len(kept):
        planned[0] = _missed(planned[0], "no monitor was there; nor was one for the due times before, not listed")
    return store.schedules.plan(planned, now, waiting=waiting)


def window_of(store: Store, schedule: Schedule, due: datetime) -> Window:
    """What the execution of a due time looks at.

    With offsets it is what they say. Else it ends at the due time and begins where the last completed one ended; for
    the first one, and where missed due times are only recorded, at the due time before.
    """
    end = due + duration_of(schedule.end_offset or "PT0M")
    if schedule.start_offset is not None:
        return Window(due + duration_of(schedule.start_offset), end)
    previous = recent(parse_timing(schedule.cron, schedule.zone), due - _INSTANT, 1)[0]
    last = None if schedule.missed == "record" else store.schedules.last_end(schedule.name, before=due)
    return Window(last or previous + (end - due), end)


def _planned(schedule: Schedule, due: datetime, now: datetime, *, is_missed: bool) -> Execution:
    waiting = Execution(schedule.name, due, "pending", now)
    return _missed(waiting) if is_missed else waiting


def _missed(execution: Execution, reason: str = "no monitor was there") -> Execution:
    return Execution(
        execution.schedule,
        execution.scheduled_at,
        "missed",
        execution.started_at,
        ended_at=execution.started_at,
        reason=reason,
    )
