"""Categories as indicators."""

from typing import ClassVar, Self

import numpy as np
import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.op import Op, Target
from autopilot.plan.ops.levels import count_levels, emit_codes, level
from storage.signature import Block

_MOST_LEVELS = 24
_MOST_FEATURES = 1000
_LEAST_ROWS = 5


class OneHot(Op, frozen=True):
    """One indicator for each frequent level: 1 where the cell has it, else 0.

    At most 24 levels a column, each seen in at least 5 rows, and at most 1,000 features in all. Missing is a level
    like another; unseen and rare levels give zeros.
    """

    block: ClassVar[Block] = "text"
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Count levels."""
        most = min(_MOST_LEVELS, max(2, _MOST_FEATURES // len(columns)))
        counted = [(name, count_levels(frame, name, _LEAST_ROWS, most)) for name in columns]
        kept = [(name, levels) for name, levels in counted if levels][: _MOST_FEATURES // most]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """COLUMN = LEVEL."""
        return tuple(
            f"{name} = {value}" for name, values in zip(self.columns, self.levels, strict=True) for value in values
        )

    def polars(self) -> list[pl.Expr]:
        """Compare with each level."""
        return [
            (level(name) == value).cast(pl.Float32)
            for name, values in zip(self.columns, self.levels, strict=True)
            for value in values
        ]

    def onnx(self, g: Graph, x: str) -> str:
        """Write a 1 at each cell's code into zeros; unseen levels write into a spare column that is cut off."""
        width = sum(map(len, self.levels))
        codes = emit_codes(g, x, self.levels, unknown=width)
        ones = g.op("Add", g.zeros(codes, len(self.columns)), g.const(np.float32(1)))
        hit = g.op("ScatterElements", g.zeros(codes, width + 1), codes, ones, axis=1)
        start, stop, axis = (g.const(np.array([value], dtype=np.int64)) for value in (0, width, 1))
        return g.op("Slice", hit, start, stop, axis)
