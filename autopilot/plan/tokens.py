"""The words of text columns, numbered once: what all ops over words look up by.

A text becomes a list of word numbers, in training and in the graph alike, and each op is then a table over them:

    "Call 08712300220 (now)" ── call, a long number, now ── 17, 9002, 4 ─┬─ hashed words   counts of buckets
                                                                         ├─ word means     sums of mean targets
                                                                         └─ components     sums of 32 weights

So the strings stand in the file once, in one LabelEncoder for each column, and a text is split and looked up once
however many ops read it. Sums of rows of a table of whole numbers are exact in float32, in any order, as long as they
stay below 2^24: weights are therefore rounded to a grid (`on_grid`), and only the first 1,000 pieces of a text count.

Why a list of tokens and not a tokenizer with a hash: standard ONNX has neither, and the runtime's own operators would
tie the file to it. The list also makes training and serving agree on every character, non-ASCII ones included.
"""

import string
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import ML, Graph

_MOST_TOKENS = 20_000
_MOST_PIECES = 1000
_LEAST_ROWS = 2
#: Words that are also known with each of these behind them, seen or not: log loss on short messages fell by a tenth.
_ENDED_WORDS = 5_000
_ENDINGS = ("", ".", ",", "!", "?")
#: 1,000 times this is below 2^24.
_LARGEST_WEIGHT = 16_000
_NUMBERS = "\0words of {}"
#: What a token that is not known still tells. No word of a text has these names: they hold spaces.
_OTHERS = ("other word", "other word with a digit", "other word with five digits in a row")
_DIGIT, _DIGITS = "[0-9]", "[0-9]{5}"


class Tokens(Struct, frozen=True):
    """The known tokens of each text column, most frequent first, ties by name.

    A token is what stands between two spaces, in small letters; only the first 1,000 pieces of a text are looked at.
    Known are the 20,000 most frequent tokens that at least 2 texts hold. A token's word is the token without
    punctuation at its ends, or the token itself if it is nothing else: `(late)` and `late,` are one word, `:)` is one.
    The first 5,000 words are also known bare, and with a full stop, comma, exclamation or question mark behind them.
    Each is known in small letters, in capitals, and with a capital first; `iPhone` is none of these, and so unknown.

    Words are numbered from 0 in the order of their tokens. Behind them come three numbers for tokens that are not
    known: without a digit, with one, with five in a row. The last number is for no token at all, between two spaces or
    in a missing text.
    """

    columns: tuple[str, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: tuple[str, ...]) -> "Tokens":
        """Count the tokens of typed training rows; columns without a known one are left out."""
        found = {name: names for name in columns if (names := _frequent(frame, name))}
        return cls(tuple(found), tuple(found.values()))

    def words(self, column: str) -> tuple[str, ...]:
        """The words of a column by number, with the three kinds of unknown tokens, without the number for nothing."""
        return (*dict.fromkeys(map(word_of, self._of(column))), *_OTHERS)

    def polars(self) -> list[pl.Expr]:
        """A column of lists of UInt32 for each text, which `count_matrix` and `sums` read."""
        return [pieces(name).list.eval(self._number(name)).alias(_NUMBERS.format(name)) for name in self.columns]

    def emit(self, g: Graph, column: str) -> str:
        """int64 [N, longest]: the numbers of each text's words, filled up with the number for nothing.

        Only unknown tokens are matched with patterns: most cells of a batch are filling, and matching them all made
        1,000 rows ten times as slow.
        """
        numbers, other, nothing = self._numbered(column)
        tokens = emit_pieces(g, g.columns("text", (column,)))
        found = g.op(
            "LabelEncoder",
            tokens,
            domain=ML,
            keys_strings=[*numbers, ""],
            values_int64s=[*numbers.values(), nothing],
            default_int64=-1,
        )
        at = g.op("Transpose", g.op("NonZero", g.op("Less", found, g.const(np.int64(0)))))
        unknown = g.op("GatherND", tokens, at)
        matched = [g.op("RegexFullMatch", unknown, pattern=f"(?s).*{part}.*") for part in (_DIGIT, _DIGITS)]
        kind = g.op("Add", *(g.cast(flag, TensorProto.INT64) for flag in matched))
        return g.op("ScatterND", found, at, g.op("Add", kind, g.const(np.int64(other))))

    def _of(self, column: str) -> tuple[str, ...]:
        return self.names[self.columns.index(column)]

    def _numbered(self, column: str) -> tuple[dict[str, int], int, int]:
        """The number of each token's word, of the first kind of unknown tokens, and of nothing."""
        *words, _, _, _ = every = self.words(column)
        number = {word: index for index, word in enumerate(words)}
        ended = [word for word in words[:_ENDED_WORDS] if word.strip(string.punctuation)]
        known = {word + ending: number[word] for word in ended for ending in _ENDINGS}
        known |= {token: number[word_of(token)] for token in self._of(column)}
        spelled = {spelling: number for token, number in known.items() for spelling in spellings(token)}
        return spelled | known, len(words), len(every)

    def _number(self, column: str) -> pl.Expr:
        numbers, other, nothing = self._numbered(column)
        token = pl.element()
        known = token.replace_strict([*numbers, ""], [*numbers.values(), nothing], default=None, return_dtype=pl.UInt32)
        kind = token.str.contains(_DIGIT).cast(pl.UInt32) + token.str.contains(_DIGITS).cast(pl.UInt32)
        return pl.coalesce(known, kind + pl.lit(other, dtype=pl.UInt32))


def word_of(token: str) -> str:
    """The token without ASCII punctuation at its ends, or all of it if it is nothing else.

    >>> word_of("(late),"), word_of(":-)")
    ('late', ':-)')
    """
    return token.strip(string.punctuation) or token


def spellings(token: str) -> tuple[str, str]:
    """A token in capitals, and with a capital first.

    They are listed, and texts not lower-cased in the graph, since runtimes do not agree on how: with StringNormalizer's
    locale "C" onnxruntime lower-cases ASCII alone, and É too in WebAssembly.

    >>> spellings("(late)")
    ('(LATE)', '(Late)')
    """
    begin = len(token) - len(token.lstrip(string.punctuation))
    return token.upper(), token[:begin] + token[begin:].capitalize()


def pieces(name: str) -> pl.Expr:
    """What stands between the spaces of a text column: lists of strings, [""] for a missing text."""
    return pl.col(name).fill_null("").str.split(" ").list.head(_MOST_PIECES)


def emit_pieces(g: Graph, text: str) -> str:
    """The same of texts [N, 1]: string [N, longest], filled up with "".

    A space is appended first, so that no text is empty: runtimes disagree on how many pieces that has.
    """
    spaced = g.op("StringConcat", g.op("Squeeze", text, g.const(np.array([1]))), g.const(np.array(" ", dtype=object)))
    split = g.outputs(2, "StringSplit", spaced, delimiter=" ", maxsplit=_MOST_PIECES)[0]
    start, stop, axis = (g.const(np.array([value])) for value in (0, _MOST_PIECES, 1))
    return g.op("Slice", split, start, stop, axis)


# ---------------------------------------------------------------------------------------------------------- counts


def count_matrix(frame: pl.DataFrame, column: str, words: int) -> Any:
    """How often each text of the frame that ops see holds each word: a SciPy csr matrix float32 (rows, words)."""
    return _counts(frame.get_column(_NUMBERS.format(column)), words + 1)[:, :words]


def sums(column: str, table: NDArray[Any], finish: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> pl.Expr:
    """The sum of a table's rows over the words of each text, finished in NumPy: Array of Float32.

    table: whole numbers (words + 1, any), a row for each number, zeros for nothing. finish: of float32 (rows, any).
    """
    width = finish(np.zeros((1, table.shape[1]), dtype=np.float32)).shape[1]
    dtype = pl.Array(pl.Float32, width)

    def add(numbers: pl.Series) -> pl.Series:
        return pl.Series(finish(_counts(numbers, len(table)) @ table.astype(np.float32)), dtype=dtype)

    return pl.col(_NUMBERS.format(column)).map_batches(add, return_dtype=dtype)


def emit_sums(g: Graph, table: NDArray[Any], numbers: str) -> str:
    """The same sums: float32 [N, any], exact."""
    rows = g.op("Gather", g.const(table), numbers, axis=0)
    return g.op("ReduceSum", g.cast(rows, TensorProto.FLOAT), g.const(np.array([1])), keepdims=0)


class Grid(NamedTuple):
    """Weights as whole numbers: int16 (rows, columns), and the step of each column, float64 (columns,)."""

    table: NDArray[np.int16]
    steps: NDArray[np.float64]


def on_grid(weights: NDArray[np.float64]) -> Grid:
    """Round each column of weights (words, columns) to a grid of 16,000 steps on either side of 0.

    The grid has a row of zeros more, for nothing.
    """
    steps = np.abs(weights).max(axis=0) / _LARGEST_WEIGHT
    whole = np.rint(weights / np.where(steps > 0, steps, 1.0))
    return Grid(np.vstack([whole, np.zeros(weights.shape[1])]).astype(np.int16), steps)


def packed(table: NDArray[np.int16]) -> bytes:
    """A table as bytes, which a plan's JSON holds as base64; `unpacked` reads it."""
    return table.astype("<i2").tobytes()


def unpacked(table: bytes, columns: int) -> NDArray[np.int16]:
    """int16 (rows, columns)."""
    return np.frombuffer(table, dtype="<i2").reshape(-1, columns).astype(np.int16)


def _counts(numbers: pl.Series, size: int) -> Any:
    from scipy.sparse import csr_matrix

    ends = np.cumsum(numbers.list.len().to_numpy(), dtype=np.int64)
    flat = cast("NDArray[np.uint32]", numbers.explode().to_numpy()).astype(np.int64)
    ones = np.ones(len(flat), dtype=np.float32)
    return csr_matrix((ones, flat, np.concatenate([[0], ends])), shape=(len(numbers), size))


def _frequent(frame: pl.DataFrame, name: str) -> tuple[str, ...]:
    small = pieces(name).list.eval(pl.element().str.to_lowercase())
    tokens = frame.select(small.list.unique().alias("token")).explode("token")
    counts = tokens.filter(pl.col("token") != "").group_by("token").len()
    frequent = counts.filter(pl.col("len") >= _LEAST_ROWS).sort("len", "token", descending=[True, False])
    return tuple(frequent.head(_MOST_TOKENS).get_column("token").to_list())
