"""A plan: fitted ops in their order, from a table to the feature matrix."""

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from autopilot.plan.levels import Levels
from autopilot.plan.op import Inputs, Op, Rows, Target
from autopilot.plan.ops import AnyOp
from autopilot.plan.recipes import SELECTED, Recipe, ops_of
from autopilot.plan.selection import select
from autopilot.plan.tokens import Tokens
from storage.errors import DataError
from storage.signature import Signature

Matrix = NDArray[np.float32]
T = TypeVar("T")

#: Folds within the training rows, over which a row's own target is kept out of its features.
_INNER_FOLDS = 5


class Plan(Struct, frozen=True):
    """Fitted ops; written as JSON and read again without loss.

    The matrix has the ops' features in their order: float32 (rows, features), missing as NaN where the op says so.
    levels, tokens: what the ops over categories and over words look up by. kept: which of the ops' features the matrix
    has; None for all.
    """

    levels: Levels
    tokens: Tokens
    ops: tuple[AnyOp, ...]
    kept: tuple[int, ...] | None = None

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, signature: Signature, recipe: Recipe, target: Target, seed: int
    ) -> "tuple[Plan, Matrix]":
        """Fit the recipe's ops on training rows, and give these rows' own features, out of fold where that matters.

        frame: typed as `storage.boundary.typed` does. Raises DataError if no op finds anything to learn from.
        """
        plan, X = cls.fit_ops(frame, signature, ops_of(recipe, signature), target, seed)
        return plan._selected(X, target, seed) if recipe in SELECTED else (plan, X)

    @classmethod
    def fit_ops(
        cls, frame: pl.DataFrame, signature: Signature, kinds_of_ops: Sequence[type[Op]], target: Target, seed: int
    ) -> "tuple[Plan, Matrix]":
        """The same with ops of one's own choice."""
        folds = np.random.default_rng(seed).integers(0, _INNER_FOLDS, frame.height)
        rows = Rows.of(frame, signature, target, folds, seed)
        fitted = [op.fit(rows) for op in kinds_of_ops if signature.of_kind(op.kind)]
        ops = tuple(cast("AnyOp", op) for op in fitted if op is not None)
        if not ops:
            raise DataError("No column varies in the training rows. Add columns, or rows that differ.")
        plan = cls(rows.levels, rows.tokens, ops)
        return plan, plan._matrix(rows.frame, [expr for op in ops for expr in op.of_training(rows)])

    def names(self) -> tuple[str, ...]:
        """A name for each feature."""
        return self._kept([name for op in self.ops for name in op.names()])

    def words(self) -> tuple[str, ...]:
        """What each op does, a line each, for people."""
        return tuple(op.words() for op in self.ops)

    def features(self, frame: pl.DataFrame) -> Matrix:
        """The feature matrix of a typed frame."""
        numbered = frame.with_columns(self.levels.polars() + self.tokens.polars())
        return self._matrix(numbered, [expr for op in self.ops for expr in op.polars()])

    def emit(self, g: Graph) -> str:
        """The same matrix in a graph: float32 [N, features]."""
        inputs = Inputs(g, self.levels, self.tokens)
        parts = [op.onnx(g, inputs) for op in self.ops]
        whole = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        return whole if self.kept is None else g.take(whole, self.kept)

    def _selected(self, X: Matrix, target: Target, seed: int) -> "tuple[Plan, Matrix]":
        """Only the features that beat a random probe; ops of which none is left go, and others are narrowed."""
        chosen = select(X, target, seed)
        ops: list[AnyOp] = []
        kept: list[int] = []
        begin = width = 0
        for op in self.ops:
            names = op.names()
            own = [index - begin for index in chosen if begin <= index < begin + len(names)]
            begin += len(names)
            if own:
                ops.append(op.narrowed(own))
                narrow = ops[-1].names()
                kept += [width + narrow.index(names[index]) for index in own]
                width += len(narrow)
        return Plan(self.levels, self.tokens, tuple(ops), tuple(kept)), np.ascontiguousarray(X[:, list(chosen)])

    def _matrix(self, numbered: pl.DataFrame, features: list[pl.Expr]) -> Matrix:
        shared = {expr.meta.output_name(): expr for op in self.ops for expr in op.intermediate()}.values()
        named = [expr.alias(str(index)) for index, expr in enumerate(self._kept(features))]
        return cast("Matrix", numbered.with_columns(shared).select(named).to_numpy(order="c"))

    def _kept(self, features: list[T]) -> tuple[T, ...]:
        return tuple(features if self.kept is None else [features[index] for index in self.kept])
