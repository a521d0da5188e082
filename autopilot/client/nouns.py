"""What a client can be asked, noun by noun, as `/api` has them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, ClassVar, Generic, TypeVar

from autopilot.client.calls import F, Listing, Noun, call, listing
from autopilot.client.steps import Pause, Steps, ask, at
from storage.api import (
    AlertView,
    AliasTarget,
    AsyncView,
    BaselineView,
    DeliveryView,
    EndpointChange,
    EndpointConfig,
    EndpointDetails,
    EndpointHealth,
    EndpointSummary,
    ModelSummary,
    ReportSummary,
    ScheduleConfig,
    tag_of,
)
from storage.backtests import BacktestConfig, BacktestView
from storage.baselines import Baseline, ConstraintsFile
from storage.batch import Transform, TransformJob
from storage.captures import Captured, CaptureSummary
from storage.errors import FailureError
from storage.labels import LabelItem, LabelSummary, Received
from storage.predictor import Provider
from storage.records import (
    AlertChange,
    Alias,
    AsyncStatus,
    CapturePolicy,
    DeliveryStatus,
    Endpoint,
    EndpointLimits,
    Execution,
    Experiment,
    JobStatus,
    Label,
    ModelVersion,
    Rollout,
    Run,
    RunEvent,
    RunStatus,
    Schedule,
    Server,
    Trial,
    Variant,
)
from storage.replay import Replay, ReplaySpec
from storage.rollouts import Plan, Status

_LOOK_S = 0.2  # a server follows the store four times a second
_LOOK_AT_JOB_S = 1.0
_REPLAY_S = 3600.0

J = TypeVar("J", TransformJob, BacktestView)

Seen = Alias | BaselineView | Endpoint | EndpointDetails | EndpointSummary | Schedule


def _when(seen: Seen | None, *, only_new: bool = False) -> dict[str, str]:
    """The condition of a change: that it is as it was seen, or that there is nothing yet."""
    if only_new:
        return {"if-none-match": "*"}
    return {} if seen is None else {"if-match": tag_of(seen)}


class Models(Noun[F]):
    """Model versions, and their aliases."""

    @listing
    def list(self, name: str | None = None) -> Listing[ModelSummary]:
        """Versions by name, newest first; of one name or of all."""
        return Listing(at("models"), ModelSummary, {"name": name})

    @call
    def get(self, spec: str) -> Steps[ModelVersion]:
        """A version by `churn` (the newest), `churn:3` or `churn:production`."""
        name, _, version = spec.partition(":")
        return (yield from ask("GET", at("models", name, "versions", version or "latest"), ModelVersion))

    @call
    def delete(self, name: str, version: int) -> Steps[None]:
        """Delete a version that nothing uses."""
        yield from ask("DELETE", at("models", name, "versions", version), type(None))

    @listing
    def aliases(self, name: str) -> Listing[Alias]:
        """The aliases of a model."""
        return Listing(at("models", name, "aliases"), Alias)

    @call
    def alias(self, name: str, alias: str, version: int, *, seen: Alias | None = None) -> Steps[Alias]:
        """Give an alias to a version. seen: what it was; a ConflictError tells that another has moved it since."""
        target = AliasTarget(version)
        path = at("models", name, "aliases", alias)
        return (yield from ask("PUT", path, Alias, body=target, headers=_when(seen)))

    @call
    def unalias(self, name: str, alias: str) -> Steps[None]:
        """Take an alias away."""
        yield from ask("DELETE", at("models", name, "aliases", alias), type(None))


class Endpoints(Noun[F]):
    """Endpoints. seen: what was looked at and is to be changed; a ConflictError tells that another changed it since."""

    @listing
    def list(self) -> Listing[EndpointSummary]:
        """Endpoints by name."""
        return Listing(at("endpoints"), EndpointSummary)

    @call
    def get(self, name: str) -> Steps[EndpointDetails]:
        """An endpoint, with the columns that its model takes."""
        return (yield from ask("GET", at("endpoints", name), EndpointDetails))

    @call
    def status(self, name: str) -> Steps[EndpointHealth]:
        """Its state, what each server makes of it, and how its shadows compare."""
        return (yield from ask("GET", at("endpoints", name, "status"), EndpointHealth))

    @call
    def put(
        self,
        name: str,
        variants: Sequence[Variant],
        *,
        shadows: Sequence[Variant] = (),
        capture: CapturePolicy = CapturePolicy(),  # noqa: B008 - it never changes
        limits: EndpointLimits = EndpointLimits(),  # noqa: B008
        provider: Provider = "cpu",
        seen: Endpoint | EndpointDetails | EndpointSummary | None = None,
        only_new: bool = False,
    ) -> Steps[EndpointDetails]:
        """Make an endpoint, or put all of this in the place of what it is. only_new: refuse if there is one."""
        wanted = EndpointConfig(tuple(variants), tuple(shadows), capture, limits, provider)
        headers = _when(seen, only_new=only_new)
        return (yield from ask("PUT", at("endpoints", name), EndpointDetails, body=wanted, headers=headers))

    @call
    def change(
        self,
        name: str,
        *,
        capture: CapturePolicy | None = None,
        limits: EndpointLimits | None = None,
        provider: Provider | None = None,
        seen: Endpoint | EndpointDetails | EndpointSummary | None = None,
    ) -> Steps[EndpointDetails]:
        """Change what is given, and leave the rest."""
        wanted = EndpointChange(None, capture, limits, provider)
        return (yield from ask("PATCH", at("endpoints", name), EndpointDetails, body=wanted, headers=_when(seen)))

    @call
    def weights(
        self,
        name: str,
        weights: Mapping[str, float],
        *,
        seen: Endpoint | EndpointDetails | EndpointSummary | None = None,
    ) -> Steps[EndpointDetails]:
        """Give variants other weights; those not named keep theirs."""
        wanted = EndpointChange(dict(weights))
        return (yield from ask("PATCH", at("endpoints", name), EndpointDetails, body=wanted, headers=_when(seen)))

    @call
    def delete(self, name: str, *, seen: Endpoint | EndpointDetails | EndpointSummary | None = None) -> Steps[None]:
        """Delete an endpoint and its schedules."""
        yield from ask("DELETE", at("endpoints", name), type(None), headers=_when(seen))

    @call
    def wait(self, name: str, *, timeout_s: float = 60.0) -> Steps[EndpointHealth]:
        """Wait until all servers serve its newest revision. Raises FailureError if they cannot, or the time is over."""
        end = monotonic() + timeout_s
        while True:
            health = yield from ask("GET", at("endpoints", name, "status"), EndpointHealth)
            if health.status.state == "InService":
                return health
            told = f"Endpoint {name!r} is {health.status.state}: {health.status.reason}"
            if health.status.state == "Failed":
                raise FailureError(told)
            if monotonic() > end:
                raise FailureError(f"{told} It was waited for {timeout_s:g} s.")
            yield Pause(_LOOK_S)


class Rollouts(Noun[F]):
    """Roll-outs of endpoints."""

    @listing
    def list(self, endpoint: str | None = None, status: Status | None = None) -> Listing[Rollout]:
        """Roll-outs, newest first."""
        return Listing(at("rollouts"), Rollout, {"endpoint": endpoint, "status": status})

    @call
    def get(self, rollout_id: str) -> Steps[Rollout]:
        """How it fares, or fared."""
        return (yield from ask("GET", at("rollouts", rollout_id), Rollout))

    @call
    def start(self, endpoint: str, model: str | None = None, **plan: Any) -> Steps[Rollout]:
        """Begin one: `start("price", "price:4", strategy="linear", share=0.2, wait_s=60)`. plan: as of `Plan`."""
        asked = Plan(model, **plan)
        return (yield from ask("POST", at("endpoints", endpoint, "rollouts"), Rollout, body=asked))

    @call
    def rollback(self, endpoint: str) -> Steps[Rollout]:
        """Take back the one that runs, at once; without one, the last that was completed or stopped."""
        return (yield from ask("POST", at("endpoints", endpoint, "rollback"), Rollout))

    @call
    def stop(self, endpoint: str) -> Steps[Rollout]:
        """End the one that runs, and leave the variants as they are."""
        return (yield from ask("POST", at("endpoints", endpoint, "stop"), Rollout))

    @call
    def wait(self, rollout_id: str) -> Steps[Rollout]:
        """Wait for its end, however long that takes."""
        while True:
            rollout = yield from ask("GET", at("rollouts", rollout_id), Rollout)
            if rollout.status != "running":
                return rollout
            yield Pause(_LOOK_AT_JOB_S)


class Captures(Noun[F]):
    """Captured requests of an endpoint, with their answers."""

    @listing
    def list(
        self, endpoint: str, *, start: datetime | None = None, end: datetime | None = None, variant: str | None = None
    ) -> Listing[Captured]:
        """Requests that were answered in `start <= time < end`, newest first."""
        query = {"from": start, "to": end, "variant": variant}
        return Listing(at("endpoints", endpoint, "captures"), Captured, query)

    @listing
    def summary(
        self, endpoint: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Listing[CaptureSummary]:
        """How many, by variant and version."""
        return Listing(at("endpoints", endpoint, "captures", "summary"), CaptureSummary, {"from": start, "to": end})

    @call
    def replay(self, endpoint: str, **spec: Any) -> Steps[Replay]:
        """Ask them again: `replay("price", model="price:4")`. spec: as of `ReplaySpec`. It answers when it is done."""
        asked = ReplaySpec(**spec)
        path = at("endpoints", endpoint, "replay")
        return (yield from ask("POST", path, Replay, body=asked, timeout_s=_REPLAY_S))


class Baselines(Noun[F]):
    """What checks of data quality ask of endpoints' rows, where somebody has said so."""

    @call
    def get(self, endpoint: str) -> Steps[BaselineView]:
        """The one that is kept for an endpoint. Raises UnknownNameError if the reference suggests what is asked."""
        return (yield from ask("GET", at("endpoints", endpoint, "baseline"), BaselineView))

    @call
    def put(
        self,
        endpoint: str,
        document: bytes | Mapping[str, Any] | Baseline | ConstraintsFile,
        *,
        seen: BaselineView | None = None,
        only_new: bool = False,
    ) -> Steps[BaselineView]:
        """Keep one: the bytes of a `baseline.json` or of SageMaker's `constraints.json`, or what either holds. seen:
        what it was; a ConflictError tells that another has kept one since. only_new: refuse if there is one."""
        path, headers = at("endpoints", endpoint, "baseline"), _when(seen, only_new=only_new)
        return (yield from ask("PUT", path, BaselineView, body=document, headers=headers))

    @call
    def delete(self, endpoint: str, *, seen: BaselineView | None = None) -> Steps[None]:
        """Have the reference suggest again what is asked."""
        yield from ask("DELETE", at("endpoints", endpoint, "baseline"), type(None), headers=_when(seen))


class Labels(Noun[F]):
    """Ground truth of captured rows."""

    @call
    def put(
        self, endpoint: str, labels: Iterable[LabelItem | Mapping[str, Any]], *, replace: bool = False
    ) -> Steps[Received]:
        """Keep labels, all or none: `[{"inference_id": "a1", "label": "yes"}]`, with `row` and `happened_at` if need
        be. replace: whether they take the place of others."""
        query = {"replace": replace}
        return (yield from ask("PUT", at("endpoints", endpoint, "labels"), Received, query=query, body=[*labels]))

    @listing
    def list(self, endpoint: str, *, inference_id: str | None = None) -> Listing[Label]:
        """Labels by inference id and row."""
        return Listing(at("endpoints", endpoint, "labels"), Label, {"inference_id": inference_id})

    @call
    def summary(
        self, endpoint: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Steps[LabelSummary]:
        """How many there are, and how good the answers of a window were."""
        path = at("endpoints", endpoint, "labels", "summary")
        return (yield from ask("GET", path, LabelSummary, query={"from": start, "to": end}))


class Asked(Noun[F], Generic[F, J]):
    """Long work that was asked for. job: as it was then."""

    _PLACE: ClassVar[str]

    def __init__(self, transport: F, job: J) -> None:
        super().__init__(transport)
        self.job = job

    @property
    def id(self) -> str:
        """Its id, by which others find it."""
        return self.job.id

    @call
    def look(self) -> Steps[J]:
        """How far it is, and what it waits for."""
        return (yield from ask("GET", at(self._PLACE, self.id), type(self.job)))

    @call
    def wait(self) -> Steps[J]:
        """Wait for its end, however long that takes. Raises FailureError with the reason if it failed."""
        while True:
            job = yield from ask("GET", at(self._PLACE, self.id), type(self.job))
            if job.status == "failed":
                raise FailureError(f"Job {job.id} failed: {job.reason}")
            if job.status in ("completed", "stopped"):
                return job
            yield Pause(_LOOK_AT_JOB_S)

    @call
    def stop(self) -> Steps[J]:
        """End it within a second."""
        return (yield from ask("POST", at(self._PLACE, self.id, "stop"), type(self.job)))


class BatchJob(Asked[F, TransformJob]):
    """A batch transform that was asked for."""

    _PLACE = "jobs"


class BacktestJob(Asked[F, BacktestView]):
    """A backtest that was asked for."""

    _PLACE = "backtests"


class Jobs(Noun[F]):
    """Long work that the server does."""

    @listing
    def list(self, status: JobStatus | None = None) -> Listing[TransformJob]:
        """Jobs, newest first."""
        return Listing(at("jobs"), TransformJob, {"status": status})

    @call
    def get(self, job_id: str) -> Steps[BatchJob[F]]:
        """A job."""
        return BatchJob(self.transport, (yield from ask("GET", at("jobs", job_id), TransformJob)))

    @call
    def batch(self, model: str, source: str, out: str, **options: Any) -> Steps[BatchJob[F]]:
        """Have files scored: `batch("churn", "new/", "scored/", join=True).wait()`. options: as of `Transform`. Paths
        are those of the server's machine."""
        asked = Transform(model, source, out, **options)
        return BatchJob(self.transport, (yield from ask("POST", at("jobs", "batch"), TransformJob, body=asked)))


class Backtests(Noun[F]):
    """What schedules would have found in the past. They are asked for as `schedules.backtest`."""

    @listing
    def list(self, schedule: str) -> Listing[BacktestView]:
        """Those of a schedule without their results, newest first."""
        return Listing(at("schedules", schedule, "backtests"), BacktestView)

    @call
    def get(self, backtest_id: str) -> Steps[BacktestJob[F]]:
        """One by its id."""
        return BacktestJob(self.transport, (yield from ask("GET", at("backtests", backtest_id), BacktestView)))


class Schedules(Noun[F]):
    """When checks of endpoints are due."""

    @listing
    def list(self) -> Listing[Schedule]:
        """Schedules by name."""
        return Listing(at("schedules"), Schedule)

    @call
    def get(self, name: str) -> Steps[Schedule]:
        """A schedule by its name."""
        return (yield from ask("GET", at("schedules", name), Schedule))

    @call
    def put(
        self, name: str, cron: str, *, level: float = 0.05, seen: Schedule | None = None, **options: Any
    ) -> Steps[Schedule]:
        """Make or replace one. cron: five fields, or `every 15 minutes`. options: as of `ScheduleConfig`; without
        `endpoint` it is of the endpoint of its name."""
        wanted = ScheduleConfig(cron, level, **options)
        return (yield from ask("PUT", at("schedules", name), Schedule, body=wanted, headers=_when(seen)))

    @call
    def pause(self, name: str) -> Steps[Schedule]:
        """Have it owe nothing until it is resumed."""
        return (yield from ask("POST", at("schedules", name, "pause"), Schedule))

    @call
    def resume(self, name: str) -> Steps[Schedule]:
        """Have it go on."""
        return (yield from ask("POST", at("schedules", name, "resume"), Schedule))

    @call
    def run(self, name: str) -> Steps[Execution]:
        """Have a check now, beside the due times."""
        return (yield from ask("POST", at("schedules", name, "run"), Execution))

    @call
    def backtest(
        self, name: str, *, start: datetime | None = None, end: datetime | None = None, **options: Any
    ) -> Steps[BacktestJob[F]]:
        """Have it tried on the past: `backtest("nightly", level=0.01).wait().result.sentence`. It is not changed.

        start, end: due times in `start < due <= end`; by default the last 30 days. options: in place of its own, as of
        `BacktestConfig`. The monitor makes it."""
        asked = BacktestConfig(start, end, **options)
        path = at("schedules", name, "backtests")
        return BacktestJob(self.transport, (yield from ask("POST", path, BacktestView, body=asked)))

    @call
    def delete(self, name: str, *, seen: Schedule | None = None) -> Steps[None]:
        """Remove it; reports stay."""
        yield from ask("DELETE", at("schedules", name), type(None), headers=_when(seen))

    @listing
    def executions(self, name: str) -> Listing[Execution]:
        """What became of each due time, newest first."""
        return Listing(at("schedules", name, "executions"), Execution)

    @listing
    def changes(self, name: str) -> Listing[AlertChange]:
        """When it went into alert, and came out of it, newest first."""
        return Listing(at("schedules", name, "alerts"), AlertChange)

    @listing
    def alerts(self) -> Listing[AlertView]:
        """Which schedules are in alert, and which are not, by name."""
        return Listing(at("alerts"), AlertView)

    @listing
    def deliveries(self, schedule: str | None = None, status: DeliveryStatus | None = None) -> Listing[DeliveryView]:
        """Who was told of changes of alerts, newest first; of one schedule or of all."""
        return Listing(at("alerts", "deliveries"), DeliveryView, {"schedule": schedule, "status": status})


class Reports(Noun[F]):
    """Drift reports."""

    @listing
    def list(self, endpoint: str | None = None) -> Listing[ReportSummary]:
        """Reports, newest first; on one endpoint or on all."""
        return Listing(at("reports"), ReportSummary, {"endpoint": endpoint})

    @call
    def get(self, report_id: str) -> Steps[dict[str, Any]]:
        """A report, as `autopilot monitor run --json` prints it."""
        return (yield from ask("GET", at("reports", report_id), dict[str, Any]))

    @call
    def html(self, report_id: str) -> Steps[str]:
        """A report as a page for people."""
        page = yield from ask("GET", at("reports", report_id).removeprefix("/api"), bytes)
        return page.decode()

    @call
    def markdown(self, report_id: str) -> Steps[str]:
        """The same as Markdown; UnknownNameError for a report of before there was any."""
        told = yield from ask("GET", at("reports", report_id, "markdown").removeprefix("/api"), bytes)
        return told.decode()


class Runs(Noun[F]):
    """Runs of `fit`."""

    @listing
    def list(self, experiment: str | None = None, status: RunStatus | None = None) -> Listing[Run]:
        """Runs, newest first."""
        return Listing(at("runs"), Run, {"experiment": experiment, "status": status})

    @call
    def get(self, run_id: str) -> Steps[Run]:
        """A run."""
        return (yield from ask("GET", at("runs", run_id), Run))

    @listing
    def trials(self, run_id: str) -> Listing[Trial]:
        """Its trials in order."""
        return Listing(at("runs", run_id, "trials"), Trial)

    @listing
    def events(self, run_id: str) -> Listing[RunEvent]:
        """What happened in it, in order."""
        return Listing(at("runs", run_id, "events"), RunEvent)

    @listing
    def experiments(self) -> Listing[Experiment]:
        """Experiments by name."""
        return Listing(at("experiments"), Experiment)


class AsyncInvocations(Noun[F]):
    """Requests to endpoints that are answered later."""

    @listing
    def list(self, endpoint: str | None = None, status: AsyncStatus | None = None) -> Listing[AsyncView]:
        """Invocations, newest first."""
        return Listing(at("async-invocations"), AsyncView, {"endpoint": endpoint, "status": status})

    @call
    def get(self, invocation_id: str) -> Steps[AsyncView]:
        """How far it is, and where its answer will be."""
        return (yield from ask("GET", at("async-invocations", invocation_id), AsyncView))


class Servers(Noun[F]):
    """The processes that serve."""

    @listing
    def list(self) -> Listing[Server]:
        """Those that are there, and what each serves."""
        return Listing(at("servers"), Server)
