"""The record of estimates on the reference itself: how far they were off, block by block, beyond chance.

A likelihood that holds over all rows need not hold in each month or region. Where the reference's blocks differ among
themselves, later windows will too, and intervals that know only of chance would be too narrow. So errors are stretched
by how far estimates of the reference's tenths, each told by the others, were off.
"""

import math

import numpy as np
from numpy.typing import NDArray

from monitor.performance.answers import Answers
from monitor.performance.direct import Loss
from monitor.performance.inputs import Matrix
from monitor.performance.metrics import Metric, measure

#: Blocks of the reference, and how many of them make a fold.
BLOCKS = 10
BLOCKS_OF_FOLD = 2

# A deviation that is known from ten blocks may well be greater: with a confidence of 80 % it is no more than √(10 / q)
# times what was found, q = 6.179 the 20 % quantile of chi-square with ten degrees of freedom. All windows share one
# reference, so that one that was too lucky would spoil the intervals of all.
_UNSURE = 1.272


def blocks_of(rows: int, order: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Which tenth each row is in: of the order in time, where it is known, else drawn with a fixed seed."""
    place = np.empty(rows, dtype=np.int64)
    place[np.random.default_rng(0).permutation(rows) if order is None else order] = np.arange(rows)
    return place * BLOCKS // max(rows, 1)


def stretch_of_classes(
    metrics: tuple[Metric, ...], answers: Answers, likely: Matrix, block: NDArray[np.int64]
) -> dict[str, float]:
    """By metric, by how much errors are to be stretched; 1.272 or more. likely: of rows told by other folds."""
    found: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for number in range(BLOCKS):
        rows = np.flatnonzero(block == number)
        part = answers.of(rows)
        for metric in metrics:
            actual = measure(metric, part)
            found[metric.name].append(_off(metric.value(part, likely[rows]) - actual.value, actual.error))
    return {name: _stretch(off) for name, off in found.items()}


def stretch_of_values(losses: dict[str, Loss], block: NDArray[np.int64]) -> dict[str, float]:
    """The same for losses of values."""
    found: dict[str, float] = {}
    for metric, loss in losses.items():
        off = [loss.told[block == number] - loss.actual[block == number] for number in range(BLOCKS)]
        found[metric] = _stretch([_off(float(o.mean()), float(o.std()) / math.sqrt(len(o))) for o in off])
    return found


def _off(difference: float, error: float) -> float:
    """In errors; NaN where a block tells nothing."""
    return difference / error if error > 0 else math.nan


def _stretch(off: list[float]) -> float:
    known = [value**2 for value in off if math.isfinite(value)]
    return _UNSURE * math.sqrt(max(sum(known) / len(known), 1.0)) if known else _UNSURE
