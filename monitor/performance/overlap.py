"""Where a window and the reference overlap: which rows are like none of the reference, and which of the reference's
rows are like the window's.

A classifier tells both apart; its odds, corrected for the numbers of rows, say how much denser the window is at a row
than the reference (Sugiyama, Suzuki and Kanamori, Density Ratio Estimation in Machine Learning, 2012). A row is asked
of a classifier that has not seen it, since one that has would find differences where there are none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.performance.inputs import Matrix
from monitor.performance.trees import folds_of, train
from monitor.two_sample import area_of

#: A row where the window is this much denser than the reference is one of which the reference tells next to nothing.
DENSEST = 20.0
#: Fewer rows on either side cannot be told apart well enough to weigh by.
LEAST_WEIGHED = 100

_FOLDS = 2
_ROUNDS = 100
_RATE = 0.1
_MOST_ROWS = 10_000  # of a side, to learn from
#: A classifier that orders pairs no better than this by luck alone, in standard deviations, has found no difference.
_LUCK = 3.0


class Overlap(NamedTuple):
    """weights: of the reference's rows, with mean 1. outside: of the window's rows, whether the reference tells nothing
    of them. area: the chance that the classifier tells a row of the window from one of the reference; 0.5 is luck."""

    weights: NDArray[np.float64]
    outside: NDArray[np.bool_]
    area: float

    @property
    def rows(self) -> float:
        """How many rows of the reference the weighted ones are worth (Kish, Survey Sampling, 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def overlap_of(reference: Matrix, window: Matrix, categories: list[int]) -> Overlap:
    """The overlap of two matrices with the same columns. Where they cannot be told apart, all weights are 1."""
    alike = Overlap(np.ones(len(reference)), np.zeros(len(window), dtype=np.bool_), 0.5)
    if min(len(reference), len(window)) < LEAST_WEIGHED:
        return alike
    X = np.concatenate([reference, window])
    is_window = np.arange(len(X)) >= len(reference)
    odds = _odds(X, is_window, categories)
    area = area_of(odds[~is_window], odds[is_window])
    if area.value <= 0.5 + _LUCK * area.deviation:
        return alike._replace(area=area.value)
    weights = np.exp(odds[~is_window])
    return Overlap(weights / weights.mean(), odds[is_window] > np.log(DENSEST), area.value)


def _odds(X: Matrix, is_window: NDArray[np.bool_], categories: list[int]) -> NDArray[np.float64]:
    """The logarithm of how much denser the window is at each row, by a classifier that has not seen it."""
    odds = np.empty(len(X))
    order = np.random.default_rng(0).permutation(len(X))
    fold = folds_of(len(X), _FOLDS)
    for number in range(_FOLDS):
        others = order[fold[order] != number]
        seen = np.concatenate([others[is_window[others] == side][:_MOST_ROWS] for side in (False, True)])
        y = is_window[seen]
        predict = train(
            X[seen], y.astype(np.float64), categories, objective="binary", rounds=_ROUNDS, learning_rate=_RATE
        )
        odds[fold == number] = predict(X[fold == number])[:, 0] - np.log(y.sum() / (~y).sum())
    return odds
