"""Backtests: what a schedule would have found in the past; asked for here, made by the monitor."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace

from serving.control.captures import in_utc
from serving.control.changes import Done, change, change_by
from serving.control.documented import LIST, ONE, changing
from serving.control.etags import told
from serving.control.pages import Cursor, Limit, after, page
from serving.parts import AnyRequest, Parts
from storage import backtests
from storage.api import Page
from storage.backtests import BacktestConfig, BacktestView


@get("/api/schedules/{name:str}/backtests", summary="List backtests of a schedule", **LIST)
def list_backtests(
    request: AnyRequest,
    name: FromPath[str],
    parts: NamedDependency[Parts],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response[Page[BacktestView]]:
    """Backtests without their results, newest first; also of schedules that were removed."""
    before = after(request, cursor, str)
    found = backtests.list_backtests(parts.store, name, limit=limit + 1, before=before)
    return page(request, found, limit, lambda one: one.id, lambda one: one)


@get("/api/backtests/{backtest_id:str}", summary="Describe a backtest", **ONE)
def get_backtest(
    request: AnyRequest, backtest_id: FromPath[str], parts: NamedDependency[Parts]
) -> Response[BacktestView]:
    """How far it is, what it waits for, and what it found."""
    return told(request, backtests.get(parts.store, backtest_id, datetime.now(UTC)))


@post(
    "/api/schedules/{name:str}/backtests",
    summary="Ask for a backtest of a schedule",
    **changing(BacktestConfig, status=202),
)
async def create_backtest(
    request: AnyRequest, name: FromPath[str], parts: NamedDependency[Parts]
) -> Response[BacktestView]:
    """Have a schedule tried on the past, with fields in place of its own. A monitor begins it within a second."""

    def work(asked: BacktestConfig) -> Done:
        choice = replace(asked, start=in_utc(asked.start), end=in_utc(asked.end))
        asked_for = backtests.ask(parts.store, name, choice, datetime.now(UTC))
        return Done(202, asked_for, location=f"/api/backtests/{asked_for.id}")

    return await change_by(request, parts, BacktestConfig, work)


@post("/api/backtests/{backtest_id:str}/stop", summary="Stop a backtest", **changing())
async def stop_backtest(
    request: AnyRequest, backtest_id: FromPath[str], parts: NamedDependency[Parts]
) -> Response[BacktestView]:
    """Have a backtest made no further; hours that it has profiled stay so."""

    def work() -> Done:
        return Done(200, backtests.stop(parts.store, backtest_id, datetime.now(UTC)))

    return await change(request, parts, work)


ROUTES: tuple[Any, ...] = (list_backtests, get_backtest, create_backtest, stop_backtest)
