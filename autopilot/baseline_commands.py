"""The commands about data quality below `autopilot monitor`: a baseline, and what breaks it.

As in `cli.py`, what a command needs is imported inside it.
"""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from autopilot.parameters import Delimiter, Json, StorePath, open_store
from storage.errors import InputError


def add_commands(monitor: App) -> None:
    """Put the commands below another."""
    monitor.command(baseline, name="baseline")
    monitor.command(check, name="check")


def baseline(
    file: str | None = None,
    /,
    *,
    endpoint: str | None = None,
    out: Annotated[
        str | None,
        Parameter(name=["--out", "-o"], help="The folder to write to; default without an endpoint: baseline."),
    ] = None,
    remove: Annotated[bool, Parameter(negative="", help="Keep none for the endpoint any more.")] = False,
    rows: int | None = None,
    level: float = 0.05,
    delimiter: Delimiter = ",",
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Suggest what later files are to keep of one, or keep a baseline for what an endpoint is sent.

    It writes baseline.json, and SageMaker's statistics and constraints, and says how small a drift `monitor compare`
    finds in files of so many rows. With --endpoint, checks of data quality ask what the file says from then on; without
    a file, it tells what they ask now.

    Parameters
    ----------
    file
        What was usual: csv, tsv, parquet, ndjson or arrow. With --endpoint, also a baseline that was edited: its
        folder, or its .json.
    endpoint
        Keep the baseline for this endpoint.
    rows
        That later files are expected to have; default: as many as this one.
    level
        Chance of any alarm in a comparison without drift.
    """
    from autopilot import servers, terminal

    if endpoint is not None:
        _keep(endpoint, file, out, delimiter=delimiter, remove=remove, store=store, json=json)
        return
    if file is None or remove:
        raise InputError("Name FILE, a table; or an --endpoint. See: autopilot monitor baseline --help")
    given = [] if rows is None else ["--rows", str(rows)]
    with servers.as_parquet(file, delimiter=delimiter) as (path,):
        told = servers.ask_monitor("baseline", path, "--out", out or "baseline", "--level", str(level), *given)
    terminal.print_json(told) if json else terminal.print_baseline(told)


def _keep(
    endpoint: str, file: str | None, out: str | None, *, delimiter: str, remove: bool, store: str | None, json: bool
) -> None:
    """Keep a baseline for an endpoint, or remove it, and tell what is asked."""
    from autopilot import servers, terminal

    opened = open_store(store)
    if remove:
        if file is not None:
            raise InputError(f"{file!r} is to be kept and removed. Give --remove without a file.")
        opened.baselines.remove(endpoint)
    options = ["--store", str(opened.root), *(["--out", out] if out is not None else [])]
    if file is None:
        told = servers.ask_monitor("keep", endpoint, *options)
    elif Path(file).is_dir() or file.endswith(".json"):
        told = servers.ask_monitor("keep", endpoint, "--document", file, *options)
    else:
        with servers.as_parquet(file, delimiter=delimiter) as (path,):
            told = servers.ask_monitor("keep", endpoint, "--table", path, "--source", file, *options)
    terminal.print_json(told) if json else terminal.print_kept(told)


def check(
    baseline: str,
    file: str,
    /,
    *,
    level: float = 0.05,
    rules: Literal["chance", "sagemaker"] = "chance",
    delimiter: Delimiter = ",",
    out: Annotated[
        str | None, Parameter(name=["--out", "-o"], help="Also write constraint_violations.json to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a file against a data-quality baseline: what is missing, new, unreadable or out of its limits?

    Parameters
    ----------
    baseline
        A folder that `monitor baseline` wrote, or one with SageMaker's statistics.json and constraints.json.
    file
        What is to be checked: csv, tsv, parquet, ndjson or arrow.
    level
        Chance of any false violation.
    rules
        By what chance explains, or by SageMaker's thresholds.
    """
    from autopilot import servers, terminal

    with servers.as_parquet(file, delimiter=delimiter) as (path,):
        options = ["--level", str(level), "--rules", rules, *(["--out", out] if out is not None else [])]
        told = servers.ask_monitor("check", baseline, path, *options)
    terminal.print_json(told) if json else terminal.print_violations(told)
