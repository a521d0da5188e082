"""OpenTelemetry traces, where the standard environment variables ask for them; without those nothing is imported.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318     or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_TRACES_EXPORTER

A request that asks an endpoint becomes a span, below the client's own if it sent `traceparent`, with one child for each
phase. Spans are made when the request is over, from the times that were noted on the way: nothing is added to the way
itself. All else (sampling, headers, batches, the service's name) is OpenTelemetry's, by its own variables:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables
"""

import logging
import re
import time
from collections.abc import Mapping
from importlib.metadata import entry_points, version
from time import perf_counter
from typing import TYPE_CHECKING, Any

from serving.exchange import UNANSWERED, Exchange
from serving.metrics import PHASES, EndpointMetrics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_ASKING = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SERVICE = "autopilot-serving"
_NAMED = re.compile("(/endpoints/|/models/)[^/:]+")  # names of spans have no names of endpoints, which are many

_log = logging.getLogger(__name__)


def traces_of(environ: Mapping[str, str]) -> "Traces | None":
    """What traces requests as these variables ask; None if they do not, or if OpenTelemetry is not installed."""
    if not _is_asked(environ):
        return None
    try:
        return Traces(*(_exporter(name) for name in _exporters(environ)))
    except ImportError as error:
        _log.warning("OTEL_* variables ask for traces: %s. Install autopilot[otel], or unset them.", error)
        return None


class Traces:
    """Makes spans and hands them to exporters. Use it as a context: leaving it sends what waits."""

    def __init__(self, *exporters: "SpanExporter") -> None:
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = Resource.create()  # with what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say
        if str(named.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: _SERVICE}))
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("autopilot.serving", version("autopilot"))
        self._extract = propagate.extract
        self._trace = trace
        self._error = trace.Status(trace.StatusCode.ERROR)

    def __enter__(self) -> "Traces":
        return self

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()

    def observe(self, exchange: Exchange) -> None:
        """Make the span of an exchange that is over, if it asked an endpoint."""
        if exchange.metrics is None:
            return
        offset = time.time() - perf_counter()  # spans have times since 1970
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers.items()}
        span = self._tracer.start_span(
            _name_of(exchange),
            self._extract(headers),
            self._trace.SpanKind.SERVER,
            _attributes(exchange, exchange.metrics),
            start_time=_ns(exchange.began + offset),
        )
        if exchange.times and span.is_recording():
            self._add_phases(span, exchange.times, offset)
        if exchange.status >= 500 or exchange.status == UNANSWERED:
            span.set_status(self._error)
        span.end(_ns(exchange.ended + offset))

    def _add_phases(self, span: Any, times: tuple[float, ...], offset: float) -> None:
        below = self._trace.set_span_in_context(span)
        for at, phase in enumerate(PHASES):
            child = self._tracer.start_span(phase, below, start_time=_ns(times[at] + offset))
            child.end(_ns(times[at + 1] + offset))


def _is_asked(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return any(environ.get(name, "").strip() for name in _ASKING) and bool(_exporters(environ))


def _exporters(environ: Mapping[str, str]) -> list[str]:
    """Names of the exporters that are asked for, as OpenTelemetry's packages register them.

    >>> _exporters({}), _exporters({"OTEL_TRACES_EXPORTER": "console,otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    (['otlp_proto_http'], ['console', 'otlp_proto_grpc'])
    """
    protocol = next((environ[name].strip() for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    names = (name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","))
    return [otlp if name == "otlp" else name for name in names if name not in ("", "none")]


def _exporter(name: str) -> "SpanExporter":
    """The exporter that some installed package registers by this name. Raises ImportError if none does."""
    found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not found:
        raise ImportError(f"no package that is installed has the exporter {name!r}")
    return found[0].load()()


def _name_of(exchange: Exchange) -> str:
    """Method and route."""
    route = _NAMED.sub(r"\1{name}", exchange.scope["path"], count=1)
    return f"{exchange.scope['method']} {route}"


def _attributes(exchange: Exchange, asked: EndpointMetrics) -> dict[str, Any]:
    """OpenTelemetry's names where it has any: https://opentelemetry.io/docs/specs/semconv/http/http-spans"""
    scope = exchange.scope
    client = scope["client"]
    told = {
        "http.request.method": scope["method"],
        "http.response.status_code": exchange.status,
        "http.request.body.size": exchange.bytes_in,
        "http.response.body.size": exchange.bytes_out,
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "client.address": client[0] if client else None,
        "user_agent.original": exchange.headers.get(b"user-agent", b"").decode("latin-1") or None,
        "error.type": exchange.problem or None,
        "autopilot.request_id": exchange.request_id.decode(),
        "autopilot.protocol": exchange.protocol,
        "autopilot.endpoint": asked.endpoint,
        "autopilot.model": asked.model,
        "autopilot.version": asked.version,
        "autopilot.rows": exchange.rows,
    }
    return {name: value for name, value in told.items() if value is not None}


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
