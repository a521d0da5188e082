"""What the control plane takes and tells: bodies that the server and its clients share.

Beside these, it tells records as they are (`records.py`), and the views of their own modules: `backtests.BacktestView`,
`batch.TransformJob`, `captures.Captured`, `labels.Received`, `servers.EndpointStatus`, `shadows.ShadowReport`.
"""

from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from msgspec import Struct

from storage.baselines import Baseline, ConstraintsFile
from storage.predictor import Provider
from storage.records import (
    AlertRule,
    AlertState,
    Alias,
    AsyncStatus,
    CapturePolicy,
    CheckKind,
    DeliveryStatus,
    Endpoint,
    EndpointLimits,
    Missed,
    Schedule,
    Variant,
    WebhookStatus,
)
from storage.servers import EndpointStatus
from storage.shadows import ShadowReport
from storage.signature import Column, Task

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Page(Struct, Generic[T], frozen=True):
    """Some entries of a list. next: the cursor of those that follow; None if none do."""

    items: list[T]
    next: str | None


class ModelSummary(Struct, frozen=True):
    """A model version. The scores are by `metric`, in its own direction."""

    name: str
    version: int
    task: Task
    target: str
    columns: int
    metric: str
    validation_score: float
    test_score: float
    baseline_score: float
    size_bytes: int
    created_at: datetime
    aliases: tuple[str, ...]


class AliasTarget(Struct, frozen=True):
    """Which version gets an alias."""

    version: int


class EndpointSummary(Struct, frozen=True):
    """An endpoint. model, version: of its main variant. live: whether the server that tells this serves this very
    revision by now."""

    name: str
    model: str
    version: int
    variants: tuple[Variant, ...]
    revision: int
    capture: bool
    live: bool
    path: str
    created_at: datetime
    updated_at: datetime


class EndpointConfig(Struct, frozen=True):
    """What an endpoint is to be, as a whole; see `records.Endpoint`. What is left out is as of a new endpoint."""

    variants: tuple[Variant, ...]
    shadows: tuple[Variant, ...] = ()
    capture: CapturePolicy = CapturePolicy()
    limits: EndpointLimits = EndpointLimits()
    provider: Provider = "cpu"


class EndpointChange(Struct, frozen=True):
    """What is to change of an endpoint; what is left out, or null, stays. weights: by variant."""

    weights: dict[str, float] | None = None
    capture: CapturePolicy | None = None
    limits: EndpointLimits | None = None
    provider: Provider | None = None


class EndpointDetails(Struct, frozen=True):
    """An endpoint, and what its model takes and tells. classes: what it predicts; empty for a regression."""

    name: str
    model: str
    version: int
    revision: int
    variants: tuple[Variant, ...]
    shadows: tuple[Variant, ...]
    capture: CapturePolicy
    limits: EndpointLimits
    provider: Provider
    created_at: datetime
    updated_at: datetime
    task: Task
    target: str
    classes: tuple[str | int, ...]
    columns: tuple[Column, ...]
    path: str
    schema_path: str


class EndpointHealth(Struct, frozen=True):
    """How an endpoint does: its state by what its servers say, and how its shadows compare."""

    status: EndpointStatus
    shadows: list[ShadowReport]


class BaselineView(Struct, frozen=True):
    """What is asked of an endpoint's rows by checks of data quality: one of the two forms, as it was kept.

    source: the file that it came from, as it was called by who kept it, or `HTTP`.
    """

    endpoint: str
    source: str
    kept_at: datetime
    baseline: Baseline | None = None
    constraints: ConstraintsFile | None = None


class AsyncView(Struct, frozen=True):
    """An async invocation as it is shown.

    due_at: when it is tried (again), while it is queued. expires_at: no attempt begins after it. reason: why it failed,
    or why the last attempt did. webhook: without its query, which may hold a token. webhook_reason: as `reason`, of
    telling the webhook.
    """

    id: str
    endpoint: str
    inference_id: str
    status: AsyncStatus
    attempts: int
    created_at: datetime
    due_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None
    reason: str | None
    output_location: str
    failure_location: str
    webhook: str | None
    webhook_status: WebhookStatus | None
    webhook_attempts: int
    webhook_reason: str | None


class ReportSummary(Struct, frozen=True):
    """A report on an endpoint's traffic in `window_start <= time < window_end`.

    check: whose verdict it has; breached: whether that is bad, None where there is too little to say so. drifted: of
    the columns, whatever the check. markdown_path: None for reports of before there were any.
    """

    id: str
    endpoint: str
    model: str
    version: int
    window_start: datetime
    window_end: datetime
    verdict: str
    drifted: bool
    rows: int
    json_path: str
    html_path: str
    created_at: datetime
    check: CheckKind = "drift"
    breached: bool | None = None
    markdown_path: str | None = None


class ScheduleConfig(Struct, frozen=True):
    """When a kind of check of an endpoint is due. The fields are those of `Schedule`; without an endpoint it is that of
    the schedule's name."""

    cron: str
    level: float = 0.05
    endpoint: str | None = None
    check: CheckKind = "drift"
    variant: str | None = None
    zone: str = "UTC"
    missed: Missed = "latest"
    start_offset: str | None = None
    end_offset: str | None = None
    paused: bool = False
    alert: AlertRule = AlertRule()
    facets: tuple[str, ...] = ()
    budget: str | None = None


class AlertView(Struct, frozen=True):
    """Whether a schedule is in alert, or failing."""

    schedule: str
    endpoint: str
    check: CheckKind
    state: AlertState


class DeliveryView(Struct, frozen=True):
    """A change of a schedule's alert that a channel is told, without where it leads and what is told.

    id: the same with each attempt. number: of the change. due_at: when it is told (again), while it waits. attempts:
    so far. reason: why the last one failed, in one line.
    """

    id: str
    schedule: str
    number: int
    channel: str
    status: DeliveryStatus
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    attempts: int
    reason: str | None


def tag_of(seen: Alias | BaselineView | Endpoint | EndpointDetails | EndpointSummary | Schedule) -> str:
    """The entity tag of what can be changed only as it was seen, in its quotes.

    Endpoints count their changes; one that was deleted and made again has another date.

    >>> from tests.records import NOW, endpoint_record
    >>> tag_of(endpoint_record("demo"))
    '"1-1714570200123456"'
    """
    if isinstance(seen, Alias):
        return f'"{seen.version}-{_micros(seen.updated_at)}"'
    if isinstance(seen, BaselineView):
        return f'"{_micros(seen.kept_at)}"'
    if isinstance(seen, Schedule):
        return f'"{_micros(seen.created_at)}"'
    return f'"{seen.revision}-{_micros(seen.created_at)}"'


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
