"""Greedy ensemble selection.

Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004: start from the best trial, add again and
again the trial (with replacement) that improves the average most.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.metrics import Metric
from autopilot.search.matrices import Unit
from autopilot.search.trial import Outcome

Values = NDArray[np.float64]

_MOST_STEPS = 25
_MOST_CANDIDATES = 20
#: Least relative gain of a step: smaller ones are chance and cost latency.
_LEAST_GAIN = 2e-4


class Blend(Struct, frozen=True):
    """Trials and their weights, which sum to 1, heaviest first; and the validation score of their average."""

    outcomes: tuple[Outcome, ...]
    weights: tuple[float, ...]
    score: float

    def average(self, parts: list[Values]) -> Values:
        """The weighted sum of the members' predictions."""
        return np.sum([weight * part for weight, part in zip(self.weights, parts, strict=True)], axis=0)

    @property
    def valid(self) -> Values:
        """Out-of-fold predictions of the blend."""
        return self.average([outcome.valid for outcome in self.outcomes if outcome.valid is not None])

    @property
    def test(self) -> Values:
        """Predictions of the blend for the test rows."""
        return self.average([outcome.test for outcome in self.outcomes if outcome.test is not None])


def blend(outcomes: list[Outcome], y: Values, unit: Unit, metric: Metric, most_members: int) -> Blend:
    """The best average of at most `most_members` complete trials on the validated rows.

    y: (validated rows,) class numbers or values. Ties go to fewer members.
    """
    ranked = sorted(outcomes, key=lambda outcome: metric.loss(_score_of(outcome)))[:_MOST_CANDIDATES]
    predictions = [outcome.valid for outcome in ranked if outcome.valid is not None]

    def loss(predicted: Values) -> float:
        return metric.loss(metric.score(y, unit.unscale(predicted)))

    counts = np.zeros(len(ranked), dtype=np.int64)
    counts[0] = 1
    total, best = predictions[0].copy(), loss(predictions[0])
    for step in range(1, _MOST_STEPS):
        full = np.count_nonzero(counts) >= most_members
        open_to = [index for index in range(len(ranked)) if not full or counts[index]]
        losses = [loss((total + predictions[index]) / (step + 1)) for index in open_to]
        chosen = int(np.argmin(losses))
        if losses[chosen] > best - _LEAST_GAIN * abs(best):
            break
        counts[open_to[chosen]] += 1
        total, best = total + predictions[open_to[chosen]], losses[chosen]
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    weights = tuple(float(counts[index] / counts.sum()) for index in order)
    return Blend(tuple(ranked[index] for index in order), weights, -best if metric.greater_is_better else best)


def single(outcome: Outcome) -> Blend:
    """A blend of one trial."""
    return Blend((outcome,), (1.0,), _score_of(outcome))


def _score_of(outcome: Outcome) -> float:
    return float("nan") if outcome.trial.score is None else outcome.trial.score
