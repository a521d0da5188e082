"""The Litestar application: the control plane, the page at `/`, and the OpenAPI document of all routes.

The routes that `hot.py` answers first are registered here too, so that they are documented; what reaches them by
another spelling (`/ping/`) is answered by the same functions.
"""

from functools import partial
from http import HTTPStatus

import msgspec
from litestar import Litestar, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.params import FromPath

from serving import control
from serving.asynchronous.routes import Asynchronous, router
from serving.control.documented import complete
from serving.control.parameters import refuse_unknown, refused
from serving.documentation import INVOCATION, SCHEMA, Document, problems
from serving.errors import RequestError
from serving.exchange import note_protocol
from serving.hot import DisconnectedError, request_of
from serving.loading import when_loaded
from serving.page import index_page
from serving.parts import AnyRequest, Parts
from serving.problems import PROBLEM_TYPE, Problem, reply_of
from serving.replies import Reply
from serving.schemas import DIALECT, row_schema

__all__ = ["Parts", "create_app"]


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


@get(
    "/endpoints/{name:str}/schema",
    summary="Get the JSON Schema of a row",
    responses=SCHEMA,
)
async def get_row_schema(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """What a row of the endpoint's model looks like, in JSON Schema 2020-12."""
    endpoint = await when_loaded(lambda: parts.live.find(name))
    about = {
        "$schema": DIALECT,
        "$id": f"{str(request.base_url).rstrip('/')}/endpoints/{name}/schema",
        "title": f"A row of {endpoint.record.model}:{endpoint.record.version}",
    }
    body = msgspec.json.encode({**about, **row_schema(endpoint.signature)})
    return Response(body, media_type="application/schema+json")


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


@get(
    "/reports/{report_id:str}/markdown",
    summary="Show a report as Markdown",
    media_type="text/markdown",
    responses=problems(400, 404),
    sync_to_thread=True,
)
def show_markdown(report_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[bytes]:
    """A report as Markdown."""
    reports = parts.store.reports
    return Response(reports.read_markdown(reports.get(report_id)), media_type="text/markdown")


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
    get_row_schema,
    show_report,
    show_markdown,
    index,
    Router("/", route_handlers=control.ROUTES, before_request=refuse_unknown),
)


def create_app(parts: Parts, asynchronous: Asynchronous | None = None) -> Litestar:
    """The application. asynchronous: what answers async invocations while it runs; None leaves their paths out."""
    return Litestar(
        _ROUTES if asynchronous is None else (*_ROUTES, router(asynchronous)),
        lifespan=[] if asynchronous is None else [lambda _: asynchronous.worker.working()],
        dependencies={"parts": Provide(lambda: parts, sync_to_thread=False)},
        exception_handlers={Exception: _problem, HTTPException: _http_problem},
        openapi_config=OpenAPIConfig(
            title="Autopilot",
            version="1",
            path="/schema",
            render_plugins=[
                Document(parts.live, partial(complete, routes=control.ROUTES))
            ],  # the others load their pages from the internet
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
        return " ".join(refused(request, entry) for entry in error.extra)
    return error.detail
