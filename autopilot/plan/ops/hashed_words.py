"""Prose as counts of hashed words."""

import string
import zlib
from typing import ClassVar, Self

import numpy as np
import polars as pl
from onnx import TensorProto

from autopilot.graph.graph import ML, Graph
from autopilot.plan.op import Inputs, Op, Rows
from storage.signature import Kind

_WIDTH = 256
_MOST_TOKENS = 20_000
_LEAST_ROWS = 2
_BUCKETS = "\0buckets of {}"


class HashedWords(Op, frozen=True):
    """How often the words of each of 256 hash buckets occur in a text, one such block for each column.

    A token is what stands between two spaces, A-Z lower-cased. It counts for the bucket of its word: the token without
    punctuation at its ends, CRC-32 modulo 256 (Weinberger et al., "Feature hashing", 2009). Known are the 20,000 most
    frequent tokens that at least 2 texts hold; others, and missing texts, count nothing.

    Why a list of tokens and not a hash in the graph: standard ONNX has no string hash and no tokenizer, and the
    runtime's own operators would tie the file to it. The list also makes training and serving agree on every
    character, non-ASCII ones included.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "counts of hashed words"
    tokens: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Collect tokens."""
        columns = rows.signature.of_kind("text")
        found = [(name, _frequent_tokens(rows.frame, name)) for name in columns]
        kept = [(name, tokens) for name, tokens in found if tokens]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """Words of COLUMN in a bucket."""
        return tuple(f"words of {name}, bucket {bucket}" for name in self.columns for bucket in range(_WIDTH))

    def intermediate(self) -> list[pl.Expr]:
        """Each text as a list of buckets."""
        return [
            _buckets(name, tokens).alias(_BUCKETS.format(name))
            for name, tokens in zip(self.columns, self.tokens, strict=True)
        ]

    def polars(self) -> list[pl.Expr]:
        """Count each bucket."""
        return [
            pl.col(_BUCKETS.format(name)).list.count_matches(bucket).cast(pl.Float32)
            for name in self.columns
            for bucket in range(_WIDTH)
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """One block of counts for each column."""
        x = inputs.texts(self.columns)
        blocks = [_emit_counts(g, x, index, tokens) for index, tokens in enumerate(self.tokens)]
        return blocks[0] if len(blocks) == 1 else g.op("Concat", *blocks, axis=1)


def bucket_of(token: str) -> int:
    """The bucket of a token's word, by the word's CRC-32."""
    return zlib.crc32(token.strip(string.punctuation).encode()) % _WIDTH


def _tokens(name: str) -> pl.Expr:
    """Lists of tokens; lower-casing is ASCII only, which the graph does in any locale."""
    text = pl.col(name).fill_null("")
    return text.str.replace_many(list(string.ascii_uppercase), list(string.ascii_lowercase)).str.split(" ")


def _buckets(name: str, tokens: tuple[str, ...]) -> pl.Expr:
    known = pl.element().replace_strict(
        list(tokens), [bucket_of(token) for token in tokens], default=None, return_dtype=pl.UInt16
    )
    return _tokens(name).list.eval(known)


def _frequent_tokens(frame: pl.DataFrame, name: str) -> tuple[str, ...]:
    tokens = frame.select(_tokens(name).list.unique().alias("token")).explode("token")
    counts = tokens.filter(pl.col("token").str.strip_chars(string.punctuation) != "").group_by("token").len()
    frequent = counts.filter(pl.col("len") >= _LEAST_ROWS).sort("len", "token", descending=[True, False])
    return tuple(frequent.head(_MOST_TOKENS).get_column("token").to_list())


def _emit_counts(g: Graph, x: str, column: int, tokens: tuple[str, ...]) -> str:
    """Split, look up, add 1 into each token's bucket; unknown tokens add into a spare bucket that is cut off.

    A full stop is appended to each text first, so that a batch of empty texts has a token too; alone it is no word, and
    so never known.
    """
    text = g.op("Gather", x, g.const(np.int64(column)), axis=1)
    lower = g.op("StringNormalizer", text, case_change_action="LOWER", locale="C")
    words = g.split_words(g.op("StringConcat", lower, g.const(np.array(" .", dtype=object))))
    buckets = g.op(
        "LabelEncoder",
        words,
        domain=ML,
        keys_strings=list(tokens),
        values_int64s=[bucket_of(token) for token in tokens],
        default_int64=_WIDTH,
    )
    ones = g.op("Add", g.op("Mul", g.cast(buckets, TensorProto.FLOAT), g.const(np.float32(0))), g.const(np.float32(1)))
    counts = g.op("ScatterElements", g.zeros(buckets, _WIDTH + 1), buckets, ones, axis=1, reduction="add")
    start, stop, axis = (g.const(np.array([value], dtype=np.int64)) for value in (0, _WIDTH, 1))
    return g.op("Slice", counts, start, stop, axis)
