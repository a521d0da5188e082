"""Reports on endpoints."""

from sqlalchemy import Connection, and_, or_, select

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.errors import UnknownNameError
from storage.records import Report
from storage.tables import reports


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


def _known(connection: Connection, report_id: str) -> Report:
    row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no report {report_id[:80]!r}. GET /api/reports lists those it has.")
    return record_of(Report, row)
