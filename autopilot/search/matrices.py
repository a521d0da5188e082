"""The feature matrices of each fold: the plan is fitted on a fold's training rows alone."""

import threading
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.plan import Plan, Recipe
from autopilot.plan.op import Target
from autopilot.search.folds import Folds
from autopilot.table.infer import Table

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]


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


class FoldMatrices(NamedTuple):
    """One fold by one recipe; y as models learn it."""

    X_train: Matrix
    y_train: Values
    X_valid: Matrix
    y_valid: Values
    X_test: Matrix


class Matrices:
    """Makes each fold's matrices when first asked, and keeps them; safe between threads."""

    def __init__(self, table: Table, folds: Folds, seed: int) -> None:
        self.table, self.folds, self.unit = table, folds, Unit.of(table, folds)
        self.outputs = max(1, len(table.signature.classes))
        self._seed = seed
        self._y = self.unit.scale(table.y)
        self._made: dict[tuple[int, Recipe], FoldMatrices] = {}
        self._locks: defaultdict[tuple[int, Recipe], threading.Lock] = defaultdict(threading.Lock)

    def of_fold(self, number: int, recipe: Recipe) -> FoldMatrices:
        """The matrices of a fold."""
        with self._locks[number, recipe]:
            if (number, recipe) not in self._made:
                self._made[number, recipe] = self._make(number, recipe)
            return self._made[number, recipe]

    def of_all(self, recipe: Recipe) -> tuple[Plan, Matrix, Values]:
        """A plan fitted on all rows, test rows included, with their matrix and target: what is refitted on."""
        target = Target(self._y, self.outputs)
        plan, X = Plan.fit(self.table.frame, self.table.signature, recipe, target, self._seed)
        return plan, X, self._y

    def _make(self, number: int, recipe: Recipe) -> FoldMatrices:
        fold, frame = self.folds.folds[number], self.table.frame
        target = Target(self._y[fold.train], self.outputs)
        plan, X_train = Plan.fit(frame[fold.train], self.table.signature, recipe, target, self._seed + number)
        return FoldMatrices(
            X_train,
            self._y[fold.train],
            plan.features(frame[fold.valid]),
            self._y[fold.valid],
            plan.features(frame[self.folds.test]),
        )
