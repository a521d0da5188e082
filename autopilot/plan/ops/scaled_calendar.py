"""Parts of the calendar, centred and scaled."""

from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from autopilot.plan.ops.calendar_parts import Part, emit_parts, polars_part, varying
from autopilot.plan.ops.scale import unless_neutral
from storage.boundary import MISSING_TIME
from storage.signature import Kind


class ScaledCalendar(Op, frozen=True):
    """The parts of `CalendarParts` as (part - mean) / standard deviation, for models that need like scales.

    Missing is 0, the mean. A part that does not vary in a column is left out for all columns together with it only if
    it varies in none; else its factor there is 0.
    """

    kind: ClassVar[Kind] = "time"
    about: ClassVar[str] = "parts of the calendar, centred and scaled"
    parts: tuple[Part, ...]
    mean: tuple[float, ...]
    factor: tuple[float, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Mean and standard deviation of each part of each column."""
        frame, columns = rows.frame, rows.signature.of_kind("time")
        parts = varying(frame, columns)
        if not parts:
            return None
        numbers = [polars_part(name, part).cast(pl.Float64) for part in parts for name in columns]
        means = frame.select(x.mean().fill_null(0.0).alias(str(i)) for i, x in enumerate(numbers)).row(0)
        deviations = frame.select(x.std().fill_null(0.0).alias(str(i)) for i, x in enumerate(numbers)).row(0)
        factors = [1.0 / deviation if deviation else 0.0 for deviation in deviations]
        mean = tuple(unless_neutral(mean, 0.0) for mean in means)
        return cls(columns, parts, mean, tuple(unless_neutral(factor, 1.0) for factor in factors))

    def names(self) -> tuple[str, ...]:
        """PART of COLUMN."""
        return tuple(f"{part} of {name}" for part in self.parts for name in self.columns)

    def polars(self) -> list[pl.Expr]:
        """Polars' own calendar, scaled in float64."""
        pairs: list[tuple[str, Part]] = [(name, part) for part in self.parts for name in self.columns]
        return [
            ((polars_part(name, part).cast(pl.Float64) - mean) * factor).cast(pl.Float32).fill_null(0.0)
            for (name, part), mean, factor in zip(pairs, self.mean, self.factor, strict=True)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same in float64, then missing to 0."""
        x = inputs.times(self.columns)
        parts = emit_parts(g, x, self.parts)
        joined = g.cast(g.op("Concat", *parts, axis=1), TensorProto.DOUBLE)
        centred = g.op("Sub", joined, g.const(np.array(self.mean)))
        scaled = g.cast(g.op("Mul", centred, g.const(np.array(self.factor))), TensorProto.FLOAT)
        missing = g.op("Equal", x, g.const(np.int64(MISSING_TIME)))
        wide = g.op("Concat", *[missing] * len(parts), axis=1)
        return g.op("Where", wide, g.const(np.float32(0)), scaled)
