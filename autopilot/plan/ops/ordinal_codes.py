"""Categories as numbers."""

from typing import ClassVar, Self

import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.levels import code
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind


class OrdinalCodes(Op, frozen=True):
    """Each level's rank by frequency, 0 the most frequent; for trees, which cut such codes where it pays.

    Rare and unseen levels share the last rank. Missing is a level like another.
    """

    kind: ClassVar[Kind] = "category"
    about: ClassVar[str] = "rank of the level by frequency"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Columns with a known level; the ranks are the levels' codes."""
        kept = tuple(name for name, levels in zip(rows.levels.columns, rows.levels.names, strict=True) if levels)
        return cls(kept) if kept else None

    def names(self) -> tuple[str, ...]:
        """Rank of COLUMN."""
        return tuple(f"rank of {name}" for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """The code as a float."""
        return [code(name).cast(pl.Float32) for name in self.columns]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same."""
        return g.cast(inputs.codes(self.columns), TensorProto.FLOAT)
