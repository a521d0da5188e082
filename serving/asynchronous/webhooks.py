"""Webhooks: who may be told that an invocation has ended, and how it is sent, signed under its id (`storage.signing`).

Only addresses below those that the settings name are asked, and none if there are none: whoever may ask for an answer
could else have the server ask any other machine that it can reach. Redirects are not followed.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from serving.errors import WebhookError
from storage.errors import FailureError
from storage.signing import signed_headers

_LONGEST = 1024
_VISIBLE = re.compile(r"[!-~]+")
_PORTS = {"http": 80, "https": 443}
_SENT_S = 10.0  # for the whole exchange: a receiver answers first, and works then
_LONGEST_HEAD = 65_536


class Url(NamedTuple):
    """An address, in parts. path: with its query, and a slash at its beginning."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, text: str) -> "Url":
        """An address as it is written. Raises WebhookError for one that is none, or could mean two things."""
        try:
            parts = urlsplit(text)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:  # of a port or an address of IPv6
            parts, port = urlsplit(""), 0
        path = parts.path or "/"
        is_sound = _VISIBLE.fullmatch(text) and len(text) <= _LONGEST and "\\" not in text and "#" not in text
        has_user = parts.username is not None or parts.password is not None
        if not (is_sound and parts.scheme in _PORTS and port and parts.hostname) or has_user:
            raise WebhookError(f"{text[:200]!r} is no address of a webhook. Write https://HOST/PATH.")
        if re.search(r"/(?:\.|%2e){1,2}(?:/|$)|%2f|%5c", path, re.IGNORECASE):
            raise WebhookError(f"{text[:200]!r} has parts such as `..` in its path. Write it without them.")
        return cls(parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """What others may see of it: not its query, which may hold a token. A user it cannot have.

        >>> Url.of("https://h.invalid:8443/done?token=s3cret").shown
        'https://h.invalid:8443/done?***'
        """
        path, query, _ = self.path.partition("?")
        return f"{self.scheme}://{self.authority}{path}{'?***' if query else ''}"

    def is_below(self, other: "Url") -> bool:
        """Whether it begins as another does, by whole parts of its path."""
        folder = other.path.partition("?")[0].rstrip("/") + "/"
        path = self.path.partition("?")[0]
        return self[:3] == other[:3] and f"{path}/".startswith(folder)


class Webhooks:
    """The webhooks that may be told. allowed: addresses below which they have to be. secret: what signs."""

    def __init__(self, allowed: Iterable[str], secret: bytes) -> None:
        self.allowed = tuple(allowed)
        self._urls = [Url.of(text) for text in self.allowed]
        self._secret = secret
        self._tls: ssl.SSLContext | None = None

    def check(self, text: str) -> None:
        """Raise WebhookError for an address that may not be told."""
        url = Url.of(text)
        if not self._urls:
            raise WebhookError(
                f"The webhook {url.shown[:200]!r} cannot be told: this server tells none. Allow it by the setting "
                "async_webhooks, or ask for the answer from time to time."
            )
        if not any(url.is_below(allowed) for allowed in self._urls):
            raise WebhookError(
                f"The webhook {url.shown[:200]!r} may not be told. Its address has to begin with "
                f"{' or '.join(self.allowed)}."
            )

    async def tell(self, text: str, delivery: str, body: bytes, now_s: int) -> None:
        """Send a body. Raises FailureError unless the receiver answers with a status from 200 to 299 in ten seconds,
        and WebhookError if it may no longer be told; what they say is kept and shown, so without the query."""
        self.check(text)
        url = Url.of(text)
        headers = {
            "Host": url.authority,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **signed_headers(self._secret, delivery, now_s, body),
        }
        try:
            async with asyncio.timeout(_SENT_S):
                status = await _post(url, headers, body, await self._context(url))
        except TimeoutError as error:
            raise FailureError(f"{url.shown!r} did not answer in {_SENT_S:.0f} s.") from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise FailureError(f"{url.shown!r} could not be told: {error or type(error).__name__}.") from error
        if not 200 <= status < 300:
            raise FailureError(f"{url.shown!r} answered with status {status}.")

    async def _context(self, url: Url) -> ssl.SSLContext | None:
        """What checks the receiver's certificate. Made once: it reads all authorities, which takes a while."""
        if url.scheme == "http":
            return None
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls


async def _post(url: Url, headers: Mapping[str, str], body: bytes, tls: ssl.SSLContext | None) -> int:
    """The status of the answer. Nothing else of it is read."""
    reader, writer = await asyncio.open_connection(url.host, url.port, ssl=tls, limit=_LONGEST_HEAD)
    try:
        head = [f"POST {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(head).encode("ascii") + body)
        await writer.drain()
        status = 100
        while 100 <= status < 200:  # hints that come before the answer
            status = _status(await reader.readuntil(b"\r\n\r\n"))
        return status
    finally:
        writer.close()


def _status(head: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]", head)
    if found is None:
        raise ValueError(f"no answer of HTTP: {head[:40]!r}")
    return int(found[1])
