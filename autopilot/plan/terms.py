"""Arithmetic of two columns, and the choice of those terms that tell more of the target than both columns do.

A tree sees an interaction of two numbers only through many cuts in both; one cut in their ratio may say the same. What
a number tells is the share of the target's variance that lies between its 16 quantile bins: the correlation ratio, for
classes of all indicators together, for values of their ranks. A term has to tell clearly more than a sum of two step
functions, one of each column, which tree ensembles find by themselves; and more than any term with a shuffled column:

    gain(a / b) = told(a / b) - told(step function of a + step function of b)

All pairs are scored on few rows, the best again on others, and of terms that order the rows alike, such as a / b and
b / a, one stays.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.plan.number_sample import numbers_of, sample_rows
from autopilot.plan.op import Rows, Values

Operation = Literal["+", "-", "*", "/"]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)

_MOST_TERMS = 16
#: Of so many columns all pairs are tried; of more, those of the columns that tell most.
_MOST_PAIRED = 60
_BEST_PAIRED = 20
_FIRST_ROWS = 2_000
_ROWS = 20_000
_LEAST_ROWS = 200
_FINALISTS = 64
_MOST_PROBES = 1_000
_BINS = 16
#: Added to the diagonal of the least squares, relative to the rows: the steps of both columns have one sum.
_RIDGE = 1e-9
#: A term tells this many times what both columns tell.
_CLEARLY = 1.05
#: Rank correlation from which two terms are the same to a tree.
_SAME = 0.99
#: Cells that are sorted at once.
_CHUNK_CELLS = 2**20


class Term(Struct, frozen=True):
    """One operation on two number columns."""

    left: str
    operation: Operation
    right: str


#: A term by the numbers of its columns in a sample.
_Pair = tuple[int, Operation, int]


def choose_terms(rows: Rows) -> list[Term]:
    """At most 16 terms, best first; none where there are too few columns, rows or targets to tell."""
    columns, targets = rows.signature.of_kind("number"), rows.target.values
    if len(columns) < 2 or len(targets) < _LEAST_ROWS or not targets.size or not np.ptp(targets, axis=0).any():
        return []
    at = np.random.default_rng(rows.seed).permutation(sample_rows(rows, _FIRST_ROWS + _ROWS))
    first = _Sample(rows, columns, at[:_FIRST_ROWS])
    if len(columns) > _MOST_PAIRED:
        best = np.argsort(-first.told(first.x[: len(columns)]), kind="stable")[:_BEST_PAIRED]
        columns = tuple(columns[index] for index in sorted(best))
        first = _Sample(rows, columns, at[:_FIRST_ROWS])
    second = _Sample(rows, columns, at[_FIRST_ROWS:] if len(at) > 2 * _FIRST_ROWS else at)
    pairs = _pairs(len(columns))
    drawn = np.random.default_rng(rows.seed).permutation(len(pairs))[:_MOST_PROBES]
    probes: list[_Pair] = [(a, operation, b + len(columns)) for a, operation, b in (pairs[i] for i in drawn)]
    chance = max(second.noise, float(second.scores(first.best(probes)).gain.max()))
    chosen = second.distinct(second.beating(first.best(pairs), chance))[:_MOST_TERMS]
    return [Term(columns[left], operation, columns[right]) for left, operation, right in chosen]


def _pairs(columns: int) -> list[_Pair]:
    """All terms of all columns."""
    both = list(combinations(range(columns), 2))
    found: list[_Pair] = [(a, operation, b) for a, b in both for operation in OPERATIONS]
    return [*found, *((b, "/", a) for a, b in both)]


class _Scores(NamedTuple):
    """What each term tells of the target, and how much more that is than its columns tell: float64 (terms,)."""

    told: Values
    gain: Values


class _Sample:
    """Some rows, by which terms are judged.

    x: float64 (2 columns, rows), the columns and then each of them shuffled; missing is NaN. y: float64 (rows,
    targets) of mean 0, with the square sum 1 over all. The rows are in random order, since equal numbers stay in it
    when they are divided into bins: no bin may know more of the target than its numbers do.
    """

    def __init__(self, rows: Rows, columns: tuple[str, ...], at: NDArray[np.int64]) -> None:
        x = numbers_of(rows, columns, at)
        shuffled = np.random.default_rng(rows.seed).permutation(len(at))
        self.x = np.concatenate([x, x[:, shuffled]])
        self.y = _standardised(rows.target.values[at], ranked=rows.target.outputs == 1)
        self._starts = np.arange(_BINS) * len(at) // _BINS
        self._counts = np.diff(self._starts, append=len(at)).astype(np.float64)
        self._bins = np.empty(self.x.shape, dtype=np.int64)
        bins = np.repeat(np.arange(_BINS), self._counts.astype(np.int64))
        np.put_along_axis(self._bins, np.argsort(self.x, axis=1), bins[None, :], axis=1)
        self._sums = self._sums_of(self.x)

    @property
    def noise(self) -> float:
        """Four standard deviations of what a random term tells: nearly a chi-square variable / rows."""
        return 4.0 * float(np.sqrt(2.0 * _BINS)) / len(self.y)

    def told(self, x: Values) -> Values:
        """The share of the target's variance between the bins of each row of `x`: (terms,) of (terms, rows)."""
        return np.sum(self._sums_of(x) ** 2 / self._counts[:, None], axis=(1, 2))

    def scores(self, pairs: Sequence[_Pair]) -> _Scores:
        """Of terms."""
        size = max(1, _CHUNK_CELLS // self.y.size)
        chunks = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        told = np.concatenate([self.told(self._computed(chunk)) for chunk in chunks])
        columns = list(dict.fromkeys((left, right) for left, _, right in pairs))
        together = dict(zip(columns, self._told_together(columns), strict=True))
        return _Scores(told, told - [together[left, right] for left, _, right in pairs])

    def best(self, pairs: Sequence[_Pair]) -> list[_Pair]:
        """The terms that gain most."""
        return [pairs[index] for index in np.argsort(-self.scores(pairs).gain, kind="stable")[:_FINALISTS]]

    def beating(self, pairs: Sequence[_Pair], chance: float) -> list[_Pair]:
        """The terms that gain more than chance, and clearly more than their columns tell, best first."""
        told, gain = self.scores(pairs)
        clear = (gain > chance) & (told > _CLEARLY * (told - gain))
        return [pairs[index] for index in np.argsort(-gain, kind="stable") if clear[index]]

    def distinct(self, pairs: Sequence[_Pair]) -> list[_Pair]:
        """The terms less those that order the rows as an earlier one does, or the other way round."""
        if not pairs:
            return []
        alike = np.abs(np.atleast_2d(np.corrcoef(_ranks(self._computed(pairs))))) > _SAME
        kept: list[int] = []
        for index in range(len(pairs)):
            if not alike[index, kept].any():
                kept.append(index)
        return [pairs[index] for index in kept]

    def _sums_of(self, x: Values) -> Values:
        """The target's sums over the bins of each row of `x`: (terms, bins, targets)."""
        return np.add.reduceat(self.y[np.argsort(x, axis=1)], self._starts, axis=1)

    def _told_together(self, columns: Sequence[tuple[int, int]]) -> Values:
        """The share of the target's variance in the best sum of two step functions, by least squares."""
        gram = np.empty((len(columns), 2 * _BINS, 2 * _BINS))
        for index, (a, b) in enumerate(columns):
            joint = np.bincount(self._bins[a] * _BINS + self._bins[b], minlength=_BINS**2).reshape(_BINS, _BINS)
            gram[index] = np.block([[np.diag(self._counts), joint], [joint.T, np.diag(self._counts)]])
        gram += np.eye(2 * _BINS) * (_RIDGE * len(self.y))
        moments = np.stack([np.concatenate([self._sums[a], self._sums[b]]) for a, b in columns])
        return np.sum(moments * np.linalg.solve(gram, moments), axis=(1, 2))

    def _computed(self, pairs: Sequence[_Pair]) -> Values:
        """The terms' results: (terms, rows)."""
        with np.errstate(all="ignore"):
            return np.stack([_compute(operation, self.x[a], self.x[b]) for a, operation, b in pairs])


def _compute(operation: Operation, a: Values, b: Values) -> Values:
    if operation == "/":
        return a / np.where(b == 0, np.nan, b)
    return a + b if operation == "+" else a - b if operation == "-" else a * b


def _ranks(x: Values) -> Values:
    """Each row's ranks; missing is the middle, in whichever direction the others stand."""
    ranks = np.argsort(np.argsort(x, axis=1), axis=1).astype(np.float64)
    known = np.sum(~np.isnan(x), axis=1, keepdims=True)
    return np.where(np.isnan(x), (known - 1) / 2, ranks)


def _standardised(targets: Values, *, ranked: bool) -> Values:
    """Mean 0 and square sum 1; of values the ranks, so that a few large ones do not decide."""
    y = pl.DataFrame(targets).select(pl.all().rank()).to_numpy() if ranked else targets
    centred = y - y.mean(axis=0)
    return centred / max(float(np.sqrt(np.sum(centred**2))), 1e-300)
