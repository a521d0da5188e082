"""How good out-of-fold predictions are."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.metrics import Metric
from autopilot.search.matrices import Unit

Values = NDArray[np.float64]


class Scoring(Struct, frozen=True):
    """Scores predictions that are stacked in the order of `Folds.validated`.

    y: (validated rows,) class numbers or values; weights: beside it, or None. slices: where each fold's rows lie.
    """

    metric: Metric
    y: Values
    weights: Values | None
    slices: tuple[slice, ...]
    unit: Unit

    def score(self, predicted: Values) -> float:
        """The mean over folds, by their rows. predicted: (validated rows, outputs) as models learn them."""
        scores = [self.fold_score(number, predicted[rows]) for number, rows in enumerate(self.slices)]
        return float(np.average(scores, weights=[rows.stop - rows.start for rows in self.slices]))

    def fold_score(self, number: int, predicted: Values) -> float:
        """Of one fold. predicted: (its validated rows, outputs)."""
        rows = self.slices[number]
        weights = None if self.weights is None else self.weights[rows]
        return self.metric.score(self.y[rows], self.unit.unscale(predicted), weights)

    def loss(self, predicted: Values) -> float:
        """The score turned so that smaller is better."""
        return self.metric.loss(self.score(predicted))
