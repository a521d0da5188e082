"""Prose as counts of hashed words."""

import zlib
from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from autopilot.plan.tokens import sums
from storage.signature import Kind

_WIDTH = 256
_COUNTS = "\0buckets of {}"


class HashedWords(Op, frozen=True):
    """How often the words of each of 256 hash buckets occur in a text, one such block for each column.

    A word's bucket is its CRC-32 modulo 256 (Weinberger et al., "Feature hashing", 2009); the three kinds of unknown
    words of `Tokens` have buckets too. A missing text counts nothing.

    buckets: of each column's words by number.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "counts of hashed words"
    buckets: tuple[tuple[int, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Hash the words."""
        columns = rows.tokens.columns
        hashed = tuple(tuple(map(bucket_of, rows.tokens.words(name))) for name in columns)
        return cls(columns, hashed) if columns else None

    def names(self) -> tuple[str, ...]:
        """Words of COLUMN in a bucket."""
        return tuple(f"words of {name}, bucket {bucket}" for name in self.columns for bucket in range(_WIDTH))

    def intermediate(self) -> list[pl.Expr]:
        """All counts of a text at once."""
        return [
            sums(name, np.eye(_WIDTH + 1, _WIDTH)[[*buckets, _WIDTH]], lambda counts: counts).alias(
                _COUNTS.format(name)
            )
            for name, buckets in zip(self.columns, self.buckets, strict=True)
        ]

    def polars(self) -> list[pl.Expr]:
        """Each count."""
        return [pl.col(_COUNTS.format(name)).arr.get(bucket) for name in self.columns for bucket in range(_WIDTH)]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One block of counts for each column."""
        pairs = zip(self.columns, self.buckets, strict=True)
        blocks = [_emit_counts(g, inputs.words(name), buckets) for name, buckets in pairs]
        return blocks[0] if len(blocks) == 1 else g.op("Concat", *blocks, axis=1)


def bucket_of(word: str) -> int:
    """The bucket of a word."""
    return zlib.crc32(word.encode()) % _WIDTH


def _emit_counts(g: Graph, numbers: str, buckets: tuple[int, ...]) -> str:
    """Add 1 into each word's bucket; filling adds into a spare bucket that is cut off."""
    hashed = g.op("Gather", g.const(np.array([*buckets, _WIDTH], dtype=np.int64)), numbers)
    ones = g.op("Add", g.op("Mul", g.cast(hashed, TensorProto.FLOAT), g.const(np.float32(0))), g.const(np.float32(1)))
    counts = g.op("ScatterElements", g.zeros(hashed, _WIDTH + 1), hashed, ones, axis=1, reduction="add")
    start, stop, axis = (g.const(np.array([value], dtype=np.int64)) for value in (0, _WIDTH, 1))
    return g.op("Slice", counts, start, stop, axis)
