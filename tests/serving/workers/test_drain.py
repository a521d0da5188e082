"""One server that is told to end: what clients on kept connections see."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ServerProcess, serving


@contextmanager
def kept(server: ServerProcess) -> Generator[http.client.HTTPConnection]:
    """A connection that has had an answer and waits for the next request."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    connection.request("GET", "/ping")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["connection"], answer.read()) == (200, None, b"")
    with closing(connection):
        yield connection


def answers(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
) -> Iterator[tuple[int, bytes]]:
    """Status and body, again and again until the server says that it closes the connection."""
    while True:
        connection.request(method, path, body)
        answer = connection.getresponse()
        yield answer.status, answer.read()
        if answer.headers["connection"] == "close":
            return


def wait_until_refused(server: ServerProcess) -> None:
    """Until it takes no new connections."""
    address = urlsplit(server.url)
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((str(address.hostname), address.port or 0)).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_comes_on_kept_connections_is_answered_and_then_they_are_closed(store: Store) -> None:
    """Health checks are told that the server ends, by both protocols that have them."""
    portable.publish(store, portable.regressor(), endpoint="demo")
    with serving(store) as server, kept(server) as pinging, kept(server) as readying, kept(server) as predicting:
        server.process.terminate()
        wait_until_refused(server)
        for connection, path, told in ((pinging, "/ping", "detail"), (readying, "/v2/health/ready", "error")):
            for status, body in answers(connection, "GET", path):
                assert (status, "about to end" in json.loads(body)[told]) == (503, True)
        for status, body in answers(predicting, "POST", "/invocations", json.dumps(ROWS[0])):
            assert (status, json.loads(body)) == (200, {"predictions": [{"value": 1.0}]})
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log


@pytest.mark.parametrize("wanted", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT])
def test_connections_that_stay_silent_do_not_hold_it_up_for_long(store: Store, wanted: signal.Signals) -> None:
    """Whoever presses Ctrl-C does not even wait for seconds."""
    with serving(store) as server, kept(server):
        server.process.send_signal(wanted)
        assert server.process.wait(20) == 0


def test_a_second_signal_waits_for_nothing(store: Store) -> None:
    """Neither for silent connections nor for a request that never comes to its end."""
    with serving(store) as server, kept(server) as connection:
        connection.putrequest("POST", "/invocations")
        connection.putheader("content-length", "100")
        connection.endheaders(b"[")
        server.process.terminate()
        wait_until_refused(server)
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.log
