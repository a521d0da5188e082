"""The Litestar application: lists, reports, the page at `/`, and the OpenAPI document of all routes.

The routes that `hot.py` answers first are registered here too, so that they are documented; what reaches them by
another spelling (`/ping/`) is answered by the same functions.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from serving.documentation import INVOCATION, REPORT, SCHEMA, Document, problems
from serving.endpoints import LiveEndpoints, LiveVariant
from serving.errors import RequestError
from serving.exchange import note_protocol
from serving.exposition import Exposition
from serving.hot import DisconnectedError, request_of
from serving.invocations import Invocations
from serving.page import index_page
from serving.problems import PROBLEM_TYPE, Problem, reply_of
from serving.replies import Reply
from serving.schemas import DIALECT, row_schema
from storage import Store
from storage.records import Endpoint, ModelVersion, Report
from storage.signature import Column, Task

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True)
class Parts:
    """What the routes work with."""

    store: Store
    live: LiveEndpoints
    invocations: Invocations
    max_body_bytes: int
    exposition: Exposition


class EndpointSummary(Struct, frozen=True):
    """An endpoint. live: whether this server serves this very revision by now."""

    name: str
    model: str
    version: int
    revision: int
    capture: bool
    live: bool
    path: str
    created_at: datetime
    updated_at: datetime


class EndpointDetails(Struct, frozen=True):
    """What an endpoint serves now. classes: what it predicts; empty for a regression."""

    name: str
    model: str
    version: int
    revision: int
    capture: bool
    task: Task
    target: str
    classes: tuple[str | int, ...]
    columns: tuple[Column, ...]
    path: str
    schema_path: str


class ModelSummary(Struct, frozen=True):
    """A model version. The scores are by `metric`, in its own direction."""

    name: str
    version: int
    task: Task
    target: str
    columns: int
    metric: str
    validation_score: float
    test_score: float
    baseline_score: float
    size_bytes: int
    created_at: datetime


class ReportSummary(Struct, frozen=True):
    """A drift report on an endpoint's traffic in `window_start <= time < window_end`."""

    id: str
    endpoint: str
    model: str
    version: int
    window_start: datetime
    window_end: datetime
    verdict: str
    drifted: bool
    rows: int
    json_path: str
    html_path: str
    created_at: datetime


@post("/endpoints/{name:str}/invocations", summary="Predict rows", **INVOCATION)
async def invoke_endpoint(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """Predict rows with the model that the endpoint serves."""
    return await _invoke(request, name, parts)


@post("/invocations", summary="Predict rows with the only endpoint", **INVOCATION)
async def invoke(request: AnyRequest, parts: NamedDependency[Parts]) -> Response[bytes]:
    """Predict rows; the store has one endpoint."""
    return await _invoke(request, None, parts)


@get(
    "/ping",
    summary="Tell whether the server is ready",
    media_type="text/plain",
    responses=problems(503),
    sync_to_thread=False,
)
def ping(parts: NamedDependency[Parts]) -> Response[bytes]:
    """200 while the store answers, with or without endpoints."""
    parts.live.check()
    return Response(b"", media_type="text/plain")


@get("/metrics", summary="Tell what was counted", media_type="text/plain", sync_to_thread=True)
def metrics(request: AnyRequest, parts: NamedDependency[Parts]) -> Response[bytes]:
    """Metrics for Prometheus; OpenMetrics where `Accept` asks for it."""
    text, media_type = parts.exposition.text(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type})


@get("/api/endpoints", summary="List endpoints", sync_to_thread=True)
def list_endpoints(parts: NamedDependency[Parts]) -> list[EndpointSummary]:
    """All endpoints by name."""
    return [_endpoint_summary(endpoint, parts.live) for endpoint in parts.store.endpoints.list()]


@get("/api/endpoints/{name:str}", summary="Describe an endpoint", responses=problems(404), sync_to_thread=False)
def get_endpoint(name: FromPath[str], parts: NamedDependency[Parts]) -> EndpointDetails:
    """What the endpoint serves now, with the columns that its model takes."""
    return _endpoint_details(parts.live.find(name))


@get(
    "/endpoints/{name:str}/schema",
    summary="Get the JSON Schema of a row",
    responses=SCHEMA,
    sync_to_thread=False,
)
def get_row_schema(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """What a row of the endpoint's model looks like, in JSON Schema 2020-12."""
    endpoint = parts.live.find(name)
    about = {
        "$schema": DIALECT,
        "$id": f"{str(request.base_url).rstrip('/')}/endpoints/{name}/schema",
        "title": f"A row of {endpoint.record.model}:{endpoint.record.version}",
    }
    body = msgspec.json.encode({**about, **row_schema(endpoint.signature)})
    return Response(body, media_type="application/schema+json")


@get("/api/models", summary="List model versions", sync_to_thread=True)
def list_models(parts: NamedDependency[Parts]) -> list[ModelSummary]:
    """All model versions, by name, newest first."""
    return [_model_summary(version) for version in parts.store.models.list()]


@get("/api/reports", summary="List drift reports", responses=problems(400), sync_to_thread=True)
def list_reports(
    parts: NamedDependency[Parts],
    endpoint: Annotated[str | None, QueryParameter(description="Only reports on this endpoint.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> list[ReportSummary]:
    """The latest drift reports, newest first."""
    return [_report_summary(report) for report in parts.store.reports.list(endpoint, limit)]


@get("/api/reports/{report_id:str}", summary="Get a drift report", responses=REPORT, sync_to_thread=True)
def get_report(report_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """A drift report as JSON."""
    reports = parts.store.reports
    return Response(reports.read_json(reports.get(report_id)), media_type="application/json")


@get(
    "/reports/{report_id:str}",
    summary="Show a drift report",
    media_type="text/html",
    responses=problems(400, 404),
    sync_to_thread=True,
)
def show_report(report_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """A drift report as a page for people."""
    reports = parts.store.reports
    return Response(reports.read_html(reports.get(report_id)), media_type="text/html")


@get("/", include_in_schema=False, sync_to_thread=True)
def index(request: AnyRequest, parts: NamedDependency[Parts]) -> Response[str]:
    """Where to go from here, for people."""
    page = index_page(str(request.base_url).rstrip("/"), parts.live.live, parts.store.reports.list(limit=10))
    return Response(page, media_type="text/html")


_ROUTES = (
    invoke_endpoint,
    invoke,
    ping,
    metrics,
    list_endpoints,
    get_endpoint,
    get_row_schema,
    list_models,
    list_reports,
    get_report,
    show_report,
    index,
)


def create_app(parts: Parts) -> Litestar:
    """The application."""
    return Litestar(
        _ROUTES,
        dependencies={"parts": Provide(lambda: parts, sync_to_thread=False)},
        exception_handlers={Exception: _problem, HTTPException: _http_problem},
        openapi_config=OpenAPIConfig(
            title="Autopilot",
            version="1",
            path="/schema",
            render_plugins=[Document(parts.live)],  # the others load their pages from the internet
            use_handler_docstrings=True,
        ),
        request_max_body_size=parts.max_body_bytes,
        logging_config=None,
    )


async def _invoke(request: AnyRequest, name: str | None, parts: Parts) -> Response[bytes]:
    note_protocol("invocations")
    try:
        asked = await request_of(request.scope, request.receive, parts.max_body_bytes)
    except DisconnectedError:
        return Response(b"", status_code=400)  # Litestar wants an answer, which the server throws away
    except RequestError as error:
        return _response(parts.invocations.refuse(error))
    return _response(await parts.invocations.answer(name, asked))


def _response(reply: Reply) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(reply.body, status_code=reply.status, headers=headers)


def _problem(_: AnyRequest, error: Exception) -> Response[bytes]:
    return _response(reply_of(error))


def _http_problem(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: unknown paths, methods and parameters."""
    problem = Problem("about:blank", HTTPStatus(error.status_code).phrase, error.status_code, _detail(request, error))
    return Response(
        msgspec.json.encode(problem), status_code=error.status_code, headers=error.headers, media_type=PROBLEM_TYPE
    )


def _detail(request: AnyRequest, error: HTTPException) -> str:
    path = request.scope["path"]
    if isinstance(error, NotFoundException):
        return f"There is nothing at {path!r}. GET /schema lists the paths."
    if isinstance(error, MethodNotAllowedException):
        return f"{path} was asked by {request.method}. Use {(error.headers or {}).get('allow', 'another method')}."
    if isinstance(error.extra, list):
        return ". ".join(f"Parameter {entry['key']!r}: {entry['message']}" for entry in error.extra) + "."
    return error.detail


def _endpoint_summary(endpoint: Endpoint, live: LiveEndpoints) -> EndpointSummary:
    serving = live.live.get(endpoint.name)
    return EndpointSummary(
        name=endpoint.name,
        model=endpoint.model,
        version=endpoint.version,
        revision=endpoint.revision,
        capture=endpoint.capture.share > 0,
        live=serving is not None and serving.record.revision == endpoint.revision,
        path=f"/endpoints/{endpoint.name}/invocations",
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )


def _endpoint_details(endpoint: LiveVariant) -> EndpointDetails:
    record, signature = endpoint.record, endpoint.signature
    return EndpointDetails(
        name=record.name,
        model=record.model,
        version=record.version,
        revision=record.revision,
        capture=record.capture.share > 0,
        task=signature.task,
        target=signature.target,
        classes=signature.classes,
        columns=signature.columns,
        path=f"/endpoints/{record.name}/invocations",
        schema_path=f"/endpoints/{record.name}/schema",
    )


def _model_summary(version: ModelVersion) -> ModelSummary:
    scores = version.card.scores
    return ModelSummary(
        name=version.name,
        version=version.version,
        task=version.signature.task,
        target=version.signature.target,
        columns=len(version.signature.columns),
        metric=scores.metric,
        validation_score=scores.validation_score,
        test_score=scores.test_score,
        baseline_score=scores.baseline_score,
        size_bytes=version.size_bytes,
        created_at=version.created_at,
    )


def _report_summary(report: Report) -> ReportSummary:
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
    )
