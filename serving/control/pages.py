"""Pages of a list: `limit` entries, and the cursor of those that follow, in the body and as a link (RFC 8288).

A cursor holds the place of the last entry that was told, not a number of entries: what is inserted meanwhile shifts
nothing, so that no entry is told twice and none is left out.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.params import QueryParameter

from serving.control.etags import told
from serving.errors import OptionError
from serving.parts import AnyRequest
from storage.api import Page

T = TypeVar("T")
R = TypeVar("R")
P = TypeVar("P")

MOST = 1000

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before; without it the first page.")]


def page(
    request: AnyRequest, found: Sequence[R], limit: int, place: Callable[[R], Any], show: Callable[[R], T]
) -> Response[Page[T]]:
    """The answer with one page. found: what follows the cursor, one more than the limit if there is so much.

    place: of an entry in its list, such that `after` gives it back; JSON-ready.
    """
    shown = found[:limit]
    following = cursor_of(request, place(shown[-1])) if len(found) > limit else None
    return paged(request, [show(one) for one in shown], following)


def paged(request: AnyRequest, items: list[T], following: str | None) -> Response[Page[T]]:
    """The answer with one page, and the cursor of the next."""
    headers: dict[str, str] = {}
    if following is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        headers["link"] = f'<{request.url.path}?{urlencode([*query, ("cursor", following)])}>; rel="next"'
    return told(request, Page(items, following), headers=headers)


def part(all_of_them: Iterable[R], limit: int, place: Callable[[R], str], last: str | None) -> list[R]:
    """What follows a place in a list that is short, and in the order of its places: one more than the limit."""
    return [one for one in all_of_them if last is None or place(one) > last][: limit + 1]


def cursor_of(request: AnyRequest, place: Any) -> str:
    """The cursor of a place in the list that was asked for."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_list_of(request), place])).decode().rstrip("=")


def after(request: AnyRequest, cursor: str | None, kind: type[P]) -> P | None:
    """The place that a cursor holds, which has to be one of this list; None without one. Raises OptionError."""
    if cursor is None:
        return None
    try:
        body = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, place = msgspec.json.decode(body, type=tuple[str, kind])
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise _unknown(cursor) from error
    if name != _list_of(request):
        raise _unknown(cursor)
    return place


def _list_of(request: AnyRequest) -> str:
    return request.url.path.rstrip("/")


def _unknown(cursor: str) -> OptionError:
    return OptionError(
        f"cursor is {cursor[:80]!r}, which no page of this list gave. Take `next` of the page before, or leave it out."
    )
