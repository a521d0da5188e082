"""`python -m monitor baseline` and `check`: each writes files and gives one JSON document."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from monitor.checks.baseline import Baseline
from monitor.checks.check import check
from monitor.checks.folder import read_baseline, read_sagemaker, write_baseline
from monitor.checks.sagemaker import ViolationsFile, judge, violations_of
from monitor.power import finds_of

#: Rows of a file by which it is told how small a drift is found: as many as a model's reference has.
_LOOKED_AT = 10_000

_Read = Callable[[str], pl.DataFrame]


def add_commands(add: Callable[..., argparse.ArgumentParser], read: _Read) -> None:
    """Teach a parser both commands. add: `add_parser` of its subparsers; read: a table from a path."""
    suggesting = add("baseline", help="suggest a data-quality baseline of a Parquet file")
    suggesting.add_argument("file")
    suggesting.add_argument("--out", required=True, help="the folder for baseline.json and SageMaker's two files")
    suggesting.add_argument("--rows", type=int, help="of later windows, to tell what is found in them; as in the file")
    suggesting.add_argument("--level", type=float, default=0.05)
    suggesting.set_defaults(answer=partial(_baseline, read))
    checking = add("check", help="check a Parquet file against a baseline")
    checking.add_argument("baseline", help="a folder of `baseline`, or one with SageMaker's two files")
    checking.add_argument("file")
    checking.add_argument("--level", type=float, default=0.05)
    checking.add_argument("--rules", choices=("chance", "sagemaker"), default="chance")
    checking.add_argument("--out", help="write constraint_violations.json to this file")
    checking.set_defaults(answer=partial(_check, read))


def _baseline(read: _Read, chosen: argparse.Namespace) -> dict[str, Any]:
    """What was suggested, the constraints of each column, and how small a drift is found in windows of so many rows."""
    frame = read(chosen.file)
    usual = frame.sample(min(frame.height, _LOOKED_AT), seed=0)
    found = finds_of(usual, max(frame.height, 1) if chosen.rows is None else chosen.rows, level=chosen.level)
    baseline = write_baseline(frame, Path(chosen.out), now=datetime.now(UTC))
    return {
        "folder": chosen.out,
        "rows": baseline.rows,
        "columns": _told(baseline),
        "finds": msgspec.to_builtins(found),
    }


def _told(baseline: Baseline) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "kind": column.kind,
            "note": column.note,
            "constraints": msgspec.to_builtins(column.constraints),
        }
        for column in baseline.columns
    ]


def _check(read: _Read, chosen: argparse.Namespace) -> dict[str, Any]:
    """What was found: by our tests a `Quality`, by SageMaker's rules its violations and a verdict."""
    window = read(chosen.file)
    if chosen.rules == "sagemaker":
        file = judge(window, *read_sagemaker(Path(chosen.baseline)))
        verdict = "violations" if file.violations else "no violations"
        found: dict[str, Any] = {"verdict": verdict, "rows": window.height, **msgspec.to_builtins(file)}
    else:
        quality = check(window, read_baseline(Path(chosen.baseline)), level=chosen.level, now=datetime.now(UTC))
        file, found = violations_of(quality), msgspec.to_builtins(quality)
    _write(file, chosen.out)
    return found


def _write(file: ViolationsFile, out: str | None) -> None:
    if out:
        file.write(Path(out))
