"""Greedy selection finds an average that is no worse than the best single trial."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autopilot.candidates.baseline import Baseline
from autopilot.metrics import METRICS, metrics_of
from autopilot.search.ensemble import blend, single
from autopilot.search.matrices import Unit
from autopilot.search.trial import Outcome, Spec
from storage.records import Trial


def outcome(number: int, valid: NDArray[np.float64], score: float) -> Outcome:
    """A complete trial with these predictions, which it makes of the test rows too."""
    trial = Trial("", number, "baseline", {}, "completed", score, (score,), 0.1)
    return Outcome(Spec(number, Baseline(), {}, 0), trial, valid, valid + 0.0, (score,))


def outcomes_of(metric: str, y: NDArray[np.float64], predictions: list[Any], unit: Unit) -> list[Outcome]:
    """Trials scored by a metric."""
    return [outcome(i, p, METRICS[metric].score(y, unit.unscale(p))) for i, p in enumerate(predictions)]


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "roc_auc", "log_loss", "accuracy", "mcc"])
@given(seed=st.integers(0, 1000), trials=st.integers(1, 6), most=st.integers(1, 5))
@settings(max_examples=25)
def test_the_blend_is_at_least_as_good_as_the_best_single_trial(metric: str, seed: int, trials: int, most: int) -> None:
    """On the validated rows; weights are positive, sum to 1, heaviest first, of at most so many members."""
    rng = np.random.default_rng(seed)
    is_regression = metric in {m.name for m in metrics_of("regression")}
    unit = Unit(5.0, 3.0) if is_regression else Unit()
    if is_regression:
        y = rng.normal(5, 3, 40)
        predictions = [unit.scale(y + rng.normal(0, 1 + i, 40)).reshape(-1, 1) for i in range(trials)]
    else:
        y = np.tile([0.0, 1.0], 20)
        shares = [np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 40), 0.01, 0.99) for _ in range(trials)]
        predictions = [np.column_stack([1 - share, share]) for share in shares]
    found = outcomes_of(metric, y, predictions, unit)
    mixed = blend(found, y, unit, METRICS[metric], most)
    best = min(METRICS[metric].loss(each.trial.score or 0.0) for each in found)
    assert METRICS[metric].loss(mixed.score) <= best + 1e-12
    assert mixed.score == pytest.approx(METRICS[metric].score(y, unit.unscale(mixed.valid)))
    assert sum(mixed.weights) == pytest.approx(1.0)
    assert all(weight > 0 for weight in mixed.weights)
    assert list(mixed.weights) == sorted(mixed.weights, reverse=True)
    assert len(mixed.outcomes) == len(mixed.weights) <= most
    assert len({each.spec.number for each in mixed.outcomes}) == len(mixed.outcomes)


def test_opposite_errors_are_averaged_away() -> None:
    """Two trials that err by +1 and -1: half of each is exact."""
    y = np.arange(10.0)
    found = outcomes_of("rmse", y, [(y + 1).reshape(-1, 1), (y - 1).reshape(-1, 1), (y + 9).reshape(-1, 1)], Unit())
    mixed = blend(found, y, Unit(), METRICS["rmse"], 5)
    assert sorted(each.spec.number for each in mixed.outcomes) == [0, 1]
    assert mixed.weights == (0.5, 0.5)
    assert mixed.score == pytest.approx(0, abs=1e-12)
    assert mixed.test[:, 0].tolist() == pytest.approx(y.tolist())


def test_a_trial_that_adds_nothing_is_left_out() -> None:
    """Twins of the best, and what is only worse."""
    y = np.arange(10.0)
    exact = y.reshape(-1, 1)
    found = outcomes_of("rmse", y, [exact, exact.copy(), exact * 0], Unit())
    mixed = blend(found, y, Unit(), METRICS["rmse"], 5)
    assert ([each.spec.number for each in mixed.outcomes], mixed.weights) == ([0], (1.0,))


def test_a_single_trial_is_a_blend_of_itself() -> None:
    """With weight 1 and its own score."""
    only = outcome(3, np.array([[0.25], [0.75]]), 0.5)
    mixed = single(only)
    assert (mixed.outcomes, mixed.weights, mixed.score) == ((only,), (1.0,), 0.5)
    assert mixed.valid.tolist() == [[0.25], [0.75]]
