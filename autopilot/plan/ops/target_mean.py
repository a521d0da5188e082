"""Categories as the mean target of their level."""

from typing import ClassVar, Self

import numpy as np
import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.op import FOLD, TARGET, Op, Target
from autopilot.plan.ops.levels import count_levels, emit_codes, emit_values, level
from storage.signature import Block

#: Rows that the overall mean counts for: a level seen 10 times is half its own mean.
_SMOOTHING = 10.0
_MOST_LEVELS = 10_000


class TargetMean(Op, frozen=True):
    """The smoothed mean target of each level: (sum + 10 * prior) / (rows + 10), prior = the mean of all rows.

    Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", 2001. One feature for a
    number or two classes, one for each class up to 12 classes, none beyond (see `Target`). Training rows get mean
    and prior over the other folds, so that no row sees its own target. Missing is a level like another; unseen levels
    get the prior.
    """

    block: ClassVar[Block] = "text"
    levels: tuple[tuple[str, ...], ...]
    means: tuple[tuple[tuple[float, ...], ...], ...]
    prior: tuple[float, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Means over all training rows; `frame` carries the target's columns."""
        if not target.means:
            return None
        prior = tuple(target.means)
        levels = tuple(count_levels(frame, name, 1, _MOST_LEVELS) for name in columns)
        means = tuple(_means(frame, name, values, prior) for name, values in zip(columns, levels, strict=True))
        return cls(columns, levels, means, prior)

    def names(self) -> tuple[str, ...]:
        """Target mean of COLUMN."""
        many = len(self.prior) > 1
        return tuple(
            f"target mean of {name}" + (f", class {index}" if many else "")
            for name in self.columns
            for index in range(len(self.prior))
        )

    def polars(self) -> list[pl.Expr]:
        """Look the level up."""
        return [
            level(name)
            .replace_strict(list(levels), [row[index] for row in means], default=prior, return_dtype=pl.Float64)
            .cast(pl.Float32)
            for name, levels, means in zip(self.columns, self.levels, self.means, strict=True)
            for index, prior in enumerate(self.prior)
        ]

    def out_of_fold(self) -> list[pl.Expr]:
        """The level's mean over the other folds' rows."""
        return [
            _other_folds(name, TARGET.format(index)).cast(pl.Float32)
            for name in self.columns
            for index in range(len(self.prior))
        ]

    def onnx(self, g: Graph, x: str) -> str:
        """One look-up; with several targets it gives a row of a table [levels + 1, targets] for each cell."""
        flat = [row for means in self.means for row in means]
        if len(self.prior) == 1:
            return emit_values(g, x, self.levels, [row[0] for row in flat], self.prior[0])
        codes = emit_codes(g, x, self.levels, unknown=len(flat))
        table = g.const(np.array([*flat, self.prior], dtype=np.float32))
        width = len(self.columns) * len(self.prior)
        return g.op("Reshape", g.op("Gather", table, codes), g.const(np.array([-1, width], dtype=np.int64)))


def _means(
    frame: pl.DataFrame, name: str, levels: tuple[str, ...], prior: tuple[float, ...]
) -> tuple[tuple[float, ...], ...]:
    sums = [pl.col(TARGET.format(index)).sum().alias(str(index)) for index in range(len(prior))]
    grouped = frame.group_by(level(name).alias("level")).agg(*sums, pl.len().alias("rows"))
    found = {row[0]: row[1:] for row in grouped.iter_rows()}
    return tuple(
        tuple((found[value][i] + _SMOOTHING * mean) / (found[value][-1] + _SMOOTHING) for i, mean in enumerate(prior))
        for value in levels
    )


def _other_folds(name: str, target: str) -> pl.Expr:
    """The smoothed mean of the level over the other folds' rows; the prior is theirs too, 0 if there are none."""
    key, value, rows = level(name), pl.col(target), pl.len().cast(pl.Float64)
    prior = (value.sum() - value.sum().over(FOLD)) / (rows - rows.over(FOLD)).clip(1.0)
    level_sum = value.sum().over(key) - value.sum().over(key, FOLD)
    level_rows = rows.over(key) - rows.over(key, FOLD)
    return (level_sum + _SMOOTHING * prior) / (level_rows + _SMOOTHING)
