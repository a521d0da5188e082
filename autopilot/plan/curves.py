"""Curves of straight pieces, which carry any monotone transformation to the bit.

Logarithms and powers differ by some float32 steps between Polars, NumPy and onnxruntime. A difference, a product and a
sum of float64 do not. So a transformation is fitted as knots, and both renderings walk the straight line between two:

    value
      |            ______ 2
      |       ____/
      |   ___/
    __|__/________________ x        below the first knot and beyond the last: the value there
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from msgspec import Struct
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Values

#: 64 cost 11 us for one row of 30 columns and 4 us a row for many; the count of knots below x is what costs.
MOST_KNOTS = 64
#: Knots nearer to each other, relative to the curve's width, have one place: the slope between them has to be finite.
_NEAREST = 1e-13
#: Behind the last knot of the shorter curves of a block; no number reaches it, since they end at the last knot.
_BEYOND = float(np.finfo(np.float64).max)


class Curve(Struct, frozen=True):
    """Straight pieces between knots, of which there are at least two, in ascending order.

    fill: what a missing number counts as.
    """

    fill: float
    knots: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def through(cls, fill: float, knots: Values, values: Values) -> "Curve | None":
        """The curve through points in ascending order, less those that float64 cannot tell apart; None if one is left.

        knots: finite, at most 1e300.
        """
        width = knots[-1] - knots[0]
        far = np.diff(knots, prepend=-np.inf) > max(_NEAREST * width, 1e-290)
        # + 0.0 makes -0.0 the usual zero, which either rendering may give
        kept = cls(fill + 0.0, tuple((knots[far] + 0.0).tolist()), tuple((values[far] + 0.0).tolist()))
        return kept if len(kept.knots) > 1 else None

    def pieces(self) -> "_Pieces":
        """One for each knot; the last is flat."""
        knots, values = np.array(self.knots), np.array(self.values)
        return _Pieces(knots, np.append(np.diff(values) / np.diff(knots), 0.0), values)


class _Pieces(NamedTuple):
    """Where each piece begins, how it rises, and its value at the beginning: float64 (knots,)."""

    begin: Values
    slope: Values
    value: Values


class Curved(Op, frozen=True):
    """An op that is one curve for each column."""

    curves: tuple[Curve, ...]

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only the columns of these features."""
        return type(self)(tuple(self.columns[index] for index in kept), tuple(self.curves[index] for index in kept))

    def intermediate(self) -> list[pl.Expr]:
        """The number of the piece that a cell is on, as UInt32."""
        return [
            pl.lit(pl.Series(curve.knots[1:]))
            .search_sorted(_inside(name, curve), side="right")
            .alias(self._piece(name))
            for name, curve in zip(self.columns, self.curves, strict=True)
        ]

    def polars(self) -> list[pl.Expr]:
        """(x - begin) * slope + value in float64, then Float32."""
        return [
            _walk(_inside(name, curve), curve, pl.col(self._piece(name)))
            for name, curve in zip(self.columns, self.curves, strict=True)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """All curves at once."""
        return _emit_curves(g, inputs.numbers(self.columns), self.curves)

    def _piece(self, name: str) -> str:
        return f"\0{type(self).__name__} of {name}"


def _inside(name: str, curve: Curve) -> pl.Expr:
    return pl.col(name).fill_null(curve.fill).clip(curve.knots[0], curve.knots[-1])


def _walk(x: pl.Expr, curve: Curve, piece: pl.Expr) -> pl.Expr:
    begin, slope, value = (pl.lit(pl.Series(part)).gather(piece) for part in curve.pieces())
    return ((x - begin) * slope + value).cast(pl.Float32)


def _emit_curves(g: Graph, x: str, curves: tuple[Curve, ...]) -> str:
    """float32 [N, k]: the j-th curve at the j-th column of float64 `x` [N, k].

    The number of nodes does not grow with columns: all knots stand in one table, whose rows are filled up.
    """
    size = max(len(curve.knots) for curve in curves)
    fill, first, last = (
        np.array(part) for part in zip(*((c.fill, c.knots[0], c.knots[-1]) for c in curves), strict=True)
    )
    filled = g.op("Where", g.op("IsNaN", x), g.const(fill), x)
    inside = g.op("Min", g.op("Max", filled, g.const(first)), g.const(last))
    axis = g.const(np.array([2], dtype=np.int64))
    later = np.stack([_padded(np.array(curve.knots), size, _BEYOND)[1:] for curve in curves])
    reached = g.op("GreaterOrEqual", g.op("Unsqueeze", inside, axis), g.const(later))
    piece = g.op("ReduceSum", g.cast(reached, TensorProto.FLOAT), axis, keepdims=0)
    starts = np.arange(len(curves), dtype=np.int64) * size
    at = g.op("Add", g.cast(piece, TensorProto.INT64), g.const(starts))
    tables = zip(*(curve.pieces() for curve in curves), strict=True)
    begin, slope, value = (
        g.op("Gather", g.const(np.concatenate([_padded(part, size, 0.0) for part in parts])), at) for parts in tables
    )
    rise = g.op("Mul", g.op("Sub", inside, begin), slope)
    return g.cast(g.op("Add", rise, value), TensorProto.FLOAT)


def _padded(values: Values, size: int, padding: float) -> Values:
    return np.append(values, np.full(size - len(values), padding))
