"""Entity tags (RFC 9110): what a client has seen already is not sent again, and what has changed is not overwritten.

All tags are strong. What can be changed under a condition has one of its revision and date (`storage.api.tag_of`), so
that a client can tell it from the record; all else has the digest of its body.
"""

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import msgspec
from litestar import Response

from serving.errors import OptionError, PreconditionError
from serving.parts import AnyRequest

T = TypeVar("T")
R = TypeVar("R")

_TAG = re.compile(r'\s*(?P<weak>W/)?(?P<tag>"[!#-~\x80-\xff]*")\s*(?:,|$)')


def told(request: AnyRequest, value: T, tag: str | None = None, headers: dict[str, str] | None = None) -> Response[T]:
    """The answer to a GET: the value as JSON with its tag, or 304 if the client has it."""
    return told_bytes(request, msgspec.json.encode(value), tag, headers)


def told_bytes(
    request: AnyRequest, body: bytes, tag: str | None = None, headers: dict[str, str] | None = None
) -> Response[Any]:
    """As `told`, of JSON that is written already."""
    tag = tag or f'"{blake2b(body, digest_size=16).hexdigest()}"'
    with_tag = {"etag": tag, **(headers or {})}
    if _matches(request.headers.get("if-none-match"), tag, weakly=True):
        return Response(b"", status_code=304, headers=with_tag)
    return Response(body, status_code=200, headers=with_tag, media_type="application/json")


class Condition(NamedTuple):
    """Under which condition a change is to be made. match, none_match: as in the headers; None if they are absent."""

    match: str | None
    none_match: str | None

    @classmethod
    def of(cls, request: AnyRequest) -> "Condition":
        """Of a request's headers."""
        return cls(request.headers.get("if-match"), request.headers.get("if-none-match"))

    def check(self, what: str, found: R | None, tag_of: Callable[[R], str], show: Callable[[R], Any]) -> None:
        """Raise PreconditionError unless what there is fits; None is nothing. show: what the client is told of it."""
        tag = None if found is None else tag_of(found)
        if self.match is not None and not _matches(self.match, tag):
            state = "is not there" if tag is None else f"is at {tag}"
            asked = f"If-Match is {self.match[:80]!r}"
        elif self.none_match is not None and _matches(self.none_match, tag, weakly=True):
            state, asked = f"is there, at {tag}", f"If-None-Match is {self.none_match[:80]!r}"
        else:
            return
        current = None if found is None else show(found)
        raise PreconditionError(
            f"{asked}, and {what} {state}. Look at it again, and repeat what is still wanted.", tag=tag, current=current
        )


def _matches(header: str | None, tag: str | None, *, weakly: bool = False) -> bool:
    """Whether a list of tags, or `*`, has this one; None is the tag of nothing. Weak tags match only weakly. Raises
    OptionError for what is neither, whatever there is."""
    if header is None:
        return False
    if header.strip() == "*":
        return tag is not None
    wanted = [name for name, is_weak in _tags(header) if weakly or not is_weak]
    return tag in wanted


def _tags(header: str) -> list[tuple[str, bool]]:
    """The tags of a header, and whether each is weak. Raises OptionError for anything else."""
    tags: list[tuple[str, bool]] = []
    at = 0
    while at < len(header):
        found = _TAG.match(header, at)
        if found is None:
            raise OptionError(
                f'A condition is {header[:80]!r}. Send an ETag as it came, in its quotes such as "3-17", several with '
                "commas between, or *."
            )
        tags.append((found["tag"], found["weak"] is not None))
        at = found.end()
    return tags
