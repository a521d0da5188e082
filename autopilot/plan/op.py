"""What an op of the plan is."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from storage.signature import Block

#: Columns that a frame carries beside the raw ones while a plan is fitted.
FOLD = "\0fold"
TARGET = "\0target{}"

_MOST_CLASSES = 12


class Target(Struct, frozen=True):
    """What the ops may learn of the target.

    values: float64 (rows, targets), one column for regression (the value) and binary (1 for the second class), one
    for each class up to 12 classes, none beyond.
    """

    values: NDArray[np.float64]

    @classmethod
    def of(cls, y: NDArray[np.float64], outputs: int) -> "Target":
        """From class numbers or values (rows,) and the number of outputs: 1 for regression, else of classes."""
        if outputs <= 2:
            return cls(y.reshape(-1, 1))
        if outputs > _MOST_CLASSES:
            return cls(np.empty((len(y), 0)))
        return cls(np.eye(outputs)[y.astype(np.int64)])

    @property
    def means(self) -> list[float]:
        """Mean of each target over all rows."""
        return self.values.mean(axis=0).tolist()

    def columns(self, folds: NDArray[np.int64]) -> list[pl.Series]:
        """The target and a fold number for each row, as columns of the frame that `out_of_fold` expressions see."""
        values = [pl.Series(TARGET.format(i), self.values[:, i]) for i in range(self.values.shape[1])]
        return [*values, pl.Series(FOLD, folds)]


class Op(Struct, frozen=True, tag=True):
    """A fitted transformation of some columns of one block into float32 features.

    Plain data: an op is written as JSON and read again without running code. Missing values are nulls on the Polars
    side and the block's sentinel on the ONNX side; each op says what it makes of them and of unseen values.
    """

    block: ClassVar[Block]
    columns: tuple[str, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...], target: Target) -> Self | None:
        """Learn from the training rows; None where these columns give nothing."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        """A name for each feature, for people."""
        raise NotImplementedError

    def intermediate(self) -> Sequence[pl.Expr]:
        """Columns that `polars` reads beside the raw ones: what many features share and is computed once."""
        return ()

    def polars(self) -> Sequence[pl.Expr]:
        """One Float32 expression for each feature; missing features are NaN."""
        raise NotImplementedError

    def out_of_fold(self) -> Sequence[pl.Expr]:
        """The features of the training rows themselves; differs where a row's own target must not leak into them."""
        return self.polars()

    def onnx(self, g: Graph, x: str) -> str:
        """The same features as float32 [N, features], from the columns of the block [N, columns]."""
        raise NotImplementedError
