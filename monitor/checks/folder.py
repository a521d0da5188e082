"""A folder with a baseline: ours, and SageMaker's two files of the same table.

FOLDER/
├── baseline.json       what our check reads; its constraints may be edited
├── statistics.json     SageMaker's
└── constraints.json    SageMaker's
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from monitor.checks.sagemaker import (
    ConstraintsFile,
    StatisticsFile,
    baseline_of,
    constraints_of,
    statistics_of,
)
from monitor.checks.suggest import suggest
from storage.baselines import Baseline, Document, parse_document
from storage.errors import DataError, StoreError

_OURS, _STATISTICS, _CONSTRAINTS = "baseline.json", "statistics.json", "constraints.json"


def write_baseline(frame: pl.DataFrame, folder: Path, *, now: datetime | None = None) -> Baseline:
    """Suggest a baseline of a table, and write it and SageMaker's files of it. Makes the folder.

    Raises DataError for a table without columns, and StoreError if the folder cannot be written to.
    """
    baseline = suggest(frame, now=now)
    write_files(frame, baseline, folder)
    return baseline


def write_files(frame: pl.DataFrame, baseline: Baseline, folder: Path) -> None:
    """Write a baseline, SageMaker's constraints of it, and SageMaker's statistics of a table. Makes the folder.

    Raises StoreError if it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be made: {error.strerror}. Name another folder.") from error
    baseline.write(folder / _OURS)
    statistics_of(frame, baseline).write(folder / _STATISTICS)
    constraints_of(baseline).write(folder / _CONSTRAINTS)


def read_baseline(place: Path) -> Baseline:
    """The baseline of a folder or a file: ours where there is one, else what SageMaker's two files tell.

    A `constraints.json` is read with the `statistics.json` beside it. Raises DataError for what is none.
    """
    ours = place / _OURS if place.is_dir() else place
    if ours.name != _CONSTRAINTS and (ours.exists() or not place.is_dir()):
        return Baseline.read(ours)
    return baseline_of(*read_sagemaker(place))


def read_document(place: Path) -> Document:
    """The baseline of a folder or a file, as `read_baseline`; or SageMaker's constraints alone, where a file of them
    has no statistics beside it. Raises DataError for what is none."""
    has_both = place.name == _CONSTRAINTS and (place.parent / _STATISTICS).exists()
    if place.is_dir() or has_both:
        return read_baseline(place)
    try:
        data = place.read_bytes()
    except OSError as error:
        raise DataError(f"The baseline {str(place)!r} cannot be read: {error.strerror}. Name another file.") from error
    return parse_document(data, repr(str(place)))


def read_sagemaker(place: Path) -> tuple[StatisticsFile, ConstraintsFile]:
    """SageMaker's two files of a folder, or a `constraints.json` and its neighbour. Raises DataError."""
    folder = place if place.is_dir() else place.parent
    if not (folder / _STATISTICS).exists() and not (folder / _CONSTRAINTS).exists():
        raise DataError(
            f"The folder {str(folder)!r} has no {_OURS}, nor SageMaker's {_STATISTICS} and {_CONSTRAINTS}. "
            "Make one with `autopilot monitor baseline FILE -o FOLDER`."
        )
    return StatisticsFile.read(folder / _STATISTICS), ConstraintsFile.read(folder / _CONSTRAINTS)
