"""One trial: a candidate with one set of parameters, trained and scored fold by fold."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.candidates.candidate import Candidate, Job, Problem
from autopilot.deadline import Deadline
from autopilot.metrics import Metric
from autopilot.search.matrices import Matrices
from autopilot.search.space import Params
from storage.records import Trial

Values = NDArray[np.float64]

#: Told the losses so far, decides whether the trial is lost.
Race = Callable[[list[float]], bool]


class Spec(NamedTuple):
    """What to try."""

    number: int
    candidate: Candidate
    params: Params
    seed: int


class Outcome(NamedTuple):
    """A finished trial.

    trial: its record, without the run's id. valid: float64 (validated rows, outputs), out-of-fold predictions as
    models learn them; test: the same of the test rows, averaged over folds. Both are None unless all folds ended.
    """

    spec: Spec
    trial: Trial
    valid: Values | None
    test: Values | None
    fold_losses: tuple[float, ...]


def evaluate(spec: Spec, matrices: Matrices, metric: Metric, deadline: Deadline, race: Race) -> Outcome:
    """Train on each fold until done, raced out, or out of time; never raises, a failure is an outcome with a reason."""
    started = time.monotonic()
    run = _Running(spec, matrices, metric)
    status, reason = "completed", None
    count = len(matrices.folds.folds)
    for number in range(count):
        if deadline.passed and (number or deadline.stopped.is_set()):
            status, reason = "raced", "out of time"
            break
        try:
            run.train_fold(number, deadline.share(1 / (count - number)))
        except Exception as error:  # noqa: BLE001 - a candidate may raise anything; the search goes on without it
            status, reason = "failed", f"{type(error).__name__}: {error}"[:500]
            break
        if number < count - 1 and race(run.losses):
            status, reason = "raced", "behind the best on the first folds"
            break
    return run.outcome(status, reason, time.monotonic() - started)


class _Running:
    """A trial's predictions as they come in."""

    def __init__(self, spec: Spec, matrices: Matrices, metric: Metric) -> None:
        self._spec, self._matrices, self._metric = spec, matrices, metric
        self._rows = matrices.folds.validated
        self._valid = np.full((len(self._rows), matrices.outputs), np.nan)
        self._test = np.zeros((len(matrices.folds.test), matrices.outputs))
        self._rounds: list[int] = []
        self._scores: list[float] = []
        self.losses: list[float] = []

    def train_fold(self, number: int, deadline: Deadline) -> None:
        fold = self._matrices.folds.folds[number]
        data = self._matrices.of_fold(number, self._spec.candidate.recipe)
        problem = Problem(self._matrices.table.signature.task, self._matrices.outputs, len(data.X_train))
        job = Job(
            data.X_train,
            data.y_train,
            data.X_valid,
            data.y_valid,
            self._spec.params,
            0,
            deadline,
            self._spec.seed,
            problem,
        )
        fitted = self._spec.candidate.fit(job)
        predicted = fitted.predict(data.X_valid)
        score = self._score(fold.valid, predicted)
        self._valid[np.searchsorted(self._rows, fold.valid)] = predicted
        self._test += fitted.predict(data.X_test) / len(self._matrices.folds.folds)
        self._rounds.append(fitted.rounds)
        self._scores.append(score)
        self.losses.append(self._metric.loss(score))

    def outcome(self, status: str, reason: str | None, seconds: float) -> Outcome:
        complete = status == "completed"
        score = float(np.mean(self._scores)) if self._scores else None
        if complete:
            score = self._score(self._rows, self._valid)
        trial = Trial(
            run_id="",
            number=self._spec.number,
            candidate=self._spec.candidate.name,
            params=self._spec.params,
            status=status,  # type: ignore[arg-type]
            score=score,
            fold_scores=tuple(self._scores),
            seconds=seconds,
            rounds=round(float(np.mean(self._rounds))) if self._rounds else 0,
            reason=reason,
        )
        valid, test = (self._valid, self._test) if complete else (None, None)
        return Outcome(self._spec, trial, valid, test, tuple(self.losses))

    def _score(self, rows: NDArray[np.int64], predicted: Values) -> float:
        if not np.isfinite(predicted).all():
            raise FloatingPointError("it predicted values that are not finite")
        return self._metric.score(self._matrices.table.y[rows], self._matrices.unit.unscale(predicted))
