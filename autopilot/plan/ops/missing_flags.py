"""Flags for missing numbers."""

from typing import ClassVar, Self

import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

#: Rows of a table without a value, to learn from what that means; of small tables one in fifty is enough.
_LEAST_ROWS, _SMALL = 5, 50


class MissingFlags(Op, frozen=True):
    """1 where a number is missing, else 0; for the columns that lacked values in 5 rows of training, or one of fifty.

    Trees see missing values themselves; linear models need the flag beside the filled value. From one row they would
    learn that whatever lacks values is like it.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "a flag where a number is missing"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the columns that have nulls in enough rows."""
        columns = rows.signature.of_kind("number")
        least = min(_LEAST_ROWS, -(-rows.frame.height // _SMALL))
        kept = tuple(name for name in columns if rows.frame.get_column(name).null_count() >= max(1, least))
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
