"""A study: everything that the trials of one run share, in a folder that worker processes open once."""

import pickle
from pathlib import Path

import cloudpickle
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from autopilot.candidates.candidate import Problem
from autopilot.metrics import Metric
from autopilot.search.folds import Folds
from autopilot.search.matrices import Matrices, Unit
from autopilot.search.scoring import Scoring
from autopilot.table.infer import Table
from autopilot.workers import Shared

_FRAME, _REST = "table.arrow", "study.pickle"


class Study(Struct, frozen=True):
    """A table, how its rows are divided, and what predictions are scored by.

    balanced: classes weigh alike in training; scores are of rows as they are.
    """

    table: Table
    folds: Folds
    unit: Unit
    metric: Metric
    seed: int
    balanced: bool = False

    @classmethod
    def of(cls, table: Table, folds: Folds, metric: Metric, seed: int, *, balanced: bool = False) -> "Study":
        """With the unit that the rows of the search give."""
        return cls(table, folds, Unit.of(table, folds), metric, seed, balanced)

    @property
    def scoring(self) -> Scoring:
        """Of predictions for `folds.validated`."""
        rows, weights = self.folds.validated, self.table.weights
        return Scoring(
            self.metric,
            self.table.y[rows],
            None if weights is None else weights[rows],
            self.folds.slices,
            self.unit,
        )

    def problem(self, rows: int) -> Problem:
        """What is learnt from so many rows."""
        return Problem.of(self.table.signature, rows)

    def matrices(self, folder: Path | None = None) -> Matrices:
        """Its feature matrices, shared through a folder."""
        return Matrices(self.table, self.folds, self.unit, self.seed, folder, balanced=self.balanced)

    def save(self, folder: Path) -> None:
        """Write it to a folder that is there, and may hold the table's frame already."""
        write_frame(self.table.frame, folder)
        bare = replace(self, table=replace(self.table, frame=self.table.frame.clear(), findings=(), facets=None))
        (folder / _REST).write_bytes(cloudpickle.dumps(bare))

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """What `save` wrote."""
        bare: Study = pickle.loads((folder / _REST).read_bytes())  # noqa: S301 - this run's own process wrote it
        return replace(bare, table=replace(bare.table, frame=read_frame(folder)))


def write_frame(frame: pl.DataFrame, folder: Path) -> None:
    """A table's frame, unless the folder has it; it is whole there, or not at all."""
    if not (folder / _FRAME).exists():
        unfinished = folder / f"{_FRAME}.part"
        frame.write_ipc(unfinished, compression="uncompressed")
        unfinished.rename(folder / _FRAME)


def read_frame(folder: Path) -> pl.DataFrame:
    """What `write_frame` wrote."""
    return pl.read_ipc(folder / _FRAME)


class Opened(Struct, frozen=True):
    """A study in a worker, with its matrices, which workers of one machine share through the folder."""

    study: Study
    matrices: Matrices


_opened: dict[Path, Opened] = {}


def opened(shared: Shared) -> Opened:
    """The study of a shared folder; a worker keeps the last one."""
    folder = shared.here()
    if folder not in _opened:
        _opened.clear()
        study = Study.open(folder)
        _opened[folder] = Opened(study, study.matrices(folder))
    return _opened[folder]
