"""Roll-outs: begun, watched, stopped and taken back."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec.structs import replace

from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.endpoints import check_endpoint
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page
from serving.parts import AnyRequest, Parts
from storage.api import Page
from storage.records import Rollout
from storage.rollouts import Plan, Status

_OnlyStatus = Annotated[Status | None, QueryParameter(description="Only those in this status.")]


@get("/api/rollouts", summary="List roll-outs", **LIST)
def list_rollouts(
    request: AnyRequest,
    parts: NamedDependency[Parts],
    endpoint: Annotated[str | None, QueryParameter(description="Only those of this endpoint.")] = None,
    status: _OnlyStatus = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[Rollout]]:
    """Roll-outs, newest first."""
    before = after(request, cursor, str)
    found = parts.store.rollouts.list(endpoint=endpoint, status=status, limit=limit + 1, before=before)
    return page(request, found, limit, lambda rollout: rollout.id, _shown)


@get("/api/rollouts/{rollout_id:str}", summary="Describe a roll-out", **ONE)
def get_rollout(request: AnyRequest, rollout_id: FromPath[str], parts: NamedDependency[Parts]) -> Response[Rollout]:
    """How a roll-out fares, or fared."""
    return told(request, _shown(parts.store.rollouts.get(rollout_id)))


@post(
    "/api/endpoints/{name:str}/rollouts",
    summary="Begin a roll-out",
    **changing(Plan, status=201, conditional=True),
)
async def start_rollout(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Rollout]:
    """Give an endpoint new variants step by step; it takes itself back where a guard finds harm."""

    def work(asked: Plan) -> Done:
        check_endpoint(request, parts.store, name)
        rollout = parts.store.rollouts.start(name, asked, datetime.now(UTC))
        return Done(201, _shown(rollout), location=f"/api/rollouts/{rollout.id}")

    return await change_by(request, parts, Plan, work)


@post(
    "/api/endpoints/{name:str}/rollback",
    summary="Take back a roll-out",
    **changing(conditional=True),
)
async def roll_back(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Rollout]:
    """Take back the roll-out that runs on an endpoint, at once; without one, the last that was completed or stopped."""
    return await _end(request, name, parts, parts.store.rollouts.rollback)


@post(
    "/api/endpoints/{name:str}/stop",
    summary="Stop a roll-out",
    **changing(conditional=True),
)
async def stop_rollout(request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]) -> Response[Rollout]:
    """End the roll-out that runs on an endpoint, and leave its variants as they are."""
    return await _end(request, name, parts, parts.store.rollouts.stop)


ROUTES: tuple[Any, ...] = (list_rollouts, get_rollout, start_rollout, roll_back, stop_rollout)


async def _end(
    request: AnyRequest, name: str, parts: Parts, end: Callable[[str, datetime], Rollout]
) -> Response[Rollout]:
    def work() -> Done:
        check_endpoint(request, parts.store, name)
        return Done(200, _shown(end(name, datetime.now(UTC))))

    return await change(request, parts, work)


def _shown(rollout: Rollout) -> Rollout:
    """Without what servers keep in it for each other."""
    return replace(rollout, owner=None, lease_until=None)
