"""A request: what a client sent, whichever protocol it speaks."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from serving.errors import MethodError


def allow(method: str, path: str, *allowed: str) -> None:
    """Raise MethodError, which names those that are allowed, if a path was asked by another method."""
    if method not in allowed:
        raise MethodError(f"{path} was asked by {method}. Use {' or '.join(allowed)}.", allowed=allowed)


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
