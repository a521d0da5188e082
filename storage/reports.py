"""Drift reports, schedules, and what became of each due time."""

from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of, values_of
from storage.endpoints import endpoint_within
from storage.errors import UnknownNameError
from storage.records import Execution, Report, Schedule
from storage.tables import executions, reports, schedules


class Reports:
    """Drift reports: a record, and the report itself as JSON and as one HTML page."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def add(self, report: Report) -> None:
        """Record a report whose blobs are in the store."""
        with self._database.write() as connection:
            insert_record(connection, reports, report)

    def get(self, report_id: str) -> Report:
        """A report by its id. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, report_id)

    def list(self, endpoint: str | None = None, limit: int = 100, *, before: str | None = None) -> list[Report]:
        """The latest reports, newest first; of one endpoint or of all. before: id of the last one that was seen."""
        query = select(reports).order_by(reports.c.created_at.desc(), reports.c.id.desc()).limit(limit)
        if endpoint is not None:
            query = query.where(reports.c.endpoint == endpoint)
        with self._database.read() as connection:
            if before is not None:
                last = _known(connection, before)
                earlier = and_(reports.c.created_at == last.created_at, reports.c.id < last.id)
                query = query.where(or_(reports.c.created_at < last.created_at, earlier))
            return [record_of(Report, row) for row in connection.execute(query).mappings().all()]

    def read_json(self, report: Report) -> bytes:
        """The report as JSON."""
        return self._blobs.get(report.json_digest)

    def read_html(self, report: Report) -> bytes:
        """The report as a self-contained HTML page."""
        return self._blobs.get(report.html_digest)


def _known(connection: Connection, report_id: str) -> Report:
    row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no report {report_id[:80]!r}. GET /api/reports lists those it has.")
    return record_of(Report, row)


class Schedules:
    """Schedules and their executions. `claim` gives each due time to one process, whichever asks first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, schedule: Schedule) -> None:
        """Make or replace an endpoint's schedule. Raises UnknownNameError if there is no such endpoint."""
        with self._database.write() as connection:
            endpoint_within(connection, schedule.endpoint)
            connection.execute(delete(schedules).where(schedules.c.endpoint == schedule.endpoint))
            insert_record(connection, schedules, schedule)

    def remove(self, endpoint: str) -> bool:
        """Remove an endpoint's schedule; False if there is none."""
        with self._database.write() as connection:
            return connection.execute(delete(schedules).where(schedules.c.endpoint == endpoint)).rowcount > 0

    def get(self, endpoint: str) -> Schedule:
        """An endpoint's schedule. Raises UnknownNameError."""
        with self._database.read() as connection:
            query = select(schedules).where(schedules.c.endpoint == endpoint)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise UnknownNameError(
                f"Endpoint {endpoint[:80]!r} has no schedule. Make one: autopilot monitor schedule NAME --cron CRON."
            )
        return record_of(Schedule, row)

    def list(self) -> list[Schedule]:
        """All schedules by endpoint."""
        with self._database.read() as connection:
            rows = connection.execute(select(schedules).order_by(schedules.c.endpoint)).mappings().all()
        return [record_of(Schedule, row) for row in rows]

    def claim(self, execution: Execution) -> bool:
        """Record a due time as running; False if another process has it already."""
        try:
            with self._database.write() as connection:
                insert_record(connection, executions, execution)
        except IntegrityError:
            return False
        return True

    def end(self, execution: Execution) -> None:
        """Record what became of a claimed due time."""
        with self._database.write() as connection:
            connection.execute(
                update(executions)
                .where(executions.c.endpoint == execution.endpoint)
                .where(executions.c.scheduled_at == execution.scheduled_at)
                .values(values_of(execution))
            )

    def executions(self, endpoint: str, limit: int = 100, *, before: datetime | None = None) -> "list[Execution]":
        """The latest executions of an endpoint's schedule, newest first; of due times before that."""
        query = select(executions).where(executions.c.endpoint == endpoint)
        if before is not None:
            query = query.where(executions.c.scheduled_at < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(executions.c.scheduled_at.desc()).limit(limit)).mappings().all()
        return [record_of(Execution, row) for row in rows]

    def last_end(self, endpoint: str) -> datetime | None:
        """The due time of the latest completed execution: where the next one's window begins."""
        query = select(executions.c.scheduled_at).where(
            executions.c.endpoint == endpoint, executions.c.status == "completed"
        )
        with self._database.read() as connection:
            return connection.execute(query.order_by(executions.c.scheduled_at.desc()).limit(1)).scalar()
