"""One trial: a candidate with one set of parameters, trained and scored part by part, each in a worker's process."""

import time
from typing import TYPE_CHECKING, NamedTuple, cast

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from autopilot.candidates.candidate import Candidate, Fitted, Job, Matrix, OutOfBag
from autopilot.deadline import Answers, Deadline, TapedDeadline
from autopilot.search.latency import member_us, plan_us
from autopilot.search.matrices import SEARCH, Part, Samples
from autopilot.search.space import Params
from autopilot.search.study import Study, opened
from autopilot.workers import Shared
from storage.records import Trial

if TYPE_CHECKING:
    from autopilot.search.scoring import Scoring

Values = NDArray[np.float64]

#: A refit trains on more rows than a fold did, so boosting goes a little further.
_MORE_ROUNDS = 1.1


class Spec(NamedTuple):
    """What to try. It travels to workers, so that a user's own candidate has to be something that pickles."""

    number: int
    candidate: Candidate
    params: Params
    seed: int


class PartResult(NamedTuple):
    """What training on one part gave.

    valid: float64 (validated rows of the part, outputs) as models learn them: of a fold its own rows, of the search
    part all of `Folds.validated`. test: of the test rows. scores: by fold. seconds: of training and predicting;
    prepare_s: of making the features, or of waiting for who made them. What was not wanted is 0 or empty: latency_us,
    of one row through the member's nodes; plan_us, through those of its features; measure_s, seconds that writing and
    timing both took; fitted, the model, pickled. answers: what the training was told of the time.
    """

    part: Part
    valid: Values
    test: Values
    scores: tuple[float, ...]
    rounds: int
    seconds: float
    prepare_s: float
    latency_us: float
    plan_us: float
    measure_s: float
    fitted: bytes
    answers: Answers = ()


class Wanted(NamedTuple):
    """What training on a part is to give beside predictions."""

    fitted: bool
    latency: bool
    plan_latency: bool


class Outcome(NamedTuple):
    """A finished trial.

    trial: its record, without the run's id. valid: float64 (validated rows, outputs), stacked in the order of
    `Folds.validated`; test: of the test rows, averaged over folds. Both None unless all folds ended. fold_losses: of
    those that did. parts: how it was trained; part_s: what each took, on average; latency_us: one row through its
    nodes; measure_s: what writing and timing these took.
    """

    spec: Spec
    trial: Trial
    valid: Values | None
    test: Values | None
    fold_losses: tuple[float, ...]
    latency_us: float = 0.0
    parts: tuple[Part, ...] = ()
    part_s: float = 0.0
    measure_s: float = 0.0

    @property
    def is_guess(self) -> bool:
        """Whether it is the constant guess."""
        return self.trial.candidate == "baseline"

    @property
    def is_out_of_bag(self) -> bool:
        """Whether one training on all rows of the search was scored."""
        return self.parts == (SEARCH,)


def train_part(
    shared: Shared, spec: Spec, part: Part, limit_s: float, wanted: Wanted, answers: Answers | None = None
) -> PartResult:
    """Train on a part and predict what it validates and the test rows; runs in a worker.

    answers: of an earlier training, which is done again, in place of the limit.
    """
    at = opened(shared)
    recipe = spec.candidate.recipe
    asked = time.monotonic()
    samples = at.matrices.of(part, recipe)
    began = time.monotonic()
    deadline = taped(limit_s, answers)
    job = job_of(at.study, spec, samples, deadline)
    if part == SEARCH:
        fitted, out_of_bag = cast("OutOfBag", spec.candidate).fit_out_of_bag(job)
        rows = at.study.folds.validated
        valid = _finite(out_of_bag)[np.searchsorted(at.study.folds.search, rows)]
    else:
        fitted = spec.candidate.fit(job)
        valid = _finite(fitted.predict(samples.X_valid))
    test = _predicted(fitted, samples.X_test, at.study)
    seconds = time.monotonic() - began
    measured = time.monotonic()
    table = at.study.table
    latency_us = member_us(fitted, samples.X_train) if wanted.latency else 0.0
    features_us = plan_us(at.matrices.plan(part, recipe), table.signature, table.frame) if wanted.plan_latency else 0.0
    return PartResult(
        part,
        valid,
        test,
        _scores(at.study, part, valid),
        fitted.rounds,
        seconds,
        began - asked,
        latency_us,
        features_us,
        time.monotonic() - measured,
        cloudpickle.dumps(fitted) if wanted.fitted else b"",
        deadline.answers,
    )


def taped(limit_s: float, answers: Answers | None) -> TapedDeadline:
    """A deadline that writes down what it answers; or that gives the answers of an earlier training."""
    return TapedDeadline.after(limit_s) if answers is None else TapedDeadline.given(answers)


def job_of(study: Study, spec: Spec, samples: Samples, deadline: Deadline, rounds: int = 0) -> Job:
    """The training of a spec on these matrices; without rows to validate on, for so many rounds."""
    has_valid = len(samples.X_valid) > 0
    return Job(
        samples.X_train,
        samples.y_train,
        samples.X_valid if has_valid else None,
        samples.y_valid if has_valid else None,
        spec.params,
        rounds,
        deadline,
        spec.seed,
        study.problem(len(samples.X_train)),
        samples.weights_train,
        samples.weights_valid if has_valid else None,
    )


def refit_rounds(trial: Trial, folds: int) -> int:
    """How long to train on all rows."""
    return max(1, round(trial.rounds * _MORE_ROUNDS) if folds > 1 else trial.rounds)


def _predicted(fitted: Fitted, X: Matrix, study: Study) -> Values:
    """Finite predictions; libraries refuse to predict no rows."""
    return _finite(fitted.predict(X)) if len(X) else np.empty((0, study.problem(0).outputs))


def _scores(study: Study, part: Part, valid: Values) -> tuple[float, ...]:
    scoring: Scoring = study.scoring
    if part.kind == "search":
        return tuple(scoring.fold_score(number, valid[rows]) for number, rows in enumerate(scoring.slices))
    return (scoring.fold_score(part.number, valid),)


def _finite(predicted: Values) -> Values:
    if not np.isfinite(predicted).all():
        raise FloatingPointError("it predicted values that are not finite")
    return predicted
