"""Endpoints: what they are, how they do, and changes of them. Servers follow a change within a second."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, delete, get, patch, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace

from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import Condition, told
from serving.control.pages import Cursor, Limit, after, page, part
from serving.endpoints import LiveEndpoints
from serving.parts import AnyRequest, Parts
from storage import Signature, Store, UnknownNameError
from storage.api import (
    EndpointChange,
    EndpointConfig,
    EndpointDetails,
    EndpointHealth,
    EndpointSummary,
    Page,
    tag_of,
)
from storage.endpoints import with_weights
from storage.records import Endpoint
from storage.rollouts import with_stopped
from storage.servers import status_of
from storage.shadows import shadow_reports


@get("/api/endpoints", summary="List endpoints", **LIST)
def list_endpoints(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[EndpointSummary]]:
    """Endpoints by name."""
    last = after(request, cursor, str)
    found = part(parts.store.endpoints.list(), limit, lambda endpoint: endpoint.name, last)
    return page(request, found, limit, lambda endpoint: endpoint.name, lambda endpoint: _summary(endpoint, parts.live))


@get("/api/endpoints/{name:str}", summary="Describe an endpoint", **ONE)
def get_endpoint(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[EndpointDetails]:
    """What the endpoint is, with the columns that its model takes."""
    endpoint, signature = _known(parts, name)
    return told(request, _details(endpoint, signature), tag_of(endpoint))


@get("/api/endpoints/{name:str}/status", summary="Tell how an endpoint does", **ONE)
def get_status(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[EndpointHealth]:
    """Its state, what each server makes of it, and how its shadows compare."""
    store = parts.store
    endpoint = store.endpoints.get(name)
    rollouts = store.rollouts.list(endpoint=name, limit=1)
    status = status_of(endpoint, store.servers.list(datetime.now(UTC)), rollouts)
    return told(request, EndpointHealth(with_stopped(status, endpoint, rollouts), shadow_reports(store, endpoint)))


@put(
    "/api/endpoints/{name:str}",
    summary="Make or replace an endpoint",
    **changing(EndpointConfig, told=EndpointDetails, conditional=True),
)
async def put_endpoint(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]
) -> Response[EndpointDetails]:
    """Make an endpoint, or put this configuration in the place of the one that it has; the same one leaves the
    revision."""

    def work(asked: EndpointConfig) -> Done:
        old = _checked(request, parts.store, name)
        now = datetime.now(UTC)
        wanted = Endpoint(
            name,
            asked.variants,
            revision=0,
            created_at=now,
            updated_at=now,
            shadows=asked.shadows,
            capture=asked.capture,
            limits=asked.limits,
            provider=asked.provider,
        )
        return _done(parts.store, parts.store.endpoints.put(wanted, now), 201 if old is None else 200)

    return await change_by(request, parts, EndpointConfig, work)


@patch(
    "/api/endpoints/{name:str}",
    summary="Change weights, capture or limits of an endpoint",
    **changing(EndpointChange, conditional=True),
)
async def patch_endpoint(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]
) -> Response[EndpointDetails]:
    """Change what is named, and leave the rest. Variants that get no weight here keep theirs; what changes nothing
    leaves the revision."""

    def work(asked: EndpointChange) -> Done:
        _checked(request, parts.store, name)
        old = parts.store.endpoints.get(name)
        given = {field: getattr(asked, field) for field in ("capture", "limits", "provider")}
        new = replace(old, **{field: value for field, value in given.items() if value is not None})
        new = with_weights(new, asked.weights or {})
        return _done(parts.store, parts.store.endpoints.put(new, datetime.now(UTC)), 200)

    return await change_by(request, parts, EndpointChange, work)


@delete("/api/endpoints/{name:str}", summary="Delete an endpoint", **changing(status=204, conditional=True))
async def delete_endpoint(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[None]:
    """Delete an endpoint and its schedules; captured traffic, labels and reports stay."""

    def work() -> Done:
        _checked(request, parts.store, name)
        parts.store.endpoints.delete(name, datetime.now(UTC))
        return Done(204)

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (list_endpoints, get_endpoint, get_status, put_endpoint, patch_endpoint, delete_endpoint)


def check_endpoint(request: AnyRequest, store: Store, name: str) -> Endpoint:
    """The endpoint, if it is as the request's condition wants it. Raises UnknownNameError and PreconditionError."""
    _checked(request, store, name)
    return store.endpoints.get(name)


def _checked(request: AnyRequest, store: Store, name: str) -> Endpoint | None:
    try:
        found = store.endpoints.get(name)
    except UnknownNameError:
        found = None
    Condition.of(request).check(
        f"endpoint {name[:80]!r}", found, tag_of, lambda endpoint: _details(endpoint, _signature(store, endpoint))
    )
    return found


def _known(parts: Parts, name: str) -> tuple[Endpoint, Signature]:
    """An endpoint of the store, or a model file that is served beside them, and what it takes."""
    if name in parts.live.held:
        live = parts.live.find(name)
        return live.record, live.signature
    endpoint = parts.store.endpoints.get(name)
    return endpoint, _signature(parts.store, endpoint)


def _signature(store: Store, endpoint: Endpoint) -> Signature:
    return store.models.get(endpoint.main.spec).signature


def _done(store: Store, endpoint: Endpoint, status: int) -> Done:
    details = _details(endpoint, _signature(store, endpoint))
    return Done(status, details, tag_of(endpoint), f"/api/endpoints/{endpoint.name}")


def _summary(endpoint: Endpoint, live: LiveEndpoints) -> EndpointSummary:
    serving = live.live.get(endpoint.name)
    return EndpointSummary(
        name=endpoint.name,
        model=endpoint.model,
        version=endpoint.version,
        variants=endpoint.variants,
        revision=endpoint.revision,
        capture=endpoint.capture.share > 0,
        live=serving is not None and serving.record.revision == endpoint.revision,
        path=f"/endpoints/{endpoint.name}/invocations",
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
    )


def _details(endpoint: Endpoint, signature: Signature) -> EndpointDetails:
    return EndpointDetails(
        name=endpoint.name,
        model=endpoint.model,
        version=endpoint.version,
        revision=endpoint.revision,
        variants=endpoint.variants,
        shadows=endpoint.shadows,
        capture=endpoint.capture,
        limits=endpoint.limits,
        provider=endpoint.provider,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        task=signature.task,
        target=signature.target,
        classes=signature.classes,
        columns=signature.columns,
        path=f"/endpoints/{endpoint.name}/invocations",
        schema_path=f"/endpoints/{endpoint.name}/schema",
    )
