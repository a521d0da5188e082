"""Reports on endpoints."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, exists, func, or_, select

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.errors import UnknownNameError
from storage.records import Report
from storage.tables import alert_changes, executions, reports

#: A blob that was put so lately may be of a report that is just being added.
_FRESH = timedelta(hours=1)
_BLOBS = ("json_digest", "html_digest", "markdown_digest")
_AT_ONCE = 200  # of what one transaction forgets, so that others may write in between


class Reports:
    """Reports on endpoints: a record, and the report itself as JSON, as one HTML page and as Markdown."""

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

    def read_markdown(self, report: Report) -> bytes:
        """The report as Markdown. Raises UnknownNameError for one of before reports were written so."""
        if report.markdown_digest is None:
            raise UnknownNameError(
                f"Report {report.id} is older than reports in Markdown. Read /reports/{report.id}, its page."
            )
        return self._blobs.get(report.markdown_digest)

    def forget(self, before: datetime, now: datetime) -> int:
        """Delete reports that were made before a time, and their blobs where no other report has the same.

        The newest of each endpoint stays, and so do those that an execution or a change of an alert names. Returns how
        many are gone; some hundred at once.
        """
        other = reports.alias()
        newest = select(func.max(other.c.created_at)).where(other.c.endpoint == reports.c.endpoint).scalar_subquery()
        old = and_(reports.c.created_at < before, reports.c.created_at < newest)
        for table in (executions, alert_changes):  # one look into an index for each report that is old
            old = and_(old, ~exists().where(table.c.report_id == reports.c.id))
        with self._database.write() as connection:
            rows = connection.execute(select(reports).where(old).limit(_AT_ONCE)).mappings().all()
            connection.execute(delete(reports).where(reports.c.id.in_([row["id"] for row in rows])))
            for digest in {row[name] for row in rows for name in _BLOBS if row[name]}:
                same = or_(*(reports.c[name] == digest for name in _BLOBS))
                is_used = connection.execute(select(reports.c.id).where(same).limit(1)).first() is not None
                if not is_used and self._blobs.is_older(digest, now - _FRESH):
                    self._blobs.delete(digest)
        return len(rows)


def _known(connection: Connection, report_id: str) -> Report:
    row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no report {report_id[:80]!r}. GET /api/reports lists those it has.")
    return record_of(Report, row)
