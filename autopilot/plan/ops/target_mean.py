"""Categories as the mean target of their level."""

from typing import ClassVar, Self

import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.folded_means import FoldedMeans
from autopilot.plan.levels import code, codes_of, emit_look_up, look_up
from autopilot.plan.op import Inputs, Op, Rows, Values
from storage.signature import Kind


class TargetMean(Op, frozen=True):
    """The smoothed mean target of each level: (sum + 10 * prior) / (rows + 10), prior = the mean of all rows.

    A row counts as often as it weighs.

    Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", 2001. One feature for a
    number or two classes, one for each class up to 12 classes, none beyond (see `Target`). Training rows get mean
    and prior over the other folds, so that no row sees its own target. Missing is a level like another; rare levels
    are one level together, and unseen ones count as that.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "mean target of the level, out of fold in training"
    means: tuple[tuple[tuple[float, ...], ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Means over all training rows, for columns with a known level; means[target][column][code]."""
        kept = tuple(name for name, levels in zip(rows.levels.columns, rows.levels.names, strict=True) if levels)
        means = tuple(
            tuple(tuple(_folded(rows, name, values).overall().tolist()) for name in kept)
            for values in rows.target.values.T
        )
        return cls(kept, means) if kept and means else None

    def names(self) -> tuple[str, ...]:
        """Target mean of COLUMN."""
        many = len(self.means) > 1
        return tuple(
            f"target mean of {name}" + (f", class {index}" if many else "")
            for index in range(len(self.means))
            for name in self.columns
        )

    def polars(self) -> list[pl.Expr]:
        """Look the code up."""
        return [
            look_up(table, code(name))
            for tables in self.means
            for name, table in zip(self.columns, tables, strict=True)
        ]

    def of_training(self, rows: Rows) -> list[pl.Expr]:
        """The level's mean over the other folds' rows."""
        return [_folded(rows, name, values).feature() for values in rows.target.values.T for name in self.columns]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One table for all columns and one target."""
        codes = inputs.codes(self.columns)
        parts = [emit_look_up(g, tables, codes) for tables in self.means]
        return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)


def _folded(rows: Rows, name: str, values: Values) -> FoldedMeans:
    return FoldedMeans(
        codes_of(rows.frame, name), len(rows.levels.of(name)) + 1, values, rows.folds, rows.target.weights
    )
