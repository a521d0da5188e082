"""The client of an endpoint sends a table as JSON and reads the answer back into one."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from autopilot import Endpoint
from storage import FailureError, InputError
from tests.refusals import raises


class Canned(HTTPServer):
    """Answers each request with what the test puts here, and keeps what was sent."""

    status, answer = 200, b"{}"
    path, sent = "", b""


class Handler(BaseHTTPRequestHandler):
    """Keeps and answers."""

    server: Canned

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """As the test says."""
        self.server.path = self.path
        self.server.sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)


@pytest.fixture
def server() -> Iterator[Canned]:
    """A server on a free port."""
    with Canned(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def endpoint_of(server: Canned) -> Endpoint:
    """Its client."""
    return Endpoint("paid", f"http://127.0.0.1:{server.server_address[1]}/")


FRAME = pl.DataFrame({"age": [30, None], "town": ["Köln", None], "seen": [date(2024, 5, 1), None]})


def test_classes_come_back_as_a_label_and_probabilities(server: Canned) -> None:
    """The same columns as a prediction at home; rows are sent as JSON, nulls as null."""
    rows = [{"label": "no", "probabilities": {"no": 0.75, "yes": 0.25}}] * 2
    server.answer = json.dumps({"predictions": rows}).encode()
    expected = pl.DataFrame({"label": ["no", "no"], "p_no": [0.75, 0.75], "p_yes": [0.25, 0.25]})
    assert_frame_equal(endpoint_of(server).predict(FRAME), expected)
    assert server.path == "/endpoints/paid/invocations"
    assert json.loads(server.sent) == [
        {"age": 30, "town": "Köln", "seen": "2024-05-01"},
        {"age": None, "town": None, "seen": None},
    ]


def test_nan_is_sent_as_null_and_infinity_is_refused(server: Canned) -> None:
    """JSON has neither; NaN means missing, infinity does not."""
    server.answer = b'{"predictions": [{"value": 1.5}]}'
    endpoint_of(server).predict(pl.DataFrame({"x": [float("nan")]}))
    assert json.loads(server.sent) == [{"x": None}]
    with raises(InputError, "Column 'x' is -inf in row 1, which JSON cannot say. Send a number or null."):
        endpoint_of(server).predict(pl.DataFrame({"x": [1.0, float("-inf")]}))


def test_values_come_back_as_predictions(server: Canned) -> None:
    """Of a regression."""
    server.answer = b'{"predictions": [{"value": 1.5}, {"value": -2}]}'
    assert_frame_equal(
        endpoint_of(server).predict(FRAME), pl.DataFrame({"prediction": [1.5, -2.0]}), check_dtypes=False
    )


def test_a_refused_row_is_an_input_error_in_the_servers_words(server: Canned) -> None:
    """The detail of its problem."""
    server.status = 422
    server.answer = b'{"title": "Bad row", "status": 422, "detail": "Row 1 lacks column \'age\'."}'
    with raises(InputError, "Row 1 lacks column 'age'."):
        endpoint_of(server).predict(FRAME)


@pytest.mark.parametrize(("status", "answer"), [(404, b""), (400, b"<html>Bad gateway</html>"), (400, b"[1]")])
def test_an_answer_without_a_detail_is_told_by_its_status(server: Canned, status: int, answer: bytes) -> None:
    """A proxy in between speaks no problem details."""
    server.status, server.answer = status, answer
    with raises(InputError, f"The server answered {status} "):
        endpoint_of(server).predict(FRAME)


def test_a_server_that_fails_is_a_failure_and_not_the_inputs_fault(server: Canned) -> None:
    """503 while it starts, 500, a proxy's 502."""
    server.status, server.answer = 503, b'{"detail": "The endpoint is being loaded."}'
    with raises(FailureError, "The endpoint is being loaded."):
        endpoint_of(server).predict(FRAME)


def test_no_server_is_a_failure_with_the_command_that_starts_one() -> None:
    """And its address."""
    message = "No server answers at http://127.0.0.1:1/endpoints/paid/invocations: "
    with raises(FailureError, message) as caught:
        Endpoint("paid", "http://127.0.0.1:1").predict(FRAME)
    assert str(caught.value).endswith("Start one: autopilot serve.")


def test_the_server_is_that_of_the_settings_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and port."""
    monkeypatch.setenv("AUTOPILOT_PORT", "9000")
    assert Endpoint("paid").address == "http://127.0.0.1:9000/endpoints/paid/invocations"
    assert Endpoint("paid", "https://x.org/y/").address == "https://x.org/y/endpoints/paid/invocations"
