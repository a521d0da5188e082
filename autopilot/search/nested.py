"""An honest score where no rows are kept for a test: each fold is scored by an ensemble that was chosen without it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from autopilot.search.folds import Folds
from autopilot.search.scoring import Scoring

if TYPE_CHECKING:
    from autopilot.search.ensemble import Blend
    from autopilot.search.study import Study
    from autopilot.search.trial import Outcome

Values = NDArray[np.float64]

#: Chooses a weight for each trial, summing to 1, by its predictions for some of the rows and their scoring.
Choose = Callable[[list[Values], Scoring], Sequence[float]]


class Nested(NamedTuple):
    """A nested score and its standard error, in the metric's own unit."""

    score: float
    error: float


def nested_score(
    predictions: Sequence[Values], folds: Folds, scoring: Scoring, choose: Choose, finish: Callable[[Values], Values]
) -> Nested:
    """The score that `choose` gives on rows that it has not seen, averaged over folds by their rows.

    The score of the best of many trials on the rows by which it was chosen is too good: the best of 50 random guesses
    at 100 rows has an AUC above 0.6. Here the ensemble is chosen again for each fold, by the other folds of its repeat,
    and scored on the fold (Cawley and Talbot, "On Over-fitting in Model Selection", JMLR 2010). predictions: out of
    fold, (validated rows, outputs) for each trial, as `scoring` has them. There are as many choices as folds, and in a
    repeat two folds at least. finish: what the published model does with an average: a calibration, whose one to three
    parameters, if any, were fitted on all rows.

    What is left of the optimism: boosting stopped where the fold itself was best, and all folds decided which
    parameters were tried and which trials were given up. Against it stands that the published model learns from more
    rows. The standard error is that of the mean of the folds' scores, repeats counting as no new rows. It is too small,
    by a third where the choice varies most, since folds share training rows and choices (Bengio and Grandvalet, "No
    Unbiased Estimator of the Variance of K-Fold Cross-Validation", JMLR 2004).
    """
    scores: list[float] = []
    in_repeat = len(folds.folds) // folds.scheme.repeats
    for number, rows in enumerate(folds.slices):
        first = number - number % in_repeat
        others = [other for other in range(first, first + in_repeat) if other != number]
        seen = np.concatenate([np.arange(len(scoring.y))[scoring.slices[other]] for other in others])
        weights = choose([predicted[seen] for predicted in predictions], _restricted(scoring, seen, others))
        parts = [weight * predicted[rows] for weight, predicted in zip(weights, predictions, strict=True) if weight]
        scores.append(scoring.fold_score(number, finish(np.sum(parts, axis=0))))
    sizes = [len(fold.valid) for fold in folds.folds]
    score = float(np.average(scores, weights=sizes))
    variance = np.average(np.square(np.subtract(scores, score)), weights=sizes) * len(scores) / (len(scores) - 1)
    return Nested(score, float(np.sqrt(variance / in_repeat)))


def nested_of(
    study: "Study",
    outcomes: "Sequence[Outcome]",
    combine: "Callable[[list[Outcome], Scoring], Blend]",
    finish: Callable[[Values], Values],
) -> Nested:
    """The nested score of a study's complete trials. combine: chooses an ensemble of them, as they come best first."""
    whole = [outcome for outcome in outcomes if outcome.valid is not None]

    def choose(predictions: list[Values], scoring: Scoring) -> list[float]:
        seen = [
            outcome._replace(valid=valid, trial=replace(outcome.trial, score=scoring.score(valid)))
            for outcome, valid in zip(whole, predictions, strict=True)
        ]
        seen.sort(key=lambda outcome: scoring.metric.loss(outcome.trial.score or 0.0))
        blend = combine(seen, scoring)
        weights = {outcome.spec.number: weight for outcome, weight in zip(blend.outcomes, blend.weights, strict=True)}
        return [weights.get(outcome.spec.number, 0.0) for outcome in whole]

    predictions = [outcome.valid for outcome in whole if outcome.valid is not None]
    return nested_score(predictions, study.folds, study.scoring, choose, finish)


def _restricted(scoring: Scoring, rows: NDArray[np.int64], folds: list[int]) -> Scoring:
    """The scoring of these folds alone. rows: where they are among the validated rows."""
    sizes = [scoring.slices[number].stop - scoring.slices[number].start for number in folds]
    ends = np.cumsum(sizes).tolist()
    return Scoring(
        scoring.metric,
        scoring.y[rows],
        None if scoring.weights is None else scoring.weights[rows],
        tuple(slice(end - size, end) for size, end in zip(sizes, ends, strict=True)),
        scoring.unit,
    )
