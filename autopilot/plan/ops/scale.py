"""Numbers filled, centred and scaled."""

from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

#: Scaled values end here: one wild cell must not rule a linear model.
_LIMIT = 10.0


class Scale(Op, frozen=True):
    """(x - mean) * factor in float64, clipped to -10..10, then float32; factor = 1 / standard deviation.

    Missing becomes the mean, hence 0. Infinities are left out when fitting and end at the limit. Columns that do not
    vary are left out.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "numbers filled, centred and scaled"
    mean: tuple[float, ...]
    factor: tuple[float, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Mean and standard deviation (n - 1) of the finite values."""
        frame, columns = rows.frame, rows.signature.of_kind("number")
        finite = [pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in columns]
        means = frame.select(x.mean().alias(str(i)) for i, x in enumerate(finite)).row(0)
        deviations = frame.select(x.std().alias(str(i)) for i, x in enumerate(finite)).row(0)
        kept = [
            (name, unless_neutral(mean, 0.0), unless_neutral(1.0 / deviation, 1.0))
            for name, mean, deviation in zip(columns, means, deviations, strict=True)
            if deviation and np.isfinite(deviation) and 0.0 < 1.0 / deviation < np.inf and np.isfinite(mean)
        ]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """The columns that vary."""
        return self.columns

    def polars(self) -> list[pl.Expr]:
        """Fill, subtract, multiply, clip."""
        return [
            ((pl.col(name).fill_null(mean) - mean) * factor).clip(-_LIMIT, _LIMIT).cast(pl.Float32)
            for name, mean, factor in zip(self.columns, self.mean, self.factor, strict=True)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same four steps in float64."""
        x, mean = inputs.numbers(self.columns), g.const(np.array(self.mean))
        filled = g.op("Where", g.op("IsNaN", x), mean, x)
        scaled = g.op("Mul", g.op("Sub", filled, mean), g.const(np.array(self.factor)))
        clipped = g.op("Clip", scaled, g.const(np.float64(-_LIMIT)), g.const(np.float64(_LIMIT)))
        return g.cast(clipped, TensorProto.FLOAT)


def unless_neutral(value: float, neutral: float) -> float:
    """The value, or exactly 0 (or 1) where float32 rounds it to that.

    onnxruntime leaves out a subtraction of 0 and a multiplication by 1, and looks at float64 constants as float32.
    """
    with np.errstate(over="ignore"):
        return neutral if np.float32(value) == neutral else value
