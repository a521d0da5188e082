"""Greedy selection finds averages that are worth what they cost."""

import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.deadline import Deadline
from autopilot.metrics import METRICS, Metric, metrics_of
from autopilot.search.ensemble import (
    QUALITIES,
    Blend,
    Pricing,
    Quality,
    blend,
    frontier,
    single,
)
from autopilot.search.frontier import frontier_frame
from autopilot.search.latency import Latency
from autopilot.search.matrices import Unit
from autopilot.search.scoring import Scoring
from autopilot.search.trial import Outcome, Spec
from storage.records import Trial

Values = NDArray[np.float64]

CANDIDATES = (LightGBM(), Linear(), Baseline())
LATENCY = Latency(10.0, {"trees": 5.0, "linear": 8.0})
FREE = Pricing(Quality(most_members=8, price=0.0, price_beyond=0.0), LATENCY)
METRIC_NAMES = ["rmse", "mae", "r2", "roc_auc", "log_loss", "accuracy", "mcc"]


def pricing(price: float = 0.0, limit_us: float | None = None, most_members: int = 8) -> Pricing:
    """Of so much for a microsecond."""
    return Pricing(Quality(most_members, price, price), LATENCY, limit_us)


def outcome(number: int, valid: Values, scoring: Scoring, latency_us: float = 20.0, candidate: Any = None) -> Outcome:
    """A complete trial with these predictions, which it makes of the test rows too."""
    kind = candidate or CANDIDATES[0]
    score = scoring.score(valid)
    trial = Trial("", number, kind.name, {}, "completed", score, (score,), 0.1)
    return Outcome(Spec(number, kind, {}, 0), trial, valid, valid + 0.0, (score,), latency_us)


def of_values(y: Values, predictions: list[Values], latencies_us: list[float]) -> tuple[list[Outcome], Scoring]:
    """Trials of values, scored by rmse on one part."""
    scoring = Scoring(METRICS["rmse"], y, None, (slice(0, len(y)),), Unit())
    pairs = enumerate(zip(predictions, latencies_us, strict=True))
    return [outcome(number, values.reshape(-1, 1), scoring, us) for number, (values, us) in pairs], scoring


def random_trials(metric: str, seed: int, count: int) -> tuple[list[Outcome], Scoring]:
    """Trials of three families with random latencies, on two folds of 20 and 40 rows."""
    rng = np.random.default_rng(seed)
    slices = (slice(0, 20), slice(20, 60))
    if metric in {one.name for one in metrics_of("regression")}:
        unit, y = Unit(5.0, 3.0), rng.normal(5, 3, 60)
        predictions = [unit.scale(y + rng.normal(0, 1 + number, 60)).reshape(-1, 1) for number in range(count)]
    else:
        unit, y = Unit(), np.tile([0.0, 1.0], 30)
        shares = [np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 60), 0.01, 0.99) for _ in range(count)]
        predictions = [np.column_stack([1 - share, share]) for share in shares]
    scoring = Scoring(METRICS[metric], y, None, slices, unit)
    latencies_us = rng.uniform(1, 100, count)
    return [
        outcome(number, valid, scoring, float(latencies_us[number]), CANDIDATES[number % 3])
        for number, valid in enumerate(predictions)
    ], scoring


def choose(outcomes: list[Outcome], scoring: Scoring, of: Pricing = FREE) -> Blend:
    """With time enough."""
    return blend(outcomes, scoring, of, Deadline.after(600))


def numbers(found: Blend) -> list[int]:
    """Of the members' trials."""
    return [one.spec.number for one in found.outcomes]


# ------------------------------------------------------------------------------------------------------- selection


@pytest.mark.parametrize("metric", METRIC_NAMES)
@given(seed=st.integers(0, 1000), trials=st.integers(1, 9), most=st.integers(1, 5))
@settings(max_examples=12)
def test_the_blend_is_at_least_as_good_as_the_best_single_trial(metric: str, seed: int, trials: int, most: int) -> None:
    """On the validated rows; weights are positive, sum to 1, heaviest first, of at most so many members."""
    outcomes, scoring = random_trials(metric, seed, trials)
    mixed = choose(outcomes, scoring, pricing(most_members=most))
    best = min(scoring.loss(one.valid) for one in outcomes if one.valid is not None)
    assert scoring.metric.loss(mixed.score) <= best + 1e-12
    assert mixed.score == pytest.approx(scoring.score(mixed.valid))
    assert mixed.latency_us == pytest.approx(FREE.of(mixed.outcomes))
    assert sum(mixed.weights) == pytest.approx(1.0)
    assert all(weight > 0 for weight in mixed.weights)
    assert list(mixed.weights) == sorted(mixed.weights, reverse=True)
    assert len(mixed.outcomes) == len(mixed.weights) <= most
    assert len(set(numbers(mixed))) == len(mixed.outcomes)


@pytest.mark.parametrize("metric", METRIC_NAMES)
@given(seed=st.integers(0, 1000), trials=st.integers(1, 9), limit_us=st.floats(15, 300))
@settings(max_examples=12)
def test_no_blend_is_slower_than_the_limit(metric: str, seed: int, trials: int, limit_us: float) -> None:
    """And none is worse than the best single trial within it; if there is none, the fastest trial of all is taken."""
    outcomes, scoring = random_trials(metric, seed, trials)
    mixed = choose(outcomes, scoring, pricing(limit_us=limit_us))
    fitting = [one for one in outcomes if FREE.of([one]) <= limit_us]
    assert mixed.fits == bool(fitting)
    if fitting:
        assert mixed.latency_us <= limit_us
        best = min(scoring.loss(one.valid) for one in fitting if one.valid is not None)
        assert scoring.metric.loss(mixed.score) <= best + 1e-12
    else:
        assert mixed.latency_us == min(FREE.of([one]) for one in outcomes)
        assert len(mixed.outcomes) == 1


@given(seed=st.integers(0, 1000), trials=st.integers(2, 8), price=st.floats(1e-6, 1e-2))
@settings(max_examples=20)
def test_a_worse_score_than_the_best_trials_is_paid_for_by_latency(seed: int, trials: int, price: float) -> None:
    """By no more than the price of what is saved, in units of the gap to a constant guess."""
    outcomes, scoring = random_trials("rmse", seed, trials)
    mixed = choose(outcomes, scoring, pricing(price))
    best = min(outcomes, key=lambda one: scoring.loss(one.valid) if one.valid is not None else np.inf)
    constant = scoring.loss(np.full((60, 1), scoring.unit.scale(scoring.y).mean()))
    least = scoring.metric.loss(best.trial.score or 0.0)
    gap = max(constant - least, 1e-3 * abs(least))
    assert scoring.metric.loss(mixed.score) - least <= price * gap * (FREE.of([best]) - mixed.latency_us) + 1e-9


@pytest.mark.parametrize("metric", ["rmse", "roc_auc", "mae"])
@given(seed=st.integers(0, 1000), order=st.permutations(range(7)))
@settings(max_examples=12)
def test_the_order_of_the_trials_does_not_matter(metric: str, seed: int, order: list[int]) -> None:
    """They are ranked first."""
    outcomes, scoring = random_trials(metric, seed, 7)
    one, other = choose(outcomes, scoring), choose([outcomes[index] for index in order], scoring)
    assert (numbers(one), one.weights, one.score) == (numbers(other), other.weights, other.score)


def test_opposite_errors_are_averaged_away() -> None:
    """Two trials that err by +1 and -1: half of each is exact."""
    y = np.arange(10.0)
    outcomes, scoring = of_values(y, [y + 1, y - 1, y + 9], [20.0] * 3)
    mixed = choose(outcomes, scoring)
    assert sorted(numbers(mixed)) == [0, 1]
    assert mixed.weights == (0.5, 0.5)
    assert mixed.score == pytest.approx(0, abs=1e-7)
    assert mixed.test[:, 0].tolist() == pytest.approx(y.tolist())
    assert mixed.latency_us == 10 + 5 + 20 + 20


def test_a_trial_that_adds_nothing_is_left_out() -> None:
    """Twins of the best, though they cost nothing, and what is only worse."""
    y = np.arange(10.0)
    noisy = y + np.tile([1.0, -1.0], 5)
    outcomes, scoring = of_values(y, [noisy, noisy.copy(), noisy.copy(), y * 0], [0.0] * 4)
    mixed = choose(outcomes, scoring)
    assert (numbers(mixed), mixed.weights) == ([0], (1.0,))


def test_a_member_has_to_earn_the_price_of_its_latency() -> None:
    """The second halves an error of 0.1; the gap to the mean's 2.87 is 2.77, so it gains 0.018 of it."""
    y = np.arange(10.0)
    first, second = y + 0.1, y + 0.1 * np.tile([1.0, -1.0], 5)
    outcomes, scoring = of_values(y, [first, second], [20.0, 20.0])
    assert len(choose(outcomes, scoring, pricing(1e-4)).outcomes) == 2
    assert len(choose(outcomes, scoring, pricing(1e-2)).outcomes) == 1


@pytest.mark.parametrize(("latency_us", "members"), [(25.0, 2), (60.0, 1)])
def test_a_microsecond_may_cost_more_beyond_seventy(latency_us: float, members: int) -> None:
    """The same two take 10 + 5 + 2 · 25 us together, or 2 · 60; the second is worth 0.018 of the gap."""
    y = np.arange(10.0)
    predictions = [y + 0.1, y + 0.1 * np.tile([1.0, -1.0], 5)]
    outcomes, scoring = of_values(y, predictions, [latency_us, latency_us])
    dear = Pricing(Quality(8, price=1e-4, price_beyond=1e-3), LATENCY)
    assert len(choose(outcomes, scoring, dear).outcomes) == members


def test_a_slow_trial_makes_way_for_fast_ones_that_together_do_the_same() -> None:
    """The best trial saves 0.2% of the gap of 2.87, and takes 1% of it in latency."""
    y = np.arange(10.0)
    outcomes, scoring = of_values(y, [y + 0.001, y + 0.01, y - 0.01], [1000.0, 20.0, 20.0])
    mixed = choose(outcomes, scoring, pricing(1e-5))
    assert sorted(numbers(mixed)) == [1, 2]
    assert mixed.weights == (0.5, 0.5)


def test_features_that_members_share_are_counted_once() -> None:
    """A second linear model costs its own nodes; a first one beside trees costs its features too."""
    y = np.arange(10.0)
    scoring = Scoring(METRICS["rmse"], y, None, (slice(0, 10),), Unit())
    errors = np.tile([1.0, -1.0], 5)
    linear = [outcome(n, (y + e).reshape(-1, 1), scoring, 2.0, CANDIDATES[1]) for n, e in enumerate((errors, -errors))]
    trees = outcome(2, (y - errors).reshape(-1, 1), scoring, 2.0, CANDIDATES[0])
    assert choose(linear, scoring).latency_us == 10 + 8 + 2 + 2
    assert choose([linear[0], trees], scoring).latency_us == 10 + 8 + 2 + 5 + 2


def test_models_that_are_kept_for_each_fold_cost_that_often() -> None:
    """Five models, and five plans, for one member."""
    y = np.arange(10.0)
    outcomes, scoring = of_values(y, [y + 1], [20.0])
    kept = Pricing(QUALITIES["best"], Latency(10.0, {"trees": 5.0}, models=5))
    assert choose(outcomes, scoring, kept).latency_us == 10 + 5 * (5 + 20)


def test_one_fast_model_is_the_best_for_its_price() -> None:
    """Quality `fast`: not the best by a hair, which is slow, and not the fastest, which is worse."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    noise = rng.normal(size=400)
    predictions = [y + 0.50 * noise, y + 0.501 * noise, y + 0.502 * noise, y + 0.8 * noise]
    outcomes, scoring = of_values(y, predictions, [90.0, 30.0, 60.0, 1.0])
    assert numbers(choose(outcomes, scoring, Pricing(QUALITIES["fast"], LATENCY))) == [1]
    assert numbers(choose(outcomes, scoring, pricing(most_members=1))) == [0]


def test_more_rows_than_are_compared_give_the_score_of_all() -> None:
    """Averages are compared on a sample; the blend's score is not."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=60_000)
    outcomes, scoring = of_values(y, [y + rng.normal(size=60_000) for _ in range(3)], [20.0] * 3)
    mixed = choose(outcomes, scoring)
    assert len(mixed.outcomes) == 3
    assert mixed.score == scoring.score(mixed.valid)


def test_a_single_trial_is_a_blend_of_itself() -> None:
    """With weight 1 and its own score."""
    outcomes, _ = of_values(np.array([0.0, 1.0]), [np.array([0.25, 0.75])], [30.0])
    mixed = single(outcomes[0], pricing(limit_us=40.0))
    assert (numbers(mixed), mixed.weights, mixed.score) == ([0], (1.0,), 0.25)
    assert mixed.valid.tolist() == [[0.25], [0.75]]
    assert (mixed.latency_us, mixed.fits) == (45.0, False)


# ------------------------------------------------------------------------------------------------------------ time


def test_without_time_the_best_single_trial_is_taken() -> None:
    """Of those within the limit, by the scores that are known: no metric is called."""
    y = np.arange(10.0)
    outcomes, scoring = of_values(y, [y + 2, y + 1, y - 1], [10.0, 20.0, 20.0])

    def never(y: Values, predicted: Values) -> float:
        raise AssertionError("called")

    own = Metric("own", never, "value", greater_is_better=False)
    scoring = Scoring(own, scoring.y, None, scoring.slices, scoring.unit)
    assert numbers(blend(outcomes, scoring, FREE, Deadline.after(0))) == [1]
    assert numbers(blend(outcomes, scoring, pricing(limit_us=30.0), Deadline.after(0))) == [0]


def test_a_slow_metric_is_called_no_more_often_than_there_is_time_for() -> None:
    """20 ms a call and half a second: at most 25 calls."""
    calls = 0

    def slow(y: Values, predicted: Values) -> float:
        nonlocal calls
        calls += 1
        time.sleep(0.02)
        return float(np.abs(y - predicted).mean())

    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    outcomes, scoring = of_values(y, [y + rng.normal(size=50) for _ in range(20)], [20.0] * 20)
    own = Metric("slow", slow, "value", greater_is_better=False)
    found = blend(outcomes, Scoring(own, y, None, scoring.slices, Unit()), FREE, Deadline.after(0.5))
    assert found.outcomes
    assert 1 < calls <= 25


def test_a_metric_that_refuses_constants_is_obeyed_all_the_same() -> None:
    """A correlation has no value for the constant guess, which the price is told by."""

    def correlation(y: Values, predicted: Values) -> float:
        if np.ptp(predicted) == 0:
            raise ValueError("constant")
        return float(np.corrcoef(y, predicted)[0, 1])

    y = np.arange(10.0)
    errors = np.tile([1.0, -1.0], 5)
    own = Metric("correlation", correlation, "value", greater_is_better=True)
    scoring = Scoring(own, y, None, (slice(0, 10),), Unit())
    outcomes = [outcome(number, (y + error).reshape(-1, 1), scoring) for number, error in enumerate((errors, -errors))]
    assert choose(outcomes, scoring, pricing(1e-4)).score == pytest.approx(1.0)


# -------------------------------------------------------------------------------------------------------- frontier


@pytest.mark.parametrize("metric", ["rmse", "roc_auc", "mae"])
@given(seed=st.integers(0, 1000), trials=st.integers(1, 9), price=st.sampled_from([0.0, 1e-4, 1e-2]))
@settings(max_examples=12)
def test_each_point_of_the_frontier_is_slower_and_better_than_the_last(
    metric: str, seed: int, trials: int, price: float
) -> None:
    """The chosen blend is one of them."""
    outcomes, scoring = random_trials(metric, seed, trials)
    chosen = choose(outcomes, scoring, pricing(price))
    points = frontier(outcomes, scoring, pricing(price), chosen, Deadline.after(600))
    latencies_us = [point.latency_us for point in points]
    losses = [scoring.metric.loss(point.score) for point in points]
    assert latencies_us == sorted(set(latencies_us))
    assert losses == sorted(set(losses), reverse=True)
    assert [(point.latency_us, point.score) for point in points if point.chosen] == [(chosen.latency_us, chosen.score)]
    for point in points:
        assert sum(member.weight for member in point.members) == pytest.approx(1.0)


def test_the_frontier_goes_from_the_fastest_trial_to_the_best_blend() -> None:
    """A fast and poor one, a slow and good one, and their average with a third."""
    y = np.arange(10.0)
    errors = np.tile([1.0, -1.0], 5)
    outcomes, scoring = of_values(y, [y + 3, y + errors, y - errors], [1.0, 50.0, 60.0])
    chosen = choose(outcomes, scoring, pricing(limit_us=70.0))
    points = frontier(outcomes, scoring, pricing(limit_us=70.0), chosen, Deadline.after(600))
    assert [(point.latency_us, [m.trial for m in point.members], point.chosen) for point in points] == [
        (16.0, [0], False),
        (65.0, [1], True),
        (125.0, [1, 2], False),
    ]
    assert frontier_frame(points).select("latency_us", "members", "chosen").rows() == [
        (16.0, "1.00 lightgbm #0", False),
        (65.0, "1.00 lightgbm #1", True),
        (125.0, "0.50 lightgbm #1 + 0.50 lightgbm #2", False),
    ]


def test_a_frontier_without_points_has_the_columns_all_the_same() -> None:
    """A run that ended before there was anything to choose from."""
    empty = {"latency_us": pl.Float64, "score": pl.Float64, "members": pl.String, "chosen": pl.Boolean}
    assert frontier_frame([]).schema == pl.Schema(empty)
