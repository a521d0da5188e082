"""Answers are packed where the client likes it and it pays."""

import json

import httpx
import pytest
import zstandard

from tests.portable import ROWS
from tests.serving.conftest import ServerProcess

PATH = "/endpoints/paid/invocations"


def ask(server: ServerProcess, rows: int, **headers: str) -> tuple[httpx.Headers, bytes]:
    """Headers and the body as it came."""
    body = json.dumps([ROWS[0]] * rows)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    with server.client.stream("POST", PATH, content=body, headers=headers) as reply:
        assert reply.status_code == 200
        return reply.headers, b"".join(reply.iter_raw())


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
@pytest.mark.parametrize("accept", ["application/json", "application/jsonlines", "text/csv"])
def test_long_text_is_packed(server: ServerProcess, encoding: str, accept: str) -> None:
    """And says so; unpacked it is the same answer."""
    _, plain = ask(server, 1_000, accept=accept, accept_encoding="identity")
    headers, packed = ask(server, 1_000, accept=accept, accept_encoding=encoding)
    assert (headers["content-encoding"], headers["vary"]) == (encoding, "accept-encoding")
    assert len(packed) < len(plain) / 3
    reader = zstandard.ZstdDecompressor().decompressobj() if encoding == "zstd" else None
    unpacked = reader.decompress(packed) if reader else httpx.Response(200, headers=headers, content=packed).content
    assert unpacked == plain


@pytest.mark.parametrize(
    ("rows", "accept", "accept_encoding"),
    [
        (1, "application/json", "gzip"),
        (1_000, "application/json", "identity"),
        (1_000, "application/json", "br"),
        (10_000, "application/x-npy", "gzip"),
    ],
)
def test_other_answers_are_not_packed(server: ServerProcess, rows: int, accept: str, accept_encoding: str) -> None:
    """Short ones, numbers in binary, and where the client knows none of the ways."""
    headers, _ = ask(server, rows, accept=accept, accept_encoding=accept_encoding)
    assert "content-encoding" not in headers
    assert "vary" not in headers
