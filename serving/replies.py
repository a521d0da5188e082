"""A reply: what goes back to the client, whichever way it is sent."""

from typing import NamedTuple


class Reply(NamedTuple):
    """Status, headers and body. `content-length` is not among the headers; the sender adds it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
