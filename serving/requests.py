"""A request: what a client sent, whichever protocol it speaks."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple


class Request(NamedTuple):
    """A request with its whole body. headers: names in lower case. path: without the query string.

    gone: waits until the client has gone away; nobody waits for an answer then.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    gone: Callable[[], Awaitable[None]]
