"""The KLL sketch of `statistics.json`: written from sorted values, read as values and the rows that they stand for.

Deequ's sketch (analyzers/QuantileNonSample.scala) keeps values in levels, and one of level h stands for 2^h rows. It
gets there by chance and one value at a time; from sorted values the same form can be had at once and more exactly: the
rows are cut into runs of 2^h and each run is told by its middle value, which is off by at most half a run. What is
left over goes to the levels below, so that the rows add up to all of them.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.checks.sagemaker.files import Sketch

#: Values that the first level of a sketch with k = 2048 keeps: 2 (⌈k / 2⌉ + 1), as Deequ has it. A sketch with as many
#: in a later level is one that Deequ reads, merges and compacts; its own ones have fewer there, and are less exact.
KEPT = 2050


def sketched(ascending: NDArray[np.float64]) -> Sketch:
    """The sketch of ascending values. Up to `KEPT` are kept as they are.

    A rank in it is off by at most half a run, which is less than one row in 2,000.

    >>> sketched(np.arange(3.0)).data
    ((0.0, 1.0, 2.0),)
    >>> [len(level) for level in sketched(np.arange(100_001.0)).data]
    [1, 0, 0, 0, 0, 1, 1562]
    """
    rows, height = len(ascending), 0
    while (rows >> height) > KEPT:
        height += 1
    levels: list[tuple[float, ...]] = [()] * (height + 1)
    start = 0
    for level in range(height, -1, -1):
        runs = (rows - start) >> level
        middles = start + (np.arange(runs) << level) + ((1 << level) - 1) // 2
        levels[level] = tuple(ascending[middles].tolist())
        start += runs << level
    return Sketch(data=tuple(levels))


def values_of(sketch: Sketch) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ascending different values, and the rows that each stands for.

    >>> values_of(Sketch(data=((3.0, 1.0), (1.0, 2.0))))
    (array([1., 2., 3.]), array([3, 2, 1]))
    """
    levels = [np.array(level, dtype=np.float64) for level in sketch.data]
    values = np.concatenate([np.array([]), *levels])
    rows = np.concatenate([np.array([], dtype=np.int64), *(np.full(len(v), 1 << h) for h, v in enumerate(levels))])
    found, where = np.unique(values, return_inverse=True)
    return found, np.bincount(where, weights=rows, minlength=len(found)).astype(np.int64)
