"""Quantiles: cells say how many values lie below each cut, KLL sketches (Karnin, Lang, Liberty 2016) what is between.

Measured at windows of 4,000 rows, the largest rank error over 199 quantiles, mean of 20 windows:

    traffic                      bytes    as reference    moved by 1 σ    moved by 3 σ    5 σ wide
    cells alone                    100    0.003           0.014           0.18            0.15
    KLL alone, k = 64            1,390    0.020           0.020           0.020           0.020
    KLL alone, k = 200           3,890    0.006           0.006           0.006           0.006
    both, k = 32                   860    0.010           0.025           0.035           0.034
    both, k = 64                 1,390    0.009           0.016           0.019           0.019
    both, k = 200                3,890    0.005           0.006           0.006           0.006

So the sketch is needed where traffic has left the reference's cells, and 64 is enough; where a cell holds few rows, a
straight line through it is better still.

`datasketches` draws its coins from the clock, so two sketches of the same rows differ, within their error. Sketches of
several windows are not merged but looked at together, weighted: that is the same in any order.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitor.sketches.cells import NumberCells
from monitor.sketches.library import datasketches

#: The sketch's size; see the table above.
K = 64

#: A cell that holds this share of the rows or less is crossed in a straight line: the sketch's own error is as large.
_STRAIGHT = 0.02


def sketch_of(values: NDArray[np.float64]) -> bytes:
    """The sketch of values without NaN; nothing for none."""
    if not len(values):
        return b""
    sketch = datasketches().kll_doubles_sketch(K)
    sketch.update(np.array(values))  # it wants an array that may be written to
    return sketch.serialize()


def compacted(sketches: Iterable[bytes]) -> bytes:
    """One sketch in place of several, which are merged in the order of their bytes; for keeping, within their error."""
    merged = datasketches().kll_doubles_sketch(K)
    for data in sorted(sketches):
        if data:
            merged.merge(datasketches().kll_doubles_sketch.deserialize(data))
    return b"" if merged.is_empty() else merged.serialize()


def values_at(
    shares: NDArray[np.float64],
    cells: NumberCells,
    counts: NDArray[np.int64],
    sketches: Iterable[bytes],
    extremes: tuple[float, float],
) -> NDArray[np.float64]:
    """The values below which these shares of the rows lie, 0 to 1; NaN where there are no rows.

    counts: rows in each cell; sketches: of the same rows. extremes: the smallest and the largest value.
    """
    rows = int(counts.sum())
    if not rows:
        return np.full(len(shares), np.nan)
    values, weights = _points(sketches)
    found = np.empty(len(shares))
    reached = np.cumsum(counts)
    for place, share in enumerate(shares.tolist()):
        wanted = min(max(share * rows, 1), rows)
        cell = int(np.searchsorted(reached, wanted, "left"))
        part = (wanted - reached[cell] + counts[cell]) / counts[cell]
        low, high = cells.ends(cell)
        inside = slice(*np.searchsorted(values, (low, high), "right"))
        if cell in cells.points:
            found[place] = high
        elif counts[cell] > _STRAIGHT * rows and inside.stop > inside.start:
            heap = np.cumsum(weights[inside])
            found[place] = values[inside][np.searchsorted(heap, part * heap[-1], "left")]
        else:
            low, high = max(low, extremes[0]), min(high, extremes[1])
            found[place] = low + (high - low) * part
    return found


def _points(sketches: Iterable[bytes]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values that sketches have kept, ascending, and how many rows each stands for."""
    points = [point for data in sketches if data for point in datasketches().kll_doubles_sketch.deserialize(data)]
    kept = np.array(points, np.float64).reshape(-1, 2)
    kept = kept[np.lexsort((kept[:, 1], kept[:, 0]))]
    return kept[:, 0], kept[:, 1]
