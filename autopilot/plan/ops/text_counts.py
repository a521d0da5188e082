"""Prose as simple counts: how long it is, and what it is made of."""

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind


class Ladder(NamedTuple):
    """How to count one thing up to steps: what Polars counts, and the pattern of a text that has at least `{}` of it.

    Standard ONNX cannot count characters; it can tell whether a text has at least so many. Patterns are RE2's, whose
    repetitions end at 1,000: https://github.com/google/re2/wiki/Syntax.
    """

    counted: str
    pattern: str
    steps: tuple[int, ...]


#: (?s) lets the dot stand for a newline too. More steps told no more of short messages.
LADDERS: Final[dict[str, Ladder]] = {
    "characters": Ladder("(?s).", "(?s).{{{},}}", (8, 16, 32, 64, 128, 256, 512, 1000)),
    "spaces": Ladder(" ", "(?s)(?:[^ ]* ){{{}}}.*", (2, 4, 8, 16, 32, 64)),
    "digits": Ladder("[0-9]", "(?s)(?:[^0-9]*[0-9]){{{}}}.*", (1, 2, 4, 8, 16, 32)),
    "capitals": Ladder("[A-Z]", "(?s)(?:[^A-Z]*[A-Z]){{{}}}.*", (1, 2, 4, 8, 16, 32)),
    "exclamation marks": Ladder("!", "(?s)(?:[^!]*!){{{}}}.*", (1, 2)),
    "question marks": Ladder("[?]", "(?s)(?:[^?]*[?]){{{}}}.*", (1,)),
}


_COUNTED = "\0{} in {}"


class TextCounts(Op, frozen=True):
    """The number of characters, spaces, digits, capitals A-Z, exclamation and question marks, on ladders.

    A feature is the number of steps that a count reaches: with the steps 1, 2, 4, 8, ... none is 0, one is 1, two or
    three are 2, and so on, as a logarithm would have it. Characters are code points. A missing text has none. What does
    not vary in training is left out.

    counts: keys of `LADDERS`.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "length, digits, capitals and marks"
    counts: tuple[str, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Keep the counts that vary in any of the columns."""
        every = cls(rows.signature.of_kind("text"), tuple(LADDERS))
        steps = rows.frame.with_columns(every.intermediate()).select(
            expr.n_unique().alias(name) for name, expr in zip(every.names(), every.polars(), strict=True)
        )
        kept = [index for index, distinct in enumerate(steps.row(0)) if distinct > 1]
        return every.narrowed(kept) if kept else None

    def names(self) -> tuple[str, ...]:
        """COUNT in COLUMN."""
        return tuple(f"{count} in {name}" for count in self.counts for name in self.columns)

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Without the counts that no column needs: each costs nodes."""
        needed = {index // len(self.columns) for index in kept}
        return type(self)(self.columns, tuple(count for i, count in enumerate(self.counts) if i in needed))

    def intermediate(self) -> list[pl.Expr]:
        """The counts themselves."""
        return [
            _count(name, count).alias(_COUNTED.format(count, name)) for count in self.counts for name in self.columns
        ]

    def polars(self) -> list[pl.Expr]:
        """Compare each count with the steps."""
        return [
            pl.sum_horizontal(
                (pl.col(_COUNTED.format(count, name)) >= step).cast(pl.Float32) for step in LADDERS[count].steps
            )
            for count in self.counts
            for name in self.columns
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """A flag for each step, and their sums in one product of matrices: exact."""
        texts = inputs.texts(self.columns)
        flags = [
            g.op("RegexFullMatch", texts, pattern=LADDERS[count].pattern.format(step))
            for count in self.counts
            for step in LADDERS[count].steps
        ]
        joined = g.cast(flags[0] if len(flags) == 1 else g.op("Concat", *flags, axis=1), TensorProto.FLOAT)
        return g.op("MatMul", joined, g.const(_belongs(self.counts, len(self.columns))))


def _count(name: str, count: str) -> pl.Expr:
    text = pl.col(name).fill_null("")
    return text.str.len_chars() if count == "characters" else text.str.count_matches(LADDERS[count].counted)


def _belongs(counts: tuple[str, ...], columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """float32 (flags, features): 1 where a step's flag of a column belongs to that count of it."""
    owner = [index for index, count in enumerate(counts) for _ in LADDERS[count].steps]
    return np.kron(np.eye(len(counts))[owner], np.eye(columns)).astype(np.float32)
