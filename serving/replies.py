"""A reply: what goes back to the client, whichever way it is sent."""

from collections.abc import AsyncIterator
from typing import NamedTuple

#: Names in lower case, and values.
Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """Status, headers and body. `content-length` is not among the headers; the sender adds it."""

    status: int
    headers: Headers
    body: bytes


class Stream(NamedTuple):
    """A reply whose body is sent in parts, as each is ready. Iterating raises nothing: errors are parts of it too."""

    status: int
    headers: Headers
    parts: AsyncIterator[bytes]
