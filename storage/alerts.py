"""Alerts: whether what schedules find is bad often enough, or they find nothing, and who is told when that changes.

A verdict, the change that it makes and what has to be told of it are written in one transaction: there is no moment at
which a kill leaves one without the others. What is to be told waits in the store (`deliveries`), is claimed with a
lease, and is told again until a channel has taken it: at least once, each time with the same id.
"""

import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, and_, delete, func, or_, select, update

from storage.database import Database, insert_record, record_of
from storage.errors import SettingError, UnknownNameError, UsedError
from storage.leases import take_first
from storage.models import check_name
from storage.records import (
    NO_FINDING,
    AlertChange,
    AlertRule,
    AlertState,
    Channel,
    Delivery,
    DeliveryStatus,
    Execution,
    Finding,
    Schedule,
)
from storage.settings import Settings
from storage.signing import check_secret
from storage.tables import alert_changes, channels, deliveries, executions, schedules

#: How long one attempt may take, in seconds: a command at most as long as a job of SageMaker.
LONGEST_S = 86_400

#: The states that a schedule's alert can be in.
ALERT_STATES: tuple[AlertState, ...] = get_args(AlertState)

#: What keeps e-mail from being sent where no server is set.
NO_MAIL_SERVER = "No mail server is set. Set smtp_url and smtp_from, such as smtps://USER:PASSWORD@HOST."

_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")


class Alerts:
    """Changes of alerts, the channels that are told, and what they are told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ----------------------------------------------------------------------------------------------------- looking

    def state(self, schedule: str) -> AlertState:
        """The state of a schedule's alert; OK where nothing was ever found."""
        with self._database.read() as connection:
            return _last(connection, schedule)[1]

    def changes(self, schedule: str, limit: int = 100, *, before: int | None = None) -> list[AlertChange]:
        """Changes of a schedule's alert, newest first; of numbers before that."""
        query = select(alert_changes).where(alert_changes.c.schedule == schedule)
        if before is not None:
            query = query.where(alert_changes.c.number < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(alert_changes.c.number.desc()).limit(limit)).mappings().all()
        return [record_of(AlertChange, row) for row in rows]

    def states(self) -> dict[str, AlertState]:
        """The state of each schedule's alert, by name."""
        newest = select(func.max(alert_changes.c.number)).where(alert_changes.c.schedule == schedules.c.name)
        query = (
            select(schedules.c.name, alert_changes.c.state)
            .outerjoin(
                alert_changes,
                and_(
                    alert_changes.c.schedule == schedules.c.name,
                    alert_changes.c.number == newest.correlate(schedules).scalar_subquery(),
                ),
            )
            .order_by(schedules.c.name)
        )
        with self._database.read() as connection:
            return {row[0]: row[1] or "OK" for row in connection.execute(query)}

    # ---------------------------------------------------------------------------------------------------- channels

    def put_channel(self, channel: Channel) -> None:
        """Make or replace a channel. Raises SettingError for a target that it cannot have."""
        _check(channel)
        with self._database.write() as connection:
            connection.execute(delete(channels).where(channels.c.name == channel.name))
            insert_record(connection, channels, channel)

    def remove_channel(self, name: str) -> None:
        """Remove a channel. Raises UnknownNameError, and UsedError while a schedule names it."""
        with self._database.write() as connection:
            _known(connection, name)
            for row in connection.execute(select(schedules)).mappings():
                if name in row["alert"].channels:
                    raise UsedError(f"Channel {name!r} is told by schedule {row['name']!r}. Change that first.")
            connection.execute(delete(channels).where(channels.c.name == name))

    def channel(self, name: str) -> Channel:
        """A channel by its name. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, name)

    def list_channels(self) -> list[Channel]:
        """All channels by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(channels).order_by(channels.c.name)).mappings().all()
        return [record_of(Channel, row) for row in rows]

    # -------------------------------------------------------------------------------------------------- deliveries

    def take_delivery(self, owner: str, now: datetime, *, lease_s: float) -> Delivery | None:
        """Take the delivery that is due first, and that nobody else is telling; its attempts count one more."""
        due = and_(
            deliveries.c.status == "waiting",
            deliveries.c.due_at <= now,
            or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
        )
        with self._database.read() as connection:
            if connection.execute(select(deliveries.c.id).where(due).limit(1)).first() is None:
                return None
        with self._database.write() as connection:
            until = now + timedelta(seconds=lease_s)
            row = take_first(connection, deliveries, due, deliveries.c.due_at, owner, until)
        return None if row is None else record_of(Delivery, row)

    def renew_deliveries(self, owner: str, now: datetime, *, lease_s: float) -> None:
        """Keep what an owner is telling for so much longer."""
        own = and_(deliveries.c.owner == owner, deliveries.c.status == "waiting", deliveries.c.lease_until.is_not(None))
        with self._database.read() as connection:
            if connection.execute(select(deliveries.c.id).where(own).limit(1)).first() is None:
                return
        with self._database.write() as connection:
            until = now + timedelta(seconds=lease_s)
            connection.execute(update(deliveries).where(own).values(lease_until=until))

    def end_delivery(
        self, delivery: Delivery, now: datetime, status: DeliveryStatus, reason: str | None = None
    ) -> bool:
        """Tell that a channel has taken it, or never will; False if it is another's by now."""
        return self._change_own(delivery, {"status": status, "ended_at": now, "reason": reason})

    def retry_delivery(self, delivery: Delivery, due_at: datetime, reason: str) -> bool:
        """Have it told again later. reason: why this attempt failed."""
        return self._change_own(delivery, {"due_at": due_at, "reason": reason})

    def release_delivery(self, delivery: Delivery) -> bool:
        """Give it back, to be told by another at once; the attempt does not count."""
        return self._change_own(delivery, {"attempts": delivery.attempts - 1})

    def deliveries(
        self,
        schedule: str | None = None,
        limit: int = 100,
        *,
        status: DeliveryStatus | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> list[Delivery]:
        """Deliveries, newest first; of one schedule or of all, in one status or in any.

        after: when the last one that was seen was made, and its id.
        """
        query = select(deliveries).order_by(deliveries.c.created_at.desc(), deliveries.c.id).limit(limit)
        if schedule is not None:
            query = query.where(deliveries.c.schedule == schedule)
        if status is not None:
            query = query.where(deliveries.c.status == status)
        if after is not None:
            same = and_(deliveries.c.created_at == after[0], deliveries.c.id > after[1])
            query = query.where(or_(deliveries.c.created_at < after[0], same))
        with self._database.read() as connection:
            return [record_of(Delivery, row) for row in connection.execute(query).mappings()]

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries there are in each status that any is in."""
        query = select(deliveries.c.status, func.count()).group_by(deliveries.c.status)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    # -------------------------------------------------------------------------------------------------- forgetting

    def forget(self, before: datetime) -> int:
        """Delete what changed, and what channels were told, before a time; returns how much that was.

        The last change of each schedule stays, which has its state, with that before it began to fail; and so does what
        channels have still to be told.
        """
        other = alert_changes.alias()
        same = and_(other.c.schedule == alert_changes.c.schedule, other.c.state != "Failing")
        last = select(func.max(other.c.number)).where(same).scalar_subquery()
        changed = delete(alert_changes).where(alert_changes.c.at < before, alert_changes.c.number < last)
        told = delete(deliveries).where(deliveries.c.status != "waiting", deliveries.c.ended_at < before)
        with self._database.write() as connection:
            return sum(connection.execute(old).rowcount for old in (changed, told))

    def _change_own(self, delivery: Delivery, changes: Mapping[str, Any]) -> bool:
        own = and_(
            deliveries.c.id == delivery.id,
            deliveries.c.owner == delivery.owner,
            deliveries.c.attempts == delivery.attempts,
            deliveries.c.status == "waiting",
        )
        with self._database.write() as connection:
            values = {"owner": None, "lease_until": None, **changes}
            return connection.execute(update(deliveries).where(own).values(values)).rowcount == 1


def judge(
    connection: Connection, schedule: Schedule, execution: Execution, finding: Finding = NO_FINDING
) -> AlertChange | None:
    """Bring a schedule's alert up to date after an execution that has ended; None where its state stays.

    Verdicts count of due times since the schedule was made, changed or resumed; what a user asked for beside them does
    not, nor what failed, was missed or had too few rows. A bad verdict never ends an alert. If as many due times in a
    row as make an alert have failed or were missed, the schedule is failing, until a check is made again.
    """
    is_old = execution.scheduled_at < schedule.created_at
    if execution.ended_at is None or execution.asked or is_old:
        return None
    rule = schedule.alert
    bad = sum(is_bad for _, is_bad in verdicts(connection, schedule))
    number, before = _last(connection, schedule.name)
    _, stood = _last(connection, schedule.name, ("OK", "InAlert"))
    if execution.status == "completed":
        state = _by_verdicts(stood, execution, rule, bad)
    else:
        state = "Failing" if _is_failing(connection, schedule, execution) else before
    if state == before:
        return None
    change = AlertChange(
        schedule=schedule.name,
        number=number + 1,
        endpoint=schedule.endpoint,
        check=schedule.check,
        at=execution.ended_at,
        state=state,
        scheduled_at=execution.scheduled_at,
        bad=bad,
        datapoints=rule.datapoints,
        of=rule.of,
        report_id=execution.report_id,
        window_start=execution.window_start,
        window_end=execution.window_end,
        sentence=_sentence(schedule, execution, finding, before),
        columns=finding.columns,
    )
    insert_record(connection, alert_changes, change)
    _tell(connection, change, rule.channels, goes_on=state == stood)
    return change


def _by_verdicts(stood: AlertState, execution: Execution, rule: AlertRule, bad: int) -> AlertState:
    """The state after a check that was made. stood: before it, whatever failed since. bad: of the last verdicts."""
    if execution.breached is None:
        return stood
    stays = stood == "InAlert" and execution.breached  # after a pause or a change there may be too few verdicts
    return "InAlert" if stays or bad >= rule.datapoints else "OK"


def _is_failing(connection: Connection, schedule: Schedule, execution: Execution) -> bool:
    """Whether as many due times in a row as make an alert brought nothing, up to that of an execution."""
    query = (
        select(executions.c.status)
        .where(executions.c.schedule == schedule.name, executions.c.status != "pending")
        .where(executions.c.asked.is_(False), executions.c.scheduled_at >= schedule.created_at)
        .where(executions.c.scheduled_at <= execution.scheduled_at)
        .order_by(executions.c.scheduled_at.desc())
        .limit(schedule.alert.datapoints)
    )
    latest = connection.execute(query).scalars().all()
    return len(latest) == schedule.alert.datapoints and set(latest) <= {"failed", "missed"}


def _sentence(schedule: Schedule, execution: Execution, finding: Finding, before: AlertState) -> str:
    """What people are told first of a change."""
    if execution.status == "completed":
        return f"Checks are made again. {finding.sentence}".strip() if before == "Failing" else finding.sentence
    count = schedule.alert.datapoints
    checks = "check" if count == 1 else f"{count} checks"
    reason = (execution.reason or "nobody knows why").rstrip(".")
    return f"The last {checks} could not be made, so that nobody watches endpoint {schedule.endpoint!r}: {reason}."


def weighed(change: AlertChange) -> str:
    """How many of the verdicts that decided were bad, in words."""
    if change.of == 1:
        return f"the last verdict was {'' if change.bad else 'not '}bad"
    of = f"of the last {change.of} verdicts"
    return f"{change.bad} {of} {'was' if change.bad == 1 else 'were'} bad" if change.bad else f"none {of} was bad"


def verdicts(connection: Connection, schedule: Schedule) -> list[tuple[datetime, bool]]:
    """The last verdicts of a schedule that its alert weighs, newest first: when they were due, and whether bad."""
    query = (
        select(executions.c.scheduled_at, executions.c.breached)
        .where(executions.c.schedule == schedule.name, executions.c.breached.is_not(None))
        .where(executions.c.asked.is_(False), executions.c.scheduled_at >= schedule.created_at)
        .order_by(executions.c.scheduled_at.desc())
        .limit(schedule.alert.of)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def obstacle(channel: Channel, settings: Settings) -> str | None:
    """Why a monitor on this machine, with these settings, could not tell a channel; None where nothing is known.

    A monitor elsewhere may have other settings and programs.
    """
    match channel.kind:
        case "webhook":
            try:
                check_secret(settings.webhook_secret.encode())
            except SettingError as error:
                return str(error)
        case "email" if not settings.smtp_url:
            return NO_MAIL_SERVER
        case "command" if shutil.which(channel.target[0]) is None:
            return f"{channel.target[0]!r} is no program that can be run. Name one that is there, or its whole path."
        case _:
            pass
    return None


def page_of(change: AlertChange) -> str | None:
    """Where a server has the page of the report that decided; nobody knows by which address people reach it."""
    return None if change.report_id is None else f"/reports/{change.report_id}"


def forget_state(connection: Connection, schedule: Schedule) -> None:
    """Have a schedule that is new begin with OK, also if one of its name was in alert when it was removed."""
    number, state = _last(connection, schedule.name)
    if state == "OK":
        return
    rule = schedule.alert
    change = AlertChange(
        schedule=schedule.name,
        number=number + 1,
        endpoint=schedule.endpoint,
        check=schedule.check,
        at=schedule.created_at,
        state="OK",
        scheduled_at=schedule.created_at,
        bad=0,
        datapoints=rule.datapoints,
        of=rule.of,
        sentence="The schedule was made anew.",
    )
    insert_record(connection, alert_changes, change)


def _tell(connection: Connection, change: AlertChange, names: Iterable[str], *, goes_on: bool) -> None:
    """Have channels told of a change. goes_on: its state is that which failures interrupted, so that it is news only to
    those that were told of them."""
    states = {change.state, "Failing"} if goes_on else {change.state}
    for name in names:
        row = connection.execute(select(channels).where(channels.c.name == name)).mappings().first()
        if row is not None and states.issubset(row["states"]):
            delivery = secrets.token_hex(16)
            told = {"delivery": delivery, **msgspec.to_builtins(change), "html_path": page_of(change)}
            body = msgspec.json.encode(told).decode()
            waiting = Delivery(delivery, change.schedule, change.number, name, body, "waiting", change.at, change.at)
            insert_record(connection, deliveries, waiting)


def _last(connection: Connection, schedule: str, states: Sequence[AlertState] = ALERT_STATES) -> tuple[int, AlertState]:
    """Number and state of the last change to one of some states; 0 and OK where there was none."""
    query = select(alert_changes.c.number, alert_changes.c.state).where(
        alert_changes.c.schedule == schedule, alert_changes.c.state.in_(states)
    )
    row = connection.execute(query.order_by(alert_changes.c.number.desc()).limit(1)).first()
    return (0, "OK") if row is None else (row[0], row[1])


def _known(connection: Connection, name: str) -> Channel:
    row = connection.execute(select(channels).where(channels.c.name == name)).mappings().first()
    if row is None:
        raise UnknownNameError(
            f"The store has no channel {name[:80]!r}. Make one: autopilot monitor channel NAME --webhook URL."
        )
    return record_of(Channel, row)


def _check(channel: Channel) -> None:
    """Raises SettingError for what no channel can have."""
    check_name(channel.name, "a channel")
    if not 0 < channel.timeout_s <= LONGEST_S:
        raise SettingError(f"timeout is {channel.timeout_s:g} s. Use more than 0 and at most {LONGEST_S} s.")
    if not channel.states:
        raise SettingError(f"Channel {channel.name!r} is told of no state. Name some of: {', '.join(ALERT_STATES)}.")
    if channel.kind == "webhook":
        _check_url(channel.target)
    elif channel.kind == "email":
        for address in channel.target:
            if _ADDRESS.fullmatch(address) is None:
                raise SettingError(f"{address[:80]!r} is no e-mail address. Write it as ops@example.com.")
    if not channel.target or not all(channel.target):
        raise SettingError(f"Channel {channel.name!r} has nobody to tell. Name a URL, a command or an address.")


def _check_url(target: tuple[str, ...]) -> None:
    url = target[0] if len(target) == 1 else ""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # of a port or an address of IPv6
        parts, sound = urlsplit(""), False
    if not sound or parts.username is not None or not re.fullmatch(r"[!-~]{1,1024}", url):
        raise SettingError(f"{url[:200]!r} is no address of a webhook. Write https://HOST/PATH, without a password.")
