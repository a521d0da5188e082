"""A run: a safe model, search, combine, refit, check, publish."""

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from threadpoolctl import threadpool_limits

from autopilot.assignment import KEPT, STUDY, Assignment
from autopilot.candidates import Candidate
from autopilot.candidates.baseline import Baseline
from autopilot.deadline import Deadline
from autopilot.errors import ParityError
from autopilot.events import Divided, Event, Note, Observer, Phase, Started, Stopping, TrialEnded
from autopilot.graph import parity
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.publish import Passed, Publisher, make_file, members_of, reference_sample, used_of
from autopilot.registered import EarlyModels, Registered
from autopilot.report.archive import keep
from autopilot.report.evidence import collect, held_out
from autopilot.result import Result
from autopilot.safe import SafeModel
from autopilot.scores import scores_of
from autopilot.search.combining import Combining
from autopilot.search.ensemble import QUALITIES, Blend, Pricing, blend, frontier
from autopilot.search.folds import Folds, Scheme, choose_scheme, divide
from autopilot.search.frontier import Point
from autopilot.search.head import fit_head
from autopilot.search.kept import Kept
from autopilot.search.latency import Latency, model_us
from autopilot.search.nested import Nested, nested_of
from autopilot.search.portfolio import portfolio
from autopilot.search.probe import fold_s, sample_of
from autopilot.search.search import Search
from autopilot.search.study import Study
from autopilot.search.trial import Outcome
from autopilot.tape import Tape
from autopilot.workers import Shared, TimeLimitError, Workers
from storage.errors import FailureError, InputError, StoreError
from storage.predictor import Predictor
from storage.records import Run
from storage.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from autopilot.explain import Fairness
    from autopilot.explain.of_run import Explained

_SHOWN_FINDINGS = 12
#: Kept for storing the file at the end, as a share of the budget and in seconds.
_CLOSING_SHARE, _LEAST_CLOSING_S, _MOST_CLOSING_S = 0.02, 0.2, 1.0
#: Members whose refit is set aside while no ensemble is known.
_REFITTED = 4
#: Of a useful model, beside what that of the constant guess took.
_LEAST_ASSEMBLY_S = 0.3
#: For each choice: of the ensemble, of its head, of the frontier, and for the report; as a share of the budget and in
#: seconds, beside two calls of all metrics.
_CHOICES, _CHOICE_SHARE, _MOST_CHOICE_S = 3.0, 0.01, 2.0
#: No more than this share of the budget is set aside for what follows the search.
_MOST_RESERVE_SHARE = 0.5
#: The probe may take this share of the budget; if it does not end, one holdout it is.
_PROBE_SHARE = 0.1
#: When the safe model is there, the probe is waited for no longer than this share of the time that is left.
_WAIT_SHARE = 0.25
#: Of the time that is left: for choosing an ensemble without each fold, where the score is a nested estimate.
_NESTED_SHARE = 0.1
#: Where the ensemble is slower than allowed when measured: these shares of the limit are tried in turn.
_SMALLER = (0.8, 0.6, 0.4, 0.2)
#: Rows that importances are measured on, and their share of the budget at most; with less time left there are none.
_IMPORTANCE_ROWS, _IMPORTANCE_SHARE, _LEAST_IMPORTANCE_S = 2_000, 0.05, 0.5
#: How often a run looks whether somebody asked it to end; what the best model so far may then take, each choice on the
#: way to it, and the real rows that its file is compared on.
_LOOK_S, _STOPPED_S, _STOPPED_CHOICE_S, _STOPPED_ROWS = 0.2, 0.6, 0.05, 100
#: Trials without a better ensemble before the search ends, by rows: AutoGluon's rule, times three.
_PATIENCE = ((100, 12), (500, 24), (2_500, 45), (10_000, 120))
_MOST_PATIENCE = 300


class Training:
    """The steps of one run in their order."""

    def __init__(
        self,
        store: Store,
        run: Run,
        assignment: Assignment,
        folder: Path,
        workers: Workers,
        started: float,
        observe: Observer,
        past: Sequence[Event] = (),
    ) -> None:
        """folder: the run's own. started: when its budget began to count. past: events of a process before."""
        self._store, self._run, self._folder = store, run, folder
        self._table, self._metric, self._options = assignment.table, assignment.metric, assignment.options
        self._candidates: Sequence[Candidate] = assignment.candidates
        self._asked, self._checked = assignment.asked, assignment.checked
        self._workers, self._started, self._past = workers, started, past
        closing_s = min(max(_CLOSING_SHARE * run.budget_s, _LEAST_CLOSING_S), _MOST_CLOSING_S)
        self._deadline = Deadline.at_time(started + run.budget_s - closing_s)
        self._trials = [event.trial for event in past if isinstance(event, TrialEnded)]
        self._tape = Tape(store, run.id, observe)
        self._base_us, self._safe_graph = 0.0, b""
        self._assembly_s = _LEAST_ASSEMBLY_S
        self._choice_s = min(_CHOICE_SHARE * run.budget_s, _MOST_CHOICE_S)
        self._metrics_s, self._takes_guess = 0.0, any(one.name == "baseline" for one in self._candidates)
        self._registered = Registered(store, run, self._table, started, self._tape.write)
        self._is_stopped = False

    def work(self) -> Result:
        """All steps; gives the registered model. Raises FailureError if there is none."""
        self._tape.begin(time.monotonic() - self._started)
        if not any(isinstance(event, Started) for event in self._past):
            self._tape.write(self._asked)
            self._tape.write(self._checked)
            self._tell_start()
        with self._stopping(), threadpool_limits(limits=1):
            probe = self._workers.submit(fold_s, *self._probed(), limit_s=_PROBE_SHARE * self._run.budget_s + 5.0)
            self._register_safe()
            study = self._divide(probe)
            study.save(self._folder / STUDY)
            shared, kept = self._workers.share(self._folder / STUDY), Kept(self._folder / KEPT)
            publisher = self._publisher(study, shared, kept)
            search, combining = self._search(study, shared, kept, _with_baseline(self._candidates), publisher)
            if all(outcome.is_guess for outcome in search.complete):
                return self._without(study, search.outcomes)
            if self._deadline.stopped.is_set():
                self._hurry(publisher, combining)
            return self._finish(study, publisher, search, combining)

    @contextmanager
    def _stopping(self) -> Generator[None]:
        """On any error, on Ctrl-C, and when somebody asks for it, nothing trains on."""
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        watch.start()
        try:
            yield
        except BaseException:
            self._deadline.stopped.set()
            raise
        finally:
            ended.set()
            watch.join()

    def _watch(self, ended: threading.Event) -> None:
        """Hear whoever asks the run to stop, in whatever process."""
        while not ended.wait(_LOOK_S):
            with suppress(StoreError):  # it is busy; the next look will tell
                if self._store.runs.events(self._run.id, kind=Stopping.__name__):
                    self._is_stopped = True
                    self._deadline.stopped.set()
                    return

    def _hurry(self, publisher: Publisher, combining: Combining) -> None:
        """Somebody waits for the end: what follows takes as little time as it can."""
        self._tape.write(Note("Asked to stop: the best model so far is written."))
        self._choice_s = combining.limit_s = _STOPPED_CHOICE_S
        publisher.compared_rows = _STOPPED_ROWS
        self._deadline = publisher.deadline = Deadline.after(_STOPPED_S)

    def _probed(self) -> tuple[object, ...]:
        table, seed = self._table, self._run.seed
        return (*sample_of(table.frame, table.y, seed), table.signature, len(table.y), self._run.budget_s, seed)

    def _register_safe(self) -> None:
        """The constant guess: from here on there is a valid model."""
        self._tape.write(Phase("registering a safe model"))
        safe = SafeModel(self._table, self._metric, self._run.seed)
        if not parity.passes(safe.assembled.parity):
            raise ParityError("The ONNX file of a constant guess did not give that constant. Update onnxruntime.")
        most_us = self._options.max_latency_us
        if most_us is not None and safe.assembled.latency_us > most_us:
            raise InputError(
                f"A row of these {len(self._table.signature.columns)} columns takes {safe.assembled.latency_us:.0f} us "
                f"even for a constant guess; max_latency is {most_us:g} us. Allow more, or leave columns out."
            )
        self._base_us, self._safe_graph = safe.assembled.latency_us, safe.assembled.graph
        self._assembly_s = safe.assembled.seconds + _LEAST_ASSEMBLY_S + 2.0 * safe.metrics_s  # the guess is scored too
        self._metrics_s = safe.metrics_s
        self._choice_s += 2.0 * safe.metrics_s
        if self._registered.version is None:
            self._registered.put(safe.assembled, safe.members, safe.scores, (), safe.reference)

    def _divide(self, probe: "Future[float]") -> Study:
        table, run = self._table, self._run
        divided = next((event for event in self._past if isinstance(event, Divided)), None)
        if divided is None:
            scheme = self._choose_scheme(probe)
            self._tape.write(Divided(msgspec.to_builtins(scheme)))
        else:
            scheme = msgspec.convert(divided.scheme, Scheme)
            probe.cancel()
        folds = divide(table.y, scheme, run.seed, table.groups, table.times)
        self._tape.write(Note(_told_division(folds)))
        return Study.of(table, folds, self._metric, run.seed, balanced=self._options.balanced)

    def _choose_scheme(self, probe: "Future[float]") -> Scheme:
        run = self._run
        try:
            measured_s = probe.result(timeout=_WAIT_SHARE * max(0.0, self._deadline.left_s))
        except Exception:  # noqa: BLE001 - whatever is wrong with the table will be told by the trials
            probe.cancel()
            measured_s = run.budget_s
        workers = self._workers.count
        measured_s = max(measured_s, workers * self._metrics_s)  # folds are scored here, one after the other
        scheme = choose_scheme(self._table, fold_s=measured_s, budget_s=run.budget_s, workers=workers)
        if QUALITIES[self._options.quality].keep_folds:
            scheme = replace(scheme, repeats=1)  # each of them would be a model more in the file
        return scheme

    def _publisher(self, study: Study, shared: Shared, kept: Kept) -> Publisher:
        keeps_folds = QUALITIES[self._options.quality].keep_folds
        return Publisher(
            study,
            shared,
            kept,
            self._workers,
            self._deadline,
            self._tape.write,
            budget_s=self._run.budget_s,
            keeps_folds=keeps_folds,
            max_latency_us=self._options.max_latency_us,
            least_s=self._assembly_s,
        )

    def _search(
        self, study: Study, shared: Shared, kept: Kept, candidates: Sequence[Candidate], publisher: Publisher
    ) -> tuple[Search, Combining]:
        self._tape.write(Phase("searching"))
        rows = len(study.folds.folds[0].train)
        entries = portfolio(study.problem(rows), self._table.signature, candidates, self._run.budget_s)
        strategy = replace(
            self._options.strategy,
            patience=next((trials for most, trials in _PATIENCE if rows <= most), _MOST_PATIENCE),
            keep_models=QUALITIES[self._options.quality].keep_folds,
        )
        search = Search(
            study,
            shared,
            kept,
            candidates,
            entries,
            self._workers,
            self._deadline,
            strategy,
            self._record,
            call_s=self._metrics_s,
        )
        search.restore(self._past)
        publisher.prepare_s = search.prepare_s
        combining = Combining(study.scoring, lambda: self._pricing(search), self._choice_s)
        if search.complete:
            combining.choose(search.complete)
        early = EarlyModels(study, publisher, self._registered, self._deadline.at, self._tape.write)

        def gained(outcomes: list[Outcome]) -> bool:
            early.consider(outcomes)
            return combining.gained(outcomes)

        search.run(lambda outcomes: self._reserve_s(publisher, combining, outcomes), gained)
        early.join()
        return search, combining

    def _reserve_s(self, publisher: Publisher, combining: Combining, outcomes: list[Outcome]) -> float:
        """Seconds to keep for choosing, refitting on all rows, and writing the file."""
        members = combining.blend.outcomes if combining.blend else outcomes[:_REFITTED]
        choices_s = _CHOICES * (self._choice_s + self._metrics_s)  # the last call of each begins within its time
        wanted = publisher.refit_s(members) + publisher.assembly_s(members) + choices_s
        return min(wanted, _MOST_RESERVE_SHARE * self._run.budget_s)

    def _finish(self, study: Study, publisher: Publisher, search: Search, combining: Combining) -> Result:
        """The best ensemble as the run's model."""
        outcomes = search.complete
        self._tape.write(Phase("combining the best"))
        if not self._is_stopped:
            again_us = model_us(self._safe_graph, self._table.signature, self._table.frame)  # now that nothing trains
            self._base_us = min(self._base_us, again_us)
        pricing = self._pricing(search)
        best = combining.choose(outcomes)
        head, notes = self._fit_head(study, best)
        nested = self._nested(study, outcomes, pricing, head)
        self._tape.write(Phase("refitting on all rows and checking the ONNX file"))
        others = outcomes if self._takes_guess else [one for one in outcomes if not one.is_guess]
        try:
            passed = publisher.first_exact(chain([(best, head)], self._smaller(best, outcomes, study, pricing)), others)
        except (ParityError, TimeoutError) as error:
            if isinstance(error, ParityError) and self._registered.is_guess:
                self._registered.withdraw()
                raise
            self._tape.write(Note(f"The model that was registered while the search went on is kept: {error}."))
            self._collect(study)
            return self._result(())
        self._tape.write(Phase("publishing"))
        points = frontier(outcomes, study.scoring, pricing, passed.blend, Deadline.after(self._choice_s))
        scores = scores_of(study, passed.blend, passed.head, _baseline(outcomes), nested)
        reference = reference_sample(study, passed.blend, passed.head)
        self._registered.put(
            passed.assembled,
            members_of(passed.ingredients),
            scores,
            (*notes, *passed.notes),
            reference,
            used_of(passed),
            passed.head,
        )
        self._collect(study, passed, _baseline(outcomes), points, self._explained(study, publisher, passed))
        return self._result(points)

    def _pricing(self, search: Search) -> Pricing:
        """What a row is expected to cost, by what was measured so far."""
        quality = QUALITIES[self._options.quality]
        if not self._options.strategy.ensemble:
            quality = replace(quality, most_members=1, price=0.0, price_beyond=0.0)
        models = search.folds if quality.keep_folds else 1
        latency = Latency(self._base_us, dict(search.plan_us), models)
        return Pricing(quality, latency, self._options.max_latency_us)

    def _fit_head(self, study: Study, best: Blend) -> tuple[Head, tuple[str, ...]]:
        if not self._options.strategy.head:
            return NO_HEAD, ()
        scoring, signature = study.scoring, self._table.signature
        return fit_head(
            best.valid,
            scoring.y,
            scoring.weights,
            scoring.slices,
            study.metric,
            signature.task,
            signature.classes,
            study.unit,
            rows=study.folds.validated,
            seed=study.seed,
            limit_s=self._choice_s,
        )

    def _nested(self, study: Study, outcomes: list[Outcome], pricing: Pricing, head: Head) -> Nested | None:
        """Where no rows were kept for a test: each fold scored by an ensemble that was chosen without it."""
        if not study.folds.is_nested:
            return None
        until = self._deadline.share(_NESTED_SHARE)
        return nested_of(study, outcomes, lambda seen, scoring: blend(seen, scoring, pricing, until), head.shares)

    def _smaller(
        self, best: Blend, outcomes: list[Outcome], study: Study, pricing: Pricing
    ) -> Generator[tuple[Blend, Head]]:
        """Ever faster ensembles, for a limit on latency that the best one broke when it was measured."""
        for share in _SMALLER if pricing.max_latency_us is not None else ():
            most_us = share * min(pricing.limit_us, best.latency_us)
            smaller = blend(outcomes, study.scoring, replace(pricing, max_latency_us=most_us), self._deadline)
            yield smaller, self._fit_head(study, smaller)[0]

    def _without(self, study: Study, outcomes: list[Outcome]) -> Result:
        """Nothing but the constant guess: an error if everything failed, else a model that says so.

        What was stopped because its time was up has not failed: more of it may help.
        """
        tried = [outcome for outcome in outcomes if not outcome.is_guess]
        if tried and all(outcome.trial.status == "failed" and not _is_stopped(outcome) for outcome in tried):
            self._registered.withdraw()
            raise FailureError(_no_model(tried))
        self._tape.write(Note("Nothing better than the constant guess was found in the time. Give a larger budget."))
        self._collect(study)
        return self._result(())

    def _collect(
        self,
        study: Study,
        passed: Passed | None = None,
        baseline: Outcome | None = None,
        points: tuple[Point, ...] = (),
        explained: "Explained | None" = None,
    ) -> None:
        """Keep what the report tells. If that fails a note says so; the model stands.

        passed, baseline: None where the model that stays was not made at the end.
        """
        try:
            version, held, head, fairness = self._registered.version, None, NO_HEAD, ()
            assert version is not None  # noqa: S101 - the safe model was registered first
            if passed is not None and baseline is not None:
                head, held = passed.head, held_out(study, passed.blend, passed.head, baseline)
                fairness = self._fairness(study, passed)
            run, tape = replace(self._run, reason=self._reason), self._store.runs.events(self._run.id)
            told = {} if explained is None else explained._asdict()
            evidence = collect(
                study, version, run, tape, head=head, held=held, points=points, fairness=fairness, **told
            )
            keep(self._store, evidence, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - a report that fails never fails its job
            self._tape.write(Note(f"There will be no report on this run: {type(error).__name__}: {error}"))

    def _fairness(self, study: Study, passed: Passed) -> "tuple[Fairness, ...]":
        """How the model treats groups, for the report."""
        from autopilot.explain.of_run import fairness_of  # what explains is not needed before

        try:
            return fairness_of(study, passed.blend, passed.head)
        except Exception as error:  # noqa: BLE001 - the report does without
            self._tape.write(Note(f"The report will not compare groups: {type(error).__name__}: {error}"))
            return ()

    def _explained(self, study: Study, publisher: Publisher, passed: Passed) -> "Explained | None":
        """What the model looks at, on the test rows, by models that have not seen them, if there is time.

        None without test rows, and where it would take longer than is left.
        """
        from autopilot.explain.of_run import explained_on  # what explains is not needed before

        rows, table = study.folds.test[:_IMPORTANCE_ROWS], self._table
        version, left_s = self._registered.version, self._deadline.left_s - passed.assembled.seconds - _LEAST_ASSEMBLY_S
        calls_s = 2.0 * len(table.signature.columns) * self._metrics_s
        if version is None or not len(rows) or self._is_stopped or left_s < max(calls_s, _LEAST_IMPORTANCE_S):
            return None
        try:
            unseen = publisher.unseen(passed, self._deadline.left_s)
            if unseen is None:
                return None
            predictor = Predictor(make_file(unseen, table.signature, version.card))
            weights = None if table.weights is None else table.weights[rows]
            limit_s = min(left_s, _IMPORTANCE_SHARE * self._run.budget_s)
            return explained_on(predictor, table.frame[rows], table.y[rows], self._metric, weights, limit_s)
        except Exception as error:  # noqa: BLE001 - the report does without
            self._tape.write(Note(f"The report will not tell which columns matter: {type(error).__name__}: {error}"))
            return None

    @property
    def _reason(self) -> str | None:
        """Why the run ended before its time; None if it did not."""
        return "stopped as asked" if self._is_stopped else None

    def _result(self, points: tuple[Point, ...]) -> Result:
        version, file = self._registered.version, self._registered.file
        assert version is not None  # noqa: S101 - the safe model was registered first
        self._store.runs.complete(self._run.id, datetime.now(UTC), version.name, version.version, self._reason)
        seconds = time.monotonic() - self._started
        ended = self._store.runs.get(self._run.id)
        predictor = Predictor(file)
        return Result(
            self._store, ended, version, predictor, tuple(self._trials), self._table.findings, seconds, points
        )

    def _record(self, event: Event) -> None:
        """Write an event of the search down; ended trials are for the result, too."""
        if isinstance(event, TrialEnded):
            event = replace(event, trial=replace(event.trial, run_id=self._run.id))
            self._trials.append(event.trial)
        self._tape.write(event)

    def _tell_start(self) -> None:
        signature = self._table.signature
        rows = self._table.frame.height
        self._tape.write(
            Started(
                signature.target, signature.task, self._metric.name, rows, len(signature.columns), self._run.budget_s
            )
        )
        findings = self._table.findings
        for finding in findings[:_SHOWN_FINDINGS]:
            self._tape.write(Note(finding.told))
        if len(findings) > _SHOWN_FINDINGS:
            self._tape.write(Note(f"{len(findings) - _SHOWN_FINDINGS} more findings are in the result."))


def _told_division(folds: Folds) -> str:
    """How the rows are divided, for the user."""
    scheme = folds.scheme
    count = len(folds.folds)
    how = {
        "k-fold": f"{scheme.folds} folds" + (f", {scheme.repeats} times" if scheme.repeats > 1 else ""),
        "holdout": f"a holdout of {len(folds.folds[0].valid):,} rows",
        "group": f"{count} folds of whole groups",
        "time": f"{count} windows in time order" if count > 1 else "the rows before the latest",
    }[scheme.kind]
    test = f"{len(folds.test):,} rows are kept for the test" if len(folds.test) else "the score is a nested estimate"
    return f"Validated on {how}; {test}."


def _with_baseline(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """The constant guess is always tried: it is what the others are measured by."""
    return candidates if any(one.name == "baseline" for one in candidates) else (Baseline(), *candidates)


def _baseline(outcomes: list[Outcome]) -> Outcome:
    """The constant guess; if it did not end, the worst that did."""
    return next((outcome for outcome in outcomes if outcome.is_guess), outcomes[-1])


def _is_stopped(outcome: Outcome) -> bool:
    return (outcome.trial.reason or "").startswith(TimeLimitError.__name__)


def _no_model(outcomes: list[Outcome]) -> str:
    """The reasons by family, each once."""
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        known = reasons.setdefault(outcome.spec.candidate.name, [])
        if outcome.trial.reason and outcome.trial.reason not in known:
            known.append(outcome.trial.reason)
    told = "; ".join(f"{name}: {' / '.join(known)}" for name, known in sorted(reasons.items()))
    return f"No candidate could be trained. {told}. Give more time or other columns."
