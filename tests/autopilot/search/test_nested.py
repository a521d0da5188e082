"""A nested score is what the choice is worth on rows that it has not seen."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from autopilot.candidates.baseline import Baseline
from autopilot.graph.calibration import Succession
from autopilot.metrics import METRICS
from autopilot.search.ensemble import single
from autopilot.search.folds import Folds, Scheme, divide
from autopilot.search.matrices import Unit
from autopilot.search.nested import Nested, nested_of, nested_score
from autopilot.search.scoring import Scoring
from autopilot.search.study import Study
from autopilot.search.trial import Outcome, Spec
from autopilot.table.infer import infer
from storage.records import Trial

Values = NDArray[np.float64]


def guesses(p: Values) -> Values:
    """Probabilities of both classes."""
    return np.column_stack([1 - p, p])


def scoring_of(y: Values, folds: Folds, metric: str, weights: Values | None = None) -> Scoring:
    """Of what validates."""
    rows = folds.validated
    return Scoring(METRICS[metric], y[rows], None if weights is None else weights[rows], folds.slices, Unit())


def as_it_is(average: Values) -> Values:
    """Without a calibration."""
    return average


def choose_best(predictions: list[Values], scoring: Scoring) -> list[float]:
    """All weight for the trial that looks best."""
    best = int(np.argmin([scoring.loss(predicted) for predicted in predictions]))
    return [float(number == best) for number in range(len(predictions))]


@pytest.mark.parametrize(("repeats", "runs"), [(1, 12), (2, 8)])
def test_of_random_guesses_the_nested_score_is_that_of_chance(repeats: int, runs: int) -> None:
    """The best of 50 looks good on the rows by which it was chosen, also where repeats show them again."""
    naive, nested = [], []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.repeat([0.0, 1.0], 50))
        folds = divide(y, Scheme("k-fold", 4, repeats, nested=True, classes=2), seed)
        scoring = scoring_of(y, folds, "roc_auc")
        trials = [guesses(rng.random(100))[folds.validated] for _ in range(50)]
        naive.append(max(scoring.score(predicted) for predicted in trials))
        nested.append(nested_score(trials, folds, scoring, choose_best, as_it_is).score)
    assert np.mean(naive) > 0.6
    assert np.mean(nested) == pytest.approx(0.5, abs=0.05)


def test_the_choice_never_sees_the_rows_that_it_is_scored_on() -> None:
    """And it sees all other rows once, with their targets, weights and folds."""
    y = np.arange(40.0)
    folds = divide(y, Scheme("k-fold", 4, 2, nested=True), 0)
    scoring = scoring_of(y, folds, "rmse", weights=y / y.mean())
    seen: list[list[float]] = []

    def choose(predictions: list[Values], scoring: Scoring) -> list[float]:
        assert scoring.weights is not None
        assert predictions[0][:, 0].tolist() == scoring.y.tolist() == (scoring.weights * y.mean()).round(9).tolist()
        assert [*range(len(scoring.y))] == [
            row for rows in scoring.slices for row in range(*rows.indices(len(scoring.y)))
        ]
        seen.append(sorted(scoring.y))
        return [1.0]

    nested_score([y[folds.validated][:, None]], folds, scoring, choose, as_it_is)
    for fold, rows in zip(folds.folds, seen, strict=True):
        assert rows == sorted(set(y) - set(y[fold.valid]))


def test_a_choice_that_is_always_the_same_is_scored_as_it_is() -> None:
    """Calibrated as published. Mean over folds by their rows, here by scikit-learn, and that mean's standard error."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50).astype(float)
    p, q = rng.random(50), rng.random(50)
    folds = divide(y, Scheme("k-fold", 3, nested=True, classes=2), 0)
    rows = folds.validated
    trials = [guesses(p[rows]), guesses(q[rows])]
    found = nested_score(
        trials, folds, scoring_of(y, folds, "log_loss"), lambda *_: [0.25, 0.75], Succession.of(8).apply
    )
    mixed = 0.9 * (0.25 * p + 0.75 * q) + 0.05
    scores = [log_loss(y[fold.valid], mixed[fold.valid]) for fold in folds.folds]
    sizes = [len(fold.valid) for fold in folds.folds]
    assert found.score == pytest.approx(np.average(scores, weights=sizes))
    assert found.error == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3), rel=0.02)


def test_repeats_make_the_error_no_smaller_than_the_rows_do() -> None:
    """The same rows again are no new ones: the error is about that of one repeat."""
    y = np.random.default_rng(0).normal(size=400)
    predicted = np.random.default_rng(1).normal(size=400)
    errors = [_error(y, predicted, repeats) for repeats in (1, 20)]
    assert errors[1] == pytest.approx(errors[0], rel=0.4)


def _error(y: Values, predicted: Values, repeats: int) -> float:
    folds = divide(y, Scheme("k-fold", 8, repeats, nested=True), 0)
    trials = [predicted[folds.validated][:, None]]
    return nested_score(trials, folds, scoring_of(y, folds, "mae"), lambda *_: [1.0], as_it_is).error


def test_a_good_trial_among_guesses_is_found_and_scored_honestly() -> None:
    """Groups too, whole on one side."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(25), 4)
    y = rng.integers(0, 2, 100).astype(float)
    good = guesses((y + rng.normal(0, 0.8, 100)).clip(0, 1))
    folds = divide(y, Scheme("group", 5, nested=True, classes=2), 0, groups)
    rows = folds.validated
    trials = [guesses(rng.random(100))[rows], good[rows]]
    found = nested_score(trials, folds, scoring_of(y, folds, "roc_auc"), choose_best, as_it_is)
    expected = [roc_auc_score(y[fold.valid], good[fold.valid, 1]) for fold in folds.folds]
    assert isinstance(found, Nested)
    assert found.score == pytest.approx(np.mean(expected))


def test_the_ensemble_of_a_study_is_chosen_from_its_whole_trials_as_they_rank_without_the_fold() -> None:
    """Here an ensemble of the best alone, so that it is the same as choosing the best."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    table = infer(pl.DataFrame({"x": x, "y": (x + rng.normal(size=60) > 0)}), "y")
    folds = divide(table.y, Scheme("k-fold", 3, 2, nested=True, classes=2), 0)
    study = Study.of(table, folds, METRICS["roc_auc"], 0)
    shares = [1 / (1 + np.exp(-noise * x - rng.normal(size=60))) for noise in (0.1, 0.5, 0.4)]
    trials = [guesses(share)[folds.validated] for share in shares]

    def outcome(number: int, valid: Values | None) -> Outcome:
        trial = Trial("", number, "baseline", {}, "completed" if valid is not None else "raced", 0.5, (), 0.0)
        return Outcome(Spec(number, Baseline(), {}, 0), trial, valid, None, ())

    outcomes = [outcome(7, None), *(outcome(number, valid) for number, valid in enumerate(trials))]
    found = nested_of(study, outcomes, lambda seen, scoring: single(seen[0]), as_it_is)
    assert found == nested_score(trials, folds, study.scoring, choose_best, as_it_is)
