"""Drift reports. Their pages for people are at `/reports/ID`."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.documented import LIST, ONE
from serving.control.etags import told_bytes
from serving.control.pages import Cursor, Limit, after, page
from serving.documentation import REPORT
from serving.parts import AnyRequest, Parts
from storage.api import Page, ReportSummary
from storage.records import Report

_STORED: dict[str, Any] = {**ONE, "responses": {**ONE["responses"], **REPORT}}


@get("/api/reports", summary="List drift reports", **LIST)
def list_reports(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    endpoint: Annotated[str | None, QueryParameter(description="Only reports on this endpoint.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[ReportSummary]]:
    """Drift reports, newest first."""
    found = parts.store.reports.list(endpoint, limit + 1, before=after(request, cursor, str))
    return page(request, found, limit, lambda report: report.id, _summary)


@get(
    "/api/reports/{report_id:str}",
    summary="Get a drift report",
    **_STORED,
)
def get_report(request: AnyRequest, report_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """A drift report as JSON."""
    reports = parts.store.reports
    report = reports.get(report_id)
    return told_bytes(request, reports.read_json(report), f'"{report.json_digest}"')


ROUTES: tuple[Any, ...] = (list_reports, get_report)


def _summary(report: Report) -> ReportSummary:
    return ReportSummary(
        id=report.id,
        endpoint=report.endpoint,
        model=report.model,
        version=report.version,
        window_start=report.window_start,
        window_end=report.window_end,
        verdict=report.verdict,
        drifted=report.drifted,
        rows=report.rows,
        json_path=f"/api/reports/{report.id}",
        html_path=f"/reports/{report.id}",
        created_at=report.created_at,
        check=report.check,
        breached=report.breached,
        markdown_path=None if report.markdown_digest is None else f"/reports/{report.id}/markdown",
    )
