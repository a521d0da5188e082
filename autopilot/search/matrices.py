"""The feature matrices of each part of the rows: a plan is fitted on a part's training rows alone."""

import os
import pickle
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.plan import Plan, Recipe
from autopilot.plan.op import Target
from autopilot.search.folds import Folds
from autopilot.table.infer import Table
from autopilot.weights import balanced_weights

if os.name == "posix":
    import fcntl

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]

_LEAST_MAPPED_BYTES = 1_000_000


class Unit(Struct, frozen=True):
    """Values as models learn them: (y - mean) / deviation. Classes keep their numbers: mean 0, deviation 1."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, table: Table, folds: Folds) -> "Unit":
        """From the rows of the search."""
        if table.signature.task != "regression":
            return cls()
        y = table.y[folds.search]
        return cls(float(y.mean()), float(y.std()) or 1.0)

    def scale(self, y: Values) -> Values:
        """To what models learn."""
        return (y - self.mean) / self.deviation

    def unscale(self, predicted: Values) -> Values:
        """Back to the table's own unit."""
        return predicted * self.deviation + self.mean


class Part(Struct, frozen=True):
    """Which rows train together.

    fold: those of a fold; search: all but the test rows, for models that are scored out of bag; all: every row of the
    table, for what is published.
    """

    kind: Literal["fold", "search", "all"]
    number: int = 0

    @property
    def key(self) -> str:
        """A name for files and for the tape."""
        return f"{self.kind}-{self.number}"

    @classmethod
    def of_key(cls, key: str) -> "Part":
        """The part of a name.

        >>> Part.of_key("fold-3")
        Part(kind='fold', number=3)
        """
        kind, _, number = key.partition("-")
        return msgspec.convert({"kind": kind, "number": int(number)}, cls)


ALL, SEARCH = Part("all"), Part("search")


class Samples(NamedTuple):
    """A part by one recipe; y as models learn it, weights with mean 1 or None.

    Without rows to validate on, or to test on, these matrices have no rows.
    """

    X_train: Matrix
    y_train: Values
    weights_train: Values | None
    X_valid: Matrix
    y_valid: Values
    weights_valid: Values | None
    X_test: Matrix


class Matrices:
    """Makes each part's matrices when first asked.

    With a folder they are written there and mapped into memory, so that the processes that share it compute each once
    and hold it once; without, or where the disk is full, they are kept here. balanced: classes weigh alike.
    """

    def __init__(
        self,
        table: Table,
        folds: Folds,
        unit: Unit,
        seed: int,
        folder: Path | None = None,
        *,
        balanced: bool = False,
    ) -> None:
        self.table, self.folds, self.unit = table, folds, unit
        self.outputs = max(1, len(table.signature.classes))
        self._seed, self._folder, self._balanced = seed, folder, balanced
        self._y = unit.scale(table.y)
        self._made: dict[tuple[Part, Recipe], tuple[Plan, list[Matrix]]] = {}

    def of(self, part: Part, recipe: Recipe) -> Samples:
        """The matrices of a part, with their targets and weights."""
        (train, valid, _), (X_train, X_valid, X_test) = self._rows(part), self._get(part, recipe)[1]
        return Samples(
            X_train,
            self._y[train],
            self._weights(train),
            X_valid,
            self._y[valid],
            self._weights(valid),
            X_test,
        )

    def plan(self, part: Part, recipe: Recipe) -> Plan:
        """The plan that was fitted on the part's training rows."""
        return self._get(part, recipe)[0]

    def _rows(self, part: Part) -> tuple[Rows, Rows, Rows]:
        """Rows that train, validate and test."""
        none = np.empty(0, dtype=np.int64)
        if part.kind == "all":
            return np.arange(len(self._y)), none, none
        if part.kind == "search":
            return self.folds.search, none, self.folds.test
        fold = self.folds.folds[part.number]
        return fold.train, fold.valid, self.folds.test

    def _weights(self, rows: Rows) -> Values | None:
        if self._balanced and len(rows):
            return balanced_weights(self._y[rows])
        if self.table.weights is None or not len(rows):
            return None
        weights = self.table.weights[rows]
        return weights / weights.mean() if weights.any() else None

    def _get(self, part: Part, recipe: Recipe) -> tuple[Plan, list[Matrix]]:
        key = (part, recipe)
        if key not in self._made:
            self._made[key] = self._shared(part, recipe) if self._folder else self._make(part, recipe)
        return self._made[key]

    def _shared(self, part: Part, recipe: Recipe) -> tuple[Plan, list[Matrix]]:
        """From the folder; whoever comes first writes it there, others wait."""
        folder = Path(self._folder or "") / f"{recipe}-{part.key}"
        with _locked(folder.with_suffix(".lock")):
            if folder.exists():
                return _read(folder)
            made = self._make(part, recipe)
            with suppress(OSError):  # a full disk: it is kept in memory alone
                _write(folder, *made)
                return _read(folder)
        return made

    def _make(self, part: Part, recipe: Recipe) -> tuple[Plan, list[Matrix]]:
        (train, valid, test), table = self._rows(part), self.table
        frame = table.frame if part.kind == "all" else table.frame[train]
        target = Target(self._y[train], self.outputs, self._weights(train))
        plan, X = Plan.fit(frame, table.signature, recipe, target, self._seed + part.number)
        return plan, [X, *(plan.features(table.frame[rows]) for rows in (valid, test))]


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Only one process at a time is in the block; where files cannot be locked, work may be done twice."""
    with path.open("a") as file:
        if os.name == "posix":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(folder: Path, plan: Plan, matrices: list[Matrix]) -> None:
    """All files or none: a folder that exists is whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as made:
        for number, X in enumerate(matrices):
            np.save(Path(made) / f"{number}.npy", X)
        (Path(made) / "plan.pickle").write_bytes(pickle.dumps(plan))
        Path(made).rename(folder)
        Path(made).mkdir()


def _read(folder: Path) -> tuple[Plan, list[Matrix]]:
    plan: Plan = pickle.loads((folder / "plan.pickle").read_bytes())  # noqa: S301 - this run's own process wrote it
    return plan, [_mapped(folder / f"{number}.npy") for number in range(3)]


def _mapped(path: Path) -> Matrix:
    """Large ones are mapped, copied on write: some libraries insist on arrays that could be written to."""
    return np.load(path, mmap_mode="c" if path.stat().st_size > _LEAST_MAPPED_BYTES else None)
