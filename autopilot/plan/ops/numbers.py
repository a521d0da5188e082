"""Numbers as they are."""

from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Op, Target
from storage.signature import Block

#: The largest float32; infinities and larger numbers become it, since scikit-learn's trees take no infinity.
LARGEST = float(np.finfo(np.float32).max)


class Numbers(Op, frozen=True):
    """Each number as float32, rounded to nearest; for trees, which need no scaling.

    Missing stays missing (NaN). Numbers beyond float32, and infinities, become the largest float32 of their sign.
    """

    block: ClassVar[Block] = "number"

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Nothing to learn."""
        return cls(columns)

    def names(self) -> tuple[str, ...]:
        """The columns."""
        return self.columns

    def polars(self) -> list[pl.Expr]:
        """Clip and cast."""
        return [pl.col(name).clip(-LARGEST, LARGEST).cast(pl.Float32).fill_null(float("nan")) for name in self.columns]

    def onnx(self, g: Graph, x: str) -> str:
        """Clip lets NaN through: https://onnx.ai/onnx/operators/onnx__Clip.html."""
        clipped = g.op("Clip", x, g.const(np.float64(-LARGEST)), g.const(np.float64(LARGEST)))
        return g.cast(clipped, TensorProto.FLOAT)
