"""The search tries families in turn, obeys its deadline, and outlives candidates that fail."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from autopilot.candidates import DEFAULT_CANDIDATES, Candidate
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.linear import Linear
from autopilot.deadline import Deadline
from autopilot.events import Event, TrialEnded, TrialStarted
from autopilot.metrics import METRICS
from autopilot.search.folds import divide
from autopilot.search.matrices import Matrices
from autopilot.search.search import Search
from autopilot.search.space import ContinuousParameter, Params, Space
from autopilot.search.trial import Outcome, Spec, evaluate
from autopilot.table.infer import infer
from tests import tables

TABLE = infer(tables.mixed(200).drop("note"), "paid")


class Tuned(Linear):
    """A linear model whose one parameter is a waste of time."""

    name = "tuned"

    def __init__(self, *, seconds: float = 0.0, error: Exception | None = None, value: float | None = None) -> None:
        self._seconds, self._error, self._value = seconds, error, value

    def space(self, problem: Problem) -> Space:
        return {"penalty": ContinuousParameter(0.1, 10.0)}

    def points(self, problem: Problem) -> list[Params]:
        return [{"penalty": 1.0}, {"penalty": 2.0}]

    def fit(self, job: Job) -> Fitted:
        time.sleep(min(self._seconds, job.deadline.left_s))
        if self._error is not None:
            raise self._error
        fitted = super().fit(job)
        return fitted if self._value is None else _Constant(self._value)


class _Constant:
    rounds = 0

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, X: Any) -> Any:
        return np.full((len(X), 2), self._value)

    def emit(self, g: Any, features: str) -> str:
        raise NotImplementedError


def searched(
    *candidates: Candidate, budget_s: float = 3.0, workers: int = 2, seed: int = 0, events: list[Event] | None = None
) -> Search:
    """A search of the mixed table that has ended."""
    matrices = Matrices(TABLE, divide(TABLE.y, 1, 60, seed), seed)
    observe = (events if events is not None else []).append
    deadline = Deadline.after(budget_s)
    search = Search(candidates, matrices, METRICS["roc_auc"], deadline, budget_s, seed, observe)
    with ThreadPoolExecutor(workers) as executor:
        search.run(executor, workers)
    return search


def test_it_ends_by_its_deadline_with_a_candidate_that_takes_all_time_it_gets() -> None:
    """And has set aside the time for refit and export."""
    began = time.monotonic()
    search = searched(Baseline(), Tuned(seconds=60), budget_s=4.0)
    assert time.monotonic() - began < 4.0
    assert {outcome.spec.candidate.name for outcome in search.outcomes} == {"baseline", "tuned"}
    assert search.reserve_s() >= 1.0


def test_each_family_is_tried_and_the_best_come_first() -> None:
    """Complete outcomes are sorted by their scores."""
    search = searched(*DEFAULT_CANDIDATES, budget_s=5.0)
    scores = [outcome.trial.score for outcome in search.complete]
    assert scores == sorted(scores, reverse=True)
    assert {outcome.spec.candidate.name for outcome in search.outcomes} >= {"baseline", "linear", "lightgbm"}
    assert scores[0] > 0.7


def test_listed_points_are_tried_before_others() -> None:
    """Those of the space come after."""
    search = searched(Tuned(), budget_s=4.0, workers=1)
    penalties = [outcome.spec.params["penalty"] for outcome in search.outcomes]
    assert penalties[:2] == [1.0, 2.0]
    assert len(penalties) > 2
    assert not {1.0, 2.0} & set(penalties[2:])


def test_numbers_events_and_outcomes_belong_together() -> None:
    """Each trial is told when it starts and when it ends."""
    events: list[Event] = []
    search = searched(Baseline(), Tuned(), budget_s=2.5, events=events)
    started = [event.number for event in events if isinstance(event, TrialStarted)]
    ended = [event.trial.number for event in events if isinstance(event, TrialEnded)]
    assert started == list(range(len(search.outcomes)))
    assert sorted(ended) == started
    best = [event.best for event in events if isinstance(event, TrialEnded) and event.best is not None]
    assert best == sorted(best)


def test_a_candidate_that_raises_is_a_failed_trial_with_the_reason() -> None:
    """It is given up after some; the others go on."""
    search = searched(Baseline(), Tuned(error=ValueError("no such luck")), budget_s=2.5)
    failed = [outcome for outcome in search.outcomes if outcome.trial.status == "failed"]
    assert {outcome.trial.reason for outcome in failed} == {"ValueError: no such luck"}
    assert 1 <= len(failed) <= 10
    assert all(outcome.trial.score is None and outcome.valid is None for outcome in failed)
    assert [outcome.spec.candidate.name for outcome in search.complete] == ["baseline"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_are_a_failed_trial(value: float) -> None:
    """They would poison an average."""
    search = searched(Baseline(), Tuned(value=value), budget_s=2.5)
    reasons = {outcome.trial.reason for outcome in search.outcomes if outcome.trial.status == "failed"}
    assert reasons == {"FloatingPointError: it predicted values that are not finite"}


def test_a_family_without_parameters_is_tried_once() -> None:
    """There is nothing to vary."""
    search = searched(Baseline(), budget_s=2.5)
    assert [outcome.spec.candidate.name for outcome in search.outcomes] == ["baseline"]


def test_there_is_a_model_even_when_the_time_is_over_already() -> None:
    """The constant guess takes none."""
    search = searched(*DEFAULT_CANDIDATES, budget_s=0.0)
    assert [outcome.spec.candidate.name for outcome in search.complete] == ["baseline"]


def test_candidates_that_do_not_apply_are_left_out() -> None:
    """They say so themselves."""

    class Never(Tuned):
        name = "never"

        def applies(self, problem: Problem) -> bool:
            return False

    search = searched(Baseline(), Never(), budget_s=2.5)
    assert {outcome.spec.candidate.name for outcome in search.outcomes} == {"baseline"}


# ------------------------------------------------------------------------------------------------------- trials


def evaluated(candidate: Candidate, race: Any = lambda losses: False, seconds: float = 60.0) -> Outcome:
    """One trial over five folds."""
    matrices = Matrices(TABLE, divide(TABLE.y, 1, 60, 0), 0)
    spec = Spec(0, candidate, {"penalty": 1.0}, 0)
    return evaluate(spec, matrices, METRICS["roc_auc"], Deadline.after(seconds), race)


def test_a_complete_trial_predicts_each_searched_row_once_out_of_fold() -> None:
    """Its score is that of all of them; test rows are averaged over the folds."""
    outcome = evaluated(Linear())
    matrices = Matrices(TABLE, divide(TABLE.y, 1, 60, 0), 0)
    assert outcome.trial.status == "completed"
    assert outcome.valid is not None
    assert outcome.test is not None
    assert outcome.valid.shape == (len(matrices.folds.search), 2)
    assert outcome.test.shape == (len(matrices.folds.test), 2)
    y = TABLE.y[matrices.folds.validated]
    assert outcome.trial.score == METRICS["roc_auc"].score(y, outcome.valid)
    assert len(outcome.trial.fold_scores) == len(outcome.fold_losses) == 5
    assert [-loss for loss in outcome.fold_losses] == list(outcome.trial.fold_scores)


def test_a_trial_that_loses_the_race_stops_after_the_first_folds() -> None:
    """It is `raced`, with the mean of what it has, and takes no part in ensembles."""
    outcome = evaluated(Linear(), race=lambda losses: len(losses) == 2)
    assert (outcome.trial.status, outcome.trial.reason) == ("raced", "behind the best on the first folds")
    assert len(outcome.trial.fold_scores) == 2
    assert outcome.trial.score == pytest.approx(np.mean(outcome.trial.fold_scores))
    assert outcome.valid is None


def test_a_trial_that_runs_out_of_time_stops_between_folds() -> None:
    """After at least one, where a candidate cannot look at the clock."""

    class Stubborn(Tuned):
        def fit(self, job: Job) -> Fitted:
            time.sleep(0.05)
            return super().fit(job)

    outcome = evaluated(Stubborn(), seconds=0.12)
    assert (outcome.trial.status, outcome.trial.reason) == ("raced", "out of time")
    assert 1 <= len(outcome.trial.fold_scores) < 5


def test_a_trial_that_fails_in_a_later_fold_keeps_the_scores_before() -> None:
    """And its reason, cut to 500 characters."""

    class Fails(Tuned):
        calls = 0

        def fit(self, job: Job) -> Fitted:
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("x" * 1000)
            return super().fit(job)

    outcome = evaluated(Fails())
    assert outcome.trial.status == "failed"
    assert len(outcome.trial.fold_scores) == 2
    assert outcome.trial.reason is not None
    assert len(outcome.trial.reason) == 500
