"""Prose as counts of telling parts of words."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows
from autopilot.plan.tokens import pieces
from storage.signature import Kind

#: Of all columns together: each costs a node, about 1 us a row.
_MOST_NGRAMS = 32
_SHORTEST, _LONGEST = 3, 5
_LEAST_ROWS = 5
#: Enough to rank a few thousand parts of words, and a second of work.
_SAMPLE_ROWS = 10_000
_MOST_CHARACTERS = 60
_JUDGED = 400
#: Two parts of words whose occurrence correlates more than this are one.
_ALIKE = 0.7
_PADDED = "\0padded {}"


class CharacterNgrams(Op, frozen=True):
    """How often each of at most 32 strings of 3 to 5 characters occurs in a text, capitals as such.

    They are taken from within words, with the space before or behind them, and counted without overlap, as when a text
    is split at them. Chosen are those whose occurrence goes best with the target: by Pearson's chi-squared for classes,
    which is rows * correlation², and that for values too, the best over the classes where there are several. One that
    correlates with a better one is left out. At least 5 texts of a sample of 10,000 hold each. For up to 12 classes.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "counts of telling parts of words"
    ngrams: tuple[tuple[str, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Rank the n-grams of a sample."""
        columns = rows.signature.of_kind("text")
        if not rows.target.values.shape[1]:
            return None
        most = max(4, _MOST_NGRAMS // len(columns))
        kept = {name: ngrams for name in columns if (ngrams := _telling(rows, name, most))}
        return cls(tuple(kept), tuple(kept.values())) if kept else None

    def names(self) -> tuple[str, ...]:
        """N-GRAM in COLUMN."""
        return tuple(f"{ngram!r} in {name}" for name, ngram in self._pairs())

    def narrowed(self, kept: Sequence[int]) -> Self:
        """Only these n-grams."""
        pairs = [self._pairs()[index] for index in kept]
        columns = tuple(name for name in self.columns if any(name == column for column, _ in pairs))
        return type(self)(columns, tuple(tuple(ngram for column, ngram in pairs if column == name) for name in columns))

    def intermediate(self) -> list[pl.Expr]:
        """Texts with a space at either end."""
        return [pl.format(" {} ", pl.col(name).fill_null("")).alias(_PADDED.format(name)) for name in self.columns]

    def polars(self) -> list[pl.Expr]:
        """Count each."""
        return [
            pl.col(_PADDED.format(name)).str.count_matches(ngram, literal=True).cast(pl.Float32)
            for name, ngram in self._pairs()
        ]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Split at each n-gram; the number of pieces is one more than it occurs."""
        padded = {name: _emit_padded(g, inputs.texts((name,))) for name in self.columns}
        found = [g.outputs(2, "StringSplit", padded[name], delimiter=ngram)[1] for name, ngram in self._pairs()]
        joined = found[0] if len(found) == 1 else g.op("Concat", *found, axis=1)
        return g.op("Sub", g.cast(joined, TensorProto.FLOAT), g.const(np.float32(1)))

    def _pairs(self) -> list[tuple[str, str]]:
        return [(name, ngram) for name, ngrams in zip(self.columns, self.ngrams, strict=True) for ngram in ngrams]


def ngrams_of(token: str) -> set[str]:
    """The n-grams of a token with a space at either end, of its first 60 characters.

    >>> sorted(ngrams_of("ab"))
    [' ab', ' ab ', 'ab ']
    """
    padded = f" {token[:_MOST_CHARACTERS]} "
    return {
        padded[start : start + length]
        for length in range(_SHORTEST, _LONGEST + 1)
        for start in range(len(padded) - length + 1)
    }


def _emit_padded(g: Graph, text: str) -> str:
    """Strings [N, 1] with a space at either end."""
    space = g.const(np.array(" ", dtype=object))
    return g.op("StringConcat", g.op("StringConcat", space, text), space)


def _telling(rows: Rows, name: str, most: int) -> tuple[str, ...]:
    """The n-grams of a column that go best with the target, best first."""
    height = rows.frame.height
    rng = np.random.default_rng(rows.seed)
    sample = np.sort(rng.choice(height, _SAMPLE_ROWS, replace=False)) if height > _SAMPLE_ROWS else np.arange(height)
    ngrams, present = _occurrences(rows.frame[sample], name)
    if not ngrams:
        return ()
    relevance = _relevance(present, rows.target.values[sample])
    judged = [int(index) for index in np.argsort(-relevance, kind="stable")[:_JUDGED] if relevance[index] > 0]
    chosen = _unlike(present[:, judged].toarray(), most)
    return tuple(ngrams[judged[place]] for place in chosen)


def _unlike(features: NDArray[np.float32], most: int) -> list[int]:
    """The first of the features, none of which correlates much with one before it."""
    alike = np.abs(np.corrcoef(features, rowvar=False)) if features.shape[1] > 1 else np.ones((1, 1))
    chosen: list[int] = []
    for place in range(features.shape[1]):
        if len(chosen) < most and (not chosen or alike[place, chosen].max() < _ALIKE):
            chosen.append(place)
    return chosen


def _occurrences(frame: pl.DataFrame, name: str) -> tuple[list[str], Any]:
    """N-grams that enough of the texts hold, by name, and which hold them.

    The latter as a SciPy csc matrix float32 (texts, n-grams) of zeros and ones.
    """
    from scipy.sparse import csr_matrix

    cells = frame.select(pieces(name).list.unique().alias("token")).with_row_index("text").explode("token")
    cells = cells.filter(pl.col("token") != "")
    tokens = cells.get_column("token").unique().sort()
    parts = [sorted(ngrams_of(token)) for token in tokens]
    ngrams = sorted({ngram for part in parts for ngram in part})
    number = {ngram: index for index, ngram in enumerate(ngrams)}
    flat = np.array([number[ngram] for part in parts for ngram in part], dtype=np.int64)
    starts = np.cumsum([0, *map(len, parts)])
    of_tokens: Any = csr_matrix((np.ones(len(flat), dtype=np.float32), flat, starts), shape=(len(parts), len(ngrams)))
    columns = cells.get_column("token").replace_strict(tokens, list(range(len(tokens))), return_dtype=pl.Int64)
    of_texts: Any = csr_matrix(
        (np.ones(len(cells), dtype=np.float32), (cells.get_column("text").to_numpy(), columns.to_numpy())),
        shape=(frame.height, len(tokens)),
    )
    present = ((of_texts @ of_tokens) > 0).astype(np.float32).tocsc()
    usual = np.flatnonzero(np.diff(present.indptr) >= _LEAST_ROWS)
    return [ngrams[index] for index in usual], present[:, usual]


def _relevance(present: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """rows * correlation² of each n-gram's occurrence with the target, the best over targets: (n-grams,)."""
    height = len(values)
    share = np.diff(present.indptr) / height
    centred = values - values.mean(axis=0)
    spread = np.outer(share * (1 - share), (centred**2).mean(axis=0))
    covariance = np.asarray(present.T @ centred) / height
    return (height * covariance**2 / np.where(spread > 0, spread, np.inf)).max(axis=1)
