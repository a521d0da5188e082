"""Prose as the main components of its words: TF-IDF with a truncated SVD."""

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.graph.graph import Graph
from autopilot.plan.op import Inputs, Op, Rows, Values
from autopilot.plan.tokens import Grid, count_matrix, emit_sums, on_grid, packed, sums, unpacked
from storage.signature import Kind

_MOST_COMPONENTS = 32
#: Enough for 32 directions.
_SAMPLE_ROWS = 20_000
#: More turns of the power iteration (Halko et al., 2011) change neither directions nor scores that matter.
_TURNS = 3
_SUMS = "\0components of {}"


class TfidfComponents(Op, frozen=True):
    """The 32 directions in which texts differ most, each a weighted sum of their words (latent semantic analysis).

    Deerwester et al., "Indexing by latent semantic analysis", 1990: word counts times the inverse document frequency
    log((1 + texts) / (1 + texts with the word)) + 1, projected on the first right singular vectors. Texts are not
    normalised: how much a text says was worth more than how it is mixed. Each component has deviation 1 in training.
    A missing text gives zeros. Weights are rounded to 16,000 steps on either side of 0.

    tables: each column's weights as int16 (words + 1, components); scales: a step of each component's weights.
    """

    kind: ClassVar[Kind] = "text"
    about: ClassVar[str] = "components of the words"
    tables: tuple[bytes, ...]
    scales: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, rows: Rows) -> Self | None:
        """Decompose a sample of at most 20,000 rows."""
        found = [(name, _decompose(rows, name)) for name in rows.tokens.columns]
        kept = [(name, packed(grid.table), tuple(grid.steps.tolist())) for name, grid in found if len(grid.steps)]
        return cls(*(tuple(part) for part in zip(*kept, strict=True))) if kept else None

    def names(self) -> tuple[str, ...]:
        """Component of COLUMN."""
        pairs = zip(self.columns, self.scales, strict=True)
        return tuple(f"component {index} of {name}" for name, scales in pairs for index in range(len(scales)))

    def intermediate(self) -> list[pl.Expr]:
        """All components of a text at once."""
        return [
            sums(name, unpacked(table, len(scales)), _Scaled(scales)).alias(_SUMS.format(name))
            for name, table, scales in zip(self.columns, self.tables, self.scales, strict=True)
        ]

    def polars(self) -> list[pl.Expr]:
        """Each component."""
        pairs = zip(self.columns, self.scales, strict=True)
        return [pl.col(_SUMS.format(name)).arr.get(index) for name, scales in pairs for index in range(len(scales))]

    def onnx(self, g: Graph, inputs: Inputs) -> str:
        """Add up the weights of each text's words, then scale."""
        parts = [
            g.op(
                "Mul",
                emit_sums(g, unpacked(table, len(scales)), inputs.words(name)),
                g.const(np.array(scales, dtype=np.float32)),
            )
            for name, table, scales in zip(self.columns, self.tables, self.scales, strict=True)
        ]
        return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)


class _Scaled(NamedTuple):
    scales: tuple[float, ...]

    def __call__(self, totals: NDArray[np.float32]) -> NDArray[np.float32]:
        return totals * np.array(self.scales, dtype=np.float32)


def _decompose(rows: Rows, name: str) -> Grid:
    """Weights by word whose sums are the components, as whole numbers; without columns where texts do not differ."""
    from sklearn.utils import extmath

    counts: Any = count_matrix(rows.frame, name, len(rows.tokens.words(name)))
    texts = np.asarray((counts > 0).sum(axis=0)).ravel()
    frequency = np.log((1 + rows.frame.height) / (1 + texts)) + 1
    sample = _sampled(counts, rows.seed).multiply(frequency).tocsr()
    svd: Any = extmath.randomized_svd  # its annotations take n_iter for a string
    _, _, directions = svd(sample, min(_MOST_COMPONENTS, *sample.shape), n_iter=_TURNS, random_state=0)
    deviations = np.asarray(sample @ directions.T).std(axis=0)
    varies = deviations > 1e-6
    weights: Values = frequency[:, None] * directions[varies].T / deviations[varies]
    return on_grid(weights)


def _sampled(counts: Any, seed: int) -> Any:
    if counts.shape[0] <= _SAMPLE_ROWS:
        return counts
    return counts[np.sort(np.random.default_rng(seed).choice(counts.shape[0], _SAMPLE_ROWS, replace=False))]
