"""What becomes of a schedule's executions when it changes or goes, in the transaction that changes or removes it."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from storage.database import record_of
from storage.records import Execution
from storage.tables import executions, schedules


def miss_pending(
    connection: Connection, name: str, now: datetime, reason: str, *, beyond: int = 0, asked_too: bool = False
) -> Execution | None:
    """Have those that wait be missed, but for the newest so many; returns the newest of them."""
    waits = and_(executions.c.schedule == name, executions.c.status == "pending")
    if not asked_too:
        waits = and_(waits, executions.c.asked.is_(False))
    query = select(executions.c.scheduled_at).where(waits).order_by(executions.c.scheduled_at.desc())
    late = connection.execute(query).scalars().all()[beyond:]
    if not late:
        return None
    missed = and_(waits, executions.c.scheduled_at <= late[0])
    connection.execute(update(executions).where(missed).values(status="missed", ended_at=now, reason=reason))
    newest = select(executions).where(executions.c.schedule == name, executions.c.scheduled_at == late[0])
    return record_of(Execution, connection.execute(newest).mappings().one())


def remove_schedules(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Remove schedules; returns how many there were.

    What waits is missed, and what runs ends as it does. All of them are marked, so that a schedule that is made by the
    name later has nothing to do with them.
    """
    for name in connection.execute(select(schedules.c.name).where(which)).scalars().all():
        miss_pending(connection, name, now, "the schedule was removed", asked_too=True)
        connection.execute(update(executions).where(executions.c.schedule == name).values(removed=True))
    return connection.execute(delete(schedules).where(which)).rowcount
