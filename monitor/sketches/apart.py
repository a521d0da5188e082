"""How far a window's column is from the reference, by the usual distances over bins.

Bins are the reference's tenths, or a category's cells. Their counts add up, so a period's distances are exactly those
that its rows have over the same bins.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.distances import jensen_shannon_distance_2, l_infinity, psi
from monitor.sketches.baseline import COUNTERS, Baseline
from monitor.sketches.cells import NumberCells
from monitor.sketches.window import Profile, column_counts
from storage.errors import DataError


class Distances(NamedTuple):
    """As `monitor.distances` has them, with Jensen-Shannon as the distance in bits. l_infinity: the largest difference,
    of distribution functions at the cuts for numbers, of shares for levels."""

    psi: float
    jensen_shannon: float
    l_infinity: float


def bins_of(window: Profile, baseline: Baseline, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the reference and of the window in each bin of a column.

    Raises DataError for a column that the baseline lacks, or whose values are not counted.
    """
    reference, current, cells = _cells_of(window, baseline, name)
    if not isinstance(cells, NumberCells):
        return reference, current
    return np.add.reduceat(reference, cells.bins), np.add.reduceat(current, cells.bins)


def distances_of(window: Profile, baseline: Baseline, name: str) -> Distances | None:
    """The distances of a column; None where the window has no value of it. Raises DataError as `bins_of` does."""
    reference, current, cells = _cells_of(window, baseline, name)
    if not current.sum():
        return None
    bins = bins_of(window, baseline, name)
    if isinstance(cells, NumberCells):
        apart = np.cumsum(current) / current.sum() - np.cumsum(reference) / reference.sum()
        largest = float(abs(apart).max())
    else:
        largest = l_infinity(reference, current)
    return Distances(psi(*bins), jensen_shannon_distance_2(*bins), largest)


def _cells_of(window: Profile, baseline: Baseline, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], object]:
    place = baseline.place(name)
    column = baseline.columns[place]
    if column.cells is None or not column.present:
        raise DataError(
            f"Column {name!r} has no counted values in the reference (it is a {column.kind}). Ask for others."
        )
    counts = column_counts(window, baseline, place)[len(COUNTERS) :]
    return np.array(column.whole, np.int64), counts, column.cells
