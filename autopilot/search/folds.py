"""Which rows train, which validate, and which no decision ever sees."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Rows = NDArray[np.int64]

#: Folds by rows times their cost for each second of the budget: with little time, few folds leave more trials.
_FOLDS_BY_WORK = ((300.0, 5), (2500.0, 3))
_MOST_FOLDED_ROWS = 100_000
_HOLDOUT_PARTS = 6
_MOST_HOLDOUT_ROWS = 30_000


class Fold(Struct, frozen=True):
    """Row numbers of the table that train and that validate."""

    train: Rows
    valid: Rows


class Folds(Struct, frozen=True):
    """A division of a table's rows.

    search: rows that train and validate. test: rows that are only scored at the very end. folds: divisions of
    `search`; with one fold its `valid` is a holdout, else each row of `search` validates once.
    """

    search: Rows
    test: Rows
    folds: tuple[Fold, ...]

    @property
    def validated(self) -> Rows:
        """All rows that validate in some fold, in order."""
        return np.sort(np.concatenate([fold.valid for fold in self.folds]))


def divide(y: NDArray[np.float64], row_cost: float, budget_s: float, seed: int) -> Folds:
    """Divide rows at random, with each class or each range of values in every part alike.

    y: (rows,) class numbers or values. row_cost: of training on a row; 1 is one tree a round over a few dozen columns.
    5 or 3 folds where the budget allows for them, and up to 100,000 rows; else a sixth as holdout, at most 30,000 rows.
    Test rows: 20% of few rows, down to about 2,500 of many.
    """
    rng = np.random.default_rng(seed)
    rows = len(y)
    test_parts = round(1 / _test_share(rows))
    in_test = _spread(y, test_parts, rng) == 0
    search = np.flatnonzero(~in_test)
    count = _fold_count(rows, row_cost, budget_s)
    return Folds(search, np.flatnonzero(in_test), _folds(search, y[search], count, rng))


def _fold_count(rows: int, row_cost: float, budget_s: float) -> int:
    if rows > _MOST_FOLDED_ROWS:
        return 1
    work = rows * row_cost / budget_s
    return next((folds for most, folds in _FOLDS_BY_WORK if work <= most), 1)


def _folds(search: Rows, y: NDArray[np.float64], count: int, rng: np.random.Generator) -> tuple[Fold, ...]:
    if count == 1:
        parts = max(_HOLDOUT_PARTS, round(len(y) / _MOST_HOLDOUT_ROWS))
        part = _spread(y, parts, rng)
        return (Fold(search[part != 0], search[part == 0]),)
    part = _spread(y, count, rng)
    return tuple(Fold(search[part != number], search[part == number]) for number in range(count))


def _spread(y: NDArray[np.float64], parts: int, rng: np.random.Generator) -> Rows:
    """A part number for each row, such that rows of like target go to different parts."""
    order = np.lexsort((rng.random(len(y)), y))
    part = np.empty(len(y), dtype=np.int64)
    part[order] = (np.arange(len(y)) + rng.integers(parts)) % parts
    return part


def _test_share(rows: int) -> float:
    """AutoGluon's rule for holdouts: small sets need a fifth, large ones a few thousand rows."""
    if rows < 5000:
        return float(np.clip(500 / rows, 0.1, 0.2))
    return float(np.clip(2500 / rows, 0.01, 0.1))
