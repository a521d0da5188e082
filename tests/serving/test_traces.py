"""Requests are traced where OpenTelemetry's own variables ask for it, and cost nothing where they do not."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.exchange import Exchange
from serving.metrics import EndpointMetrics
from serving.traces import Traces, traces_of
from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ROOT, serving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def exchange(*, status: int = 200, path: str = "/endpoints/demo/invocations", **headers: str) -> Exchange:
    """A request of a second, with phases of 0.1, 0.2, 0.3 and 0.4."""
    scope: Any = {"method": "POST", "path": path, "scheme": "http", "client": ("10.0.0.7", 4711)}
    made = Exchange(scope, {name.encode(): value.encode() for name, value in headers.items()}, b"id-1")
    made.metrics, made.rows, made.protocol = EndpointMetrics("demo", "m", 3), 4, "invocations"
    made.status, made.began, made.ended, made.times = status, 5.0, 6.0, (5.0, 5.1, 5.3, 5.6, 6.0)
    return made


def spans_of(*exchanges: Exchange) -> list[Any]:
    exporter = InMemorySpanExporter()
    with Traces(exporter) as traces:
        for each in exchanges:
            traces.observe(each)
    return list(exporter.get_finished_spans())


def test_a_request_is_a_span_below_its_clients_with_a_child_for_each_phase() -> None:
    """With times, and attributes by OpenTelemetry's names."""
    *phases, span = spans_of(exchange(traceparent=PARENT))
    assert format(span.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"
    assert (span.name, span.kind.name) == ("POST /endpoints/{name}/invocations", "SERVER")
    assert span.end_time - span.start_time == pytest.approx(1e9, rel=1e-6)
    told = {"http.request.method": "POST", "http.response.status_code": 200, "client.address": "10.0.0.7"}
    ours = {"protocol": "invocations", "endpoint": "demo", "model": "m", "version": 3, "rows": 4, "request_id": "id-1"}
    assert {**told, **{f"autopilot.{name}": value for name, value in ours.items()}}.items() <= span.attributes.items()
    assert [phase.name for phase in phases] == ["read", "queue", "run", "write"]
    assert {phase.parent.span_id for phase in phases} == {span.context.span_id}
    seconds = [(phase.end_time - phase.start_time) / 1e9 for phase in phases]
    assert seconds == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=1e-3)


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_traceparent_that_cannot_be_read_begins_a_trace(header: str) -> None:
    """As the specification wants it."""
    assert spans_of(exchange(traceparent=header))[-1].parent is None


def test_a_client_that_does_not_want_to_be_traced_is_not() -> None:
    """The flag at the end of its header says so."""
    assert spans_of(exchange(traceparent=PARENT[:-1] + "0")) == []


def test_failures_are_marked_and_refusals_are_not() -> None:
    """A client's mistake is no failure of the server."""
    for status, marked in {200: "UNSET", 400: "UNSET", 499: "ERROR", 503: "ERROR"}.items():
        assert spans_of(exchange(status=status))[-1].status.status_code.name == marked


def test_only_what_asks_an_endpoint_is_traced() -> None:
    """Health checks and scrapes would be most of all spans."""
    ping = exchange(path="/ping")
    ping.metrics = None
    assert spans_of(ping) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/invocations", "/invocations"),
        ("/v1/models/a.b:predict", "/v1/models/{name}:predict"),
        ("/v2/models/models/infer", "/v2/models/{name}/infer"),
    ],
)
def test_names_of_spans_hold_no_names_of_endpoints(path: str, name: str) -> None:
    """There are few names of spans, however many endpoints there are."""
    assert spans_of(exchange(path=path))[-1].name == f"POST {name}"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    ],
)
def test_without_being_asked_nothing_is_imported(environ: dict[str, str]) -> None:
    """None of OpenTelemetry's modules, in a process of its own."""
    assert traces_of(environ) is None
    code = f"import sys, serving.__main__ as m; m.traces_of({environ!r}); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_exporter_that_is_not_installed_is_told_and_the_server_starts(caplog: pytest.LogCaptureFixture) -> None:
    """The variables may be set for all containers of a cluster."""
    assert traces_of({"OTEL_TRACES_EXPORTER": "zipkin"}) is None
    assert "no package that is installed has the exporter 'zipkin'. Install autopilot[otel]" in caplog.text


class Collector(ThreadingHTTPServer):
    """Takes what is posted, and remembers paths and lengths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posts.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def test_a_server_sends_its_spans_to_a_collector(store: Store) -> None:
    """By OTLP over HTTP; what waits is sent when the server ends."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    with collecting() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "mine"}
        with serving(store, environ=environ) as server:
            server.client.post("/endpoints/demo/invocations", json=ROWS, headers={"traceparent": PARENT})
            assert server.stop() == 0
            assert "Traceback" not in server.log
    ((path, body),) = collector.posts
    assert path == "/v1/traces"
    assert bytes.fromhex("0af7651916cd43dd8448eb211c80319c") in body
    assert b"mine" in body
    assert b"POST /endpoints/{name}/invocations" in body
