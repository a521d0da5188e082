"""Cells: how the values of one column are counted, fixed once by the reference, so that counts of any rows add up.

A number, or a text's length, falls between cuts:

    cuts          c0      c1      c2 ...  c119
    cells   ≤ c0  | ≤ c1  | ≤ c2  |       | > c119

c0 lies just below the reference's smallest value and the last cut is its largest, so that the outermost cells count
what the reference has not seen; between them are its quantiles. A value that holds several quantiles gets a cell of
its own: it is a point, and its ties are told from its neighbours.

A category falls into the cell of its level, if that is frequent, or into one of a few tail cells, which its name alone
decides. So rare levels, known and new ones alike, are spread by a rule that has not looked at any sample.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

#: Quantile cells. Measured by `bench/profiles`: the exact Kolmogorov-Smirnov distance is missed by 1/120 at most, and a
#: column's counts take some 100 bytes a window. Ten divides it, so that the usual ten bins are whole cells.
QUANTILES = 120

#: Bins of PSI and the other distances, as everybody has them.
BINS = 10

#: Levels with a cell of their own.
FREQUENT = 128

#: Cells of rare levels. More of them find less, as with `monitor.calibrated.GROUPS`.
TAIL = 8

#: A level is frequent if it has this many rows in the half of the reference that chooses.
_LEAST_ROWS = 10

#: All levels are known, and no half has to choose, if each has this many rows in the whole reference: next to nothing
#: is then unseen (Good 1953: the unseen share is about that of levels with one row).
_WELL_KNOWN_ROWS = 20

_HASH_BYTES = 8


class NumberCells(Struct, frozen=True, tag="number"):
    """Cells of numbers.

    cuts: ascending; cell i holds what is > cuts[i-1] and <= cuts[i]. points: cells that hold one value only. bins:
    where each of up to `BINS` quantile bins begins, as cell numbers. error: the largest share of the reference that
    lies strictly between two cuts: by so much at most the distance seen at cuts falls short of the exact one.
    """

    cuts: tuple[float, ...]
    points: tuple[int, ...]
    bins: tuple[int, ...]
    error: float

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.cuts) + 1

    def count(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Ascending values without NaN in each cell."""
        inner = np.searchsorted(values, np.array(self.cuts), "right")
        return np.diff(inner, prepend=0, append=len(values))

    def ends(self, cell: int) -> tuple[float, float]:
        """What a cell's values are above, and what they are at most."""
        edges = (-np.inf, *self.cuts, np.inf)
        return edges[cell], edges[cell + 1]


class LevelCells(Struct, frozen=True, tag="levels"):
    """Cells of a category's levels: the frequent ones', then `tail` others.

    rare: 8-byte hashes, ascending, of the reference's other levels. chosen: of these, a byte each, 1 if the half that
    chose the frequent levels has it.
    """

    frequent: tuple[str, ...]
    tail: int
    rare: bytes = b""
    chosen: bytes = b""

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.frequent) + self.tail


Cells: TypeAlias = NumberCells | LevelCells


def number_cells(values: NDArray[np.float64]) -> NumberCells:
    """Cells at the quantiles of ascending values, of which there is one at least.

    >>> cells = number_cells(np.array([0.0, 0.0, 0.0, 1.0]))
    >>> cells.size, cells.points, cells.count(np.array([-1.0, 0.0, 0.0, 0.5, 1.0, 2.0])).tolist()
    (5, (1, 3), [1, 2, 1, 1, 1])
    """
    places = np.ceil(np.arange(1, QUANTILES + 1) * len(values) / QUANTILES).astype(np.int64) - 1
    quantiles, held = np.unique(values[places], return_counts=True)
    tied = quantiles[held > 1]
    with np.errstate(over="ignore"):  # below the smallest float is -inf
        below = np.nextafter(np.append(tied, values[0]), -np.inf)
    cuts = np.unique(np.concatenate([quantiles, below]))
    upper = np.searchsorted(cuts, tied)
    deciles = values[places[QUANTILES // BINS - 1 : -1 : QUANTILES // BINS]]
    bins = np.searchsorted(cuts, deciles[deciles < values[-1]]) + 1
    inside = np.searchsorted(values, cuts, "left")[1:] - np.searchsorted(values, cuts, "right")[:-1]
    return NumberCells(
        cuts=tuple(cuts.tolist()),
        points=tuple(upper.tolist()),
        bins=(0, *np.unique(bins).tolist()),
        error=float(inside.max(initial=0) / len(values)),
    )


class Levels(Struct, frozen=True):
    """A category's cells, and the reference counted over them.

    whole: all rows of the reference. tested, unknown: of the rows that tests compare with, those in each cell, and
    those whose level the other half has not.
    """

    cells: LevelCells
    whole: tuple[int, ...]
    tested: tuple[int, ...]
    unknown: int


def level_cells(names: list[str], rows: NDArray[np.int64]) -> Levels:
    """Cells for levels with these rows in the reference, and the reference counted.

    If each level has many rows, all get a cell of their own. Else one half of the reference, drawn at random by a fixed
    seed, chooses the frequent ones, and tests compare with the other half: a level that was chosen for its rows would
    have fewer in any other sample, and a level that the reference lacks has by definition none in it.

    >>> level_cells(["Ulm", "Bonn"], np.array([300, 200])).tested
    (200, 300, 0)
    """
    order = sorted(range(len(names)), key=names.__getitem__)  # by nothing that tells of rows: ties are broken by it
    names, rows = [names[i] for i in order], rows[order]
    if len(names) <= FREQUENT and rows.min(initial=_WELL_KNOWN_ROWS) >= _WELL_KNOWN_ROWS:
        counts = (*rows.tolist(), 0)
        return Levels(LevelCells(tuple(names), 1), counts, counts, 0)
    half = np.random.default_rng(0).multivariate_hypergeometric(rows, int(rows.sum()) // 2, method="marginals")
    first = np.argsort(-half, kind="stable")[:FREQUENT]
    first = first[half[first] >= _LEAST_ROWS]
    frequent = tuple(names[i] for i in first)
    others = np.setdiff1d(np.arange(len(names)), first)
    hashes = hashed(names[i] for i in others)
    by_hash = np.argsort(hashes, kind="stable")
    known = half[others] > 0
    cells = LevelCells(frequent, TAIL, hashes[by_hash].tobytes(), known[by_hash].astype(np.uint8).tobytes())
    rest = rows - half
    whole, tested = (
        (*part[first].tolist(), *_tail_counts(hashes, part[others], TAIL).tolist()) for part in (rows, rest)
    )
    return Levels(cells, whole, tested, int(rest[others][~known].sum()))


class LevelCounts(Struct, frozen=True):
    """Rows of a sample by cell; of levels that the reference lacks, and that its choosing half lacks."""

    cells: NDArray[np.int64]
    unseen: int
    unknown: int


class LevelCounter:
    """Counts levels over cells; made once for many windows."""

    def __init__(self, cells: LevelCells) -> None:
        self._cells = cells
        self._places = {level: place for place, level in enumerate(cells.frequent)}
        self._rare = np.frombuffer(cells.rare, "<u8")
        self._chosen = np.frombuffer(cells.chosen, np.uint8)

    def count(self, names: list[str], rows: NDArray[np.int64]) -> LevelCounts:
        """Rows of distinct levels."""
        places = np.array([self._places.get(name, -1) for name in names], np.int64)
        counts = np.bincount(places[places >= 0], weights=rows[places >= 0], minlength=len(self._places))
        others = np.flatnonzero(places < 0)
        hashes, left = hashed(names[i] for i in others), rows[others]
        seen, known = self._looked_up(hashes)
        tail = _tail_counts(hashes, left, self._cells.tail)
        cells = np.concatenate([counts.astype(np.int64), tail])
        return LevelCounts(cells, int(left[~seen].sum()), int(left[~known].sum()))

    def places(self, names: list[str]) -> NDArray[np.int64]:
        """The cell of each level."""
        places = np.array([self._places.get(name, -1) for name in names], np.int64)
        others = np.flatnonzero(places < 0)
        places[others] = len(self._places) + _tail_places(hashed(names[i] for i in others), self._cells.tail)
        return places

    def _looked_up(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the reference has each, and whether its choosing half has."""
        if not len(self._rare):
            none = np.zeros(len(hashes), bool)
            return none, none
        places = np.minimum(np.searchsorted(self._rare, hashes), len(self._rare) - 1)
        seen = self._rare[places] == hashes
        return seen, seen & (self._chosen[places] > 0)


def hashed(names: Iterable[str]) -> NDArray[np.uint64]:
    """A hash of each name that is the same in each process and version."""
    digests = b"".join(
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest() for name in names
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _tail_counts(hashes: NDArray[np.uint64], rows: NDArray[np.int64], tail: int) -> NDArray[np.int64]:
    return np.bincount(_tail_places(hashes, tail), weights=rows, minlength=tail).astype(np.int64)


def _tail_places(hashes: NDArray[np.uint64], tail: int) -> NDArray[np.int64]:
    return (hashes % np.uint64(tail)).astype(np.int64)
