"""A run as a whole: a valid model from the start, limits that are kept, and what a user may ask for."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import autopilot
from autopilot.candidates.candidate import Fitted, Job
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear
from autopilot.events import Event, Note, TrialEnded
from autopilot.result import Result
from storage.errors import FailureError, InputError, UnknownNameError
from storage.store import Store
from tests import tables
from tests.autopilot.workers.cluster import Cluster
from tests.processes import ROOT

FEW: Any = ["linear", "lightgbm", "extra_trees"]


def fitted(store: Path, target: str = "paid", frame: pl.DataFrame | None = None, **options: Any) -> Result:
    """A run on the mixed table that ends after a few trials, long before its budget."""
    table = tables.mixed(600).drop("note") if frame is None else frame
    return autopilot.fit(
        table, target, name="run", store=store, **{"budget": 60, "max_trials": 5, "progress": False, **options}
    )


def statuses(result: Result) -> dict[str, set[str]]:
    """What became of the trials of each candidate."""
    found: dict[str, set[str]] = {}
    for trial in result.trials:
        found.setdefault(trial.candidate, set()).add(trial.status)
    return found


def notes(events: list[Event]) -> list[str]:
    """What was told in words."""
    return [event.message for event in events if isinstance(event, Note)]


def test_a_valid_model_is_registered_before_anything_is_tried(tmp_path: Path) -> None:
    """The constant guess; what is found later takes its place under the same number."""
    early: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, TrialEnded) and not early:
            early.extend(member.candidate for member in Store.open(tmp_path).models.get("run:1").card.members)

    found = fitted(tmp_path, candidates=FEW, progress=look)
    assert early == ["baseline"]
    assert (found.best.version, len(found.store.models.list())) == (1, 1)
    assert {member.candidate for member in found.best.card.members} <= set(FEW)
    assert found.metrics.test_score > found.metrics.baseline_score


def test_a_run_that_is_killed_leaves_a_model_that_predicts(tmp_path: Path) -> None:
    """kill -9 in the middle of the search; no process of it stays."""
    script = (
        "import autopilot\nfrom tests import tables\n"
        f"autopilot.fit(tables.mixed(2000), 'paid', name='run', budget=60, store={str(tmp_path)!r}, progress=False)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for_model(tmp_path)
        run.send_signal(signal.SIGKILL)
    finally:
        run.kill()
        run.wait()
    predicted = autopilot.load("run", store=tmp_path).predict(tables.mixed(5).drop("paid"))
    assert predicted.columns == ["label", "p_no", "p_yes"]
    assert Store.open(tmp_path).runs.list()[0].status == "running"


def wait_for_model(store: Path) -> None:
    """Until a run has registered something."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            Store.open(store).models.get("run")
        except UnknownNameError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("no model was registered")


class Deaf(Linear):
    """Never looks at its deadline, as native code may."""

    name = "deaf"

    def fit(self, job: Job) -> Fitted:
        time.sleep(1000)
        return super().fit(job)


class Hungry(Linear):
    """Takes a gigabyte."""

    name = "hungry"

    def fit(self, job: Job) -> Fitted:
        taken = np.ones(2**27)
        fitted = super().fit(job)
        return fitted if taken.sum() else self.fit(job)


class Slow(LightGBM):
    """Takes all the time it gets to begin with, where it trains on all rows."""

    def __init__(self) -> None:
        super().__init__("slow")

    def fit(self, job: Job) -> Fitted:
        if job.X_valid is None:
            time.sleep(job.deadline.left_s)
        return super().fit(job)


@pytest.mark.slow
def test_a_refit_that_the_time_cuts_short_is_told(tmp_path: Path) -> None:
    """The model is there, with fewer rounds than the search found best."""
    events: list[Event] = []
    fitted(tmp_path, candidates=[Slow()], budget=25, quality="fast", progress=events.append)
    words = re.compile(r"slow #\d+ was trained on all rows for 1 rounds of \d+: there was no more time")
    assert any(words.search(told) for told in notes(events))


class Long(Linear):
    """Takes more of the time than a refit is worth."""

    name = "long"

    def fit(self, job: Job) -> Fitted:
        time.sleep(min(5.0, job.deadline.left_s / 2))
        return super().fit(job)


def test_a_refit_after_a_holdout_is_left_out_where_it_takes_too_much_of_the_time(tmp_path: Path) -> None:
    """The card says on how many rows the published model was trained."""
    x = np.arange(101_000) % 97
    frame = pl.DataFrame({"x": x, "y": 3.0 * x})
    found = fitted(tmp_path, "y", frame, candidates=[Long()], budget=30, max_trials=1)
    assert [member.candidate for member in found.best.card.members] == ["long"]
    words = re.compile(r"Trained on 84,\d+ of the 101,000 rows, the others validated: to train on all would have taken")
    assert any(words.match(told) for told in found.best.card.notes)


@pytest.mark.slow
def test_where_all_are_stopped_by_the_time_the_constant_guess_is_kept(tmp_path: Path) -> None:
    """A valid model that says so, rather than none."""
    events: list[Event] = []
    found = fitted(tmp_path, candidates=[Deaf()], budget=6, progress=events.append)
    assert statuses(found)["deaf"] <= {"failed", "raced"}
    assert [member.candidate for member in found.best.card.members] == ["baseline"]
    told = "Nothing better than the constant guess was found in the time"
    assert any(note.startswith(told) for note in notes(events))


@pytest.mark.slow
def test_a_candidate_that_ignores_its_deadline_is_killed_and_the_others_go_on(tmp_path: Path) -> None:
    """Its trials have no score."""
    found = fitted(tmp_path, candidates=["linear", Deaf()], budget=12)
    assert "completed" in statuses(found)["linear"]
    assert "completed" not in statuses(found)["deaf"]
    assert next(member.candidate for member in found.best.card.members) == "linear"


def test_a_trial_that_takes_too_much_memory_is_stopped_and_recorded(tmp_path: Path) -> None:
    """With what it took and what it might; the run goes on."""
    found = fitted(tmp_path, candidates=[Hungry(), "linear"], max_memory="800MB")
    reasons = [trial.reason or "" for trial in found.trials if trial.candidate == "hungry"]
    assert any("MemoryLimitError" in reason and "800 MB" in reason for reason in reasons)
    assert "completed" in statuses(found)["linear"]


def test_where_everything_fails_the_reasons_are_listed_by_family(tmp_path: Path) -> None:
    """And no model is left that would be nothing but a guess."""

    class Picky(Linear):
        name = "picky"

        def fit(self, job: Job) -> Fitted:
            raise ValueError("not these rows")

    class Choosy(Picky):
        name = "choosy"

    words = "choosy: ValueError: not these rows; picky: ValueError: not these rows"
    with pytest.raises(FailureError, match=words):
        fitted(tmp_path, candidates=[Picky(), Choosy()])
    assert Store.open(tmp_path).models.list() == []


def test_no_more_trials_are_begun_than_allowed(tmp_path: Path) -> None:
    """The constant guess is not counted."""
    found = fitted(tmp_path, candidates=FEW, max_trials=3)
    assert len(found.trials) == 4
    with pytest.raises(InputError, match=r"max_trials is 0\. Allow at least 1 trial"):
        fitted(tmp_path, max_trials=0)


@pytest.mark.slow
def test_a_limit_on_latency_is_kept_by_the_finished_file(tmp_path: Path) -> None:
    """Or refused, if nothing could keep it."""
    free = fitted(tmp_path, candidates=FEW)
    most_us = 0.5 * (free.frontier["latency_us"].min() + free.frontier["latency_us"].max())  # type: ignore[operator]
    found = fitted(tmp_path, candidates=FEW, max_latency=most_us)
    assert 0 < found.best.card.latency_us <= most_us
    members = [f"{one.weight:.2f} {one.candidate} #{one.trial}" for one in found.best.card.members]
    assert found.frontier.filter(pl.col("chosen"))["members"].to_list() == [" + ".join(members)]
    with pytest.raises(InputError, match=r"even for a constant guess; max_latency is 0.1 us"):
        fitted(tmp_path, max_latency="0.1us")


def test_the_frontier_tells_what_a_better_score_costs(tmp_path: Path) -> None:
    """Each better than all that are faster; one of them was published."""
    frontier = fitted(tmp_path, candidates=FEW).frontier
    assert frontier.columns == ["latency_us", "score", "members", "chosen"]
    assert frontier["chosen"].sum() == 1
    assert frontier["score"].to_list() == sorted(frontier["score"].to_list())
    assert frontier["latency_us"].to_list() == sorted(frontier["latency_us"].to_list())


def test_the_best_quality_keeps_the_models_of_all_folds(tmp_path: Path) -> None:
    """Each with its own features; no model is trained on the test rows."""
    found = fitted(tmp_path, candidates=["lightgbm"], quality="best", max_trials=2)
    folds = len(found.trials[0].fold_scores)
    assert len(found.best.card.plans) == folds > 1
    assert all(name.startswith("trees fold-") for name in found.best.card.plans)
    assert found.best.card.parity.label_flips == 0


def test_the_fast_quality_is_one_model(tmp_path: Path) -> None:
    """One member."""
    assert len(fitted(tmp_path, candidates=FEW, quality="fast").best.card.members) == 1
    with pytest.raises(InputError, match=r"no quality .good.\. Use one of fast, balanced, best"):
        fitted(tmp_path, quality="good")


def test_columns_with_a_role_are_no_features(tmp_path: Path) -> None:
    """What says which rows belong together, and how much they weigh, is not asked of new rows."""
    frame = tables.mixed(600).drop("note").with_columns(house=pl.int_range(600) // 3, share=pl.int_range(600) % 5 + 1)
    found = fitted(tmp_path, frame=frame, group="house", weight="share", candidates=["linear"])
    assert not {"house", "share"} & set(found.model.signature.names)
    assert found.metrics.test_rows % 3 == 0
    later = fitted(tmp_path, frame=frame.drop_nulls("joined"), time="joined", candidates=["linear"])
    assert "joined" in later.model.signature.names


def test_balanced_weights_make_a_rare_class_count(tmp_path: Path) -> None:
    """Its recall grows; scores are of rows as they are."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=1500)
    y = np.where(x + rng.normal(size=1500) > 2.2, "rare", "usual")
    frame = pl.DataFrame({"x": x, "y": y})
    options: Any = {"target": "y", "frame": frame, "candidates": ["linear"], "max_trials": 2}
    as_they_are, balanced = (fitted(tmp_path, weight=weight, **options) for weight in (None, "balanced"))
    rare = [(found.predict(frame)["label"] == "rare").sum() for found in (as_they_are, balanced)]
    assert rare[1] > 2 * max(rare[0], 1)
    with pytest.raises(InputError, match="weight='balanced' makes classes weigh alike; the target is a number"):
        fitted(tmp_path, target="x", frame=frame, weight="balanced")


def test_an_own_metric_decides(tmp_path: Path) -> None:
    """By the user's own labels; it stands in the report under its name."""

    def missed(y: Any, predicted: Any) -> float:
        return float(np.mean((y == "yes") & (predicted == "no")))

    metric = autopilot.Metric("missed", missed, needs="label", greater_is_better=False)
    found = fitted(tmp_path, metric=metric, candidates=["linear"], max_trials=2)
    assert found.metrics.metric == "missed"
    assert found.metrics.greater_is_better is False
    assert found.metrics.test["missed"] == found.metrics.test_score < 0.5
    scores = found.leaderboard.filter(pl.col("status") == "completed")["score"].to_list()
    assert scores == sorted(scores)


def test_little_data_gets_a_nested_estimate(tmp_path: Path) -> None:
    """No rows are held out for it, and its error is told."""
    found = fitted(tmp_path, frame=tables.mixed(150).drop("note"), candidates=["linear"], max_trials=2)
    assert found.metrics.test_rows == 0
    assert found.metrics.test_error is not None
    assert 0.5 < found.metrics.test_score <= 1.0


@pytest.mark.slow
def test_a_search_on_a_cluster_outlives_the_death_of_a_worker(tmp_path: Path) -> None:
    """Three workers, one of them killed when the first trial has ended."""
    with Cluster(3) as cluster:

        def kill(event: Event) -> None:
            if isinstance(event, TrialEnded) and len(cluster.workers) == 3:
                cluster.workers.pop().kill()

        found = fitted(tmp_path, candidates=["linear", "lightgbm"], executor=cluster.address, progress=kill)
    assert len(cluster.workers) == 2
    assert found.metrics.test_score > 0.6
    assert "failed" not in {status for each in statuses(found).values() for status in each}
