"""Servers: the processes that serve this store."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from serving.control.documented import LIST
from serving.control.pages import Cursor, Limit, after, page, part
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.records import Server


@get("/api/servers", summary="List servers", **LIST)
def list_servers(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[Server]]:
    """Processes that have said in the last ten seconds that they are there, and what each serves; by id."""
    found = part(parts.store.servers.list(datetime.now(UTC)), limit, _id_of, after(request, cursor, str))
    return page(request, found, limit, _id_of, lambda server: server)


ROUTES: tuple[Any, ...] = (list_servers,)


def _id_of(server: Server) -> str:
    return server.id
