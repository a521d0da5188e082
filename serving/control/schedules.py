"""Schedules: when drift reports are due, and what became of each due time."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import Condition, told
from serving.control.pages import Cursor, Limit, after, page, part
from serving.parts import AnyRequest, Parts
from storage import SettingError, Store
from storage.api import Page, ScheduleConfig, tag_of
from storage.cron import parse_cron
from storage.records import Execution, Schedule


@get("/api/schedules", summary="List schedules", **LIST)
def list_schedules(
    request: AnyRequest, parts: NamedDependency[Parts], limit: Limit = 100, cursor: Cursor = None
) -> Response[Page[Schedule]]:
    """Schedules by endpoint; each endpoint has one at most."""
    found = part(parts.store.schedules.list(), limit, _endpoint_of, after(request, cursor, str))
    return page(request, found, limit, _endpoint_of, lambda schedule: schedule)


@get("/api/schedules/{endpoint:str}", summary="Describe a schedule", **ONE)
def get_schedule(request: AnyRequest, endpoint: FromPath[str], parts: NamedDependency[Parts]) -> Response[Schedule]:
    """When reports on the endpoint are due."""
    found = parts.store.schedules.get(endpoint)
    return told(request, found, tag_of(found))


@get("/api/schedules/{endpoint:str}/executions", summary="List executions of a schedule", **LIST)
def list_executions(
    request: AnyRequest,
    endpoint: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Execution]]:
    """What became of each due time, newest first; also of schedules that were removed."""
    before = after(request, cursor, datetime)
    found = parts.store.schedules.executions(endpoint, limit + 1, before=before)
    return page(request, found, limit, lambda execution: execution.scheduled_at, lambda execution: execution)


@put(
    "/api/schedules/{endpoint:str}",
    summary="Make or replace a schedule",
    **changing(ScheduleConfig, told=Schedule, conditional=True),
)
async def put_schedule(
    request: AnyRequest, endpoint: FromPath[str], parts: NamedDependency[Parts]
) -> Response[Schedule]:
    """Have the endpoint reported on from now on. The monitor follows within a second."""

    def work(asked: ScheduleConfig) -> Done:
        parse_cron(asked.cron)
        if not 0 < asked.level < 1:
            raise SettingError(f"level is {asked.level:g}, the chance of any alarm. Use more than 0 and less than 1.")
        old = _checked(request, parts.store, endpoint)
        new = Schedule(endpoint, asked.cron, asked.level, datetime.now(UTC))
        parts.store.schedules.put(new)
        return Done(201 if old is None else 200, new, tag_of(new), f"/api/schedules/{endpoint}")

    return await change_by(request, parts, ScheduleConfig, work)


@delete("/api/schedules/{endpoint:str}", summary="Remove a schedule", **changing(status=204, conditional=True))
async def delete_schedule(
    request: AnyRequest, endpoint: FromPath[str], parts: NamedDependency[Parts]
) -> Response[None]:
    """Have the endpoint reported on no more; its reports stay."""

    def work() -> Done:
        _checked(request, parts.store, endpoint)
        parts.store.schedules.get(endpoint)
        parts.store.schedules.remove(endpoint)
        return Done(204)

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (list_schedules, get_schedule, list_executions, put_schedule, delete_schedule)


def _checked(request: AnyRequest, store: Store, endpoint: str) -> Schedule | None:
    found = next((schedule for schedule in store.schedules.list() if schedule.endpoint == endpoint), None)
    Condition.of(request).check(f"the schedule of {endpoint[:80]!r}", found, tag_of, lambda schedule: schedule)
    return found


def _endpoint_of(schedule: Schedule) -> str:
    return schedule.endpoint
