"""Async invocations of all endpoints. They are asked for, and answered, at `/endpoints/NAME/async-invocations`."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.asynchronous.views import view
from serving.control.documented import LIST, ONE
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page
from serving.errors import OptionError
from serving.parts import AnyRequest, Parts
from storage import UnknownNameError
from storage.api import AsyncView, Page
from storage.records import AsyncStatus


@get("/api/async-invocations", summary="List async invocations", **LIST)
def list_async_invocations(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    endpoint: Annotated[str | None, QueryParameter(description="Only those of this endpoint.")] = None,
    status: Annotated[AsyncStatus | None, QueryParameter(description="Only those in this status.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[AsyncView]]:
    """Async invocations, newest first; those that ended some time ago are forgotten."""
    before = after(request, cursor, str)
    invocations = parts.store.async_invocations
    try:
        found = invocations.list(endpoint=endpoint, status=status, limit=limit + 1, before=before)
    except UnknownNameError as error:
        raise OptionError(
            f"cursor is at invocation {before!r}, which was forgotten meanwhile. Begin again, without a cursor."
        ) from error
    return page(request, found, limit, lambda invocation: invocation.id, view)


@get("/api/async-invocations/{invocation_id:str}", summary="Describe an async invocation", **ONE)
def get_async_invocation(
    request: AnyRequest, invocation_id: FromPath[str], parts: NamedDependency[Parts]
) -> Response[AsyncView]:
    """How far it is, and where its answer will be."""
    return told(request, view(parts.store.async_invocations.get(invocation_id)))


ROUTES: tuple[Any, ...] = (list_async_invocations, get_async_invocation)
