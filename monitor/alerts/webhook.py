"""Webhooks: an alert is posted as JSON, signed under the id of its delivery. Redirects are not followed."""

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from storage.errors import FailureError
from storage.signing import check_secret, signed_headers


def tell(url: str, delivery: str, body: bytes, secret: bytes, now: datetime, timeout_s: float) -> None:
    """Post a body.

    Raises SettingError for a secret that is too short, and FailureError unless the receiver answers with a status from
    200 to 299 in time. Its message, which is shown over HTTP, names the host alone: whoever knows the whole address can
    often write there.
    """
    check_secret(secret)
    host = urlsplit(url).netloc
    try:
        status = _post(url, signed_headers(secret, delivery, int(now.timestamp()), body), body, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        raise FailureError(f"{host!r} could not be told: {error or type(error).__name__}.") from error
    if not 200 <= status < 300:
        raise FailureError(f"{host!r} answered with status {status}.")


def _post(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
    """The status of the answer. Nothing else of it is read."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname or ""
    if parts.scheme == "https":
        tls = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=tls)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    # The connection's own timeout is of each read: a receiver that sends a byte now and then would never run into it.
    is_over = threading.Event()
    end = threading.Timer(timeout_s, _cut, (connection, is_over))
    end.daemon = True
    end.start()
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    finally:
        end.cancel()
        connection.close()
    if is_over.is_set():
        raise TimeoutError(f"it did not answer in {timeout_s:g} s")
    return status


def _cut(connection: http.client.HTTPConnection, is_over: threading.Event) -> None:
    is_over.set()
    with suppress(OSError, AttributeError):  # it may not be connected yet, or no more
        connection.sock.shutdown(socket.SHUT_RDWR)
