"""`python -m monitor backtest` and `finds`: what a schedule would have found, and how small a drift it will find.

Beside the schedules and not among them: the program that compares two files knows these commands, and is to load
neither APScheduler nor SQLAlchemy.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from storage.errors import SettingError
from storage.instants import instant_of
from storage.records import Schedule
from storage.settings import Settings

if TYPE_CHECKING:
    from storage.store import Store


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Teach a parser both commands. add: `add_parser` of its subparsers."""
    trying = add("backtest", help="what would a schedule have found in the past?")
    _take_schedule(trying)
    trying.add_argument("--from", dest="start", required=True, help="due times after this moment")
    trying.add_argument("--to", dest="end", required=True, help="and up to it")
    trying.set_defaults(answer=_backtest)
    finding = add("finds", help="the smallest drift of each column that a schedule will find")
    _take_schedule(finding)
    finding.add_argument("--rows", type=int, help="of a window; without it, as the last windows had")
    finding.set_defaults(answer=_finds)


def _take_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("schedule", help="JSON as of GET /api/schedules/NAME; it need not be kept")
    parser.add_argument("--store", default=argparse.SUPPRESS)


def _backtest(chosen: argparse.Namespace) -> dict[str, Any]:
    from monitor.sketches import backtest

    now = _now()
    start, end = instant_of(chosen.start, "--from", now), instant_of(chosen.end, "--to", now)
    return msgspec.to_builtins(backtest(_store(chosen), _schedule(chosen.schedule), start, end, now=now))


def _finds(chosen: argparse.Namespace) -> dict[str, Any]:
    from monitor.schedule.finds import finds

    return msgspec.to_builtins(finds(_store(chosen), _schedule(chosen.schedule), _now(), rows=chosen.rows))


def _store(chosen: argparse.Namespace) -> "Store":
    from storage.store import Store

    return Store.open(chosen.store or Settings.load().store)


def _schedule(text: str) -> Schedule:
    try:
        return msgspec.json.decode(text, type=Schedule)
    except msgspec.MsgspecError as error:
        raise SettingError(f"The schedule cannot be read: {error}. Give it as GET /api/schedules/NAME does.") from error


def _now() -> datetime:
    return datetime.now(UTC)
