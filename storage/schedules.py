"""Schedules, and what became of each of their due times.

    plan ── pending ── take ── running ── end ── completed | failed
              │          └── its lease ends: taken again; failed, where its schedule was removed
              └── missed: a later one counts, nobody was there in time, or the schedule was changed or removed

Exactly one row stands for each due time, whoever plans it: the key of the table sees to that. One execution of a
schedule runs at a time, the oldest first, and only its owner can end it. Where there is more to do than can be done,
schedules take turns: that which was begun longest ago comes first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from msgspec.structs import replace
from sqlalchemy import Connection, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.alerts import Alerts, forget_state, judge, verdicts
from storage.budget import parse_budget
from storage.database import Database, insert_record, record_of, values_of
from storage.endpoints import endpoint_within
from storage.errors import InputError, SettingError, UnknownNameError
from storage.executions import miss_pending, remove_schedules
from storage.facets import fairness_columns, parse_facet
from storage.models import check_name, find_version
from storage.records import NO_FINDING, CheckKind, Endpoint, Execution, Finding, Schedule
from storage.tables import channels, executions, schedules
from storage.timing import duration_of, parse_timing

#: The kinds of check: whose verdict a report's is.
CHECKS: tuple[CheckKind, ...] = get_args(CheckKind)

#: A due time whose process died so often kills each of them: it is not begun again.
MOST_ATTEMPTS = 3

#: Verdicts that an alert can look back on, as in SageMaker.
MOST_DATAPOINTS = 100

_AT_ONCE = 200  # of what one transaction forgets, so that others may write in between

_DIED = f"the process that worked on it died {MOST_ATTEMPTS} times, as when memory runs out"
_REMOVED = "the process that worked on it died, and the schedule was removed"
_SUPERSEDED = "the next due time came before anybody began this one"


class Schedules:
    """Schedules and their executions. alerts: of what the executions find."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.alerts = Alerts(database)

    # --------------------------------------------------------------------------------------------------- schedules

    def put(self, schedule: Schedule) -> None:
        """Make or replace a schedule. What waits for its turn, by the one before, is missed.

        Raises UnknownNameError if there is no such endpoint, variant or channel, and SettingError for what a schedule
        cannot have.
        """
        check_schedule(schedule)
        with self._database.write() as connection:
            _check_names(connection, schedule, endpoint_within(connection, schedule.endpoint))
            query = select(schedules.c.endpoint).where(schedules.c.name == schedule.name)
            endpoint = connection.execute(query).scalar()
            if endpoint is None:
                forget_state(connection, schedule)
            elif endpoint != schedule.endpoint:
                raise SettingError(
                    f"Schedule {schedule.name!r} is one of endpoint {endpoint!r}. Give that of {schedule.endpoint!r} "
                    "another name."
                )
            connection.execute(delete(schedules).where(schedules.c.name == schedule.name))
            miss_pending(connection, schedule.name, schedule.created_at, "the schedule was changed", asked_too=True)
            insert_record(connection, schedules, schedule)

    def pause(self, name: str, now: datetime) -> Schedule:
        """Have a schedule owe nothing until it is resumed. Raises UnknownNameError."""
        return self._set_paused(name, now, paused=True)

    def resume(self, name: str, now: datetime) -> Schedule:
        """Have a schedule go on; due times of the pause are not made up for. Raises UnknownNameError."""
        return self._set_paused(name, now, paused=False)

    def _set_paused(self, name: str, now: datetime, *, paused: bool) -> Schedule:
        with self._database.write() as connection:
            found = _known(connection, name)
            if found.paused == paused:
                return found
            changed = replace(found, paused=paused, created_at=now)
            connection.execute(update(schedules).where(schedules.c.name == name).values(values_of(changed)))
            miss_pending(connection, name, now, "the schedule was paused")
            return changed

    def remove(self, name: str, now: datetime) -> bool:
        """Remove a schedule; False if there is none. Its executions stay: what waits is missed, what runs ends as it
        does."""
        with self._database.write() as connection:
            return remove_schedules(connection, schedules.c.name == name, now) > 0

    def get(self, name: str) -> Schedule:
        """A schedule by its name. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, name)

    def list(self, endpoint: str | None = None) -> "list[Schedule]":
        """The schedules by name; of one endpoint or of all."""
        query = select(schedules).order_by(schedules.c.name)
        if endpoint is not None:
            query = query.where(schedules.c.endpoint == endpoint)
        with self._database.read() as connection:
            return [record_of(Schedule, row) for row in connection.execute(query).mappings()]

    # --------------------------------------------------------------------------------------------------- executions

    def ask(self, name: str, now: datetime) -> Execution:
        """Have an execution now, beside the due times. Raises UnknownNameError, InputError if one waits already."""
        with self._database.write() as connection:
            found = _known(connection, name)
            waits = and_(executions.c.schedule == name, executions.c.asked, executions.c.status == "pending")
            if connection.execute(select(executions.c.schedule).where(waits)).first() is not None:
                raise InputError(f"Schedule {name!r} was asked to run already, and has not begun yet. Wait for it.")
            # Due times are whole seconds: beside them, it takes no due time's place.
            at = now if now.microsecond else now + timedelta(microseconds=1)
            asked = Execution(found.name, at, "pending", now, asked=True)
            insert_record(connection, executions, asked)
        return asked

    def planned_until(self, name: str, now: datetime) -> datetime | None:
        """The latest due time up to now of which there is a row. Rows beyond are of a clock that was ahead."""
        query = select(func.max(executions.c.scheduled_at)).where(
            executions.c.schedule == name, executions.c.scheduled_at <= now, executions.c.asked.is_(False)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def plan(self, due: Sequence[Execution], now: datetime, *, waiting: int) -> bool:
        """Record due times of one schedule, in their order; False if another process has done so meanwhile, or the
        schedule that they are of is no longer there, or not as it was.

        waiting: how many of the schedule may wait for their turn; the oldest beyond are missed. That tells nothing of a
        schedule of which a check is at work, for longer than from one due time to the next.
        """
        try:
            with self._database.write() as connection:
                schedule = _locked(connection, due[0].schedule)
                if schedule is None or due[0].scheduled_at < schedule.created_at:
                    return False
                for execution in due:
                    insert_record(connection, executions, execution)
                missed = miss_pending(connection, due[0].schedule, now, _SUPERSEDED, beyond=waiting)
                if missed is not None and not _is_at_work(connection, missed.schedule, now):
                    _judge(connection, missed)
        except IntegrityError:
            return False
        return True

    def claim(self, execution: Execution) -> bool:
        """Record one due time; False if it is recorded already."""
        try:
            with self._database.write() as connection:
                insert_record(connection, executions, execution)
        except IntegrityError:
            return False
        return True

    def take(self, owner: str, now: datetime, *, ready: datetime, lease_s: float) -> tuple[Schedule, Execution] | None:
        """Begin an execution that waits, or whose owner's lease has ended; None if there is none to begin.

        It is the oldest of the schedule whose turn it is: that which was begun longest ago. ready: due times after it
        are not begun yet. One that was begun three times, and whose owner died each time, is failed and not given; so
        is one whose owner died after the schedule was removed.
        """
        if not self._waits(now, ready):
            return None
        with self._database.write() as connection:
            _give_up(connection, now)
            first = _free(now, ready).order_by(_last_begun().nulls_first(), executions.c.scheduled_at).limit(1)
            row = connection.execute(first).mappings().first()
            if row is None:
                return None
            found = record_of(Execution, row)
            schedule = _locked(connection, found.schedule)
            if schedule is None or connection.execute(_free(now, ready).where(_is(found))).first() is None:
                return None
            changes = {
                "status": "running",
                "started_at": now,
                "attempts": found.attempts + 1,
                "owner": owner,
                "lease_until": now + timedelta(seconds=lease_s),
            }
            as_seen = and_(_is(found), executions.c.status == found.status, executions.c.attempts == found.attempts)
            if connection.execute(update(executions).where(as_seen).values(changes)).rowcount != 1:
                return None
            return schedule, replace(found, **changes)

    def renew(self, owner: str, now: datetime, *, lease_s: float) -> None:
        """Keep all executions that an owner works on for so much longer."""
        own = and_(executions.c.owner == owner, executions.c.status == "running")
        if not self._has(own):
            return
        with self._database.write() as connection:
            until = now + timedelta(seconds=lease_s)
            connection.execute(update(executions).where(own).values(lease_until=until))

    def end(self, execution: Execution, finding: Finding = NO_FINDING) -> bool:
        """Record what became of an execution that runs; False if it is another's by now.

        Its schedule's alert is judged anew in the same transaction; channels are told of the finding. That its schedule
        was removed meanwhile stays.
        """
        running = and_(
            _is(execution),
            executions.c.status == "running",
            executions.c.owner.is_not_distinct_from(execution.owner),
            executions.c.attempts == execution.attempts,
        )
        values = values_of(execution)
        del values["removed"]
        with self._database.write() as connection:
            if connection.execute(update(executions).where(running).values(values)).rowcount != 1:
                return False
            _judge(connection, execution, finding)
        return True

    def executions(self, name: str, limit: int = 100, *, before: datetime | None = None) -> "list[Execution]":
        """The latest executions of a schedule, newest first; of due times before that."""
        query = select(executions).where(executions.c.schedule == name)
        if before is not None:
            query = query.where(executions.c.scheduled_at < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(executions.c.scheduled_at.desc()).limit(limit)).mappings().all()
        return [record_of(Execution, row) for row in rows]

    def last_end(self, name: str, before: datetime | None = None) -> datetime | None:
        """Where the window of the latest due time that was completed ended; of those before another one.

        Those of a schedule that was removed are none of the one that has its name now.
        """
        query = select(executions.c.window_end, executions.c.scheduled_at).where(
            executions.c.schedule == name,
            executions.c.status == "completed",
            executions.c.asked.is_(False),
            executions.c.removed.is_(False),
        )
        if before is not None:
            query = query.where(executions.c.scheduled_at < before)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(executions.c.scheduled_at.desc()).limit(1)).first()
        return None if row is None else row[0] or row[1]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many executions there are of each schedule that was not removed, in each status that any is in."""
        query = (
            select(executions.c.schedule, executions.c.status, func.count())
            .where(executions.c.removed.is_(False))
            .group_by(executions.c.schedule, executions.c.status)
        )
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}

    def oldest_pending(self) -> datetime | None:
        """The oldest due time that waits to be begun; None where none does."""
        query = select(func.min(executions.c.scheduled_at)).where(executions.c.status == "pending")
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def last_made(self) -> Execution | None:
        """The execution of any schedule that was completed, or failed, last; None where none was."""
        made = select(executions).where(executions.c.status.in_(("completed", "failed")))
        with self._database.read() as connection:
            row = connection.execute(made.order_by(executions.c.ended_at.desc()).limit(1)).mappings().first()
        return None if row is None else record_of(Execution, row)

    def forget(self, before: datetime) -> int:
        """Delete executions that ended before a time; returns how many are gone, some hundred of a schedule at once.

        Of a schedule that is there, what is looked back on stays: the verdicts that its alert weighs, and of what is
        old the last due time and the last that was completed.
        """
        with self._database.read() as connection:
            names = connection.execute(select(executions.c.schedule).where(_is_old(before)).distinct()).scalars().all()
        return sum(self._forget(name, before) for name in names)

    def _forget(self, name: str, before: datetime) -> int:
        with self._database.write() as connection:
            stays = _looked_back_on(connection, name, before)
            own = and_(executions.c.schedule == name, _is_old(before), executions.c.scheduled_at.not_in(stays))
            some = connection.execute(select(executions.c.scheduled_at).where(own).limit(_AT_ONCE)).scalars().all()
            gone = and_(executions.c.schedule == name, executions.c.scheduled_at.in_(some))
            return connection.execute(delete(executions).where(gone)).rowcount

    def _waits(self, now: datetime, ready: datetime) -> bool:
        """Whether there is one to begin, or to give up."""
        queries = (_free(now, ready), select(executions).where(_hopeless(now)))
        with self._database.read() as connection:
            return any(connection.execute(query.limit(1)).first() is not None for query in queries)

    def _has(self, condition: Any) -> bool:
        with self._database.read() as connection:
            return connection.execute(select(executions.c.schedule).where(condition).limit(1)).first() is not None


def _is(execution: Execution) -> Any:
    return and_(executions.c.schedule == execution.schedule, executions.c.scheduled_at == execution.scheduled_at)


def _is_old(before: datetime) -> Any:
    """Nothing ends before it is due, so both are asked: by due times there is an index."""
    return and_(executions.c.scheduled_at < before, executions.c.ended_at < before)


def _looked_back_on(connection: Connection, name: str, before: datetime) -> set[datetime]:
    """Due times whose rows decide what comes next: without the last one, all since the schedule was made would be due
    again (`planned_until`), and without the last completed one a window would begin elsewhere (`last_end`)."""
    row = connection.execute(select(schedules).where(schedules.c.name == name)).mappings().first()
    if row is None:
        return set()
    due = select(func.max(executions.c.scheduled_at)).where(
        executions.c.schedule == name,
        executions.c.asked.is_(False),
        executions.c.removed.is_(False),
        executions.c.scheduled_at < before,
    )
    last = [connection.execute(query).scalar() for query in (due, due.where(executions.c.status == "completed"))]
    weighed = [at for at, _ in verdicts(connection, record_of(Schedule, row))]
    return {at for at in (*last, *weighed) if at is not None}


def _free(now: datetime, ready: datetime) -> Any:
    """Executions that may begin: of schedules that are there and are not at work."""
    waits = and_(executions.c.status == "pending", executions.c.scheduled_at <= ready)
    left = and_(executions.c.status == "running", executions.c.lease_until <= now)
    other = executions.alias()
    at_work = select(other.c.schedule).where(other.c.status == "running", other.c.lease_until > now)
    return (
        select(executions)
        .join(schedules, schedules.c.name == executions.c.schedule)
        .where(or_(waits, left), executions.c.removed.is_(False), executions.c.schedule.not_in(at_work))
        .where(or_(schedules.c.paused.is_(False), executions.c.asked, executions.c.status == "running"))
    )


def _last_begun() -> Any:
    """When the newest execution of a row's schedule that ever began did so; null where none has."""
    other = executions.alias()
    begun = select(other.c.started_at).where(other.c.schedule == executions.c.schedule, other.c.attempts > 0)
    return begun.order_by(other.c.scheduled_at.desc()).limit(1).correlate(executions).scalar_subquery()


def _hopeless(now: datetime) -> Any:
    """Executions that nobody works on any more, and nobody is to begin again."""
    left = and_(executions.c.status == "running", executions.c.lease_until <= now)
    return and_(left, or_(executions.c.attempts >= MOST_ATTEMPTS, executions.c.removed))


def _give_up(connection: Connection, now: datetime) -> None:
    """Fail executions whose processes die again and again, or died after their schedule was removed."""
    for row in connection.execute(select(executions).where(_hopeless(now))).mappings().all():
        left = record_of(Execution, row)
        reason = _REMOVED if left.removed else _DIED
        failed = replace(left, status="failed", ended_at=now, lease_until=None, reason=reason)
        connection.execute(update(executions).where(_is(failed)).values(values_of(failed)))
        _judge(connection, failed)


def _is_at_work(connection: Connection, name: str, now: datetime) -> bool:
    """Whether somebody works on a check of a schedule, and has said so lately."""
    works = and_(executions.c.status == "running", executions.c.lease_until > now, executions.c.removed.is_(False))
    return (
        connection.execute(select(executions).where(executions.c.schedule == name, works).limit(1)).first() is not None
    )


def _judge(connection: Connection, execution: Execution, finding: Finding = NO_FINDING) -> None:
    """Bring the alert of an execution's schedule up to date, if that is still there."""
    schedule = _locked(connection, execution.schedule)
    if schedule is not None:
        judge(connection, schedule, execution, finding)


def _locked(connection: Connection, name: str) -> Schedule | None:
    """A schedule, which others cannot lock until the transaction ends; SQLite has one writer at a time anyway."""
    query = select(schedules).where(schedules.c.name == name).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else record_of(Schedule, row)


def _known(connection: Connection, name: str) -> Schedule:
    row = connection.execute(select(schedules).where(schedules.c.name == name)).mappings().first()
    if row is None:
        raise UnknownNameError(
            f"The store has no schedule {name[:80]!r}. Make one: autopilot monitor schedule ENDPOINT --cron CRON."
        )
    return record_of(Schedule, row)


def check_schedule(schedule: Schedule) -> None:
    """Raises SettingError for what no schedule can have, whatever the store holds."""
    check_name(schedule.name, "a schedule")
    parse_timing(schedule.cron, schedule.zone)
    if schedule.budget is not None:
        parse_budget(schedule.budget)
    if not 0 < schedule.level < 1:
        raise SettingError(f"level is {schedule.level:g}, the chance of any alarm. Use more than 0 and less than 1.")
    if schedule.check not in CHECKS:
        raise SettingError(
            f"check is {schedule.check!r}, which this version cannot make. Those that it can: {', '.join(CHECKS)}."
        )
    if schedule.facets and schedule.check != "bias":
        raise SettingError(
            f"A schedule for {schedule.check} has {len(schedule.facets)} facets. Only one for bias has any: leave them "
            "out (--no-facet), or have it check bias."
        )
    offsets = [duration_of(text or "PT0M") for text in (schedule.start_offset, schedule.end_offset)]
    if offsets[1] > timedelta(0) or (schedule.start_offset is not None and offsets[0] >= offsets[1]):
        raise SettingError(
            f"The window begins {schedule.start_offset or 'at the due time before'} and ends "
            f"{schedule.end_offset or 'at the due time'}, and holds nothing that is there by then. Give offsets before "
            "the due time, the earlier one first, such as -P8D and -P1D."
        )
    alert = schedule.alert
    if not 1 <= alert.datapoints <= alert.of <= MOST_DATAPOINTS:
        raise SettingError(
            f"The alert takes {alert.datapoints} of {alert.of} verdicts. Use at least 1 of at most {MOST_DATAPOINTS}."
        )


def check_variant(endpoint: Endpoint, variant: str | None) -> None:
    """Raises UnknownNameError for a variant that an endpoint does not have."""
    names = [one.name for one in endpoint.variants]
    if variant is not None and variant not in names:
        raise UnknownNameError(
            f"Endpoint {endpoint.name!r} has no variant {variant[:80]!r}. It has: {', '.join(names)}."
        )


def _check_names(connection: Connection, schedule: Schedule, endpoint: Endpoint) -> None:
    """Raises UnknownNameError for what a schedule names and there is not, SettingError for a facet of no column, and
    for none where the model knows of none."""
    check_variant(endpoint, schedule.variant)
    if schedule.check == "bias":
        variants = {variant.name: variant for variant in endpoint.variants}
        watched = endpoint.main if schedule.variant is None else variants[schedule.variant]
        version = find_version(connection, watched.spec)
        for text in schedule.facets or fairness_columns(version):
            parse_facet(text, version.signature)
    known: Iterable[str] = connection.execute(select(channels.c.name)).scalars().all()
    for name in schedule.alert.channels:
        if name not in known:
            raise UnknownNameError(
                f"The store has no channel {name[:80]!r}. Make one: autopilot monitor channel NAME --webhook URL."
            )
