"""The search tries the portfolio, then what is expected to gain most, obeys its deadline, and outlives failures."""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autopilot.candidates import Candidate
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.deadline import Deadline
from autopilot.events import Event, Note, TrialEnded, TrialStarted
from autopilot.metrics import METRICS
from autopilot.search.folds import Fold, Folds, Scheme
from autopilot.search.kept import Kept
from autopilot.search.portfolio import Entry
from autopilot.search.search import Search
from autopilot.search.space import ContinuousParameter, Params, Space
from autopilot.search.strategy import Strategy
from autopilot.search.study import Study
from autopilot.search.trial import Outcome
from autopilot.table.infer import infer
from autopilot.workers import open_workers
from tests import tables

TABLE = infer(tables.mixed(200).drop("note"), "paid")
ROWS = np.random.default_rng(3).permutation(200)
FOLDS = Folds(
    search=np.sort(ROWS[40:]),
    test=np.sort(ROWS[:40]),
    folds=tuple(
        Fold(np.sort(np.delete(ROWS[40:], range(32 * k, 32 * k + 32))), np.sort(ROWS[40 + 32 * k : 72 + 32 * k]))
        for k in range(5)
    ),
    scheme=Scheme("k-fold", 5),
)
STUDY = Study.of(TABLE, FOLDS, METRICS["roc_auc"], 0)

USUAL = Strategy()


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
    folder: Path,
    *candidates: Candidate,
    budget_s: float = 60.0,
    workers: int = 2,
    strategy: Strategy = USUAL,
    events: list[Event] | None = None,
    gains: list[bool] | None = None,
    study: Study = STUDY,
    call_s: float = 0.0,
    past: Sequence[Event] = (),
) -> Search:
    """A search of the mixed table that has ended.

    gains: what it is told of the ensemble, taken out one by one. past: events of a process before.
    """
    folder = Path(tempfile.mkdtemp(dir=folder))
    (folder / "study").mkdir()
    study.save(folder / "study")
    problem = study.problem(128)
    entries = [Entry(one.name, point) for one in candidates for point in one.points(problem)]
    observe = (events if events is not None else []).append
    left = [] if gains is None else gains
    with open_workers(ThreadPoolExecutor(workers), workers, None) as opened:
        shared, kept = opened.share(folder / "study"), Kept(folder)
        until = Deadline.after(budget_s)
        search = Search(study, shared, kept, candidates, entries, opened, until, strategy, observe, call_s=call_s)
        search.restore(past)
        search.run(lambda outcomes: 0.5, lambda outcomes: left.pop(0) if left else True)
    return search


def named(search: Search) -> list[str]:
    """The candidates of all trials, in the order in which they ended."""
    return [outcome.spec.candidate.name for outcome in search.outcomes]


def test_it_ends_by_its_deadline_with_a_candidate_that_takes_all_time_it_gets(tmp_path: Path) -> None:
    """And leaves the time that was reserved."""
    began = time.monotonic()
    search = searched(tmp_path, Baseline(), Tuned(seconds=60), budget_s=6.0)
    assert time.monotonic() - began < 6.0
    assert set(named(search)) == {"baseline", "tuned"}


@pytest.mark.parametrize(("call_s", "asked"), [(0.0, 1), (10.0, 0)])
def test_a_metric_that_takes_all_time_is_not_asked_for_more_than_the_trials_score(
    tmp_path: Path, call_s: float, asked: int
) -> None:
    """To choose an ensemble takes four calls, and a score on the test rows one more: of 30 s these are too many."""
    gains = [True]
    search = searched(tmp_path, Baseline(), budget_s=30.0, gains=gains, call_s=call_s)
    assert len(gains) == 1 - asked
    (guess,) = search.complete
    assert guess.trial.score is not None
    slow = searched(tmp_path, Baseline(), budget_s=30.0, call_s=40.0)
    assert [outcome.trial.test_score for outcome in slow.complete] == [None]


@pytest.mark.slow
def test_each_family_is_tried_and_the_best_come_first(tmp_path: Path) -> None:
    """Complete outcomes are sorted by their scores."""
    search = searched(tmp_path, Baseline(), Linear(), LightGBM(), ExtraTrees(), strategy=Strategy(tpe=False))
    scores = [outcome.trial.score for outcome in search.complete]
    assert scores == sorted(scores, reverse=True)
    assert set(named(search)) == {"baseline", "linear", "lightgbm", "extra_trees"}
    assert scores[0] > 0.7


def test_the_portfolio_is_tried_in_its_order_before_anything_else(tmp_path: Path) -> None:
    """Suggestions come after."""
    search = searched(tmp_path, Tuned(), workers=1, strategy=Strategy(max_trials=6))
    penalties = [outcome.spec.params["penalty"] for outcome in search.outcomes]
    assert penalties[:2] == [1.0, 2.0]
    assert len(penalties) == 6
    assert not {1.0, 2.0} & set(penalties[2:])


def test_without_tuning_only_the_portfolio_is_tried(tmp_path: Path) -> None:
    """And without a portfolio each family begins with its first point."""
    alone = searched(tmp_path, Tuned(), workers=1, strategy=Strategy(tpe=False))
    assert [outcome.spec.params["penalty"] for outcome in alone.outcomes] == [1.0, 2.0]
    first = searched(tmp_path, Tuned(), workers=1, strategy=Strategy(portfolio=False, max_trials=3))
    penalties = [outcome.spec.params["penalty"] for outcome in first.outcomes]
    assert penalties[0] == 1.0
    assert 2.0 not in penalties


def test_numbers_events_and_outcomes_belong_together(tmp_path: Path) -> None:
    """Each trial is told when it starts and when it ends."""
    events: list[Event] = []
    search = searched(tmp_path, Baseline(), Tuned(), strategy=Strategy(max_trials=12), events=events)
    started = [event.number for event in events if isinstance(event, TrialStarted)]
    ended = [event.trial.number for event in events if isinstance(event, TrialEnded)]
    assert started == list(range(len(search.outcomes)))
    assert sorted(ended) == started
    best = [event.best for event in events if isinstance(event, TrialEnded) and event.best is not None]
    assert best == sorted(best)


def test_it_ends_early_when_the_ensemble_has_stopped_to_gain(tmp_path: Path) -> None:
    """After the portfolio, and says so."""
    events: list[Event] = []
    gains = [True, True] + [False] * 99
    began = time.monotonic()
    search = searched(tmp_path, Tuned(), budget_s=60.0, strategy=Strategy(patience=5), gains=gains, events=events)
    assert time.monotonic() - began < 30
    assert 7 <= len(search.outcomes) <= 9
    notes = [event.message for event in events if isinstance(event, Note)]
    assert notes == ["The last 5 trials did not improve the ensemble: the search ends early."]


def test_a_candidate_that_raises_is_a_failed_trial_with_the_reason(tmp_path: Path) -> None:
    """It is given up after some; the others go on."""
    search = searched(tmp_path, Baseline(), Tuned(error=ValueError("no such luck")))
    failed = [outcome for outcome in search.outcomes if outcome.trial.status == "failed"]
    assert {outcome.trial.reason for outcome in failed} == {"ValueError: no such luck"}
    assert 1 <= len(failed) <= 5
    assert all(outcome.trial.score is None and outcome.valid is None for outcome in failed)
    assert [outcome.spec.candidate.name for outcome in search.complete] == ["baseline"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_are_a_failed_trial(tmp_path: Path, value: float) -> None:
    """They would poison an average."""
    search = searched(tmp_path, Baseline(), Tuned(value=value))
    reasons = {outcome.trial.reason for outcome in search.outcomes if outcome.trial.status == "failed"}
    assert reasons == {"FloatingPointError: it predicted values that are not finite"}


def test_a_family_without_parameters_is_tried_once(tmp_path: Path) -> None:
    """There is nothing to vary."""
    assert named(searched(tmp_path, Baseline())) == ["baseline"]


def test_candidates_that_do_not_apply_are_left_out(tmp_path: Path) -> None:
    """They say so themselves."""

    class Never(Tuned):
        name = "never"

        def applies(self, problem: Problem) -> bool:
            return False

    assert set(named(searched(tmp_path, Baseline(), Never()))) == {"baseline"}


def test_a_trial_that_is_far_behind_on_the_first_fold_is_given_up(tmp_path: Path) -> None:
    """It is `raced`, with the score of what it has; without racing it goes to the end."""

    class Guess(Tuned):
        name = "guess"

        def fit(self, job: Job) -> Fitted:
            return super().fit(job) if job.params["penalty"] == 1.0 else Baseline().fit(job)

    search = searched(tmp_path, Baseline(), Linear(), Guess(), workers=1, strategy=Strategy(tpe=False))
    raced = [one for one in search.outcomes if (one.trial.status, one.trial.candidate) == ("raced", "guess")]
    assert [outcome.spec.params["penalty"] for outcome in raced] == [2.0]
    assert len(raced[0].trial.fold_scores) < 5
    assert raced[0].trial.score == 0.5
    assert raced[0].valid is None
    patient = Strategy(racing=False, tpe=False)
    assert "raced" not in {
        one.trial.status for one in searched(tmp_path, Baseline(), Guess(), strategy=patient).outcomes
    }


@pytest.mark.parametrize(("racing", "tried"), [(True, 5), (False, 9)])
def test_a_family_that_stays_far_behind_on_a_holdout_is_given_up(tmp_path: Path, racing: bool, tried: int) -> None:
    """There is no second fold to be spared, but further trials are: not all of its points are tried."""

    class Guess(Tuned):
        name = "guess"

        def points(self, problem: Problem) -> list[Params]:
            return [{"penalty": float(number)} for number in range(1, 10)]

        def fit(self, job: Job) -> Fitted:
            return Baseline().fit(job)

    holdout = Folds(FOLDS.search, FOLDS.test, FOLDS.folds[:1], Scheme("holdout", 1))
    study = Study.of(TABLE, holdout, METRICS["roc_auc"], 0)
    strategy = Strategy(racing=racing, tpe=False)
    search = searched(tmp_path, Baseline(), Linear(), Guess(), workers=1, strategy=strategy, study=study)
    assert named(search).count("guess") == tried


def complete(search: Search) -> Outcome:
    """The best that is no constant guess."""
    return next(outcome for outcome in search.complete if outcome.spec.candidate.name != "baseline")


def test_a_complete_trial_predicts_each_searched_row_out_of_fold(tmp_path: Path) -> None:
    """Its score is the mean of its folds by their rows; test rows are averaged over the folds, and scored beside."""
    outcome = complete(searched(tmp_path, Baseline(), Linear(), strategy=Strategy(tpe=False)))
    assert outcome.valid is not None
    assert outcome.test is not None
    assert outcome.valid.shape == (160, 2)
    assert outcome.test.shape == (40, 2)
    y = TABLE.y[FOLDS.validated]
    folds = [METRICS["roc_auc"].score(y[rows], outcome.valid[rows]) for rows in FOLDS.slices]
    assert outcome.trial.fold_scores == pytest.approx(folds)
    assert outcome.trial.score == pytest.approx(np.mean(folds))
    assert [-loss for loss in outcome.fold_losses] == list(outcome.trial.fold_scores)
    assert outcome.trial.test_score == METRICS["roc_auc"].score(TABLE.y[FOLDS.test], outcome.test)


def test_forests_are_scored_out_of_bag(tmp_path: Path) -> None:
    """One training on all searched rows, whose predictions stand where those of folds would."""
    outcome = complete(searched(tmp_path, Baseline(), ExtraTrees(), strategy=Strategy(tpe=False)))
    assert outcome.is_out_of_bag
    assert outcome.valid is not None
    assert outcome.valid.shape == (160, 2)
    y = TABLE.y[FOLDS.validated]
    folds = [METRICS["roc_auc"].score(y[rows], outcome.valid[rows]) for rows in FOLDS.slices]
    assert outcome.trial.fold_scores == pytest.approx(folds)


def test_a_trial_that_fails_in_a_later_fold_keeps_the_scores_before(tmp_path: Path) -> None:
    """And its reason, cut to 500 characters."""

    class Fails(Tuned):
        def fit(self, job: Job) -> Fitted:
            if np.array_equal(job.y_valid, TABLE.y[FOLDS.folds[2].valid]):
                raise RuntimeError("x" * 1000)
            return super().fit(job)

    search = searched(tmp_path, Baseline(), Fails(), workers=1, strategy=Strategy(max_trials=2))
    failed = next(outcome for outcome in search.outcomes if outcome.trial.status == "failed")
    assert len(failed.trial.fold_scores) == 2
    assert failed.trial.reason is not None
    assert len(failed.trial.reason) == 500


def test_trials_of_which_a_kill_left_nothing_are_done_again_and_others_come_after_them(tmp_path: Path) -> None:
    """As many as there are workers were in their first part: they are not tried twice, and do not end the search."""
    past = [TrialStarted(number, "tuned", {"penalty": float(number + 1)}) for number in range(2)]
    search = searched(tmp_path, Tuned(), budget_s=20.0, strategy=Strategy(max_trials=4, racing=True), past=past)
    tried = {outcome.spec.number: outcome for outcome in search.outcomes}
    assert sorted(tried) == [0, 1, 2, 3]
    assert {tried[number].trial.status for number in range(2)} == {"completed"}
    assert [tried[number].spec.params["penalty"] for number in range(2)] == [1.0, 2.0]
