"""`/metrics`: what was counted, in Prometheus' words.

The counters of `metrics.py` are read when they are asked for, so that counting stays as cheap as adding to a number.
docs/observability.md lists the names; they follow https://prometheus.io/docs/practices/naming.

NVIDIA Triton's names stand beside ours, for dashboards that were drawn for it. Its counters lack `_total`, which
Prometheus' client would add: they are exposed as untyped, under their own names.
"""

import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from serving.admission import Admission
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.metrics import PHASES, EndpointMetrics, Histogram, Loads, Replies

_OF = ["endpoint", "model", "version"]


class Exposition:
    """The metrics of one server as text."""

    def __init__(self, live: LiveEndpoints, admission: Admission, capture: Capture) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(live, admission, capture))
        ProcessCollector(registry=self._registry)  # process_*: memory, CPU, file descriptors; of Linux alone

    def text(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their media type: OpenMetrics if `Accept` asks for it, else Prometheus' own text."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # of a version that is no number
            encode, media_type = choose_encoder("")
        return encode(self._registry), media_type


class _ServerCollector(Collector):
    """Reads the counters. Others go on counting meanwhile: each number is sound, and newer than the one before."""

    def __init__(self, live: LiveEndpoints, admission: Admission, capture: Capture) -> None:
        self._live = live
        self._admission = admission
        self._capture = capture

    def collect(self) -> Iterator[Metric]:
        """All metrics, in the order of docs/observability.md."""
        endpoints = list(self._live.metrics.endpoints.values())
        yield from _replies([*endpoints, None], self._live.metrics.unserved)
        yield from _answers(endpoints)
        yield self._in_flight(endpoints)
        yield _gauge("predicted_queue_seconds", "Time that new work will wait for a thread.", self._admission.wait_s)
        yield from self._models()
        yield from self._captured()
        yield _build()
        yield from _as_triton(endpoints)

    def _in_flight(self, endpoints: list[EndpointMetrics]) -> Metric:
        metric = GaugeMetricFamily("autopilot_requests_in_flight", "Requests that are being answered.", labels=_OF)
        for counts in endpoints:
            metric.add_metric(_labels(counts), counts.waiting)
        return metric

    def _models(self) -> Iterator[Metric]:
        serves = InfoMetricFamily("autopilot_endpoint", "The model version that an endpoint serves now.")
        for name, endpoint in self._live.live.items():
            served = {"model": endpoint.record.model, "version": str(endpoint.record.version)}
            serves.add_metric([], {"endpoint": name, **served})
        yield serves
        for name, about, count in _LOADED:
            metric = CounterMetricFamily(f"autopilot_model_{name}", about, labels=["endpoint"])
            for endpoint, loads in self._live.metrics.loads.items():
                metric.add_metric([endpoint], count(loads))
            yield metric
        yield _gauge("store_silence_seconds", "Time since the store last answered.", self._live.silent_s)

    def _captured(self) -> Iterator[Metric]:
        capture, losses = self._capture, self._capture.losses
        yield _gauge(
            "capture_lag_seconds", "Age of the oldest answer that is not captured yet.", capture.lag_s(time.time())
        )
        yield _gauge("capture_queued_values", "Values of rows that wait to be captured.", capture.queued_cells)
        lost = CounterMetricFamily(
            "autopilot_capture_lost_rows", "Rows that were answered and not captured.", labels=["reason"]
        )
        lost.add_metric(["queue_full"], losses.overflowed_rows)
        lost.add_metric(["not_written"], losses.failed_rows)
        yield lost


def _replies(endpoints: list[EndpointMetrics | None], unserved: Replies) -> Iterator[Metric]:
    """Replies by status, and refusals by reason. None stands for what no endpoint answered."""
    replied = CounterMetricFamily(
        "autopilot_requests", "Requests that were replied to.", labels=[*_OF, "protocol", "status"]
    )
    refused = CounterMetricFamily(
        "autopilot_refused_requests", "Requests that ended in an error.", labels=[*_OF, "protocol", "reason"]
    )
    for counts in endpoints:
        replies = unserved if counts is None else counts.replies
        for (protocol, status), count in replies.by_status.copy().items():
            replied.add_metric([*_labels(counts), protocol, str(status)], count)
        for (protocol, reason), count in replies.refused.copy().items():
            refused.add_metric([*_labels(counts), protocol, reason], count)
    yield replied
    yield refused


def _answers(endpoints: list[EndpointMetrics]) -> Iterator[Metric]:
    """Rows, and what answers took."""
    rows = CounterMetricFamily("autopilot_predicted_rows", "Rows that were predicted.", labels=_OF)
    total = HistogramMetricFamily(
        "autopilot_request_duration_seconds", "Time from a body to its answer, without sending either.", labels=_OF
    )
    phases = HistogramMetricFamily(
        "autopilot_request_phase_duration_seconds",
        f"The same by phase: {', '.join(PHASES)}.",
        labels=[*_OF, "phase"],
    )
    batch = HistogramMetricFamily("autopilot_run_rows", "Rows of one run of the model.", labels=_OF)
    for counts in endpoints:
        rows.add_metric(_labels(counts), counts.rows)
        _add(total, _labels(counts), counts.total)
        for phase, histogram in counts.seconds.items():
            _add(phases, [*_labels(counts), phase], histogram)
        _add(batch, _labels(counts), counts.batch)
    yield from (rows, total, phases, batch)


def _build() -> Metric:
    about = {
        "version": version("autopilot"),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }
    return InfoMetricFamily("autopilot_build", "What runs.", value=about)


def _us(histogram: Histogram) -> float:
    return round(histogram.total * 1e6)


#: Name, what it says, and what is counted under it.
_LOADED: tuple[tuple[str, str, Callable[[Loads], float]], ...] = (
    ("loads", "Model versions loaded for an endpoint.", lambda loads: loads.loaded),
    (
        "load_failures",
        "Model versions that could not be loaded; the one before goes on serving.",
        lambda loads: loads.failed,
    ),
    ("load_seconds", "Time spent loading and warming model versions.", lambda loads: loads.seconds),
)

_TRITON: tuple[tuple[str, str, Callable[[EndpointMetrics], float]], ...] = (
    ("request_success", "Answered requests.", lambda counts: counts.answered),
    ("request_failure", "Refused requests.", lambda counts: sum(counts.replies.refused.copy().values())),
    ("count", "Predicted rows.", lambda counts: counts.rows),
    ("exec_count", "Runs of the model.", lambda counts: counts.runs),
    ("pending_request_count", "Requests that are being answered.", lambda counts: counts.waiting),
    ("request_duration_us", "Time of answered requests.", lambda counts: _us(counts.total)),
    ("queue_duration_us", "Time that they waited.", lambda counts: _us(counts.seconds["queue"])),
    ("compute_input_duration_us", "Time of reading bodies.", lambda counts: _us(counts.seconds["read"])),
    ("compute_infer_duration_us", "Time of running the model.", lambda counts: _us(counts.seconds["run"])),
    ("compute_output_duration_us", "Time of writing answers.", lambda counts: _us(counts.seconds["write"])),
)


def _as_triton(endpoints: list[EndpointMetrics]) -> Iterator[Metric]:
    """The same under Triton's names. It knows no endpoints: the name of one is its `model`, as in its protocol."""
    for name, about, value in _TRITON:
        metric = UnknownMetricFamily(f"nv_inference_{name}", f"{about} Triton's name.", labels=["model", "version"])
        sums: dict[tuple[str, str], float] = {}
        for counts in endpoints:
            key = (counts.endpoint, str(counts.version))
            sums[key] = sums.get(key, 0) + value(counts)
        for key, sum_ in sums.items():
            metric.add_metric(key, sum_)
        yield metric


def _add(metric: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    counts = histogram.counts.copy()
    ends = [*map(str, map(float, histogram.bounds)), "+Inf"]
    metric.add_metric(labels, list(zip(ends, accumulate(counts), strict=True)), histogram.total)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"autopilot_{name}", about, value=value)


def _labels(counts: EndpointMetrics | None) -> list[str]:
    return ["", "", ""] if counts is None else [counts.endpoint, counts.model, str(counts.version)]
