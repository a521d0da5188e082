"""What an op of the plan is, and what it sees of the training rows and of the graph."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from autopilot.plan.levels import Levels
from autopilot.plan.tokens import Tokens
from storage.errors import listed
from storage.signature import Kind, Signature

Values = NDArray[np.float64]

_MOST_CLASSES = 12


class Target(Struct, frozen=True):
    """What the ops may learn of the target.

    y: float64 (rows,), class numbers or values. outputs: 1 for regression, else the number of classes. weights: float64
    (rows,), of mean 1, for how many rows each counts in the means that ops learn, or None where all count alike. Which
    columns and words an op chooses is decided by rows that count alike.
    """

    y: Values
    outputs: int
    weights: Values | None = None

    @property
    def values(self) -> Values:
        """float64 (rows, targets) to average by level.

        One column for regression (the value) and two classes (1 for the second), one for each class up to 12 classes,
        none beyond.
        """
        if self.outputs <= 2:
            return self.y.reshape(-1, 1)
        if self.outputs > _MOST_CLASSES:
            return np.empty((len(self.y), 0))
        return np.eye(self.outputs)[self.y.astype(np.int64)]


class Rows(NamedTuple):
    """The training rows while a plan is fitted.

    frame: the raw columns, typed as `storage.boundary.typed` does, a code column for each category (see `levels.code`)
    and one of word numbers for each text (see `tokens.count_matrix`). folds: int64 (rows,), over which a row's own
    target is kept out of its features.
    """

    frame: pl.DataFrame
    signature: Signature
    target: Target
    levels: Levels
    tokens: Tokens
    folds: NDArray[np.int64]
    seed: int

    @classmethod
    def of(
        cls, frame: pl.DataFrame, signature: Signature, target: Target, folds: NDArray[np.int64], seed: int
    ) -> "Rows":
        """Of a typed frame, whose levels and words are counted here."""
        levels = Levels.fit(frame, signature.of_kind("category"))
        tokens = Tokens.fit(frame, signature.of_kind("text"))
        numbered = frame.with_columns(levels.polars() + tokens.polars())
        return cls(numbered, signature, target, levels, tokens, folds, seed)


class Inputs(NamedTuple):
    """The raw columns of a graph as ops ask for them; missing is NaN, "", or the smallest int64."""

    g: Graph
    levels: Levels
    tokens: Tokens

    def numbers(self, columns: tuple[str, ...]) -> str:
        """float64 [N, columns]."""
        return self.g.columns("number", columns)

    def texts(self, columns: tuple[str, ...]) -> str:
        """string [N, columns]: columns of text, and categories as they are written."""
        return self.g.columns("text", columns)

    def times(self, columns: tuple[str, ...]) -> str:
        """int64 [N, columns]: microseconds since 1970."""
        return self.g.columns("time", columns)

    def codes(self, columns: tuple[str, ...]) -> str:
        """int64 [N, columns]: the codes of categories by the plan's levels."""
        return self.levels.emit(self.g, columns)

    def words(self, column: str) -> str:
        """int64 [N, longest]: the numbers of a text's words by the plan's tokens."""
        return self.tokens.emit(self.g, column)


class Op(Struct, frozen=True, tag=True):
    """A fitted transformation of some columns into float32 features.

    Plain data: an op is written as JSON and read again without running code. It renders itself twice, in Polars for the
    training matrix and as ONNX nodes, and both give the same bits, or as near as its docstring says. Each op says what
    it makes of missing and unseen values.

    kind: of the columns that it reads first. about: what it makes of them, in a few words for model cards.
    """

    kind: ClassVar[Kind]
    about: ClassVar[str]
    columns: tuple[str, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Learn from training rows, whose table has columns of the op's kind; None where they give nothing."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        """A name for each feature, for people."""
        raise NotImplementedError

    def words(self) -> str:
        """What this op does to which columns, for people."""
        return f"{self.about}: {listed(self.columns)}"

    def narrowed(self, kept: Sequence[int]) -> Self:
        """The op without what only features other than these need; it may keep some of them."""
        return self

    def intermediate(self) -> Sequence[pl.Expr]:
        """Columns that `polars` reads beside the raw ones: what many features share and is computed once."""
        return ()

    def polars(self) -> Sequence[pl.Expr]:
        """One Float32 expression for each feature; missing features are NaN."""
        raise NotImplementedError

    def of_training(self, rows: Rows) -> Sequence[pl.Expr]:
        """The features of the training rows themselves; differs where a row's own target must not leak into them."""
        return self.polars()

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """The same features as float32 [N, features]."""
        raise NotImplementedError
