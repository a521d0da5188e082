"""Skewed numbers straightened by a power."""

from typing import ClassVar, Self

import numpy as np

from autopilot.plan.curves import MOST_KNOTS, Curve, Curved
from autopilot.plan.number_sample import ordered_sample, quantiles
from autopilot.plan.op import Rows, Values
from storage.signature import Kind

#: Columns that are more skewed than this, to either side; an exponential distribution has 2.
_LEAST_SKEW = 1.0
#: Among which powers the most likely one is looked for, to 0.01.
_LOWEST, _HIGHEST = -4.0, 6.0
_STEPS = 15
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
#: Nearer to 0 a power is a logarithm.
_NO_POWER = 1e-6
#: Values end here.
_LIMIT = 10.0
#: Quantiles by which skewness and powers are judged: a few wild cells are not among them.
_POINTS = np.linspace(0.001, 0.999, 200)
_ENDS = np.array([0.0, 1.0])
_QUARTILES = np.array([0.25, 0.5, 0.75])


class Powers(Curved, frozen=True):
    """The power transformation of Yeo and Johnson ("A new family of power transformations", 2000) of skewed columns.

    z = (x - median) / interquartile range, then ((z + 1)^p - 1) / p for z >= 0, else -((1 - z)^(2 - p) - 1) / (2 - p)
    (logarithms where p is 0 or 2), then centred and scaled to deviation 1. p makes a normal distribution most likely.
    For columns with a skewness beyond 1 to either side. The curve is drawn through 64 points from the smallest to the
    largest of up to 100,000 training rows, and straight between them, so that all runtimes give the same bits: it is
    never further from the formula than 1/63 of its range. Numbers outside, and infinities, become the nearest end.
    Missing becomes the median.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "skewed numbers straightened by a power"

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Find each skewed column's power."""
        columns = rows.signature.of_kind("number")
        ordered = ordered_sample(rows, columns)
        found = quantiles(ordered, np.concatenate([_ENDS, _QUARTILES, _POINTS]))
        with np.errstate(all="ignore"):
            kept = {
                name: curve
                for name, row in zip(columns, found, strict=True)
                if (curve := _curve(row[:2], row[2:5], row[5:])) is not None
            }
        return cls(tuple(kept), tuple(kept.values())) if kept else None

    def names(self) -> tuple[str, ...]:
        """Power of COLUMN."""
        return tuple(f"power of {name}" for name in self.columns)


def _curve(ends: Values, quartiles: Values, points: Values) -> Curve | None:
    """The transformation of one column; None if it is not skewed."""
    low, median, high = quartiles
    spread = high - low or np.mean(np.abs(points - median))
    if not spread > 0 or not abs(_skewness(z := (points - median) / spread)) > _LEAST_SKEW:
        return None
    power = _likeliest(z)
    straight = _transform(z, power)
    first, last = _transform((ends - median) / spread, power)
    heights = np.linspace(first, last, MOST_KNOTS)
    knots = _restore(heights, power) * spread + median
    knots[0], knots[-1] = ends
    values = np.clip((heights - straight.mean()) / straight.std(), -_LIMIT, _LIMIT)
    if not (np.isfinite(knots).all() and np.isfinite(values).all()):
        return None
    return Curve.through(float(median), np.maximum.accumulate(knots), values)


def _skewness(z: Values) -> float:
    """The third standardised moment; 0 where there is none."""
    centred = z - z.mean()
    return float(np.nan_to_num(np.mean(centred**3) / np.mean(centred**2) ** 1.5, posinf=0.0, neginf=0.0))


def _likeliest(z: Values) -> float:
    """The power of the largest likelihood of a normal distribution, by golden section."""
    jacobian = np.mean(np.sign(z) * np.log1p(np.abs(z)))

    def likelihood(power: float) -> float:
        return float(np.nan_to_num(power * jacobian - np.log(_transform(z, power).std()), nan=-np.inf))

    low, high = _LOWEST, _HIGHEST
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if likelihood(left) > likelihood(right) else (left, high)
    return (low + high) / 2


def _transform(z: Values, power: float) -> Values:
    """Yeo and Johnson's."""
    positive, negative = np.maximum(z, 0.0), np.maximum(-z, 0.0)
    return _power(positive, power) - _power(negative, 2.0 - power)


def _restore(t: Values, power: float) -> Values:
    """The numbers that are transformed into `t`."""
    positive, negative = np.maximum(t, 0.0), np.maximum(-t, 0.0)
    return _root(positive, power) - _root(negative, 2.0 - power)


def _power(x: Values, power: float) -> Values:
    return np.log1p(x) if abs(power) < _NO_POWER else ((x + 1.0) ** power - 1.0) / power


def _root(x: Values, power: float) -> Values:
    return np.expm1(x) if abs(power) < _NO_POWER else (x * power + 1.0) ** (1.0 / power) - 1.0
