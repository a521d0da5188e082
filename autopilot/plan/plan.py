"""A plan: fitted ops in their order, from a table to the feature matrix."""

from typing import cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from autopilot.plan.op import Target
from autopilot.plan.ops import AnyOp
from autopilot.plan.recipes import RECIPES, Recipe
from storage.errors import DataError
from storage.signature import Signature

Matrix = NDArray[np.float32]

#: Folds within the training rows, over which a row's own target is kept out of its features.
_INNER_FOLDS = 5


class Plan(Struct, frozen=True):
    """Fitted ops; written as JSON and read again without loss.

    The matrix has the ops' features in their order: float32 (rows, features), missing as NaN where the op says so.
    """

    ops: tuple[AnyOp, ...]

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, signature: Signature, recipe: Recipe, target: Target, seed: int
    ) -> "tuple[Plan, Matrix]":
        """Fit the recipe's ops on training rows, and give these rows' own features, out of fold where that matters.

        frame: typed as `storage.boundary.typed` does. Raises DataError if no op finds anything to learn from.
        """
        inner = np.random.default_rng(seed).integers(0, _INNER_FOLDS, frame.height)
        known = frame.with_columns(target.columns(inner))
        ops: list[AnyOp] = []
        for kind, kinds_ops in RECIPES[recipe].items():
            columns = signature.of_kind(kind)
            fitted = [op.fit(known, columns, target) for op in kinds_ops] if columns else []
            ops += [cast("AnyOp", op) for op in fitted if op is not None]
        if not ops:
            raise DataError("No column varies in the training rows. Add columns, or rows that differ.")
        plan = cls(tuple(ops))
        return plan, plan._matrix(known, [expr for op in ops for expr in op.out_of_fold()])

    def names(self) -> tuple[str, ...]:
        """A name for each feature."""
        return tuple(name for op in self.ops for name in op.names())

    def features(self, frame: pl.DataFrame) -> Matrix:
        """The feature matrix of a typed frame."""
        return self._matrix(frame, [expr for op in self.ops for expr in op.polars()])

    def emit(self, g: Graph) -> str:
        """The same matrix in a graph: float32 [N, features]."""
        parts = [op.onnx(g, g.columns(op.block, op.columns)) for op in self.ops]
        return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)

    def _matrix(self, frame: pl.DataFrame, features: list[pl.Expr]) -> Matrix:
        shared = [expr for op in self.ops for expr in op.intermediate()]
        named = [expr.alias(str(index)) for index, expr in enumerate(features)]
        return cast("Matrix", frame.with_columns(shared).select(named).to_numpy(order="c"))
