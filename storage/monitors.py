"""Monitors: which processes follow the schedules of a store.

A monitor says each ten seconds that it is there. One that has not for thirty has ended without a word: it stays until
another one is there, so that people can be told when it was last heard of.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select

from storage.database import Database, insert_record, record_of
from storage.records import Monitor
from storage.tables import monitors

#: How often a monitor says that it is there.
BEAT_S = 10.0
_GONE = timedelta(seconds=30)


class Monitors:
    """Records of the processes that monitor."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, monitor: Monitor) -> None:
        """Say that a monitor is there; forget those that have not said so for thirty seconds."""
        replaced = or_(monitors.c.id == monitor.id, monitors.c.seen_at < monitor.seen_at - _GONE)
        with self._database.write() as connection:
            connection.execute(delete(monitors).where(replaced))
            insert_record(connection, monitors, monitor)

    def remove(self, id: str) -> None:
        """Forget a monitor that ends."""
        with self._database.write() as connection:
            connection.execute(delete(monitors).where(monitors.c.id == id))

    def list(self) -> list[Monitor]:
        """Those that are there, and those that ended without a word; who was heard of last comes first."""
        query = select(monitors).order_by(monitors.c.seen_at.desc(), monitors.c.id)
        with self._database.read() as connection:
            return [record_of(Monitor, row) for row in connection.execute(query).mappings().all()]


def is_there(monitor: Monitor, now: datetime) -> bool:
    """Whether it has said so in the last thirty seconds."""
    return monitor.seen_at >= now - _GONE
