"""`python -m monitor baseline`, `keep` and `check`: each gives one JSON document, and writes what it is asked to."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from monitor.checks.check import check, why_nothing_is_said
from monitor.checks.folder import read_baseline, read_document, read_sagemaker, write_baseline, write_files
from monitor.checks.kept import asked_of
from monitor.checks.sagemaker import ViolationsFile, judge, violations_of
from monitor.checks.suggest import suggested_of
from monitor.looked import version_of
from monitor.performance.reference import read_sample
from monitor.power import finds_of
from storage.baselines import Baseline, Document
from storage.baselines.document import json_of
from storage.records import KeptBaseline
from storage.settings import Settings
from storage.signature import Signature

#: Rows of a file by which it is told how small a drift is found: as many as a model's reference has.
_LOOKED_AT = 10_000

_Read = Callable[[str], pl.DataFrame]


def add_commands(add: Callable[..., argparse.ArgumentParser], read: _Read) -> None:
    """Teach a parser the commands. add: `add_parser` of its subparsers; read: a table from a path."""
    suggesting = add("baseline", help="suggest a data-quality baseline of a Parquet file")
    suggesting.add_argument("file")
    suggesting.add_argument("--out", required=True, help="the folder for baseline.json and SageMaker's two files")
    suggesting.add_argument("--rows", type=int, help="of later windows, to tell what is found in them; as in the file")
    suggesting.add_argument("--level", type=float, default=0.05)
    suggesting.set_defaults(answer=partial(_baseline, read))
    keeping = add("keep", help="keep a baseline for an endpoint, and tell what is asked of its rows")
    keeping.add_argument("endpoint")
    keeping.add_argument("--store", default=argparse.SUPPRESS)
    kept = keeping.add_mutually_exclusive_group()
    kept.add_argument("--table", help="a Parquet file that suggests the baseline")
    kept.add_argument("--document", help="a baseline: a folder, our JSON file or SageMaker's constraints")
    keeping.add_argument("--source", help="what the file is called by who keeps it")
    keeping.add_argument("--out", help="the folder for baseline.json and SageMaker's two files")
    keeping.set_defaults(answer=partial(_keep, read))
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


def _keep(read: _Read, chosen: argparse.Namespace) -> dict[str, Any]:
    """What is asked of an endpoint's rows, once the baseline that is given, if any, is kept."""
    from storage.store import Store

    store, now = Store.open(chosen.store or Settings.load().store), datetime.now(UTC)
    version = version_of(store, store.endpoints.get(chosen.endpoint), None)
    document = _document(read, chosen, version.signature, now)
    if document is not None:
        source = chosen.source or chosen.table or chosen.document
        store.baselines.put(KeptBaseline(chosen.endpoint, repr(source), json_of(document), now))
    usual = read_sample(store, version)
    suggested = suggested_of(version.signature, usual, now)
    baseline, source = asked_of(store.baselines.find(chosen.endpoint), suggested)
    if chosen.out:
        write_files(usual, baseline, Path(chosen.out))
    return {
        "endpoint": chosen.endpoint,
        "baseline": source,
        "rows": baseline.rows,
        "columns": _told(baseline),
        "folder": chosen.out,
    }


def _document(read: _Read, chosen: argparse.Namespace, signature: Signature, now: datetime) -> Document | None:
    if chosen.document:
        return read_document(Path(chosen.document))
    return suggested_of(signature, read(chosen.table), now) if chosen.table else None


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
        if quality.verdict in ("too few rows", "no rows"):
            found["note"] = why_nothing_is_said(quality.rows, quality.baseline_rows)
    _write(file, chosen.out)
    return found


def _write(file: ViolationsFile, out: str | None) -> None:
    if out:
        file.write(Path(out))
