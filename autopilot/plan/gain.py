"""How much a new feature would tell of the target that its parts do not: the filter of ops that make many.

A feature is cut into codes and each code predicts the mean target of the other folds' rows (`FoldedMeans`). The mean
squared error of that says what the feature tells, for numbers and categories alike. A feature made of two others has to
beat each of them, and their weighted sum: then it holds an interaction, and no reordering of what is known.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.plan.folded_means import FoldedMeans
from autopilot.plan.levels import codes_of
from autopilot.plan.op import Rows, Values

#: Enough to tell gains of a tenth of a percent from noise, and a millisecond for each feature.
_SAMPLE_ROWS = 20_000
_BINS = 32
#: Standard errors by which a gain must exceed 0.
_CERTAINTY = 3.0
#: Gains below this share of the target's variance are not worth a feature.
_LEAST_GAIN = 3e-3


class Part(NamedTuple):
    """A column, or a feature, as the judge sees it: predictions and squared errors, float64 (targets, rows)."""

    name: str
    predicted: Values
    errors: Values

    @property
    def error(self) -> float:
        """Mean over targets and rows."""
        return float(self.errors.mean())


class Judge:
    """Scores features on a sample of the training rows. `sample`: the rows' numbers, int64."""

    def __init__(self, rows: Rows) -> None:
        height = rows.frame.height
        rng = np.random.default_rng(rows.seed)
        self.sample = np.arange(height) if height <= _SAMPLE_ROWS else rng.choice(height, _SAMPLE_ROWS, replace=False)
        self._rows, self._folds = rows, rows.folds[self.sample]
        values = rows.target.values[self.sample].T
        deviations = values.std(axis=1, keepdims=True)
        self._values = (values - values.mean(axis=1, keepdims=True)) / np.where(deviations == 0, 1.0, deviations)

    def category(self, column: str) -> Part:
        """A category column."""
        return self.codes(column, codes_of(self._rows.frame, column)[self.sample])

    def number(self, name: str, values: Values) -> Part:
        """A number for each row of the sample, NaN where missing."""
        return self.codes(name, cut(values))

    def codes(self, name: str, codes: NDArray[np.int64]) -> Part:
        """Any whole numbers for the rows of the sample; equal ones belong together."""
        size = int(codes.max(initial=0)) + 1
        predicted = np.stack([FoldedMeans(codes, size, y, self._folds).of_rows() for y in self._values])
        return Part(name, predicted, (self._values - predicted) ** 2)

    def best(self, parts: Sequence[Part], most: int) -> list[Part]:
        """The parts that tell most."""
        return sorted(parts, key=lambda part: part.error)[:most]

    def gain(self, joint: Part, left: Part, right: Part) -> float:
        """By how much the error of `joint` is below what its parts reach, 0 where that is not certain."""
        together = np.stack([_sum(*parts) for parts in zip(self._values, left.predicted, right.predicted, strict=True)])
        known = min((left.errors, right.errors, together), key=lambda errors: float(errors.mean()))
        gains = (known - joint.errors).mean(axis=0)
        mean, error = float(gains.mean()), float(gains.std()) / np.sqrt(len(gains))
        return mean if mean > max(_LEAST_GAIN, _CERTAINTY * error) else 0.0


def _sum(y: Values, left: Values, right: Values) -> Values:
    """Squared errors (rows,) of the weighted sum of two predictions, by least squares.

    Weighted, since columns that go together would count twice in a plain sum.
    """
    both = np.column_stack([left, right])
    weights = np.linalg.lstsq(both, y, rcond=None)[0]
    return (y - both @ weights) ** 2


def cut(values: Values) -> NDArray[np.int64]:
    """Numbers to at most 32 bins of like many rows, missing to one more."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower")) if len(known) else known
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))


def joined(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """A code for each pair of codes that occurs."""
    pairs = left * (int(right.max(initial=0)) + 1) + right
    return np.unique(pairs, return_inverse=True)[1]
