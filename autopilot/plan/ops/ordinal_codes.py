"""Categories as numbers."""

from typing import ClassVar, Self

import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.op import Op, Target
from autopilot.plan.ops.levels import count_levels, emit_values, level
from storage.signature import Block

_MOST_LEVELS = 10_000
_LEAST_ROWS = 2
_UNKNOWN = -1.0


class OrdinalCodes(Op, frozen=True):
    """Each level's rank by frequency, 0 the most frequent; for trees, which cut such codes where it pays.

    Levels seen once, beyond the 10,000 most frequent, or not at all are -1. Missing is a level like another.
    """

    block: ClassVar[Block] = "text"
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Rank levels."""
        counted = [(name, count_levels(frame, name, _LEAST_ROWS, _MOST_LEVELS)) for name in columns]
        kept = [(name, levels) for name, levels in counted if levels]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """Code of COLUMN."""
        return tuple(f"code of {name}" for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """Look the level up."""
        return [
            level(name).replace_strict(
                list(levels), [float(i) for i in range(len(levels))], default=_UNKNOWN, return_dtype=pl.Float32
            )
            for name, levels in zip(self.columns, self.levels, strict=True)
        ]

    def onnx(self, g: Graph, x: str) -> str:
        """One LabelEncoder for all columns."""
        ranks = [float(rank) for levels in self.levels for rank in range(len(levels))]
        return emit_values(g, x, self.levels, ranks, _UNKNOWN)
