"""Runs that are killed go on where they were, and are stopped and watched from other processes."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import autopilot
from autopilot.events import Event, PartTrained, Phase, Stopping, TrialEnded, TrialStarted
from autopilot.jobs import carry_on, list_jobs, remove, stop, watch
from autopilot.replay import replay
from autopilot.resume import resume
from autopilot.tape import read_tape
from storage.errors import BusyError, InputError
from storage.store import Store
from tests import tables
from tests.processes import ROOT
from tests.refusals import raises

_FIT = """
import sys, autopilot, polars as pl
store, data, trials = sys.argv[1:]
few = ["linear", "lightgbm", "extra_trees"]
autopilot.fit(data, "paid", name="run", store=store, budget=120, max_trials=int(trials), candidates=few, progress=False)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A table in a file, as whoever resumes or replays needs it."""
    path = tmp_path / "table.parquet"
    tables.mixed(1500).drop("note").write_parquet(path)
    return path


@pytest.fixture
def begin(tmp_path: Path, data: Path) -> Generator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Begins a fit in a process of its own; those that are left are killed."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(trials: int = 8) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _FIT, str(tmp_path), str(data), str(trials)]
        begun.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def wait_for(store: Store, kind: type[Any], count: int) -> str:
    """The id of the only run, once it has so many events of a kind."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for run in store.runs.list():
            if len(store.runs.events(run.id, kind=kind.__name__)) >= count:
                return run.id
        time.sleep(0.02)
    raise TimeoutError(f"{count} events of {kind.__name__} did not come.")


def parts(events: list[Event]) -> list[tuple[int, str]]:
    """What was trained, in its order."""
    return [(event.number, event.part) for event in events if isinstance(event, PartTrained)]


@pytest.mark.parametrize(("kind", "count"), [(Phase, 1), (PartTrained, 9), (Phase, 4)])
@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_as_its_tape_says(
    tmp_path: Path, begin: Callable[..., "subprocess.Popen[bytes]"], kind: type[Any], count: int
) -> None:
    """At its beginning, in the search and while it refits: nothing is trained twice, no ended trial changes.

    And the tape, replayed by a process that nobody kills, gives the same model to the bit.
    """
    process, store = begin(), Store.open(tmp_path)
    run_id = wait_for(store, kind, count)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before, trials = read_tape(store, run_id), store.runs.trials(run_id)
    assert [(job.run.id, job.state) for job in list_jobs(store)] == [(run_id, "interrupted")]
    result = resume(run_id, store=store, progress=False)
    after = read_tape(store, run_id)
    assert after[: len(before)] == before
    assert max(Counter(parts(after)).values()) == 1
    ended = {trial.number: trial for trial in result.trials}
    assert [ended[trial.number] for trial in trials] == trials
    assert len(result.trials) == 9  # the constant guess, and eight more
    assert store.runs.get(run_id).status == "completed"
    assert not store.work.has(run_id)
    replayed = replay(run_id, store=store, progress=False, everything=True)
    assert replayed.same, replayed
    assert replayed.digest == result.best.card.digest


def test_a_run_is_worked_on_by_one_process_at_a_time(
    tmp_path: Path, begin: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    """The second is told which process has it."""
    process, store = begin(200), Store.open(tmp_path)
    run_id = wait_for(store, PartTrained, 1)
    with raises(BusyError, f"Run {run_id!r} is being worked on by process {process.pid}."):
        resume(run_id, store=store, progress=False)
    with raises(InputError, f"Run {run_id!r} is being worked on. Stop it first: autopilot jobs stop {run_id}"):
        remove(store, run_id)


def test_a_run_ends_when_another_process_asks_it_to_with_the_best_model_so_far(
    tmp_path: Path, begin: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    """Its record says so; what was registered is no constant guess, and predicts."""
    process, store = begin(500), Store.open(tmp_path)
    run_id = wait_for(store, TrialEnded, 4)
    ended = stop(store, run_id)
    assert (ended.status, ended.reason) == ("completed", "stopped as asked")
    assert process.wait(timeout=60) == 0
    version = store.models.get("run")
    assert "baseline" not in {member.candidate for member in version.card.members}
    assert autopilot.load("run", store=store).predict(tables.mixed(5)).height == 5
    assert any(isinstance(event, Stopping) for event in read_tape(store, run_id))
    assert replay(run_id, store=store, progress=False).same


def test_whoever_watches_a_run_gets_the_events_that_its_process_got(tmp_path: Path) -> None:
    """In the same order, each once."""
    seen: list[Event] = []
    given: list[Event] = []
    times: list[float | None] = []
    result = autopilot.fit(
        tables.mixed(300), "paid", store=tmp_path, budget=30, max_trials=2, candidates=["linear"], progress=seen.append
    )
    ended = watch(result.store, result.run.id, given.append, times.append)
    assert given == seen
    assert ended.status == "completed"
    assert times[:-1] == sorted(time for time in times[:-1] if time is not None)


@pytest.mark.slow
def test_a_worker_goes_on_with_what_was_killed(tmp_path: Path, begin: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    """By itself; runs that were interrupted by their user are left alone."""
    process, store = begin(3), Store.open(tmp_path)
    run_id = wait_for(store, TrialStarted, 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told: list[str] = []
    carry_on(store, told.append, once=True)
    assert told == [f"Going on with run {run_id} (paid).", f"Run {run_id} has ended."]
    assert store.runs.get(run_id).status == "completed"


def test_an_interrupted_run_is_kept_until_it_is_given_up(tmp_path: Path) -> None:
    """Ctrl-C in the search; its record stays, and says that it was given up."""

    def interrupt(event: Event) -> None:
        if isinstance(event, TrialEnded):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        autopilot.fit(tables.mixed(300), "paid", store=tmp_path, budget=30, max_trials=2, progress=interrupt)
    store = Store.open(tmp_path)
    (job,) = list_jobs(store)
    assert (job.state, job.run.status, job.run.reason) == ("interrupted", "failed", "interrupted")
    told: list[str] = []
    carry_on(store, told.append, once=True)
    assert told == []
    remove(store, job.run.id)
    assert list_jobs(store) == []
    message = f"Run {job.run.id!r} has no working folder in this store, so it cannot go on. Fit again."
    with raises(InputError, message):
        resume(job.run.id, store=store)


def test_a_run_that_has_ended_is_not_resumed(tmp_path: Path) -> None:
    """It is said what it ended with."""
    result = autopilot.fit(
        tables.mixed(300), "paid", name="run", store=tmp_path, budget=30, max_trials=1, progress=False
    )
    with raises(InputError, f"Run {result.run.id!r} has ended with model run:1. There is nothing to resume."):
        resume(result.run.id, store=tmp_path)


@pytest.mark.parametrize("target", ["paid", "grade", "price"])
@pytest.mark.slow
def test_a_run_of_two_workers_is_replayed_to_the_bit_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """The first families of each kind of task, on a table that is handed over as an object."""
    frame = {"paid": tables.mixed, "grade": tables.multiclass, "price": tables.regression}[target](500)
    result = autopilot.fit(frame, target, store=tmp_path, budget=60, max_trials=6, progress=False)
    monkeypatch.setenv("AUTOPILOT_THREADS", "1")
    replayed = replay(result.run.id, frame, store=tmp_path, progress=False, everything=True)
    assert replayed.same, replayed
    assert replayed.trainings > 6


def test_a_replay_of_other_rows_is_refused(tmp_path: Path) -> None:
    """Their digest is not that of the run."""
    result = autopilot.fit(tables.mixed(300), "paid", store=tmp_path, budget=30, max_trials=1, progress=False)
    with raises(InputError, f"The data are not those of run {result.run.id!r}"):
        replay(result.run.id, tables.mixed(300, seed=1), store=tmp_path, progress=False)
