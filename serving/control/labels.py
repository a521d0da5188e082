"""Ground truth: labels of captured rows, as they come to be known."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.bodies import decode
from serving.control.captures import End, Start, in_utc
from serving.control.changes import Done, repeatable
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page
from serving.documentation import problems
from serving.errors import MediaTypeError
from serving.media import MEDIA_TYPES, Format, sent_format
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.errors import InputError
from storage.labels import LabelItem, LabelSummary, Received, items_of, put_labels
from storage.records import Label

_MEDIA = ("application/jsonlines", "application/x-ndjson", "text/csv")
_CHANGING = changing(list[LabelItem], media=_MEDIA)
_CHANGING["responses"].update(problems(415))
_READ: frozenset[Format] = frozenset({"json", "jsonlines", "csv"})


@put(
    "/api/endpoints/{name:str}/labels",
    summary="Tell labels",
    **_CHANGING,
)
async def receive_labels(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    replace: Annotated[bool, QueryParameter(description="Replace labels that are others than these.")] = False,
) -> Response[Received]:
    """Keep labels of rows by inference id, all or none: a JSON list, one a line, or csv with a header."""

    def work(body: bytes) -> Done:
        items = _items(body, _media_type(request.headers.get("content-type")))
        return Done(200, put_labels(parts.store, name, items, datetime.now(UTC), replace=replace))

    return await repeatable(request, parts, work)


@get("/api/endpoints/{name:str}/labels", summary="List labels", **LIST)
def list_labels(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    inference_id: Annotated[str | None, QueryParameter(description="Only labels of this request.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Label]]:
    """Labels by inference id and row."""
    last = after(request, cursor, tuple[str, int])
    found = parts.store.labels.list(name, inference_id=inference_id, limit=limit + 1, after=last)
    return page(request, found, limit, lambda label: (label.inference_id, label.row), lambda label: label)


@get("/api/endpoints/{name:str}/labels/summary", summary="Tell how good answers were", **ONE)
def summarize_labels(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts], start: Start = None, end: End = None
) -> Response[LabelSummary]:
    """How many captured rows have labels by now, and how good the answers were, by version."""
    from storage.labels.joined import label_summary  # which needs Polars

    return told(request, label_summary(parts.store, name, in_utc(start), in_utc(end)))


def _items(body: bytes, media_type: str) -> list[LabelItem]:
    """The labels of a body. Raises InputError that tells where, and of a list what is to be sent there."""
    try:
        return items_of(body, media_type)
    except InputError:
        if media_type == MEDIA_TYPES["json"] and body.lstrip().startswith(b"["):
            return decode(body, list[LabelItem])
        raise


def _media_type(header: str | None) -> str:
    """The media type of a body of labels; JSON where none is told. Raises MediaTypeError for one that is not read."""
    refusal = f"Content-Type is {(header or '')[:80]!r}. Labels are application/json, {' or '.join(_MEDIA)}, in UTF-8."
    try:
        sent = sent_format(None if header is None else header.encode("latin-1"))
    except MediaTypeError as error:
        raise MediaTypeError(refusal) from error
    if sent not in _READ:
        raise MediaTypeError(refusal)
    return MEDIA_TYPES[sent]


ROUTES: tuple[Any, ...] = (receive_labels, list_labels, summarize_labels)
