"""Numbers as a few weighted sums that vary most."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.number_sample import numbers_of, sample_rows
from autopilot.plan.op import Inputs, Op, Rows, Values
from autopilot.plan.ops.scale import unless_neutral
from storage.signature import Kind

_LEAST_COLUMNS = 4
_MOST_COMPONENTS = 8
#: Share of the variance that the components explain together, where 8 are enough for it.
_EXPLAINED = 0.9
_MOST_ROWS = 20_000
_MOST_CELLS = 6_000_000
#: Scaled numbers end at 16 and are whole multiples of 2^-16, weights of 2^-20: see the class.
_LIMIT = 16.0
_STEPS = 2.0**16
_WEIGHT_STEPS = 2.0**20
#: Directions beside the components, and rounds, of the subspace iteration.
_SPARE = 16
_ITERATIONS = 8
_SCORES = "\0scores"
_CHUNK_ROWS = 65_536


class PrincipalComponents(Op, frozen=True):
    """Scores on the first principal components of the standardised columns (Hotelling, 1933).

    z = (x - mean) / standard deviation, from -16 to 16; score = the sum of weight * z over the columns. As many
    components as explain 90 % of the variance of up to 20,000 rows, at most 8. Missing is the mean; infinities are left
    out when fitting and end at 16. Columns that do not vary are left out; None for fewer than 4 columns.

    A sum of products is another number in each order of summing, and each runtime has its own. Here all orders agree:
    z and the weights are rounded to whole steps, of which 2^20 make the largest of either, and the weights of a
    component have the square sum 1, so that the sum over n columns stays below 2^40 sqrt(n) whole steps, which float64
    holds for any n below 2^26.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "principal components"
    mean: tuple[float, ...]
    factor: tuple[float, ...]
    weights: tuple[tuple[int, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """For tables with at least 4 numbers that vary."""
        return cls.fit_some(rows, None)

    @classmethod
    def fit_some(cls, rows: Rows, components: int | None) -> Self | None:
        """The same with a number of components of one's own choice, for any number of columns."""
        standard = _standardise(rows)
        most = min(standard.z.shape) if len(standard.z) else 0
        if most < 1 or (components is None and len(standard.columns) < _LEAST_COLUMNS):
            return None
        weights, explained = _decompose(standard.z, min(components or _MOST_COMPONENTS, most), rows.seed)
        if components is None:
            weights = weights[: int(np.searchsorted(np.cumsum(explained), _EXPLAINED)) + 1]
        steps = np.rint(weights * _WEIGHT_STEPS).astype(np.int64)
        return cls(standard.columns, standard.mean, standard.factor, tuple(tuple(row) for row in steps.tolist()))

    def names(self) -> tuple[str, ...]:
        """Principal component NUMBER, counted from 1."""
        return tuple(f"principal component {index + 1}" for index in range(len(self.weights)))

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Up to the last component that is asked for, so that names stay."""
        return type(self)(self.columns, self.mean, self.factor, self.weights[: max(kept) + 1])

    def intermediate(self) -> list[pl.Expr]:
        """All scores of a row together, by a product of matrices."""
        scores = pl.map_batches(
            [pl.col(name) for name in self.columns],
            lambda columns: pl.Series(_SCORES, self._scores(columns), dtype=self._type),
            return_dtype=self._type,
            is_elementwise=True,
        )
        return [scores.alias(_SCORES)]

    def polars(self) -> list[pl.Expr]:
        """Take the scores apart."""
        return [pl.col(_SCORES).arr.get(index) for index in range(len(self.weights))]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same whole numbers in float64; by way of int64, which has no -0."""
        x, mean = inputs.numbers(self.columns), g.const(np.array(self.mean))
        centred = g.op("Sub", g.op("Where", g.op("IsNaN", x), mean, x), mean)
        z = g.op("Mul", centred, g.const(np.array(self.factor)))
        inside = g.op("Clip", z, g.const(np.float64(-_LIMIT)), g.const(np.float64(_LIMIT)))
        steps = g.op("Round", g.op("Mul", inside, g.const(np.float64(_STEPS))))
        sums = g.op("MatMul", steps, g.const(np.array(self.weights, dtype=np.float64).T))
        whole = g.cast(g.cast(sums, TensorProto.INT64), TensorProto.FLOAT)
        return g.op("Mul", whole, g.const(np.float32(1 / (_STEPS * _WEIGHT_STEPS))))

    @property
    def _type(self) -> pl.Array:
        return pl.Array(pl.Float32, len(self.weights))

    def _scores(self, columns: Sequence[pl.Series]) -> NDArray[np.float32]:
        """float32 (rows, components) from the columns, some rows at a time: the scaled numbers are many."""
        mean, factor, weights = np.array(self.mean), np.array(self.factor), np.array(self.weights, dtype=np.float64).T
        scores = np.empty((len(columns[0]), len(self.weights)), dtype=np.float32)
        for start in range(0, len(scores), _CHUNK_ROWS):
            x = np.column_stack([series.slice(start, _CHUNK_ROWS).to_numpy() for series in columns])
            steps = np.rint(_scaled(x, mean, factor) * _STEPS)
            scores[start : start + len(x)] = (steps @ weights).astype(np.int64)
        return scores * np.float32(1 / (_STEPS * _WEIGHT_STEPS))


class _Standardised(NamedTuple):
    """z: float64 (rows, columns) of the columns that vary, with 0 for missing."""

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    factor: tuple[float, ...]
    z: Values


def _standardise(rows: Rows) -> _Standardised:
    """Mean and standard deviation (n - 1) of the finite values of a sample, and its scaled numbers."""
    columns = rows.signature.of_kind("number")
    at = sample_rows(rows, min(_MOST_ROWS, max(_MOST_CELLS // len(columns), 1000)))
    found = pl.DataFrame(numbers_of(rows, columns, at).T, schema=list(columns)).fill_nan(None)
    means, deviations = (np.array(row.row(0), dtype=np.float64) for row in (found.mean(), found.std()))
    with np.errstate(divide="ignore", over="ignore"):
        factors = 1.0 / deviations
    mean = np.array([unless_neutral(value, 0.0) for value in means])
    factor = np.array([unless_neutral(value, 1.0) for value in np.where(np.isfinite(factors), factors, 0.0)])
    z = _scaled(found.to_numpy(), mean, factor)
    varies = np.ptp(z, axis=0) > 0  # a column of one number may have a deviation, by rounding
    names = tuple(name for name, is_kept in zip(columns, varies, strict=True) if is_kept)
    return _Standardised(names, tuple(mean[varies].tolist()), tuple(factor[varies].tolist()), z[:, varies])


def _scaled(x: Values, mean: Values, factor: Values) -> Values:
    """(x - mean) * factor within the limit, 0 for NaN."""
    with np.errstate(over="ignore"):
        return np.clip((np.where(np.isnan(x), mean, x) - mean) * factor, -_LIMIT, _LIMIT)


def _decompose(z: Values, components: int, seed: int) -> tuple[Values, Values]:
    """Weights (components, columns) of square sum 1, and the share of the variance that each component explains.

    Subspace iteration (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011): for up to 16 columns
    more than components it is the full decomposition, and 3,000 columns take a second. Signs are such that the largest
    weight is positive.
    """
    moments = z.T @ z
    basis = np.random.default_rng(seed).normal(size=(len(moments), min(len(moments), components + _SPARE)))
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(moments @ basis).Q
    variances, rotation = np.linalg.eigh(basis.T @ moments @ basis)
    weights = (basis @ rotation).T[::-1][:components]
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=1, keepdims=True), axis=1)
    return weights * np.sign(largest), variances[::-1][:components] / np.trace(moments)
