"""Which pages may have a browser ask for changes: the server's own, and those that the setting `origins` names.

A browser tells by `Origin` which page asks. Without this, any page that a person looks at could change what the server
on their machine serves: by asking 127.0.0.1, or by a name of its own that it has resolve to 127.0.0.1 (DNS rebinding),
which makes `Origin` and `Host` agree. So who comes by the loopback interface has to come from a page with a loopback
name. Programs send no `Origin`, and are asked nothing. Predictions change nothing: any page may ask for them.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serving.errors import ForeignOriginError
from storage.errors import SettingError

if TYPE_CHECKING:
    from litestar.types import HTTPScope

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
#: What is posted to these paths changes nothing.
_PREDICTING = re.compile(
    r"(/endpoints/[^/]+)?/invocations(-response-stream)?|/models/[^/]+/invoke|/v1/models/[^/]+"
    r"|/v2/models/[^/]+(/versions/[^/]+)?/infer|/v2/repository/index"
)


class Origins:
    """The pages that may ask for changes. allowed: origins of others than the server's own, such as `https://HOST`."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(text.rstrip("/").lower() for text in allowed)
        for text in self._allowed:
            if not re.fullmatch(r"https?://[^/@?#\s]+", text):
                raise SettingError(
                    f"The setting origins names {text[:80]!r}, which is no origin. Write https://HOST or "
                    "https://HOST:PORT, as the browser shows it."
                )

    def check(self, scope: "HTTPScope") -> None:
        """Raise ForeignOriginError for a change that another's page has a browser ask for."""
        if scope["method"] in _LOOKING:
            return
        headers = dict(scope["headers"])
        header = headers.get(b"origin")
        if header is None or (scope["method"] == "POST" and _PREDICTING.fullmatch(scope["path"].rstrip("/"))):
            return
        origin = header.decode("latin-1")
        if origin.lower() in self._allowed:
            return
        hosts = [headers[name].decode("latin-1") for name in (b"host", b"x-forwarded-host") if name in headers]
        if not _is_own(origin, hosts):
            raise _foreign(origin, f"this server is {(hosts or [''])[0][:80]!r}")
        server = scope.get("server")
        if server is not None and _is_loopback(server[0]) and not _is_loopback(_name_of(origin)):
            raise _foreign(origin, f"it was asked at {server[0]}, which is this machine alone")


def _is_own(origin: str, hosts: Iterable[str]) -> bool:
    try:
        return urlsplit(origin).netloc.lower() in {host.lower() for host in hosts if host}
    except ValueError:  # of brackets that hold no address
        return False


def _name_of(origin: str) -> str:
    """The name of a host, without port and brackets; empty if there is none."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    """Whether a name or address is this machine's for itself, and no DNS is asked for it.

    >>> [_is_loopback(name) for name in ("127.0.0.1", "::1", "api.localhost", "127.0.0.1.evil.com")]
    [True, True, True, False]
    """
    if name.rstrip(".") == "localhost" or name.rstrip(".").endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _foreign(origin: str, own: str) -> ForeignOriginError:
    return ForeignOriginError(
        f"Origin is {origin[:80]!r}, and {own}. Ask from a page of this server, or by a program that sends no Origin; "
        "or allow the page by the setting origins."
    )
