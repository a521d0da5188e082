"""Numbers as they are."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

#: The largest float32; infinities and larger numbers become it, since scikit-learn's trees take no infinity.
LARGEST = float(np.finfo(np.float32).max)


class Numbers(Op, frozen=True):
    """Each number as float32, rounded to nearest; for trees, which need no scaling.

    Missing stays missing (NaN). Numbers beyond float32, and infinities, become the largest float32 of their sign.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "numbers as they are, missing as missing"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Nothing to learn."""
        return cls(rows.signature.of_kind("number"))

    def names(self) -> tuple[str, ...]:
        """The columns."""
        return self.columns

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only these columns."""
        return type(self)(tuple(self.columns[index] for index in kept))

    def polars(self) -> list[pl.Expr]:
        """Clip and cast."""
        return [pl.col(name).clip(-LARGEST, LARGEST).cast(pl.Float32).fill_null(float("nan")) for name in self.columns]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Clip lets NaN through: https://onnx.ai/onnx/operators/onnx__Clip.html."""
        clipped = g.op(
            "Clip", inputs.numbers(self.columns), g.const(np.float64(-LARGEST)), g.const(np.float64(LARGEST))
        )
        return g.cast(clipped, TensorProto.FLOAT)
