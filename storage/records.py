"""The records of a store: plain data, one struct for each table, read by all three programs.

Times are aware datetimes in UTC. A window is half open: `start <= time < end`.
"""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from storage.signature import Signature, Task


class Experiment(Struct, frozen=True):
    """A named series of runs; by default one for each target."""

    name: str
    created_at: datetime


RunStatus = Literal["running", "completed", "failed"]


class Run(Struct, frozen=True):
    """One call of `fit`.

    data: where the rows came from, as the user wrote it; data_digest: sha256 of the rows as read.
    status: a run that a kill interrupted stays `running` until it is resumed; its `ended_at` is None.
    reason: why it failed, or ended before its time, for the user.
    """

    id: str
    experiment: str
    status: RunStatus
    data: str
    data_digest: str
    rows: int
    target: str
    task: Task
    metric: str
    budget_s: float
    seed: int
    created_at: datetime
    ended_at: datetime | None = None
    model: str | None = None
    version: int | None = None
    reason: str | None = None


class Trial(Struct, frozen=True):
    """One candidate with one set of parameters, scored on the run's folds.

    status: `completed` on all folds, `raced` when the first folds showed that it would not win, `failed` with a reason.
    score: mean of fold_scores by their rows, in the metric's own direction; None if no fold ended.
    test_score: of rows that no decision has seen, for those who read leaderboards; None unless all folds ended.
    rounds: boosting rounds, trees or solver steps that a refit on all rows should use; 0 where there is no such thing.
    """

    run_id: str
    number: int
    candidate: str
    params: dict[str, Any]
    status: Literal["completed", "raced", "failed"]
    score: float | None
    fold_scores: tuple[float, ...]
    seconds: float
    rounds: int = 0
    reason: str | None = None
    test_score: float | None = None


class RunEvent(Struct, frozen=True):
    """What happened in a run, in the order in which it did: the run's tape.

    number: from 1, without gaps. kind: of the event; body: the rest of it as JSON, whose form the program that trains
    knows. Readers pass over kinds that they do not know.
    """

    run_id: str
    number: int
    at: datetime
    kind: str
    body: str


class Member(Struct, frozen=True):
    """A trial's share in the published ensemble; weights sum to 1.

    params: what the candidate was trained with. recipe: which of the card's plans makes its features.
    """

    trial: int
    candidate: str
    weight: float
    params: dict[str, Any] = {}
    recipe: str = ""


class Place(Struct, frozen=True):
    """What was special about a row.

    column: the one that was changed; None in a real row, and where all were. value: what was put there, in words.

    >>> Place("age", "infinity").words, Place(None, "a real row").words
    ("with infinity in 'age'", 'in a real row')
    """

    column: str | None
    value: str

    @property
    def words(self) -> str:
        """Where that is, for people."""
        return f"in {self.value}" if self.column is None else f"with {self.value} in {self.column!r}"


class Parity(Struct, frozen=True):
    """How far the ONNX file is from the model as trained.

    rows: rows compared: real ones, and rows with nulls, unseen categories and extremes.
    max_abs_diff: of probabilities; for regression of predictions in units of the target's standard deviation.
    label_flips: rows whose label differs although the trained model's margin exceeds the tolerance.
    real_rows: how many of the rows were as in training. worst: where the largest difference was; None if there is none.
    """

    rows: int
    max_abs_diff: float
    label_flips: int
    real_rows: int = 0
    worst: Place | None = None


class Scores(Struct, frozen=True):
    """How good a model is. All by the metric named, in its own direction.

    validation_score: out-of-fold, of the ensemble; every decision of the search has seen these rows.
    test_score: of rows that no decision has seen; baseline_score: of the constant guess on the same rows.
    test, baseline: the task's other metrics on those rows, by name.
    test_error: standard error of a nested estimate. On little data no rows are held out, and test_rows is 0: each
    fold is then scored by an ensemble that was chosen without it. greater_is_better: the metric's direction.
    """

    metric: str
    validation_score: float
    test_score: float
    baseline_score: float
    test_rows: int
    test: dict[str, float]
    baseline: dict[str, float]
    test_error: float | None = None
    greater_is_better: bool = True


class Card(Struct, frozen=True):
    """What a stranger wants to know of a model file; travels in it under the metadata key `card`.

    digest: sha256 of the graph, metadata left out. versions: of the libraries that trained and wrote it.
    plans: by recipe, what each step of the features does, in words. What the file itself tells (size, operators,
    columns) is not repeated here: `autopilot inspect` reads it there. latency_us: of one row, measured where it was
    trained; 0 if unknown. notes: what was decided beside the search, in words. fairness: columns by whose groups the
    report on the run compares rates, also such that the model does not take; empty in cards of older programs.
    """

    name: str
    created_at: datetime
    rows: int
    seed: int
    seconds: float
    digest: str
    scores: Scores
    parity: Parity
    members: tuple[Member, ...]
    versions: dict[str, str]
    plans: dict[str, tuple[str, ...]] = {}
    latency_us: float = 0.0
    notes: tuple[str, ...] = ()
    fairness: tuple[str, ...] = ()


class ModelVersion(Struct, frozen=True):
    """A published model, numbered from 1 within its name; immutable once its run has ended.

    digest: of the ONNX file in the blob store; reference_digest: of the Parquet file that holds a bounded sample of
    training rows with out-of-fold predictions, which monitoring compares traffic with.
    """

    name: str
    version: int
    run_id: str
    digest: str
    size_bytes: int
    reference_digest: str
    signature: Signature
    card: Card
    created_at: datetime


class Alias(Struct, frozen=True):
    """Another name of a model version, such as `production`, which can be given to another version."""

    model: str
    name: str
    version: int
    updated_at: datetime


#: What the variant of an endpoint with one version is called.
MAIN = "main"


class Variant(Struct, frozen=True):
    """A model version behind an endpoint; production or shadow.

    weight: of production, its share of requests is its weight over the sum of all; of a shadow, the share of requests
    that are also run by it, 0 to 1.
    """

    name: str
    model: str
    version: int
    weight: float = 1.0

    @property
    def spec(self) -> str:
        """The version as commands take it, such as `churn:3`."""
        return f"{self.model}:{self.version}"


class CapturePolicy(Struct, frozen=True):
    """What is kept of requests and answers.

    share: of requests, 0 to 1, drawn by their inference id: the same id is always kept, or never. mode: `async` answers
    first, and a kill loses what was answered in the last 0.2 s; `sync` answers when the capture is with the operating
    system. redact: of columns, before anything leaves the process: `drop` writes nothing, `mask` only whether there was
    a value, `hash` a keyed digest of it, equal for equal values of one store.
    """

    share: float = 1.0
    mode: Literal["async", "sync"] = "async"
    redact: dict[str, Literal["drop", "hash", "mask"]] = {}


class EndpointLimits(Struct, frozen=True):
    """Limits of one endpoint, where they are tighter than the server's; None leaves the server's."""

    max_body_bytes: int | None = None
    max_rows: int | None = None


class Endpoint(Struct, frozen=True):
    """A name under which model versions are served. `revision` grows with each change; servers follow it.

    variants: production variants, at least one. shadows: variants that see requests and whose answers nobody gets.
    provider: where the models run; `cuda` falls back to the CPU, and says so, where there is none.
    """

    name: str
    variants: tuple[Variant, ...]
    revision: int
    created_at: datetime
    updated_at: datetime
    shadows: tuple[Variant, ...] = ()
    capture: CapturePolicy = CapturePolicy()
    limits: EndpointLimits = EndpointLimits()
    provider: Literal["cpu", "cuda"] = "cpu"

    @property
    def main(self) -> Variant:
        """The variant of the greatest weight, the first of equals: what is meant where an endpoint has one version."""
        return max(self.variants, key=lambda variant: variant.weight)

    @property
    def model(self) -> str:
        """Name of the main variant's model."""
        return self.main.model

    @property
    def version(self) -> int:
        """Version of the main variant's model."""
        return self.main.version


class Serving(Struct, frozen=True):
    """What a server process makes of an endpoint.

    revision: the one that it answers with; 0 if it has none. failed: the newer one that it could not load, if there is
    such a one; reason: why. notes: what else people should know, in sentences.
    """

    revision: int
    failed: int | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


class Server(Struct, frozen=True):
    """A process that serves. serving: by endpoint. seen_at: when it last said so; it does each two seconds.

    url: where it answers; None of one that has said nothing of it.
    """

    id: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    serving: dict[str, Serving]
    url: str | None = None


class Monitor(Struct, frozen=True):
    """A process that follows schedules. seen_at: when it last said so; it does each ten seconds."""

    id: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime


class Guard(Struct, frozen=True):
    """What takes a roll-out back.

    kind: `errors` (answers that are the server's fault, refusals for time, and rows that the version cannot read),
    `latency` (requests whose reading and run take longer than `limit` milliseconds; by default than 1 ms more than 1.25
    times what 95 % of the old variants' take), or `scores` (the distribution of answers). floor: of a difference in
    shares, 0 to 1; smaller ones are let pass.
    """

    kind: Literal["errors", "latency", "scores"]
    limit: float | None = None
    floor: float = 0.0


class Measured(Struct, frozen=True):
    """What was found on the old variants before any request went to the new ones.

    requests: how many were looked at. slow_ms: the limit of the latency guard. cuts: ascending, between which scores
    are counted (probability of the second class, or prediction); classes: the labels that are counted, where there are
    more than two classes.
    """

    requests: int = 0
    slow_ms: float | None = None
    cuts: tuple[float, ...] = ()
    classes: tuple[str | int, ...] = ()


class GuardProgress(Struct, frozen=True):
    """What a guard has found so far.

    evidence: of harm; 1 is none, and `RolloutProgress.needed` enough. question: of which the shares are, in words, such
    as `took longer than 12 ms`. Shares are None before there are requests.
    """

    kind: Literal["errors", "latency", "scores"]
    evidence: float
    question: str
    old_requests: int
    old_share: float | None
    new_requests: int
    new_share: float | None


class RolloutProgress(Struct, frozen=True):
    """How a roll-out fares. share: of requests that the new variants get. waits_for: a sentence, where it waits for
    something else than time. evidence: the mean of the guards'; from `needed` on it is taken back."""

    at: datetime
    share: float
    evidence: float
    needed: float
    guards: tuple[GuardProgress, ...] = ()
    waits_for: str | None = None


class Rollout(Struct, frozen=True):
    """A change of an endpoint's variants in steps, which takes itself back where a guard finds harm.

    before, after: the variants at its two ends. strategy: `canary` gives `share` to the new variants and all after
    `wait_s`; `linear` gives them `share` more each `wait_s`; `blue_green` gives all at once, and keeps the old ones
    loaded for `wait_s`. alpha: chance that a roll-out without any harm is taken back. step: how many were done; in step
    0 the new variants are loaded, and get nothing yet. revision: of the endpoint, that this roll-out has set; at
    another one, somebody else has changed it.
    minimum: requests that the new variants have to have answered before anything is
    decided, and in each step before the next. owner: the server that acts, until `lease_until`; another may then.
    """

    id: str
    endpoint: str
    status: Literal["running", "completed", "rolled back", "stopped"]
    strategy: Literal["canary", "linear", "blue_green"]
    share: float
    wait_s: float
    alpha: float
    guards: tuple[Guard, ...]
    before: tuple[Variant, ...]
    after: tuple[Variant, ...]
    step: int
    step_at: datetime
    created_at: datetime
    ended_at: datetime | None = None
    reason: str | None = None
    revision: int = 0
    minimum: int = 30
    measured: Measured | None = None
    progress: RolloutProgress | None = None
    owner: str | None = None
    lease_until: datetime | None = None


class Tally(Struct, frozen=True):
    """What one server counted of one variant since a roll-out began; its newest replaces the one before.

    body: JSON, whose form the program that serves knows.
    """

    subject: str
    server_id: str
    variant: str
    at: datetime
    body: str


class Label(Struct, frozen=True):
    """The ground truth of one captured row, joined by inference id.

    row: within its request. label: a class, or a number for regression. happened_at: when it came to be known;
    received_at: when we were told.
    """

    endpoint: str
    inference_id: str
    row: int
    label: str | int | float
    happened_at: datetime
    received_at: datetime


JobKind = Literal["backtest", "batch"]
JobStatus = Literal["queued", "running", "completed", "failed", "stopped"]


class Job(Struct, frozen=True):
    """Long work that was asked for: a batch transform, or a backtest.

    spec, progress, result: JSON, whose form the program that does it knows. owner: the process that has it, until
    `lease_until`; another may take it then. Each of its attempts counts.
    """

    id: str
    kind: JobKind
    status: JobStatus
    spec: str
    created_at: datetime
    attempts: int = 0
    progress: str | None = None
    result: str | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None


AsyncStatus = Literal["queued", "running", "completed", "failed", "expired"]
WebhookStatus = Literal["waiting", "told", "failed"]


class AsyncInvocation(Struct, frozen=True):
    """A request that is answered later.

    request, reply: JSON of what is needed to answer it (headers, address of the input), and of the headers of its
    answer, in a form that the program that serves knows. input_digest, output_digest, failure_digest: blobs of
    `AsyncInvocations.blobs`. due_at: when it is tried next. expires_at: no attempt begins after it. owner: the server
    that answers it, or tells its webhook, until `lease_until`; another may then. webhook: is told when it has ended;
    webhook_status is None before, and where there is none.
    """

    id: str
    endpoint: str
    inference_id: str
    status: AsyncStatus
    request: str
    due_at: datetime
    expires_at: datetime
    created_at: datetime
    attempts: int = 0
    input_digest: str | None = None
    reply: str | None = None
    output_digest: str | None = None
    failure_digest: str | None = None
    webhook: str | None = None
    webhook_status: WebhookStatus | None = None
    webhook_attempts: int = 0
    webhook_due_at: datetime | None = None
    webhook_reason: str | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None


class IdempotencyKey(Struct, frozen=True):
    """A request to the control plane that was answered; asked again by the same key, it is answered the same.

    request_digest: sha256 of method, path and body: the same key with another request is refused.
    """

    key: str
    request_digest: str
    status: int
    headers: str
    body: str
    created_at: datetime


CheckKind = Literal["drift", "multivariate", "data-quality", "model-quality", "bias", "attribution"]


class Report(Struct, frozen=True):
    """A report on an endpoint's traffic in a window.

    check: whose verdict counts; verdict: that verdict, such as `drift`, `no violations` or `too few rows`; breached:
    whether it is bad, None where there is too little to say so. drifted: whether any column did, whatever the check.
    json_digest, html_digest, markdown_digest: blobs; None of reports that are older than their Markdown.
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
    json_digest: str
    html_digest: str
    created_at: datetime
    check: CheckKind = "drift"
    breached: bool | None = None
    markdown_digest: str | None = None


class KeptBaseline(Struct, frozen=True):
    """What is asked of an endpoint's rows by checks of data quality, in place of what the reference suggests.

    source: where it came from: the file as the user wrote it, or `HTTP`. body: JSON, a document of `storage.baselines`.
    """

    endpoint: str
    source: str
    body: str
    kept_at: datetime


class StoredProfile(Struct, frozen=True):
    """The profile of an hour of an endpoint's traffic: what reports on any period are made of without the rows.

    model, version: that answered. baseline: digest of the blob that says how values are counted, which all profiles
    that can be merged share. hour: its start. files: of traffic, that it was made of; where there are more by now, rows
    came late. digest: of the profile's blob, of size_bytes.
    """

    endpoint: str
    variant: str
    model: str
    version: int
    baseline: str
    hour: datetime
    rows: int
    files: int
    digest: str
    size_bytes: int
    created_at: datetime


Missed = Literal["catch-up", "latest", "record"]
AlertState = Literal["OK", "InAlert", "Failing"]


class AlertRule(Struct, frozen=True):
    """When a schedule is in alert: at least `datapoints` of its last `of` verdicts are bad. channels: who is told."""

    datapoints: int = 1
    of: int = 1
    channels: tuple[str, ...] = ()


class Schedule(Struct, frozen=True):
    """When a kind of check of an endpoint is due.

    cron: five fields as crontab(5) has them, SageMaker's `cron(...)`, or `every 15 minutes`; in the IANA time zone
    `zone`. level: the chance of any alarm in a report where nothing has changed; with a budget, that decides it for
    each due time. created_at: when it was made, replaced, paused or resumed; it owes nothing for the time before.
    variant: which is looked at; None is the main one. missed: what becomes of due times at which no monitor was there:
    each is made up for, the latest covers them all, or they are only recorded. start_offset, end_offset: the window
    from the due time, as ISO 8601 durations such as `-P8D` and `-P1D`; None is since the window before, and up to the
    due time. facets: whose bias is looked at, as `sex=female`, `age>40`, or `sex` for each level; without any, that of
    the columns that the model was fitted with as `fairness=`. budget: of false alarms, such as `1 per quarter`.
    """

    name: str
    endpoint: str
    cron: str
    level: float
    created_at: datetime
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


ExecutionStatus = Literal["pending", "running", "completed", "failed", "missed"]


class Execution(Struct, frozen=True):
    """One due time of a schedule and what became of it; at most one for each due time.

    status: `pending` waits for a process, `missed` will never have one. started_at: when it was begun; of one that was
    not, when it was written down. asked: by a user, beside the due times. owner: the process that has it, until
    `lease_until`; another may take it then, and each of its attempts counts. breached: whether the verdict is bad;
    None where there is none, such as of too few rows. removed: the schedule was, since then; one that has its name is
    another.
    """

    schedule: str
    scheduled_at: datetime
    status: ExecutionStatus
    started_at: datetime
    ended_at: datetime | None = None
    report_id: str | None = None
    reason: str | None = None
    asked: bool = False
    attempts: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    verdict: str | None = None
    breached: bool | None = None
    removed: bool = False


class FoundColumn(Struct, frozen=True):
    """A column that a check found something in, and what that is, for people."""

    name: str
    words: str


class Finding(Struct, frozen=True):
    """What people are told of a check: its verdict in a sentence, and a few columns to look at, the worst first."""

    sentence: str = ""
    columns: tuple[FoundColumn, ...] = ()


#: Of a check that could not be made.
NO_FINDING = Finding()


class AlertChange(Struct, frozen=True):
    """A schedule went into alert, came out of it, or began to fail: its checks could not be made.

    number: of the schedule's changes, from 1. scheduled_at, report_id: of the execution that decided. bad: of its last
    `of` verdicts, how many were bad; datapoints: how many it takes. window_start, window_end: what the report looked
    at. sentence: why, for people. columns: where to look. Without a report, it and its window are None.
    """

    schedule: str
    number: int
    endpoint: str
    check: CheckKind
    at: datetime
    state: AlertState
    scheduled_at: datetime
    bad: int
    datapoints: int
    of: int
    report_id: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    sentence: str = ""
    columns: tuple[FoundColumn, ...] = ()


ChannelKind = Literal["webhook", "command", "email"]


class Channel(Struct, frozen=True):
    """A way to tell of alerts.

    target: the address of a webhook; the words of a command; addresses of an e-mail. states: which changes it is told.
    timeout_s: how long one attempt may take.
    """

    name: str
    kind: ChannelKind
    target: tuple[str, ...]
    states: tuple[AlertState, ...]
    timeout_s: float
    created_at: datetime


DeliveryStatus = Literal["waiting", "told", "failed"]


class Delivery(Struct, frozen=True):
    """One change of an alert that one channel is told, at least once.

    id: the same with each attempt, so that the receiver can tell repeats. body: what is told, as JSON. owner: the
    process that tells it, until `lease_until`; another may then. reason: why the last attempt failed.
    """

    id: str
    schedule: str
    number: int
    channel: str
    body: str
    status: DeliveryStatus
    due_at: datetime
    created_at: datetime
    attempts: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
