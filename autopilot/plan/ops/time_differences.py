"""Days between two times of a row."""

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from autopilot.plan.ops.calendar_parts import DAY_US, FIRST_US, LAST_US, physical_time
from storage.boundary import MISSING_TIME
from storage.signature import Kind

#: 5 columns have 10 pairs; of more columns the first 5 are taken.
_MOST_COLUMNS = 5
_DAYS_PER_US = 1.0 / DAY_US


class TimeDifferences(Op, frozen=True):
    """Days from one time column to another, in float64, then float32; for trees.

    All pairs of the first 5 time columns, less those whose difference does not vary. Missing is NaN: where either time
    is. Times outside 1900-2100 count as the nearest end. Microseconds of 200 years are below 2^53, so that float64
    holds each difference.
    """

    kind: ClassVar[Kind] = "time"
    about: ClassVar[str] = "days between two times"
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the pairs whose difference varies."""
        pairs = tuple(combinations(rows.signature.of_kind("time")[:_MOST_COLUMNS], 2))
        if not pairs:
            return None
        spans = rows.frame.select(
            (days.max() > days.min()).fill_null(False).alias(str(index))
            for index, days in enumerate(_days(*pair) for pair in pairs)
        )
        kept = tuple(pair for pair, varies in zip(pairs, spans.row(0), strict=True) if varies)
        return cls._of(kept) if kept else None

    @classmethod
    def _of(cls, pairs: tuple[tuple[str, str], ...]) -> Self:
        return cls(tuple(dict.fromkeys(name for pair in pairs for name in pair)), pairs)

    def names(self) -> tuple[str, ...]:
        """Days from COLUMN to COLUMN."""
        return tuple(f"days from {start} to {end}" for start, end in self.pairs)

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only these pairs."""
        return self._of(tuple(self.pairs[index] for index in kept))

    def polars(self) -> list[pl.Expr]:
        """Subtract and scale."""
        return [_days(*pair).cast(pl.Float32).fill_null(float("nan")) for pair in self.pairs]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """All pairs at once."""
        x = inputs.times(self.columns)
        when = g.op("Clip", x, g.const(np.int64(FIRST_US)), g.const(np.int64(LAST_US)))
        is_missing = g.op("Equal", x, g.const(np.int64(MISSING_TIME)))
        starts, ends = ([self.columns.index(pair[side]) for pair in self.pairs] for side in (0, 1))
        span = g.op("Sub", g.take(when, ends), g.take(when, starts))
        days = g.op("Mul", g.cast(span, TensorProto.DOUBLE), g.const(np.float64(_DAYS_PER_US)))
        lacking = g.op("Or", g.take(is_missing, starts), g.take(is_missing, ends))
        return g.op("Where", lacking, g.const(np.float32(np.nan)), g.cast(days, TensorProto.FLOAT))


def _days(start: str, end: str) -> pl.Expr:
    return (physical_time(end) - physical_time(start)).cast(pl.Float64) * _DAYS_PER_US
