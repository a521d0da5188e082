"""Given the same answers of the clock, a training does the same steps: what a replay rests on."""

import time
from pathlib import Path

import numpy as np
import pytest

from autopilot.candidates import CANDIDATES
from autopilot.candidates.candidate import Candidate, Job, OutOfBag, Problem
from autopilot.deadline import Deadline, TapedDeadline
from autopilot.errors import TapeError
from storage.signature import Task
from tests.refusals import raises

ROWS = 1200


def job(candidate: Candidate, task: Task, deadline: Deadline) -> Job:
    """The first parameters of a candidate on noisy rows; a third validates."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 6)).astype(np.float32)
    y = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=ROWS)
    y = (y - y.mean()) / y.std() if task == "regression" else (y > 0).astype(np.float64)
    problem = Problem(task, 1 if task == "regression" else 2, 800)
    point = candidate.points(problem)[0]
    return Job(X[:800], y[:800], X[800:], y[800:], point, 0, deadline, 7, problem)


@pytest.mark.parametrize("seconds", [0.02, 60.0])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda one: one.name)
def test_a_training_is_repeated_to_the_bit_by_what_the_clock_told_it(
    candidate: Candidate, task: Task, seconds: float
) -> None:
    """Also one that its deadline cut short, and where the machine is slower the second time."""
    if not candidate.applies(job(candidate, task, Deadline.after(1)).problem):
        pytest.skip("it does not take this task")
    deadline = TapedDeadline.after(seconds)
    first = candidate.fit(job(candidate, task, deadline))
    again = candidate.fit(job(candidate, task, TapedDeadline.given(deadline.answers)))
    rows = job(candidate, task, Deadline.after(1)).X
    assert again.predict(rows).tobytes() == first.predict(rows).tobytes()
    assert again.rounds == first.rounds


@pytest.mark.parametrize(
    "candidate", [one for one in CANDIDATES if isinstance(one, OutOfBag)], ids=lambda one: one.name
)
def test_scores_out_of_bag_are_repeated_too(candidate: Candidate) -> None:
    """A share of the deadline writes to the same tape."""
    assert isinstance(candidate, OutOfBag)
    deadline = TapedDeadline.after(0.05)
    _, first = candidate.fit_out_of_bag(job(candidate, "binary", deadline))
    _, again = candidate.fit_out_of_bag(job(candidate, "binary", TapedDeadline.given(deadline.answers)))
    assert again.tobytes() == first.tobytes()


def test_a_tape_that_runs_out_says_what_to_do() -> None:
    """The training is not the same one then."""
    deadline = TapedDeadline.given(((0.0, 1),))
    assert not deadline.passed
    with raises(TapeError, "asks for the time more often than when it was recorded"):
        _ = deadline.passed


def test_equal_answers_in_a_row_are_one_entry_of_the_tape() -> None:
    """So a training of thousands of rounds has a short tape."""
    deadline = TapedDeadline.after(0.05)
    told = [deadline.passed for _ in range(1000)]
    time.sleep(0.06)
    told.append(deadline.passed)
    assert [bool(value) for value, times in deadline.answers for _ in range(times)] == told
    assert len(deadline.answers) <= 2


def test_no_candidate_looks_at_another_clock() -> None:
    """Only what the deadline answers is on the tape."""
    folder = Path(__file__).parents[3] / "autopilot" / "candidates"
    looking = [
        path.name
        for path in folder.glob("*.py")
        if "import time" in path.read_text() or "monotonic" in path.read_text()
    ]
    assert looking == []
