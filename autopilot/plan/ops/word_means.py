"""Prose as the mean target of its words."""

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows, Values
from autopilot.plan.ops.scale import unless_neutral
from autopilot.plan.tokens import count_matrix, emit_sums, on_grid, packed, sums, unpacked
from storage.signature import Kind

#: Texts that the mean of all counts for in a word's mean. With 0.3 to 3 the scores on short messages were alike.
_SMOOTHING = 3.0
_MEANS = "\0word means of {}"


class WordMeans(Op, frozen=True):
    """What a text's words say of the target: the sum of their weights, divided by the square root of their number.

    A word's weight is the mean target of the texts that hold it, less the mean of all: (sum + 3 * prior) / (texts + 3)
    - prior. The root is what the sum of unrelated weights grows with, so that long texts are not louder than short
    ones. One feature for a number or two classes, one for each class up to 12 classes, none beyond (see `Target`).
    Training rows get weights and prior over the other folds, so that no row sees its own target. A text without words
    gives 0.

    tables: each column's weights as int16 (words + 1, targets + 1), the last column 1 for a word; steps: of a target's
    weights.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "mean target of the words, out of fold in training"
    tables: tuple[bytes, ...]
    steps: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Weights over all training rows."""
        values = rows.target.values
        if not rows.tokens.columns or not values.shape[1]:
            return None
        grids = [on_grid(_fit_weights(rows, name)) for name in rows.tokens.columns]
        tables = tuple(packed(_with_ones(grid.table)) for grid in grids)
        steps = tuple(tuple(unless_neutral(step, 1.0) for step in grid.steps.tolist()) for grid in grids)
        return cls(rows.tokens.columns, tables, steps)

    def names(self) -> tuple[str, ...]:
        """Word means of COLUMN."""
        return tuple(
            f"word means of {name}" + (f", class {index}" if len(steps) > 1 else "")
            for name, steps in zip(self.columns, self.steps, strict=True)
            for index in range(len(steps))
        )

    def intermediate(self) -> list[pl.Expr]:
        """All features of a text at once."""
        return [
            sums(name, unpacked(table, len(steps) + 1), _Means(steps)).alias(_MEANS.format(name))
            for name, table, steps in zip(self.columns, self.tables, self.steps, strict=True)
        ]

    def polars(self) -> list[pl.Expr]:
        """Each feature."""
        pairs = zip(self.columns, self.steps, strict=True)
        return [pl.col(_MEANS.format(name)).arr.get(index) for name, steps in pairs for index in range(len(steps))]

    def of_training(self, rows: Rows) -> list[pl.Expr]:
        """By the weights of the other folds' rows."""
        return [pl.lit(pl.Series(column)) for name in self.columns for column in _out_of_fold(rows, name).T]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Sum, scale and divide in float64."""
        parts = [
            _emit_means(g, inputs.words(name), unpacked(table, len(steps) + 1), steps)
            for name, table, steps in zip(self.columns, self.tables, self.steps, strict=True)
        ]
        return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)


class _Sums(NamedTuple):
    """What a word's mean is made of, over some rows; several such are added up along a first axis.

    of_words: sums of the target over the texts that hold a word, (words, targets). texts: that hold it, (words,).
    total: sum of the target over all rows, (targets,). rows: their number, (). Each row as often as it weighs.
    """

    of_words: Values
    texts: Values
    total: Values
    rows: Values

    @property
    def weights(self) -> Values:
        """(words, targets)."""
        prior = self.total / (float(self.rows) or 1.0)
        return (self.of_words + _SMOOTHING * prior) / (self.texts[:, None] + _SMOOTHING) - prior

    def over(self, folds: NDArray[np.bool_]) -> "_Sums":
        """Those of some folds together."""
        return _Sums(*(part[folds].sum(axis=0) for part in self))


def _counts(rows: Rows, name: str) -> Any:
    return count_matrix(rows.frame, name, len(rows.tokens.words(name)))


def _sums_of_folds(rows: Rows, counts: Any) -> _Sums:
    present, values = counts > 0, rows.target.values
    weights = np.ones(len(values)) if rows.target.weights is None else rows.target.weights
    weighted = values * weights[:, None]
    members = [np.flatnonzero(rows.folds == fold) for fold in range(int(rows.folds.max()) + 1)]
    return _Sums(
        np.stack([present[own].T @ weighted[own] for own in members]),
        np.stack([present[own].T @ weights[own] for own in members]),
        np.stack([weighted[own].sum(axis=0) for own in members]),
        np.array([weights[own].sum() for own in members]),
    )


def _fit_weights(rows: Rows, name: str) -> Values:
    """Weights over all training rows: (words, targets)."""
    of_folds = _sums_of_folds(rows, _counts(rows, name))
    return of_folds.over(np.ones(len(of_folds.rows), dtype=bool)).weights


def _out_of_fold(rows: Rows, name: str) -> NDArray[np.float32]:
    """The training rows' features: (rows, targets).

    The other folds are added up, not this one taken away: a difference of sums would keep a trace of it.
    """
    counts = _counts(rows, name)
    of_folds = _sums_of_folds(rows, counts)
    found = np.zeros((len(rows.folds), of_folds.total.shape[1]))
    for fold in range(len(of_folds.rows)):
        own = np.flatnonzero(rows.folds == fold)
        found[own] = counts[own] @ of_folds.over(np.arange(len(of_folds.rows)) != fold).weights
    words = np.asarray(counts.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    return (found / np.sqrt(np.maximum(words, 1.0))).astype(np.float32)


def _with_ones(table: NDArray[np.int16]) -> NDArray[np.int16]:
    ones = np.ones((len(table), 1), dtype=np.int16)
    ones[-1] = 0
    return np.hstack([table, ones])


class _Means(NamedTuple):
    steps: tuple[float, ...]

    def __call__(self, totals: NDArray[np.float32]) -> NDArray[np.float32]:
        wide = totals.astype(np.float64)
        return (wide[:, :-1] * np.array(self.steps) / np.sqrt(np.maximum(wide[:, -1:], 1.0))).astype(np.float32)


def _emit_means(g: Graph, numbers: str, table: NDArray[np.int16], steps: tuple[float, ...]) -> str:
    wide = g.cast(emit_sums(g, table, numbers), TensorProto.DOUBLE)
    sizes = g.const(np.array([len(steps), 1], dtype=np.int64))
    weights, words = g.outputs(2, "Split", wide, sizes, axis=1)
    root = g.op("Sqrt", g.op("Max", words, g.const(np.float64(1))))
    return g.cast(g.op("Div", g.op("Mul", weights, g.const(np.array(steps))), root), TensorProto.FLOAT)
