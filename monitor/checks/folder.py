"""A folder with a baseline: ours, and SageMaker's two files of the same table.

FOLDER/
├── baseline.json       what our check reads; its constraints may be edited
├── statistics.json     SageMaker's
└── constraints.json    SageMaker's
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from monitor.checks.baseline import Baseline
from monitor.checks.sagemaker import (
    ConstraintsFile,
    StatisticsFile,
    baseline_of,
    constraints_of,
    read_constraints,
    read_statistics,
    statistics_of,
)
from monitor.checks.suggest import suggest
from storage.errors import StoreError

_OURS, _STATISTICS, _CONSTRAINTS = "baseline.json", "statistics.json", "constraints.json"


def write_baseline(frame: pl.DataFrame, folder: Path, *, now: datetime | None = None) -> Baseline:
    """Suggest a baseline of a table, and write it and SageMaker's files of it. Makes the folder.

    Raises DataError for a table without columns, and StoreError if the folder cannot be written to.
    """
    baseline = suggest(frame, now=now)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be made: {error.strerror}. Name another folder.") from error
    baseline.write(folder / _OURS)
    statistics_of(frame, baseline).write(folder / _STATISTICS)
    constraints_of(baseline).write(folder / _CONSTRAINTS)
    return baseline


def read_baseline(place: Path) -> Baseline:
    """The baseline of a folder or a file: ours where there is one, else what SageMaker's two files tell.

    A `constraints.json` is read with the `statistics.json` beside it. Raises DataError for what is none.
    """
    ours = place / _OURS if place.is_dir() else place
    if ours.name != _CONSTRAINTS and (ours.exists() or not place.is_dir()):
        return Baseline.read(ours)
    return baseline_of(*read_sagemaker(place))


def read_sagemaker(place: Path) -> tuple[StatisticsFile, ConstraintsFile]:
    """SageMaker's two files of a folder, or a `constraints.json` and its neighbour. Raises DataError."""
    folder = place if place.is_dir() else place.parent
    return read_statistics(folder / _STATISTICS), read_constraints(folder / _CONSTRAINTS)
