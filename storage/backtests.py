"""Backtests: what a schedule would have found in the past, asked for as a job of the store and made by the monitor.

    ask ── queued ── a monitor claims it ── running ── completed (result) | failed (reason)
                           │                   └── the monitor dies: after its lease, claimed again
    stop ──────────────────┴── stopped

Whoever serves knows nothing of statistics, and whoever monitors is asked nothing over HTTP: they meet here.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from storage.budget import changed
from storage.cron import recent
from storage.errors import SettingError
from storage.profiles import KEPT
from storage.records import AlertRule, AlertState, Job, JobStatus, Schedule
from storage.schedules import check_schedule, check_variant
from storage.store import Store
from storage.timing import duration_of, parse_timing

_KIND = "backtest"

#: How far a backtest looks back where nobody says from when on.
PERIOD = timedelta(days=30)

#: Monitors look each second for what waits. If one has waited so much longer, there is none.
NOBODY = timedelta(seconds=10)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BacktestConfig(Struct, frozen=True):
    """What is tried on the past: a schedule, with the fields that are given in place of its own; null leaves its own.

    start, end: due times in `start < due <= end`; without a time zone in UTC. None is 30 days ago, and now. The others
    are those of `Schedule`; nobody is told of alerts.
    """

    start: datetime | None = None
    end: datetime | None = None
    cron: str | None = None
    variant: str | None = None
    zone: str | None = None
    start_offset: str | None = None
    end_offset: str | None = None
    alert: AlertRule | None = None
    level: float | None = None
    budget: str | None = None


class Drifted(Struct, frozen=True):
    """A column that would have alarmed, and how far it was from the reference, 0 to 1."""

    name: str
    effect: float


class WouldBe(Struct, frozen=True):
    """What an execution of the schedule would have found.

    rows: of `window_start <= time < window_end`. breached: whether the verdict is bad; None of too few rows. drifted:
    the largest effect first. state: of the alert after it. level: the chance of any alarm in it without drift.
    """

    scheduled_at: datetime
    window_start: datetime
    window_end: datetime
    rows: int
    verdict: Literal["drift", "no drift", "too few rows"]
    breached: bool | None
    drifted: tuple[Drifted, ...]
    state: AlertState
    level: float


class Backtest(Struct, frozen=True):
    """What a schedule would have found in `start < due <= end`.

    sentence: what was found, for people. alarms: how many verdicts would have been bad. alerts: how often the alert
    would have gone off. expected: how many false alarms there would be at most, on average, had nothing changed.
    outcomes: one for each due time, in their order.
    """

    sentence: str
    alarms: int
    alerts: int
    expected: float
    schedule: str
    start: datetime
    end: datetime
    outcomes: tuple[WouldBe, ...]


class BacktestProgress(Struct, frozen=True):
    """How far a backtest is: so many hours of traffic, of all, are `profiled`, and then `read`."""

    step: Literal["profiled", "read"]
    hours: int
    of: int


class BacktestSpec(Struct, frozen=True):
    """What a job is to do: a schedule as it is tried, at its due times in `start < due <= end`."""

    schedule: Schedule
    start: datetime
    end: datetime


class BacktestView(Struct, frozen=True):
    """A backtest as it is shown.

    schedule: as it is tried. reason: why it failed or was stopped, or what it waits for. result: None until it is
    completed, and in lists.
    """

    id: str
    status: JobStatus
    schedule: Schedule
    start: datetime
    end: datetime
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    reason: str | None
    progress: BacktestProgress | None
    result: Backtest | None


def tried(schedule: Schedule, choice: BacktestConfig) -> Schedule:
    """A schedule as it is tried. A level takes the place of its budget, too. Raises SettingError for both at once."""
    given = {name: getattr(choice, name) for name in choice.__struct_fields__ if name not in ("start", "end")}
    return changed(schedule, {name: value for name, value in given.items() if value is not None})


def check_tried(schedule: Schedule, start: datetime, end: datetime, now: datetime) -> None:
    """Raises SettingError for what no schedule can have, for a check that cannot be tried on the past, and for a period
    that is none, is yet to come or is longer than `KEPT`."""
    check_schedule(schedule)
    if schedule.check != "drift":
        raise SettingError(f"check is {schedule.check!r}. From profiles, only drift can be tried on the past.")
    _check_period(schedule, start, end, now)


def ask(store: Store, name: str, choice: BacktestConfig, now: datetime) -> BacktestView:
    """Ask for a backtest of a schedule. The schedule is taken as it is now, its endpoint as it is served then.

    Looks whether it can be done as far as the records tell. Raises UnknownNameError for a schedule or a variant that
    there is not, and SettingError for what no schedule can have and for a period that cannot be tried. Windows that
    are no whole hours, and hours of which nothing is kept, make the job fail.
    """
    schedule = tried(store.schedules.get(name), choice)
    start, end = choice.start or now - PERIOD, choice.end or now
    check_tried(schedule, start, end, now)
    check_variant(store.endpoints.get(schedule.endpoint), schedule.variant)
    spec = BacktestSpec(schedule, start, end)
    return view(store.jobs.create(_KIND, msgspec.json.encode(spec).decode(), now))


def get(store: Store, job_id: str, now: datetime) -> BacktestView:
    """A backtest by the id of its job; one that waits tells for what. Raises UnknownNameError."""
    job = store.jobs.get(job_id, _KIND)
    return view(replace(job, reason=_waits_for(store, job, now) or job.reason))


def list_backtests(store: Store, schedule: str, *, limit: int, before: str | None = None) -> list[BacktestView]:
    """Backtests of a schedule without their results, the newest first; also of one that was removed.

    before: id of the last one that was seen. Raises UnknownNameError for that.
    """
    of_schedule = (("schedule", "name"), schedule)
    jobs = store.jobs.list(kind=_KIND, spec=of_schedule, results=False, limit=limit, before=before)
    return [view(job) for job in jobs]


def stop(store: Store, job_id: str, now: datetime) -> BacktestView:
    """Stop a backtest. Raises UnknownNameError, and InputError if it has ended by itself."""
    return view(store.jobs.stop(job_id, now, _KIND))


def view(job: Job) -> BacktestView:
    """A job as its fields mean it."""
    spec = spec_of(job)
    return BacktestView(
        id=job.id,
        status=job.status,
        schedule=spec.schedule,
        start=spec.start,
        end=spec.end,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        attempts=job.attempts,
        reason=job.reason,
        progress=msgspec.json.decode(job.progress, type=BacktestProgress) if job.progress else None,
        result=msgspec.json.decode(job.result, type=Backtest) if job.result else None,
    )


def spec_of(job: Job) -> BacktestSpec:
    """What a job is to do."""
    return msgspec.json.decode(job.spec, type=BacktestSpec)


def _check_period(schedule: Schedule, start: datetime, end: datetime, now: datetime) -> None:
    """All hours of a period are in memory at once: it is no longer than they are kept, however far back it lies."""
    if start < _EPOCH:
        raise SettingError(
            f"start is {start.isoformat()}, and there is no traffic of before 1970. Have it begin later."
        )
    if start >= end:
        raise SettingError(f"start is {start.isoformat()}, and end {end.isoformat()}. Give a start before the end.")
    if start >= now:
        raise SettingError(f"start is {start.isoformat()}, which is yet to come. Give one in the past.")
    if schedule.start_offset is not None:
        before = -duration_of(schedule.start_offset)
    else:
        due = recent(parse_timing(schedule.cron, schedule.zone), start, 1)
        before = start - due[0] - duration_of(schedule.end_offset or "PT0M")
    span = end - start + before
    if span > KEPT:
        raise SettingError(
            f"start is {start.isoformat()}, and its first window begins {span.days:,} days before the end, "
            f"{end.isoformat()}. They span {KEPT.days} days at most: give a later start, or an earlier end."
        )


def _waits_for(store: Store, job: Job, now: datetime) -> str | None:
    """What nobody works on waits for; None for what has ended, or is worked on."""
    is_left = job.status == "running" and job.lease_until is not None and job.lease_until <= now
    if job.status != "queued" and not is_left:
        return None
    if not store.jobs.waits(_KIND, now):
        return "it waits for another backtest: one is made at a time"
    if now - (job.lease_until or job.created_at) < NOBODY:
        return "it waits for a monitor, which looks each second"
    return (
        "no monitor has taken it, so that none seems to follow this store: start one by `autopilot serve`, or by "
        "`python -m monitor --store STORE`"
    )
