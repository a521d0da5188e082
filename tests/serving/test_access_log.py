"""The access log has a line for each request, and nothing of what rows hold."""

import io
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from serving.access_log import AccessLog, line_of
from serving.exchange import Exchange
from serving.metrics import EndpointMetrics
from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import serving


def exchange(path: str = "/ping", agent: bytes = b"curl/8") -> Exchange:
    """A request that took a second."""
    scope: Any = {"method": "GET", "path": path, "client": ("10.0.0.7", 4711)}
    made = Exchange(scope, {b"user-agent": agent}, b"id-1")
    made.status, made.began, made.ended, made.bytes_out = 200, 5.0, 6.0, 2
    return made


def test_a_line_tells_what_was_asked_and_answered() -> None:
    """With null for what there is not."""
    bare = {
        "time": "2024-05-01T12:00:00.500000Z",
        "request_id": "id-1",
        "client": "10.0.0.7",
        "method": "GET",
        "path": "/ping",
        "protocol": "http",
        "endpoint": None,
        "model": None,
        "version": None,
        "status": 200,
        "problem": None,
        "rows": 0,
        "bytes_in": 0,
        "bytes_out": 2,
        "ms": 1000.0,
        "read_ms": None,
        "queue_ms": None,
        "run_ms": None,
        "write_ms": None,
        "user_agent": "curl/8",
    }
    assert json.loads(line_of(exchange(), 1_714_564_800.5)) == bare
    asked = exchange()
    asked.metrics, asked.rows, asked.times = EndpointMetrics("demo", "m", 3), 4, (5.0, 5.1, 5.3, 5.6, 6.0)
    told = {"endpoint": "demo", "model": "m", "version": 3, "rows": 4}
    phases = {"read_ms": 100.0, "queue_ms": 200.0, "run_ms": 300.0, "write_ms": 400.0}
    assert json.loads(line_of(asked, 1_714_564_800.5)) == {**bare, **told, **phases}


@pytest.mark.parametrize("evil", ["a\nb", "a\rb", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "ü", '"}'])
def test_no_client_can_begin_a_line_or_move_a_cursor(evil: str) -> None:
    """What is not visible ASCII is escaped, and read back as it was."""
    line = line_of(exchange("/" + evil), 0.0)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line.isascii()
    assert json.loads(line)["path"] == "/" + evil


def test_what_a_client_chose_is_cut() -> None:
    """At a thousand characters."""
    told = json.loads(line_of(exchange("/" + "x" * 5000, b"y" * 5000), 0.0))
    assert (len(told["path"]), len(told["user_agent"])) == (1000, 1000)


def test_lines_that_nobody_reads_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Memory has an end, and requests go on."""
    file = io.StringIO()
    log = AccessLog(file)
    for _ in range(20_003):
        log.observe(exchange())
    with log:
        pass
    assert file.getvalue().count("\n") == 20_000
    assert "3 lines of the access log were dropped" in caplog.text


def test_a_log_that_cannot_be_written_ends_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """As when the program behind a pipe is gone."""

    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with AccessLog(Broken()) as log:
        log.observe(exchange())
    assert "The access log cannot be written and ends here: [Errno 32] Broken pipe." in caplog.text


def test_a_server_writes_it_where_it_is_asked_to(store: Store) -> None:
    """Of each request in order, bad ones and those of pages too; never values, nor the query string."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    with serving(store, "--access-log") as server:
        server.client.post("/endpoints/demo/invocations?columns=label", json=ROWS, headers={"x-request-id": "mine"})
        server.client.post("/invocations", json=[{"amount": "secret"}])
        server.client.get("/nowhere")
        address = urlsplit(server.url)
        with socket.create_connection((str(address.hostname), address.port or 0)) as raw:
            raw.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{")
        time.sleep(0.1)
        assert server.stop() == 0
        assert server.process.stdout is not None
        text = server.process.stdout.read()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["path"], line["status"], line["rows"]) for line in lines] == [
        ("/endpoints/demo/invocations", 200, 4),
        ("/invocations", 400, 0),
        ("/nowhere", 404, 0),
        ("/invocations", 499, 0),
    ]
    assert lines[0]["request_id"] == "mine"
    assert (lines[1]["endpoint"], lines[1]["problem"]) == ("demo", "row")
    assert lines[0]["ms"] >= lines[0]["run_ms"] > 0
    assert "secret" not in text
    assert "Bonn" not in text


def test_without_being_asked_nothing_is_written(store: Store) -> None:
    """A setting asks for it as well."""
    for environ, lines in (({}, 0), ({"AUTOPILOT_ACCESS_LOG": "true"}, 1)):
        with serving(store, environ=environ) as server:
            server.client.get("/ping")
            assert server.stop() == 0
            assert server.process.stdout is not None
            assert server.process.stdout.read().count("\n") == lines
