"""Sums, differences, products and quotients of two numbers, where these tell more than the numbers do."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from autopilot.plan.ops.numbers import LARGEST
from autopilot.plan.terms import OPERATIONS, Operation, Term, choose_terms
from storage.signature import Kind

_NODES: dict[Operation, str] = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div"}


class Arithmetic(Op, frozen=True):
    """a + b, a - b, a * b or a / b of two number columns in float64, then float32; for trees, which cut one at a time.

    At most 16 such terms, which tell more of the target than both of their columns together (see `terms.py`).
    Missing is NaN: where either number is, where the divisor is 0, and where infinities meet so that there is no
    result. Results beyond float32 become its largest number of their sign.
    """

    kind: ClassVar[Kind] = "number"
    about: ClassVar[str] = "arithmetic of two numbers"
    terms: tuple[Term, ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Choose terms by a sample of the rows and their target."""
        terms = choose_terms(rows)
        return cls.of(terms) if terms else None

    @classmethod
    def of(cls, terms: Sequence[Term]) -> Self:
        """These terms, ordered by operation."""
        ordered = sorted(terms, key=lambda term: OPERATIONS.index(term.operation))
        columns = dict.fromkeys(name for term in ordered for name in (term.left, term.right))
        return cls(tuple(columns), tuple(ordered))

    def names(self) -> tuple[str, ...]:
        """COLUMN OPERATION COLUMN."""
        return tuple(f"{term.left} {term.operation} {term.right}" for term in self.terms)

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only these terms."""
        return self.of([self.terms[index] for index in kept])

    def polars(self) -> list[pl.Expr]:
        """Compute, clip, cast."""
        return [
            _polars_term(term).clip(-LARGEST, LARGEST).cast(pl.Float32).fill_null(float("nan")) for term in self.terms
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One node for each operation; Clip lets NaN through."""
        x = inputs.numbers(self.columns)
        parts = [self._emit(g, x, operation) for operation in OPERATIONS if self._of(operation)]
        whole = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        return g.cast(
            g.op("Clip", whole, g.const(np.float64(-LARGEST)), g.const(np.float64(LARGEST))), TensorProto.FLOAT
        )

    def _of(self, operation: Operation) -> list[Term]:
        return [term for term in self.terms if term.operation == operation]

    def _emit(self, g: Graph, x: str, operation: Operation) -> str:
        terms = self._of(operation)
        left, right = (
            g.take(x, [self.columns.index(name) for name in names])
            for names in ([term.left for term in terms], [term.right for term in terms])
        )
        if operation == "/":
            right = g.op("Where", g.op("Equal", right, g.const(np.float64(0))), g.const(np.float64(np.nan)), right)
        return g.op(_NODES[operation], left, right)


def _polars_term(term: Term) -> pl.Expr:
    a, b = pl.col(term.left), pl.col(term.right)
    if term.operation == "/":
        return pl.when(b != 0).then(a / b)
    return a + b if term.operation == "+" else a - b if term.operation == "-" else a * b
