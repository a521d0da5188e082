"""Flags for missing numbers."""

from typing import ClassVar, Self

import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind


class MissingFlags(Op, frozen=True):
    """1 where a number is missing, else 0; for the columns that lacked values in training.

    Trees see missing values themselves; linear models need the flag beside the filled value.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "a flag where a number is missing"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the columns that have nulls."""
        columns = rows.signature.of_kind("number")
        kept = tuple(name for name in columns if rows.frame.get_column(name).null_count())
        return cls(kept) if kept else None

    def names(self) -> tuple[str, ...]:
        """COLUMN is missing."""
        return tuple(f"{name} is missing" for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """Null to 1."""
        return [pl.col(name).is_null().cast(pl.Float32) for name in self.columns]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """NaN to 1."""
        return g.cast(g.op("IsNaN", inputs.numbers(self.columns)), TensorProto.FLOAT)
