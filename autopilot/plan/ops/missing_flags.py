"""Flags for missing numbers."""

from typing import ClassVar, Self

import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Op, Target
from storage.signature import Block


class MissingFlags(Op, frozen=True):
    """1 where a number is missing, else 0; for the columns that lacked values in training.

    Trees see missing values themselves; linear models need the flag beside the filled value.
    """

    block: ClassVar[Block] = "number"

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Keep the columns that have nulls."""
        kept = tuple(name for name in columns if frame.get_column(name).null_count())
        return cls(kept) if kept else None

    def names(self) -> tuple[str, ...]:
        """COLUMN is missing."""
        return tuple(f"{name} is missing" for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """Null to 1."""
        return [pl.col(name).is_null().cast(pl.Float32) for name in self.columns]

    def onnx(self, g: Graph, x: str) -> str:
        """NaN to 1."""
        return g.cast(g.op("IsNaN", x), TensorProto.FLOAT)
