"""Numbers filled, centred and scaled."""

from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.number_sample import ordered_sample, quantiles
from autopilot.plan.op import Inputs, Op, Rows, Values
from storage.signature import Kind

#: Beyond, scaled values grow with the square root only: one wild cell must not rule a linear model, but where a tail
#: carries the meaning, as delays do, cutting it off at 10 costs most of what the model could tell.
_BEND = 10.0
_FOUR_BENDS = 4 * _BEND
#: Where scaled values end, before their tails are drawn in: at 50 after that.
_MOST_Z = 90.0
#: Of a normal distribution: interquartile range / standard deviation.
_NORMAL_IQR = 1.349
_QUARTILES = np.array([0.25, 0.5, 0.75])


class Scale(Op, frozen=True):
    """z = (x - median) * factor in float64, its tails drawn in, then float32; factor = 1.349 / interquartile range.

    Beyond 10 the result is 2 sqrt(10 |z|) - 10 with z's sign, which goes on with the same slope, and ends at 50. The
    statistics are those of up to 100,000 training rows. Where half of the rows are one number the range may be 0: then
    factor = 1 / standard deviation of all rows. Missing becomes the median, hence 0. Infinities are left out when
    fitting and end at the limit. Columns that do not vary are left out.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "numbers filled, centred and scaled"
    centre: tuple[float, ...]
    factor: tuple[float, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Quartiles of the finite values, and standard deviations where these are equal."""
        columns = rows.signature.of_kind("number")
        low, median, high = quantiles(ordered_sample(rows, columns), _QUARTILES).T
        spread = (high - low) / _NORMAL_IQR
        flat = tuple(name for name, width in zip(columns, spread, strict=True) if not width > 0)
        spread[~(spread > 0)] = _deviations(rows, flat)
        with np.errstate(divide="ignore", over="ignore"):
            factor = 1.0 / spread
        kept = [
            (name, unless_neutral(float(centre), 0.0), unless_neutral(float(scale), 1.0))
            for name, centre, scale in zip(columns, median, factor, strict=True)
            if 0.0 < scale < np.inf and np.isfinite(centre)
        ]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """The columns that vary."""
        return self.columns

    def polars(self) -> list[pl.Expr]:
        """Fill, subtract, multiply, draw in."""
        return [
            _drawn_in((pl.col(name).fill_null(centre) - centre) * factor)
            for name, centre, factor in zip(self.columns, self.centre, self.factor, strict=True)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same steps in float64."""
        x, centre = inputs.numbers(self.columns), g.const(np.array(self.centre))
        filled = g.op("Where", g.op("IsNaN", x), centre, x)
        return _emit_drawn_in(g, g.op("Mul", g.op("Sub", filled, centre), g.const(np.array(self.factor))))


def _deviations(rows: Rows, columns: tuple[str, ...]) -> Values:
    """Standard deviations (n - 1) of the finite values of all rows; NaN or 0 where they do not vary."""
    finite = {name: pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in columns}
    # a column of one number may have a deviation, by rounding
    found = [pl.when(x.max() > x.min()).then(x.std()).alias(name) for name, x in finite.items()]
    return np.array(rows.frame.select(found).row(0), dtype=np.float64) if found else np.empty(0)


def _drawn_in(z: pl.Expr) -> pl.Expr:
    """z * r, with r = (sqrt(40 e) - 10) / e and e = |z|, at least 10: there r is 1.

    Few cells lie beyond 10; computing r for those alone takes a third of the time.
    """
    return z.map_batches(_draw_in, return_dtype=pl.Float32)


def _draw_in(z: pl.Series) -> pl.Series:
    values = z.to_numpy()
    far = np.flatnonzero(np.abs(values) > _BEND)
    inside = np.clip(values[far], -_MOST_Z, _MOST_Z)
    e = np.abs(inside)
    with np.errstate(over="ignore"):
        drawn = values.astype(np.float32)
    drawn[far] = inside * ((np.sqrt(e * _FOUR_BENDS) - _BEND) / e)
    return pl.Series(drawn)


def _emit_drawn_in(g: Graph, z: str) -> str:
    def c(value: float) -> str:
        return g.const(np.float64(value))

    inside = g.op("Clip", z, c(-_MOST_Z), c(_MOST_Z))
    e = g.op("Max", g.op("Abs", inside), c(_BEND))
    ratio = g.op("Div", g.op("Sub", g.op("Sqrt", g.op("Mul", e, c(_FOUR_BENDS))), c(_BEND)), e)
    return g.cast(g.op("Mul", inside, ratio), TensorProto.FLOAT)


def unless_neutral(value: float, neutral: float) -> float:
    """The value, or exactly 0 (or 1) where float32 rounds it to that.

    onnxruntime leaves out a subtraction of 0 and a multiplication by 1, and looks at float64 constants as float32.
    """
    with np.errstate(over="ignore"):
        return neutral if np.float32(value) == neutral else value
