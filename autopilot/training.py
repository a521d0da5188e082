"""A run: search, combine, refit, check, publish."""

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import replace
from threadpoolctl import threadpool_limits

from autopilot.candidates import Candidate
from autopilot.deadline import Deadline
from autopilot.events import Event, Note, Observer, Phase, Started, TrialEnded
from autopilot.metrics import Metric
from autopilot.publish import Passed, Publisher, make_card, make_file, publish, reference_sample, score
from autopilot.result import Result
from autopilot.search.ensemble import blend
from autopilot.search.folds import divide
from autopilot.search.matrices import Matrices
from autopilot.search.search import Search
from autopilot.search.trial import Outcome
from autopilot.table.infer import Table
from storage.errors import FailureError
from storage.predictor import Predictor
from storage.records import Run, Trial
from storage.settings import Settings
from storage.store import Store

_MOST_MEMBERS = 5
_SHOWN_FINDINGS = 12
#: A row of so many columns costs what the rule for folds was made for.
_USUAL_COLUMNS = 50


class Training:
    """The steps of one run in their order. `deadline` is for all of them together."""

    def __init__(
        self,
        store: Store,
        run: Run,
        table: Table,
        metric: Metric,
        deadline: Deadline,
        started: float,
        observe: Observer,
    ) -> None:
        self._store, self._run, self._table, self._metric = store, run, table, metric
        self._deadline, self._started, self._observe = deadline, started, observe
        self._trials: list[Trial] = []

    def work(self, candidates: Sequence[Candidate]) -> Result:
        """All steps; gives the registered model. Raises FailureError if there is none."""
        self._tell_start()
        matrices = self._divide()
        workers = _workers()
        with ThreadPoolExecutor(workers) as executor, threadpool_limits(limits=1), self._stopping():
            outcomes = self._search(matrices, candidates, executor, workers)
            self._observe(Phase("combining the best"))
            y = self._table.y[matrices.folds.validated]
            best = blend(outcomes, y, matrices.unit, self._metric, _MOST_MEMBERS)
            self._observe(Phase("refitting on all rows and checking the ONNX file"))
            publisher = Publisher(matrices, self._deadline, self._run.seed, self._observe)
            passed = publisher.first_exact(best, outcomes, executor)
        if all(outcome.spec.candidate.name == "baseline" for outcome in passed.blend.outcomes):
            self._observe(Note("Nothing better than the constant guess was found in the time. Give a larger budget."))
        self._observe(Phase("publishing"))
        return self._publish(matrices, passed, _baseline(outcomes))

    @contextmanager
    def _stopping(self) -> Generator[None]:
        """On any error, and on Ctrl-C, end the trials that still train: the executor waits for them."""
        try:
            yield
        except BaseException:
            self._deadline.stopped.set()
            raise

    def _divide(self) -> Matrices:
        run, signature = self._run, self._table.signature
        outputs = len(signature.classes)
        trees = outputs if outputs > 2 else 1  # what a boosting round trains: one for each class beyond two
        row_cost = trees * max(1.0, len(signature.columns) / _USUAL_COLUMNS)
        return Matrices(self._table, divide(self._table.y, row_cost, run.budget_s, run.seed), run.seed)

    def _search(
        self, matrices: Matrices, candidates: Sequence[Candidate], executor: ThreadPoolExecutor, workers: int
    ) -> list[Outcome]:
        self._observe(Phase("searching"))
        run = self._run
        search = Search(candidates, matrices, self._metric, self._deadline, run.budget_s, run.seed, self._record)
        outcomes = search.run(executor, workers)
        if not outcomes:
            raise FailureError(_no_model(search.outcomes))
        return outcomes

    def _publish(self, matrices: Matrices, passed: Passed, baseline: Outcome) -> Result:
        run, table = self._run, self._table
        scores = score(matrices, self._metric, passed.blend, baseline)
        card = make_card(matrices, passed, scores, run, now=datetime.now(UTC), seconds=time.monotonic() - self._started)
        file = make_file(matrices, passed, card)
        reference = reference_sample(matrices, passed.blend, run.seed)
        version = publish(self._store, run.id, file, card, reference, table.signature)
        self._store.runs.complete(run.id, datetime.now(UTC), version.name, version.version)
        seconds = time.monotonic() - self._started
        ended = self._store.runs.get(run.id)
        return Result(self._store, ended, version, Predictor(file), tuple(self._trials), table.findings, seconds)

    def _record(self, event: Event) -> None:
        """Pass an event on; an ended trial is written to the store first."""
        if isinstance(event, TrialEnded):
            trial = replace(event.trial, run_id=self._run.id)
            self._store.runs.add_trial(trial)
            self._trials.append(trial)
        self._observe(event)

    def _tell_start(self) -> None:
        signature = self._table.signature
        rows = self._table.frame.height
        self._observe(
            Started(
                signature.target, signature.task, self._metric.name, rows, len(signature.columns), self._run.budget_s
            )
        )
        findings = self._table.findings
        for finding in findings[:_SHOWN_FINDINGS]:
            self._observe(Note(finding.message))
        if len(findings) > _SHOWN_FINDINGS:
            self._observe(Note(f"{len(findings) - _SHOWN_FINDINGS} more findings are in the result."))


def _baseline(outcomes: list[Outcome]) -> Outcome:
    """The constant guess, or where candidates were chosen without it, the worst of them."""
    return next((outcome for outcome in outcomes if outcome.spec.candidate.name == "baseline"), outcomes[-1])


def _no_model(outcomes: list[Outcome]) -> str:
    reasons = {f"{outcome.spec.candidate.name}: {outcome.trial.reason}" for outcome in outcomes}
    return "No candidate could be trained. " + "; ".join(sorted(reasons)) + ". Give more time or other columns."


def _workers() -> int:
    """Trials at once: the setting, or one for each core that this process may use."""
    return Settings.load().threads or len(os.sched_getaffinity(0))
