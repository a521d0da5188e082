"""What a call does, step by step, without doing it: requests to send and pauses to make, as a generator.

steps yields Request ──> is given Reply, or Unreachable
steps yields Pause   ──> is given None, after that time
"""

import random
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec

from storage.errors import AutopilotError, ConflictError, FailureError, InputError, UnknownNameError

T = TypeVar("T")

#: How often something is tried again, the first pause, and the longest that a server may ask for.
RETRIES = 2
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_TIMEOUT_S = 60.0


class Request(NamedTuple):
    """A request to send. path: below the server's address. query: without what is None."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float


class Reply(NamedTuple):
    """What came back. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(NamedTuple):
    """Nothing came back. url: that was asked."""

    url: str
    reason: str


class Pause(NamedTuple):
    """Seconds to let pass."""

    seconds: float


Steps: TypeAlias = Generator[Request | Pause, Reply | Unreachable | None, T]


def ask(
    method: str,
    path: str,
    answer: type[T],
    *,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Steps[T]:
    """Ask, and again if nothing came back or the server says when to: a change is made once, by its idempotency key.

    answer: what the JSON of the reply is; bytes are given as they are, None gives nothing. body: bytes, or what is
    written as JSON.
    Raises UnknownNameError, ConflictError and InputError with the server's words for what it refuses, and FailureError
    if it fails or does not answer.
    """
    told = {"content-type": "application/json", **(headers or {})}
    if method != "GET" and path.startswith("/api/"):
        told["idempotency-key"] = uuid4().hex
    sent = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    request = Request(method, path, _query(query or {}), told, sent, timeout_s)
    found = yield request
    for number in range(RETRIES):
        pause_s = _pause_s(found, number)
        if pause_s is None:
            break
        yield Pause(pause_s)
        found = yield request
    return _read(found, answer)


def at(*parts: str | int) -> str:
    """A path of the control plane, its parts quoted. Raises InputError for a part that names nothing.

    >>> at("models", "a b", "versions", 3)
    '/api/models/a%20b/versions/3'
    """
    return "/".join(["/api", *(part(one) for one in parts)])


def part(name: str | int) -> str:
    """A name as it stands in a path. Raises InputError for what would be lost there, and ask for all of a list or for
    another thing: RFC 3986, section 5.2.4.

    >>> part("")
    Traceback (most recent call last):
    storage.errors.InputError: The name is ''. Give that of one thing, such as 'price'.
    """
    if name in ("", ".", ".."):
        raise InputError(f"The name is {name!r}. Give that of one thing, such as 'price'.")
    return quote(str(name), safe="")


def _query(query: Mapping[str, Any]) -> dict[str, str]:
    """Values as they stand in an address: times as in JSON, booleans in lower case."""
    given = {name: value for name, value in query.items() if value is not None}
    return {
        name: msgspec.json.encode(value).decode().strip('"') if not isinstance(value, str) else value
        for name, value in given.items()
    }


def _pause_s(found: Reply | Unreachable | None, number: int) -> float | None:
    """How long to wait before the next attempt; None if there is to be none."""
    if isinstance(found, Unreachable):
        return _PAUSE_S * 2**number * random.uniform(0.5, 1.5)  # noqa: S311 - spreads clients, hides nothing
    is_busy = found is not None and found.status == HTTPStatus.SERVICE_UNAVAILABLE
    asked = found.headers.get("retry-after", "") if found is not None and is_busy else ""
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isdecimal() else None


def _read(found: Reply | Unreachable | None, answer: type[T]) -> T:
    if isinstance(found, Unreachable):
        raise FailureError(f"No server answers at {found.url}: {found.reason}. Start one: autopilot serve.")
    if found is None:
        raise AssertionError("whoever carries out steps gives what came back")
    if found.status >= HTTPStatus.BAD_REQUEST:
        raise _error(found)
    if answer is bytes:
        return found.body  # pyright: ignore[reportReturnType]
    try:
        return msgspec.json.decode(found.body or b"null", type=answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FailureError(
            f"The server's answer cannot be read: {error}. See that the client and the server are of one version."
        ) from error


def _error(reply: Reply) -> AutopilotError:
    """What a refusal is: in the server's words; a proxy in between may have none."""
    try:
        words = str(msgspec.json.decode(reply.body, type=dict[str, Any])["detail"])
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError):
        known = [status.phrase for status in HTTPStatus if status == reply.status]
        words = f"The server answered {reply.status} {' '.join(known)}."
    if reply.status == HTTPStatus.NOT_FOUND:
        return UnknownNameError(words)
    if reply.status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
        return ConflictError(words)
    return (InputError if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR else FailureError)(words)
