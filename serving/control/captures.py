"""Captured requests and their answers."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.documented import LIST
from serving.control.pages import Cursor, Limit, after, cursor_of, paged
from serving.errors import OptionError
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.captures import Captured, CaptureSummary, capture_page, capture_summary

#: Bounds of a window: a time without a zone is in UTC.
Start = Annotated[datetime | None, QueryParameter(name="from", description="From this time on; a zone is part of it.")]
End = Annotated[datetime | None, QueryParameter(name="to", description="Before this time.")]


@get("/api/endpoints/{name:str}/captures", summary="List captured requests", **LIST)
def list_captures(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    start: Start = None,
    end: End = None,
    variant: Annotated[str | None, QueryParameter(description="Only what this variant answered.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Captured]]:
    """Captured requests with their answers, newest first. Of an endpoint that was deleted, they are still there."""
    found = capture_page(
        parts.store.traffic,
        name,
        start=in_utc(start),
        end=in_utc(end),
        variant=variant,
        limit=limit,
        after=after(request, cursor, str),
    )
    following = None if found.next is None else cursor_of(request, found.next)
    return paged(request, list(found.items), following)


@get("/api/endpoints/{name:str}/captures/summary", summary="Count captured requests", **LIST)
def summarize_captures(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts], start: Start = None, end: End = None
) -> Response[Page[CaptureSummary]]:
    """How many requests and rows were captured, by variant and version."""
    found = capture_summary(parts.store.traffic, name, start=in_utc(start), end=in_utc(end))
    return paged(request, found, None)


ROUTES: tuple[Any, ...] = (list_captures, summarize_captures)


def in_utc(at: datetime | None) -> datetime | None:
    """A time that was asked for; without a zone it is in UTC. Raises OptionError for one at the ends of the calendar:
    an hour or a zone further there is no time."""
    if at is None:
        return None
    if not MINYEAR < at.year < MAXYEAR:
        raise OptionError(f"A time is {at.isoformat()}. Send one of the years 2 to 9998.")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
