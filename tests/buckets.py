"""An object store that speaks as much of S3 as clients need to get and put objects, in this process."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Buckets:
    """Objects by their paths, such as `/bucket/key`. status: what all requests are answered with, if it is not 0.

    asked: methods and paths, in their order.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.status = 0
        self.url = ""

    @property
    def environ(self) -> dict[str, str]:
        """What has clients come here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_REGION": "eu-central-1",
        }


@contextmanager
def buckets() -> Generator[Buckets]:
    """A server; it ends with the block."""
    held = Buckets()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            held.asked.append((self.command, self.path))
            body = held.objects.get(self.path)
            self._answer(held.status or (404 if body is None else 200), body or b"")

        do_HEAD = do_GET  # noqa: N815 - http.server calls it so

        def do_PUT(self) -> None:
            held.asked.append((self.command, self.path))
            body = self.rfile.read(int(self.headers["content-length"]))
            if not held.status:
                held.objects[self.path] = body
            self._answer(held.status or 200, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("etag", '"1"')
            self.send_header("last-modified", "Wed, 01 May 2024 13:30:00 GMT")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests have no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        held.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()
