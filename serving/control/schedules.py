"""Schedules: when checks are due, what became of each due time, and which are in alert.

Channels are named here and made on the command line alone: whoever could name an address or a program over HTTP could
have this machine ask or run anything.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import Condition, told
from serving.control.pages import Cursor, Limit, after, page, part
from serving.parts import AnyRequest, Parts
from storage import Store
from storage.api import AlertView, DeliveryView, Page, ScheduleConfig, tag_of
from storage.records import AlertChange, Delivery, DeliveryStatus, Execution, Schedule


@get("/api/schedules", summary="List schedules", **LIST)
def list_schedules(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[Schedule]]:
    """Schedules by name."""
    found = part(parts.store.schedules.list(), limit, _name_of, after(request, cursor, str))
    return page(request, found, limit, _name_of, lambda schedule: schedule)


@get("/api/schedules/{name:str}", summary="Describe a schedule", **ONE)
def get_schedule(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Schedule]:
    """When a check is due."""
    found = parts.store.schedules.get(name)
    return told(request, found, tag_of(found))


@get("/api/schedules/{name:str}/executions", summary="List executions of a schedule", **LIST)
def list_executions(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Execution]]:
    """What became of each due time, newest first; also of schedules that were removed."""
    before = after(request, cursor, datetime)
    found = parts.store.schedules.executions(name, limit + 1, before=before)
    return page(request, found, limit, lambda execution: execution.scheduled_at, lambda execution: execution)


@get("/api/schedules/{name:str}/alerts", summary="List changes of a schedule's alert", **LIST)
def list_changes(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[AlertChange]]:
    """When a schedule went into alert, came out of it, or began to fail, newest first."""
    before = after(request, cursor, int)
    found = parts.store.schedules.alerts.changes(name, limit + 1, before=before)
    return page(request, found, limit, lambda change: change.number, lambda change: change)


@get("/api/alerts", summary="List alerts", **LIST)
def list_alerts(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[AlertView]]:
    """Which schedules are in alert or failing, and which are not, by name."""
    states = parts.store.schedules.alerts.states()
    found = part(parts.store.schedules.list(), limit, _name_of, after(request, cursor, str))
    return page(
        request,
        found,
        limit,
        _name_of,
        lambda one: AlertView(one.name, one.endpoint, one.check, states.get(one.name, "OK")),
    )


@get("/api/alerts/deliveries", summary="List what channels are told", **LIST)
def list_deliveries(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    schedule: Annotated[str | None, QueryParameter(description="Only of this schedule's alert.")] = None,
    status: Annotated[DeliveryStatus | None, QueryParameter(description="Only those in this status.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[DeliveryView]]:
    """Who was told of changes of alerts, and when, newest first; also of schedules that were removed."""
    last = after(request, cursor, tuple[datetime, str])
    found = parts.store.schedules.alerts.deliveries(schedule, limit + 1, status=status, after=last)
    return page(request, found, limit, lambda delivery: (delivery.created_at, delivery.id), _shown)


@put(
    "/api/schedules/{name:str}",
    summary="Make or replace a schedule",
    **changing(ScheduleConfig, told=Schedule, conditional=True),
)
async def put_schedule(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Schedule]:
    """Have an endpoint checked from now on. The monitor follows within a second."""

    def work(asked: ScheduleConfig) -> Done:
        old = _checked(request, parts.store, name)
        new = _schedule(name, asked, datetime.now(UTC))
        parts.store.schedules.put(new)
        return Done(201 if old is None else 200, new, tag_of(new), f"/api/schedules/{name}")

    return await change_by(request, parts, ScheduleConfig, work)


@post("/api/schedules/{name:str}/pause", summary="Pause a schedule", **changing(conditional=True))
async def pause_schedule(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Schedule]:
    """Have a schedule owe nothing until it is resumed."""

    def work() -> Done:
        _checked(request, parts.store, name)
        paused = parts.store.schedules.pause(name, datetime.now(UTC))
        return Done(200, paused, tag_of(paused))

    return await change(request, parts, work)


@post("/api/schedules/{name:str}/resume", summary="Resume a schedule", **changing(conditional=True))
async def resume_schedule(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]
) -> Response[Schedule]:
    """Have a schedule go on; due times of the pause are not made up for."""

    def work() -> Done:
        _checked(request, parts.store, name)
        resumed = parts.store.schedules.resume(name, datetime.now(UTC))
        return Done(200, resumed, tag_of(resumed))

    return await change(request, parts, work)


@post("/api/schedules/{name:str}/run", summary="Run a schedule at once", **changing(status=201))
async def run_schedule(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Execution]:
    """Have a check now, beside the due times; the monitor begins it within a few seconds."""

    def work() -> Done:
        asked = parts.store.schedules.ask(name, datetime.now(UTC))
        return Done(201, asked, location=f"/api/schedules/{name}/executions")

    return await change(request, parts, work)


@delete("/api/schedules/{name:str}", summary="Remove a schedule", **changing(status=204, conditional=True))
async def delete_schedule(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[None]:
    """Have an endpoint checked no more; reports and executions stay."""

    def work() -> Done:
        _checked(request, parts.store, name)
        parts.store.schedules.get(name)
        parts.store.schedules.remove(name, datetime.now(UTC))
        return Done(204)

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (
    list_schedules,
    get_schedule,
    list_executions,
    list_changes,
    list_alerts,
    list_deliveries,
    put_schedule,
    pause_schedule,
    resume_schedule,
    run_schedule,
    delete_schedule,
)


def _schedule(name: str, asked: ScheduleConfig, now: datetime) -> Schedule:
    return Schedule(
        name=name,
        endpoint=name if asked.endpoint is None else asked.endpoint,
        cron=asked.cron,
        level=asked.level,
        created_at=now,
        check=asked.check,
        variant=asked.variant,
        zone=asked.zone,
        missed=asked.missed,
        start_offset=asked.start_offset,
        end_offset=asked.end_offset,
        paused=asked.paused,
        alert=asked.alert,
        facets=asked.facets,
        budget=asked.budget,
    )


def _shown(delivery: Delivery) -> DeliveryView:
    """Without what only whoever made the channel may know: below the first line is what a command said."""
    return DeliveryView(
        id=delivery.id,
        schedule=delivery.schedule,
        number=delivery.number,
        channel=delivery.channel,
        status=delivery.status,
        created_at=delivery.created_at,
        due_at=delivery.due_at if delivery.status == "waiting" else None,
        ended_at=delivery.ended_at,
        attempts=delivery.attempts,
        reason=None if delivery.reason is None else delivery.reason.partition("\n")[0],
    )


def _checked(request: AnyRequest, store: Store, name: str) -> Schedule | None:
    found = next((schedule for schedule in store.schedules.list() if schedule.name == name), None)
    Condition.of(request).check(f"the schedule {name[:80]!r}", found, tag_of, lambda schedule: schedule)
    return found


def _name_of(schedule: Schedule) -> str:
    return schedule.name
