"""Blocks: sums over neighbouring rows, from which a window's profile tells how much its rows depend on one another.

A column's rows are put into up to four groups (`groups_of`), for each of which an indicator is 1 or 0; for missing
values there is one indicator. Each block of L neighbouring rows of a part has a sum S of its indicators:

    rows       a b b a c c c a b ...        L = 4: blocks begin each quarter of a length
    blocks     |------|
                 |------|                   kept of each length: how many blocks there are, Σ S and Σ S Sᵀ
                   |------| ...

All are whole numbers that add up, so the order in which parts are merged makes no difference. A block lies within one
part: rows that were profiled apart are no neighbours, which costs the few blocks that would have lain across. Blocks of
any part vary as those of others do, so the variance of S tells the same however rows were parted: `curves_of` makes of
it what `monitor.serial` measures of rows themselves.

A tally is (B, T) of the first B `LENGTHS`, up to the longest of which there is a block, with

    blocks, parts that have some, changes, Σ S of I indicators, Σ S Sᵀ of the pairs i <= j of them

where changes, of the first length alone, are how often sorted values would not change: turns of numbers, ends of runs.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

#: Lengths of blocks, four times the one before, as `monitor.serial.measure` has them. Of few rows the longest that they
#: have is asked, too: so there are some between.
LENGTHS = (2, 4, 8, 16, 32, 128, 512, 2048, 8192, 32_768, 131_072)
BETWEEN = (4, 16)

#: Groups of a column's cells with about as many rows of the reference each; the last has no indicator of its own.
GROUPS = 4

#: Indicators of values and of gaps, and the figures of both tallies of a column.
OF_VALUES, OF_GAPS = GROUPS - 1, 1
COUNTERS = 3
WIDTH = 2 * COUNTERS + sum(one + one * (one + 1) // 2 for one in (OF_VALUES, OF_GAPS))
_VALUES_WIDTH = COUNTERS + OF_VALUES + OF_VALUES * (OF_VALUES + 1) // 2

S = TypeVar("S", bound=np.integer)

NO_BLOCKS = np.zeros((0, WIDTH), np.int64)


def groups_of(rows: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group, 0..3, of each cell; rows: of the reference in each; order: of cells, neighbours in it are of a group.

    Cells without rows belong to the group of others.

    >>> groups_of(np.array([10, 70, 20, 0]), np.array([1, 2, 0, 3])).tolist()
    [3, 0, 2, 3]
    """
    ordered = rows[order]
    begun = np.cumsum(ordered) - ordered
    found = begun * GROUPS // max(int(rows.sum()), 1)
    groups = np.empty(len(rows), np.int64)
    groups[order] = np.minimum(found, found[ordered > 0].max(initial=0))
    return groups


def indicators_of(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of rows in these groups: (rows, `OF_VALUES`)."""
    return (groups[:, None] == np.arange(OF_VALUES)).astype(np.int64)


def tally(indicators: NDArray[np.int64], changes: int) -> NDArray[np.int64]:
    """The tally of one part's rows, in their order; indicators: (rows, I).

    >>> tally(np.array([[1], [1], [0]]), 1).tolist()
    [[2, 1, 1, 3, 5]]
    """
    rows, count = indicators.shape
    first, second = np.triu_indices(count)
    lengths = np.array([length for length in LENGTHS if length <= rows], np.int64)
    steps = np.maximum(lengths // 4, 1)
    told = np.zeros((len(lengths), COUNTERS + count + len(first)), np.int64)
    told[:, 0], told[:, 1], told[:1, 2] = (rows - lengths) // steps + 1, 1, changes
    if not indicators.any():  # most columns miss no value
        return told
    sums = np.zeros((rows + 1, count), np.int64)
    np.cumsum(indicators, axis=0, out=sums[1:])
    for at, (length, step) in enumerate(zip(lengths.tolist(), steps.tolist(), strict=True)):
        blocks = sums[length::step] - sums[: rows - length + 1 : step]
        told[at, COUNTERS : COUNTERS + count] = blocks.sum(axis=0)
        told[at, COUNTERS + count :] = np.einsum("bi,bj->ij", blocks, blocks)[first, second]
    return told


def both(values: NDArray[np.int64], gaps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tallies of a column side by side: (B, `WIDTH`)."""
    lengths = max(len(values), len(gaps))
    return np.hstack([_padded(values, lengths), _padded(gaps, lengths)])


def values_of(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tallies of values, of (..., B, `WIDTH`)."""
    return blocks[..., :_VALUES_WIDTH]


def gaps_of(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tallies of missing values, of (..., B, `WIDTH`)."""
    return blocks[..., _VALUES_WIDTH:]


def stacked(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Those of columns (B, `WIDTH`), or of hours of columns (C, B, `WIDTH`), with as many lengths as any has."""
    lengths = max((one.shape[-2] for one in columns), default=0)
    return np.stack([_padded(one, lengths) for one in columns])


def with_room(blocks: NDArray[np.unsignedinteger], lengths: int, most: int) -> NDArray[np.unsignedinteger]:
    """Blocks with so many lengths at least, of a type that holds such a figure: of small hours half the memory."""
    if lengths > blocks.shape[-2]:
        blocks = _padded(blocks, lengths)
    return blocks.astype(np.uint64) if most >= 1 << 32 and blocks.dtype == np.uint32 else blocks


def _padded(blocks: NDArray[S], lengths: int) -> NDArray[S]:
    if lengths == blocks.shape[-2]:
        return blocks
    room = np.zeros((*blocks.shape[:-2], lengths, blocks.shape[-1]), blocks.dtype)  # whose pages are not touched yet
    room[..., : blocks.shape[-2], :] = blocks
    return room


def lengths_of(tallies: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B,), of tallies (..., B, T)."""
    return np.array(LENGTHS[: tallies.shape[-2]], np.int64)


# ----------------------------------------------------------------------------------------------------------- bytes


def planes_of(blocks: NDArray[np.int64]) -> bytes:
    """Blocks (C, B, `WIDTH`) as bytes that compress well: of each figure, what those before it do not tell.

    In planes of bytes, 4 or 8 of them, as the first byte says.
    """
    blocks = blocks.transpose(2, 1, 0)
    rest = blocks.copy()
    for mine, theirs in zip(_tallies(rest), _tallies(blocks), strict=True):
        for place, expected in _EXPECTED:
            mine[place(mine)] -= expected(theirs)
    zigzag = ((rest << 1) ^ (rest >> 63)).view(np.uint64)
    count = 4 if zigzag.max(initial=0) < 1 << 32 else 8
    return bytes([count]) + zigzag.astype(f"<u{count}").view(np.uint8).reshape(-1, count).T.tobytes()


def blocks_from(data: bytes, columns: int) -> NDArray[np.int64]:
    """The blocks of so many columns that `planes_of` made into bytes; none of no bytes."""
    if len(data) <= 1:
        return np.zeros((columns, *NO_BLOCKS.shape), np.int64)
    planes = np.frombuffer(data, np.uint8, offset=1).reshape(data[0], -1)
    zigzag = np.ascontiguousarray(planes.T).view(f"<u{data[0]}").ravel().astype(np.int64)
    rest = (zigzag.view(np.uint64) >> 1).view(np.int64) ^ -(zigzag & 1)
    blocks = rest.reshape(WIDTH, -1, columns)
    for mine in _tallies(blocks):
        for place, expected in _EXPECTED:
            mine[place(mine)] += expected(mine)
    return blocks.transpose(2, 1, 0)


def _tallies(figures: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Views of those of values and of gaps, (T, B, C)."""
    return figures[:_VALUES_WIDTH], figures[_VALUES_WIDTH:]


def _expected_blocks(tallies: NDArray[np.int64]) -> NDArray[np.int64]:
    """As many as one part has, whose rows the first length tells: one more than it has blocks."""
    lengths = np.array(LENGTHS[: tallies.shape[1]], np.int64)[:, None]
    rows = tallies[0, :1] + 1
    found = np.where(rows >= lengths, (rows - lengths) // np.maximum(lengths // 4, 1) + 1, 0)
    return np.where(lengths > LENGTHS[0], found, 0)


def _expected_parts(tallies: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(tallies[0], 1)


def _expected_sums(tallies: NDArray[np.int64]) -> NDArray[np.int64]:
    """The share of the first length's rows."""
    lengths = np.array(LENGTHS[: tallies.shape[1]], np.int64)[:, None]
    first = tallies[:, :1]
    shares = first[_sums_at(tallies)] / np.maximum(first[0] * LENGTHS[0], 1)
    return (tallies[0] * lengths * (lengths > LENGTHS[0]) * shares).astype(np.int64)


def _expected_products(tallies: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of blocks that are all alike."""
    sums = tallies[_sums_at(tallies)].astype(np.float64)
    means = sums / np.maximum(tallies[0], 1)
    products = [sums[i] * means[j] for i in range(len(sums)) for j in range(i, len(sums))]
    return np.stack(products).astype(np.int64)


def _sums_at(tallies: NDArray[np.int64]) -> slice:
    count = OF_VALUES if len(tallies) == _VALUES_WIDTH else OF_GAPS
    return slice(COUNTERS, COUNTERS + count)


def _products_at(tallies: NDArray[np.int64]) -> slice:
    return slice(_sums_at(tallies).stop, None)


#: Each asks only for what those before it tell. Quotients are of floats, which each machine rounds alike, and which
#: take a third of the time of whole ones.
_EXPECTED: tuple[
    tuple[Callable[[NDArray[np.int64]], int | slice], Callable[[NDArray[np.int64]], NDArray[np.int64]]], ...
] = (
    (lambda _: 0, _expected_blocks),
    (lambda _: 1, _expected_parts),
    (_sums_at, _expected_sums),
    (_products_at, _expected_products),
)
