"""Categories as indicators."""

from typing import ClassVar, Self

import numpy as np
import polars as pl

from autopilot.graph.graph import Graph
from autopilot.plan.levels import code, codes_of
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

_MOST_LEVELS = 24
_MOST_FEATURES = 1000
_LEAST_ROWS = 5


class OneHot(Op, frozen=True):
    """One indicator for each frequent level: 1 where the cell has it, else 0.

    At most 24 levels a column, each seen in at least 5 rows, and at most 1,000 features in all. Missing is a level
    like another; unseen and rare levels give zeros.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "an indicator for each frequent level"
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Take the most frequent levels, which have the first codes."""
        columns = rows.levels.columns
        most = min(_MOST_LEVELS, max(2, _MOST_FEATURES // len(columns)))
        kept = {name: levels for name in columns if (levels := _frequent(rows, name, most))}
        chosen = dict(list(kept.items())[: _MOST_FEATURES // most])
        return cls(tuple(chosen), tuple(chosen.values())) if chosen else None

    def names(self) -> tuple[str, ...]:
        """COLUMN = LEVEL."""
        return tuple(
            f"{name} = {value}" for name, values in zip(self.columns, self.levels, strict=True) for value in values
        )

    def polars(self) -> list[pl.Expr]:
        """Compare with each code."""
        return [
            (code(name) == index).cast(pl.Float32)
            for name, values in zip(self.columns, self.levels, strict=True)
            for index in range(len(values))
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Write a 1 at each cell's place into zeros; other levels write into a spare column that is cut off."""
        counts = np.array([len(values) for values in self.levels], dtype=np.int64)
        width, starts = int(counts.sum()), np.cumsum(counts) - counts
        codes = inputs.codes(self.columns)
        is_frequent = g.op("Less", codes, g.const(counts))
        places = g.op("Where", is_frequent, g.op("Add", codes, g.const(starts)), g.const(np.int64(width)))
        ones = g.op("Add", g.zeros(codes, len(self.columns)), g.const(np.float32(1)))
        hit = g.op("ScatterElements", g.zeros(codes, width + 1), places, ones, axis=1)
        start, stop, axis = (g.const(np.array([value], dtype=np.int64)) for value in (0, width, 1))
        return g.op("Slice", hit, start, stop, axis)


def _frequent(rows: Rows, name: str, most: int) -> tuple[str, ...]:
    levels = rows.levels.of(name)
    counts = np.bincount(codes_of(rows.frame, name), minlength=len(levels) + 1)[: len(levels)]
    return levels[: min(most, int(np.sum(counts >= _LEAST_ROWS)))]
