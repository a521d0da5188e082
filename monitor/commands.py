"""What `python -m monitor` can be asked for once, beside watching: each command gives one JSON document.

The command line of `autopilot` is the usual caller: it starts this program as a process and never imports it. What
opens a store is imported by the commands that do: it takes a fifth of the time in which two small files are compared.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import polars as pl

from monitor.checks.commands import add_commands as add_check_commands
from monitor.compare import compare
from monitor.drift import DriftReport
from monitor.markdown import markdown
from monitor.page import render
from monitor.schedule_commands import add_commands as add_schedule_commands
from storage.baselines.disk import ReportForm, report_form, write_file
from storage.errors import DataError, SettingError
from storage.instants import instant_of
from storage.records import CheckKind
from storage.settings import Settings


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Teach the parser the commands; `answer` of what it parses does the work."""
    commands = parser.add_subparsers(title="commands, instead of watching", metavar="COMMAND")
    reporting = commands.add_parser("run", help="report on an endpoint's traffic now")
    reporting.add_argument("endpoint")
    reporting.add_argument("--store", default=argparse.SUPPRESS)
    reporting.add_argument("--level", type=float, default=0.05)
    reporting.add_argument("--hours", type=float, default=24.0, help="how far back to look")
    reporting.add_argument("--since", help="an instant by ISO 8601 with a zone, instead of --hours")
    reporting.add_argument("--check", choices=get_args(CheckKind), default="drift", help="whose verdict counts")
    reporting.add_argument("--facet", action="append", default=[], help="whose bias: sex=female, age>40, sex")
    reporting.set_defaults(answer=_run)
    comparing = commands.add_parser("compare", help="compare two Parquet files")
    comparing.add_argument("reference")
    comparing.add_argument("current")
    comparing.add_argument("--level", type=float, default=0.05)
    comparing.add_argument("--method", default="calibrated", help="ours, another product's rule or a single measure")
    comparing.add_argument("--threshold", type=float, help="of a single measure")
    comparing.add_argument("--bins", type=int, help="of a single measure that counts")
    comparing.add_argument("--out", help="write the report to this file: .html, .md or .json")
    comparing.set_defaults(answer=_compare)
    add_check_commands(commands.add_parser, _read)
    add_schedule_commands(commands.add_parser)


def _run(chosen: argparse.Namespace) -> dict[str, Any]:
    from monitor.run import run
    from storage.store import Store

    store = Store.open(chosen.store or Settings.load().store)
    now = datetime.now(UTC)
    since = instant_of(chosen.since, "--since", now) if chosen.since else _hours_ago(chosen.hours, now)
    report, drift = run(
        store, chosen.endpoint, now=now, level=chosen.level, since=since, check=chosen.check, facets=chosen.facet
    )
    return {"id": report.id, "endpoint": report.endpoint, **_fields(drift)}


def _hours_ago(hours: float, now: datetime) -> datetime:
    """Raises SettingError for hours that are no length of time, or go back before all calendars."""
    try:
        since = now - timedelta(hours=hours)
    except (OverflowError, ValueError):
        since = now
    if since >= now:
        raise SettingError(f"--hours is {hours:g}. Use a number above 0, such as 24; a year has 8760.")
    return since


def _compare(chosen: argparse.Namespace) -> dict[str, Any]:
    form = report_form(Path(chosen.out)) if chosen.out else None
    drift = compare(
        Path(chosen.reference),
        Path(chosen.current),
        method=chosen.method,
        level=chosen.level,
        threshold=chosen.threshold,
        bins=chosen.bins,
    )
    if form is not None:
        write_file(Path(chosen.out), _written(drift, form).encode())
    return _fields(drift)


def _written(drift: DriftReport, form: ReportForm) -> str:
    match form:
        case "html":
            return render(drift)
        case "md":
            return markdown(drift)
        case "json":
            return drift.json().decode()


def _read(path: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path!r} cannot be read as Parquet: {error}. `autopilot monitor compare` reads more."
        ) from error


def _fields(drift: DriftReport) -> dict[str, Any]:
    return msgspec.to_builtins(drift)
