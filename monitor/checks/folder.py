"""A folder with a baseline: ours, and SageMaker's two files of the same table.

FOLDER/
├── baseline.json       what our check reads; its constraints may be edited
├── statistics.json     SageMaker's
└── constraints.json    SageMaker's
"""

import shlex
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
from storage.baselines.disk import make_folder
from storage.errors import DataError

_OURS, _STATISTICS, _CONSTRAINTS = "baseline.json", "statistics.json", "constraints.json"


def write_baseline(frame: pl.DataFrame, folder: Path, *, now: datetime | None = None) -> Baseline:
    """Suggest a baseline of a table, and write it and SageMaker's files of it. Makes the folder.

    Raises DataError for a table without columns, and as `make_folder` and `write_file`.
    """
    baseline = suggest(frame, now=now)
    write_files(frame, baseline, folder)
    return baseline


def write_files(frame: pl.DataFrame, baseline: Baseline, folder: Path) -> None:
    """Write a baseline, SageMaker's constraints of it, and SageMaker's statistics of a table. Makes the folder.

    Raises as `make_folder` and `write_file`.
    """
    make_folder(folder)
    baseline.write(folder / _OURS)
    statistics_of(frame, baseline).write(folder / _STATISTICS)
    constraints_of(baseline).write(folder / _CONSTRAINTS)


def read_baseline(place: Path) -> Baseline:
    """The baseline of a folder or a file: ours where there is one, else what SageMaker's two files tell.

    A `constraints.json` is read with the `statistics.json` beside it. Raises DataError for what is none.
    """
    if not place.exists():
        raise _no_baseline(place)
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
    if not any((folder / name).exists() for name in (_STATISTICS, _CONSTRAINTS)):
        raise _no_baseline(place)
    return StatisticsFile.read(folder / _STATISTICS), ConstraintsFile.read(folder / _CONSTRAINTS)


def _no_baseline(place: Path) -> DataError:
    folder = place.parent if place.suffix else place
    return DataError(
        f"There is no baseline in {str(place)!r}: no {_OURS}, and not SageMaker's {_STATISTICS} and {_CONSTRAINTS}. "
        f"Make one of a table of usual rows: autopilot monitor baseline FILE -o {shlex.quote(str(folder))}"
    )
