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
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from serving.admission import Admission
from serving.asynchronous.worker import OUTCOMES, Worker
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.journals import Counts
from serving.metrics import PHASES, EndpointMetrics, Histogram, Loads, Replies
from serving.rollouts.controller import Controller
from serving.shadows import Shadows
from serving.workers.totals import Family, Sample, State, merged
from storage.batch.jobs import rows_under_way
from storage.errors import StoreError
from storage.records import AsyncStatus, DeliveryStatus, ExecutionStatus, JobStatus
from storage.shadows import ShadowTally
from storage.store import Store

_OF = ["endpoint", "model", "version", "variant"]


#: Gauges that add up over workers; of the others the worst is told, which of some is the least.
_SUMMED = (
    "autopilot_requests_in_flight",
    "autopilot_capture_queued_bytes",
    "autopilot_workers",
    "autopilot_model_memory_bytes",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_open_fds",
)
_FIRST = ("process_start_time_seconds", "autopilot_endpoint_revision")
_UNKNOWN_GAUGES = ("nv_inference_pending_request_count",)


def no_others(own: State) -> State:
    """What other workers have counted where there are none."""
    return ()


class Exposition:
    """The metrics of one server as text.

    others: what its other workers have counted, given what this one has; none by default.
    """

    others: Callable[[State], State] = staticmethod(no_others)

    def __init__(self, live: LiveEndpoints, admission: Admission, capture: Capture) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(live, admission, capture))
        ProcessCollector(registry=self._registry)  # process_*: memory, CPU, file descriptors; of Linux alone

    def watch_jobs(self, store: Store) -> None:
        """Tell of the jobs of a store too."""
        self._registry.register(_JobsCollector(store))

    def watch_schedules(self, store: Store) -> None:
        """Tell of the schedules of a store too, and of their alerts."""
        self._registry.register(_SchedulesCollector(store))

    def watch_rollouts(self, controller: Controller) -> None:
        """Tell of roll-outs too."""
        self._registry.register(_RolloutsCollector(controller))

    def watch_async(self, store: Store, worker: Worker) -> None:
        """Tell of async invocations too."""
        self._registry.register(_AsyncCollector(store, worker))

    def text(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their media type: OpenMetrics if `Accept` asks for it, else Prometheus' own text."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # of a version that is no number
            encode, media_type = choose_encoder("")
        own = self.own()
        others = self.others(own)
        return encode(_Merged(merged([own, others])) if others else self._registry), media_type

    def own(self) -> State:
        """What this process has counted."""
        return tuple(_family(metric) for metric in self._registry.collect())


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
        yield _gauge("workers", "Processes that answer.", 1)
        yield CounterMetricFamily("autopilot_worker_deaths", "Worker processes that ended unasked.", value=0)
        yield _build()
        yield from _as_triton(endpoints)

    def _in_flight(self, endpoints: list[EndpointMetrics]) -> Metric:
        metric = GaugeMetricFamily("autopilot_requests_in_flight", "Requests that are being answered.", labels=_OF)
        for counts in endpoints:
            metric.add_metric(_labels(counts), counts.waiting)
        return metric

    def _models(self) -> Iterator[Metric]:
        serves = InfoMetricFamily("autopilot_endpoint", "The model versions that an endpoint serves now.")
        revision = GaugeMetricFamily(
            "autopilot_endpoint_revision", "The revision of an endpoint that is served.", labels=["endpoint"]
        )
        for live in self._live.variants:
            serves.add_metric([], dict(zip(_OF, _labels(live.metrics), strict=True)))
        for name, live in self._live.live.items():
            revision.add_metric([name], live.record.revision)
        yield from (serves, revision)
        for name, about, count in _LOADED:
            metric = CounterMetricFamily(f"autopilot_model_{name}", about, labels=["endpoint"])
            for endpoint, loads in self._live.metrics.loads.items():
                metric.add_metric([endpoint], count(loads))
            yield metric
        yield _gauge("model_memory_bytes", "What the models of endpoints take, estimated.", self._live.memory)
        yield from _shadowed(self._live.shadows)
        yield _gauge("store_silence_seconds", "Time since the store last answered.", self._live.silent_s)

    def _captured(self) -> Iterator[Metric]:
        counts, lags_s = self._capture.counts, self._capture.lags_s(time.time())
        lag = GaugeMetricFamily(
            "autopilot_capture_lag_seconds", "Age of the oldest answer that is not captured yet.", labels=["endpoint"]
        )
        for endpoint in sorted({*counts, *lags_s, *(name for name, live in self._live.live.items() if live.capture)}):
            lag.add_metric([endpoint], lags_s.get(endpoint, 0.0))
        yield lag
        yield _gauge("capture_queued_bytes", "What waits to be captured, about.", self._capture.queued_bytes)
        for name, about, value in _CAPTURED:
            metric = CounterMetricFamily(f"autopilot_{name}", about, labels=["endpoint"])
            for endpoint, count in counts.items():
                metric.add_metric([endpoint], value(count))
            yield metric
        lost = CounterMetricFamily(
            "autopilot_capture_lost_rows", "Rows that were answered and not captured.", labels=["endpoint", "reason"]
        )
        for endpoint, count in counts.items():
            lost.add_metric([endpoint, "queue_full"], count.overflowed_rows)
            lost.add_metric([endpoint, "not_written"], count.failed_rows)
        yield lost


class _JobsCollector(Collector):
    """Jobs of a store, as whatever process works on them writes them down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Nothing while the store cannot be read: `store_silence_seconds` tells that."""
        try:
            counts, rows = self._store.jobs.counts("batch"), rows_under_way(self._store)
        except StoreError:
            return
        jobs = GaugeMetricFamily("autopilot_batch_jobs", "Batch transforms in the store.", labels=["status"])
        for status in get_args(JobStatus):
            jobs.add_metric([status], counts.get(status, 0))
        yield jobs
        yield _gauge("batch_running_rows", "Rows that running batch transforms have scored.", rows)


class _SchedulesCollector(Collector):
    """Schedules and alerts of a store, as the monitors that follow it write them down."""

    def __init__(self, store: Store) -> None:
        self._schedules = store.schedules

    def collect(self) -> Iterator[Metric]:
        """Nothing while the store cannot be read: `store_silence_seconds` tells that."""
        try:
            schedules, states = self._schedules.list(), self._schedules.alerts.states()
            counts, told = self._schedules.counts(), self._schedules.alerts.delivery_counts()
            oldest = self._schedules.oldest_pending()
        except StoreError:
            return
        alert = GaugeMetricFamily(
            "autopilot_schedule_in_alert", "1 where a schedule is in alert.", labels=["schedule", "endpoint", "check"]
        )
        failing = GaugeMetricFamily(
            "autopilot_schedule_failing",
            "1 where the checks of a schedule cannot be made.",
            labels=["schedule", "endpoint", "check"],
        )
        executions = GaugeMetricFamily(
            "autopilot_schedule_executions", "Due times of a schedule.", labels=["schedule", "endpoint", "status"]
        )
        for one in schedules:
            alert.add_metric([one.name, one.endpoint, one.check], states.get(one.name) == "InAlert")
            failing.add_metric([one.name, one.endpoint, one.check], states.get(one.name) == "Failing")
            for status in get_args(ExecutionStatus):
                executions.add_metric([one.name, one.endpoint, status], counts.get((one.name, status), 0))
        yield from (alert, failing, executions)
        age_s = 0.0 if oldest is None else max(0.0, time.time() - oldest.timestamp())
        yield _gauge("schedule_lag_seconds", "Age of the oldest due time that nobody has begun.", age_s)
        deliveries = GaugeMetricFamily("autopilot_alert_deliveries", "What channels are told.", labels=["status"])
        for status in get_args(DeliveryStatus):
            deliveries.add_metric([status], told.get(status, 0))
        yield deliveries


class _AsyncCollector(Collector):
    """Async invocations, as the store has them; attempts are counted by the process that made them."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """All metrics of async invocations; while the store cannot be read, those of this process alone."""
        yield from self._stored()
        attempts = CounterMetricFamily(
            "autopilot_async_attempts", "Attempts to answer async invocations.", labels=["endpoint", "outcome"]
        )
        for (endpoint, outcome), count in self._worker.counts.copy().items():
            attempts.add_metric([endpoint, outcome], count)
        webhooks = CounterMetricFamily("autopilot_async_webhooks", "Webhooks that were sent.", labels=["outcome"])
        for outcome in OUTCOMES:
            webhooks.add_metric([outcome], self._worker.told[outcome])
        yield from (attempts, webhooks)

    def _stored(self) -> Iterator[Metric]:
        try:
            counts, oldest = self._store.async_invocations.counts(), self._store.async_invocations.oldest_queued()
        except StoreError:
            return
        invocations = GaugeMetricFamily(
            "autopilot_async_invocations", "Async invocations in the store.", labels=["status"]
        )
        for status in get_args(AsyncStatus):
            invocations.add_metric([status], counts.get(status, 0))
        age_s = 0.0 if oldest is None else max(0.0, time.time() - oldest.timestamp())
        yield invocations
        yield _gauge("async_queue_age_seconds", "Age of the oldest async invocation that waits.", age_s)


class _RolloutsCollector(Collector):
    """Roll-outs, as the store has them; each is counted by the process that ended it."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def collect(self) -> Iterator[Metric]:
        """All metrics of roll-outs."""
        ended = CounterMetricFamily("autopilot_rollouts", "Roll-outs that servers have ended.", labels=["status"])
        for status, count in self._controller.ended.items():
            ended.add_metric([status], count)
        running = self._controller.running
        step = GaugeMetricFamily("autopilot_rollout_step", "Step of a roll-out that runs.", labels=["endpoint"])
        share = GaugeMetricFamily(
            "autopilot_rollout_share", "Share of requests that its new variants get.", labels=["endpoint"]
        )
        evidence = GaugeMetricFamily(
            "autopilot_rollout_evidence", "Evidence of harm; 1 is none.", labels=["endpoint", "guard"]
        )
        needed = GaugeMetricFamily(
            "autopilot_rollout_evidence_needed", "From what mean evidence on it is taken back.", labels=["endpoint"]
        )
        for rollout in running:
            step.add_metric([rollout.endpoint], rollout.step)
            if rollout.progress is not None:
                share.add_metric([rollout.endpoint], rollout.progress.share)
                needed.add_metric([rollout.endpoint], rollout.progress.needed)
                for guard in rollout.progress.guards:
                    evidence.add_metric([rollout.endpoint, guard.kind], guard.evidence)
        yield _gauge("rollouts_running", "Roll-outs that run.", len(running))
        yield from (ended, step, share, evidence, needed)


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


def _shadowed(shadows: Shadows) -> Iterator[Metric]:
    """What shadows would have answered, beside what was answered."""
    tallies = shadows.tallies.items()
    for name, about, value in _SHADOWED:
        metric = CounterMetricFamily(f"autopilot_shadow_{name}", about, labels=_SHADOW)
        sums: dict[tuple[str, str, str, str], float] = {}
        for key, tally in tallies:
            labels = (key.endpoint, key.shadow, key.model, key.against)
            sums[labels] = sums.get(labels, 0) + value(tally)
        for labels, total in sums.items():
            metric.add_metric(labels, total)
        yield metric


def _build() -> Metric:
    about = {
        "version": version("autopilot"),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }
    return InfoMetricFamily("autopilot_build", "What runs.", value=about)


def _us(histogram: Histogram) -> float:
    return round(histogram.total * 1e6)


_SHADOW = ["endpoint", "shadow", "model", "against"]
#: As below.
_SHADOWED: tuple[tuple[str, str, Callable[[ShadowTally], float]], ...] = (
    ("requests", "Requests that a shadow has run too.", lambda tally: tally.requests),
    ("skipped_requests", "Requests that it was to run, and found too many waiting.", lambda tally: tally.skipped),
    ("failed_requests", "Requests of which its run ended in an error.", lambda tally: tally.failed),
    ("rows", "Rows of those that it has run.", lambda tally: tally.rows),
    ("agreed_rows", "Rows to which it gives the same label.", lambda tally: tally.agreed),
    ("difference", "Sum of the rows' differences in probability or prediction.", lambda tally: tally.difference_sum),
    ("run_seconds", "Time that its runs took.", lambda tally: tally.shadow.total_s),
)

#: Name, what it says, and what is counted under it.
_LOADED: tuple[tuple[str, str, Callable[[Loads], float]], ...] = (
    ("loads", "Model versions loaded for an endpoint.", lambda loads: loads.loaded),
    (
        "load_failures",
        "Model versions that could not be loaded; the one before goes on serving.",
        lambda loads: loads.failed,
    ),
    ("evictions", "Times that an endpoint's models made room for others.", lambda loads: loads.evicted),
    ("load_seconds", "Time spent loading and warming model versions.", lambda loads: loads.seconds),
)

_CAPTURED: tuple[tuple[str, str, Callable[[Counts], float]], ...] = (
    ("captured_rows", "Rows that were captured.", lambda counts: counts.rows),
    ("capture_written_bytes", "Bytes written to traffic journals.", lambda counts: counts.bytes),
    (
        "capture_refused_requests",
        "Requests that were refused, for their answers could not be captured.",
        lambda counts: counts.refused,
    ),
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
    return [""] * len(_OF) if counts is None else [counts.endpoint, counts.model, str(counts.version), counts.variant]


class _Merged(Collector):
    """The metrics of several workers."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """All families."""
        for family in self._state:
            metric = Metric(family.name, family.about, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, dict(sample.labels), sample.value)
            yield metric


def _family(metric: Metric) -> Family:
    is_gauge = metric.type in ("gauge", "info") or metric.name in _UNKNOWN_GAUGES
    adds_up = not is_gauge or metric.name in (*_SUMMED, *_UNKNOWN_GAUGES)
    samples = tuple(Sample(sample.name, tuple(sample.labels.items()), sample.value) for sample in metric.samples)
    merge = "sum" if adds_up else "min" if metric.name in _FIRST else "max"
    return Family(metric.name, metric.documentation, metric.type, merge, lasts=not is_gauge, samples=samples)
