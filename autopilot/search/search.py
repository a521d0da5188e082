"""The search: which part of which trial is trained next, until the time is up or nothing more is to be gained."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from autopilot.candidates.candidate import Candidate, OutOfBag
from autopilot.deadline import Deadline
from autopilot.errors import TapeError
from autopilot.events import Event, Note, Observer, PartTrained, TrialEnded, TrialStarted
from autopilot.search.family import Family
from autopilot.search.kept import Kept, digest_of
from autopilot.search.matrices import SEARCH, Part
from autopilot.search.portfolio import Entry
from autopilot.search.racing import Racing
from autopilot.search.strategy import Strategy
from autopilot.search.study import Study
from autopilot.search.trial import Outcome, PartResult, Spec, Wanted, train_part
from autopilot.workers import Shared, Workers
from storage.records import Trial

if TYPE_CHECKING:
    from autopilot.plan import Recipe

#: No trial may take more than this share of the time that is left, so that one slow fit does not rule the run.
_MOST_SHARE = 0.5
#: A family whose improvement is expected to take more than so many times what is left is not tried again.
_MOST_COST = 3.0
#: A new family's first trial is taken to need this share of what those of others do; seconds where there are none yet.
_NEW_SHARE, _UNKNOWN_S = 0.5, 0.2
#: Beyond its own deadline, which native code may ignore, a part is killed after this share more, and so many seconds.
_GRACE_SHARE, _GRACE_S = 0.25, 1.0
#: Kept between the last part's own deadline and the end of the search, for predicting and sending.
_LAST_S = 0.2
#: Trials get a score on the test rows while that takes no longer.
_MOST_TEST_S = 0.1
#: How long at most until somebody who asked for the end is heard.
_LOOK_S = 0.2
#: Calls of the metric that choosing an ensemble takes; where there is no time for them, a trial's end is not told on.
_CHOICE_CALLS = 4.0


class Search:
    """Runs trials on workers and collects their outcomes.

    First the portfolio in its order; then one TPE for each family, the family drawn by its expected cost of
    improvement. A trial trains part after part and is given up as soon as it is behind the best by more than a margin.
    It ends when the time that `reserve_s` leaves is up, when `gained` tells that the ensemble has not improved for a
    while, or when nothing more fits. call_s: seconds that a call of the metric takes, on all rows. plan_us: measured
    microseconds of one row through each recipe's features; prepare_s: seconds that making these took for a part, at
    most.
    """

    def __init__(
        self,
        study: Study,
        shared: Shared,
        kept: Kept,
        candidates: Sequence[Candidate],
        entries: Sequence[Entry],
        workers: Workers,
        deadline: Deadline,
        strategy: Strategy,
        observe: Observer,
        *,
        call_s: float = 0.0,
    ) -> None:
        self._study, self._shared, self._kept, self._workers = study, shared, kept, workers
        self._deadline, self._strategy, self._observe = deadline, strategy, observe
        self._rng = np.random.default_rng(study.seed)
        problem = study.problem(len(study.folds.folds[0].train))
        fitting = [candidate for candidate in candidates if candidate.applies(problem)]
        self._families = {
            candidate.name: Family(candidate, problem, study.seed + index) for index, candidate in enumerate(fitting)
        }
        self._entries = [entry for entry in entries if entry.candidate in self._families]
        if not strategy.portfolio:
            self._entries = list({entry.candidate: entry for entry in reversed(self._entries)}.values())[::-1]
        self._gained: Callable[[list[Outcome]], bool] = bool
        self._racing = Racing()
        self._running: dict[int, _Running] = {}
        self._count = self._fixed = 0
        self._since_gain = 0
        self._test_s, self._call_s = 0.0, call_s
        self.outcomes: list[Outcome] = []
        self.plan_us: dict[Recipe, float] = {}
        self.prepare_s: dict[Recipe, float] = {}

    def run(self, reserve_s: Callable[[list[Outcome]], float], gained: Callable[[list[Outcome]], bool]) -> None:
        """Try until nothing more fits.

        reserve_s: seconds to keep for what follows, by the complete outcomes so far. gained: told after each complete
        trial, says whether the ensemble is better for it.
        """
        self._gained = gained
        flying: dict[Future[PartResult], tuple[_Running, Part]] = {}
        try:
            while True:
                until = self._deadline.earlier(reserve_s(self.complete))
                while len(flying) < self._workers.count and (work := self._next(until)) is not None:
                    flying[self._submit(*work)] = work
                if not flying or self._deadline.stopped.is_set():
                    break
                done, _ = wait(flying, timeout=min(until.left_s, _LOOK_S), return_when=FIRST_COMPLETED)
                if not done and until.passed and self.outcomes:
                    break
                if not done and until.passed:  # not even the constant guess: as long as there is time at all
                    wait(flying, timeout=min(self._deadline.left_s, _LOOK_S), return_when=FIRST_COMPLETED)
                    if self._deadline.passed:
                        break
                for future in [future for future in flying if future.done()]:
                    if future in flying:  # else its trial was lost by one just before
                        running, part = flying.pop(future)
                        self._take(running, part, future)
                        self._drop_lost(flying)
        finally:
            for future in flying:
                future.cancel()
        for running in list(self._running.values()):
            self._end(running, "raced", "out of time")

    def restore(self, events: Sequence[Event]) -> None:
        """Take up what an earlier process recorded: trials, the parts that are on disk, and how they ended.

        What it had in hand when it ended is to be done again.
        """
        for event in events:
            if isinstance(event, TrialStarted):
                self._restore_start(event)
            elif isinstance(event, PartTrained) and event.number in self._running:
                self._restore_part(self._running[event.number], Part.of_key(event.part))
            elif isinstance(event, TrialEnded):
                self._since_gain = event.since_gain
                self._restore_end(event.trial)
        for running in [running for running in self._running.values() if running.results]:
            self._judge(running, running.results[-1])

    def _restore_start(self, event: TrialStarted) -> None:
        family = self._families.get(event.candidate)
        if family is None:
            raise TapeError(
                f"Trial {event.number} tried {event.candidate!r}, which is not there now. Install what it needs, or "
                "begin anew."
            )
        done = (event.candidate, event.params)
        self._entries = [entry for entry in self._entries if (entry.candidate, entry.params) != done]
        family.tpe.skip()
        self._start(family, event.params, event.number)

    def _restore_part(self, running: "_Running", part: Part) -> None:
        result = self._kept.result(running.spec.number, part)
        if result is not None and part in running.todo:
            running.todo.remove(part)
            self._note(running, result)

    def _restore_end(self, trial: Trial) -> None:
        """Unless a result is missing, as after a full disk: then that part is trained again."""
        running = self._running.get(trial.number)
        if running is not None and (running.is_whole or trial.status != "completed"):
            self._close(running, trial.status, trial.reason, trial)

    @property
    def folds(self) -> int:
        """Models of a trial that is not scored out of bag."""
        return len(self._study.folds.folds)

    @property
    def complete(self) -> list[Outcome]:
        """Outcomes that were scored on all folds, best first."""
        whole = [outcome for outcome in self.outcomes if outcome.valid is not None]
        return sorted(whole, key=self._loss)

    def _next(self, until: Deadline) -> "tuple[_Running, Part] | None":
        """A part of a trial that is worth its end, or of a new trial, or of one whose worth is not known yet."""
        for running in self._running.values():
            if running.is_granted and running.todo:
                return running, running.todo.pop(0)
        waiting = [running for running in self._running.values() if not running.is_granted]
        if len(waiting) < self._workers.count:
            begun = self._begin(until)
            if begun is not None:
                return begun, begun.todo.pop(0)
        for running in waiting:
            if running.todo and (running.results or running.is_untouched):
                return running, running.todo.pop(0)
        return None

    def _begin(self, until: Deadline) -> "_Running | None":
        """A new trial, if one fits into the time."""
        most = self._strategy.max_trials
        if most is not None and self._count - self._fixed >= most:
            return None
        family, point = self._choose(until.left_s)
        if family is None:
            return None
        running = self._start(family, point, self._count)
        running.until = until.share(_MOST_SHARE)
        self._observe(TrialStarted(running.spec.number, family.candidate.name, running.spec.params))
        return running

    def _start(self, family: Family, point: "dict[str, object] | None", number: int) -> "_Running":
        told, params = family.ask(point)
        spec = Spec(number, family.candidate, params, self._study.seed + number)
        self._count = number + 1
        self._fixed += family.is_fixed
        running = _Running(spec, family, told, self._parts(family), self._deadline.share(_MOST_SHARE))
        running.is_granted = not self._strategy.racing or family.is_fixed
        self._running[number] = running
        return running

    def _choose(self, left_s: float) -> "tuple[Family | None, dict[str, object] | None]":
        """The portfolio's next entry that fits; then a family by its expected cost of improvement."""
        while self._entries:
            entry = self._entries.pop(0)
            family = self._families[entry.candidate]
            if not family.is_given_up and (family.is_fixed or self._fits(family, left_s)):
                return family, entry.params
        patience = self._strategy.patience
        is_done = patience is not None and self._since_gain >= patience
        if is_done or not self._strategy.tpe:
            return None, None
        best = min((family.best_loss for family in self._families.values()), default=float("inf"))
        open_to = [family for family in self._families.values() if family.started and not family.is_given_up]
        costs = [(family, family.cost_of_improvement(best)) for family in open_to if self._fits(family, left_s)]
        hopeful = [(family, cost) for family, cost in costs if cost < _MOST_COST * left_s * self._workers.count]
        if not hopeful:
            return None, None
        chances = np.array([1.0 / max(cost, 1e-6) for _, cost in hopeful])
        return hopeful[int(self._rng.choice(len(hopeful), p=chances / chances.sum()))][0], None

    def _fits(self, family: Family, left_s: float) -> bool:
        at_once = min(self._workers.count, len(self._parts(family)))
        return left_s > 1.3 * self._usual_s(family) / at_once + _LAST_S

    def _usual_s(self, family: Family) -> float:
        """Seconds that a trial of the family takes, on one core; of a new one half of what a middling other takes."""
        if family.usual_s is not None:
            return family.usual_s
        others = [one.usual_s for one in self._families.values() if one.usual_s is not None and not one.is_fixed]
        return _NEW_SHARE * float(np.median(others)) if others else _UNKNOWN_S

    def _parts(self, family: Family) -> list[Part]:
        """What a trial of the family trains on, one after the other."""
        folds = self._study.folds
        if folds.scheme.kind == "k-fold" and isinstance(family.candidate, OutOfBag):
            return [SEARCH]
        return [Part("fold", number) for number in range(len(folds.folds))]

    def _submit(self, running: "_Running", part: Part) -> "Future[PartResult]":
        rounds_left = -(-(len(running.todo) + 1) // self._workers.count)
        limit_s = max(0.1, running.until.left_s / rounds_left - _LAST_S)
        if running.family.is_fixed:  # the constant guess: there is always a valid outcome
            limit_s = max(limit_s, self._deadline.left_s)
        is_first = part == SEARCH or part == Part("fold", 0)
        recipe = running.spec.candidate.recipe
        wanted = Wanted(
            fitted=is_first or self._strategy.keep_models,
            latency=is_first,
            plan_latency=is_first and recipe not in self.plan_us,
        )
        return self._workers.submit(
            train_part,
            self._shared,
            running.spec,
            part,
            limit_s,
            wanted,
            limit_s=limit_s * (1 + _GRACE_SHARE) + _GRACE_S + running.prepare_s,
        )

    def _take(self, running: "_Running", part: Part, future: "Future[PartResult]") -> None:
        """A part ended: note it, and decide whether the trial goes on."""
        if running.spec.number not in self._running:
            return
        try:
            result = future.result()
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - a candidate may raise anything; the search goes on without it
            self._end(running, "failed", f"{type(error).__name__}: {error}"[:500])
            return
        number = running.spec.number
        if result.fitted:
            self._kept.put(number, part, result.fitted)
        self._kept.put_result(number, result)
        self._observe(
            PartTrained(
                number, part.key, result.scores, result.rounds, result.seconds, digest_of(result.valid), result.answers
            )
        )
        self._note(running, result)
        self._judge(running, result)

    def _note(self, running: "_Running", result: PartResult) -> None:
        recipe = running.spec.candidate.recipe
        self.prepare_s[recipe] = max(result.prepare_s, self.prepare_s.get(recipe, 0.0))
        if result.plan_us:
            self.plan_us[recipe] = result.plan_us
        running.results.append(result._replace(fitted=b""))
        running.is_granted = True

    def _judge(self, running: "_Running", result: PartResult) -> None:
        """Whether a trial goes on after a part, is given up, or is whole."""
        losses = [self._study.metric.loss(score) for score in result.scores]
        if not running.is_whole:
            stage = (result.part.kind, result.part.number)
            is_lost = self._strategy.racing and self._racing.is_lost(
                stage, float(np.mean(losses)), is_first=running.family.started <= 1
            )
            if is_lost:
                self._end(running, "raced", "behind the best on the first rows")
            return
        self._end(running, "completed", None)

    def _drop_lost(self, flying: "dict[Future[PartResult], tuple[_Running, Part]]") -> None:
        """Stop the parts of trials that have ended."""
        for future, (running, _) in list(flying.items()):
            if running.spec.number not in self._running:
                future.cancel()
                del flying[future]

    def _end(self, running: "_Running", status: str, reason: str | None) -> None:
        outcome = self._close(running, status, reason)
        is_better = status == "completed" and self._has_calls(_CHOICE_CALLS) and self._gained(self.complete)
        self._since_gain = 0 if is_better or self._entries else self._since_gain + 1
        best = self.complete
        self._observe(TrialEnded(outcome.trial, best[0].trial.score if best else None, self._since_gain))
        patience = self._strategy.patience
        if patience is not None and self._since_gain == patience and not self._entries:
            self._observe(Note(f"The last {patience} trials did not improve the ensemble: the search ends early."))

    def _close(self, running: "_Running", status: str, reason: str | None, trial: Trial | None = None) -> Outcome:
        """Note how a trial ended. trial: its record, if it has one already."""
        del self._running[running.spec.number]
        outcome = running.outcome(self._study, status, reason)
        outcome = self._tested(outcome) if trial is None else outcome._replace(trial=trial)
        self.outcomes.append(outcome)
        loss = float(np.mean(outcome.fold_losses)) if outcome.fold_losses else None
        told = loss if status != "failed" else None
        is_behind = status == "raced" or (status == "completed" and self._is_far_behind(running))
        running.family.tell(running.told, told, running.seconds, running.whole_s, is_behind=is_behind)
        if status == "completed":
            running.family.improved(self._loss(outcome))
            self._racing.note(running.fold_losses(self._study), is_baseline=running.family.is_fixed)
        return outcome

    def _is_far_behind(self, running: "_Running") -> bool:
        """Whether a trial that ended was so in all parts: where there is one holdout, nothing ended it before."""
        is_first, losses = running.family.started <= 1, running.fold_losses(self._study)
        return self._strategy.racing and all(
            self._racing.is_lost(stage, loss, is_first=is_first) for stage, loss in losses.items()
        )

    def _tested(self, outcome: Outcome) -> Outcome:
        """With its score on the test rows, for those who read leaderboards; not where a metric takes its time."""
        rows, table = self._study.folds.test, self._study.table
        if outcome.test is None or not len(rows) or self._test_s > _MOST_TEST_S or not self._has_calls(1.0):
            return outcome
        began = time.monotonic()
        weights = None if table.weights is None else table.weights[rows]
        score = self._study.metric.score(table.y[rows], self._study.unit.unscale(outcome.test), weights)
        self._test_s = time.monotonic() - began
        return outcome._replace(trial=replace(outcome.trial, test_score=score))

    def _has_calls(self, count: float) -> bool:
        """Whether there is time for so many calls of the metric."""
        return self._deadline.left_s > count * self._call_s

    def _loss(self, outcome: Outcome) -> float:
        score = outcome.trial.score
        return float("inf") if score is None else self._study.metric.loss(score)


class _Running:
    """A trial while it trains: the parts that are still to do, and the results of the others."""

    def __init__(self, spec: Spec, family: Family, told: int, todo: list[Part], until: Deadline) -> None:
        self.spec, self.family, self.told = spec, family, told
        self.parts, self.todo = tuple(todo), todo
        self.until = until
        self.is_granted = False
        self.results: list[PartResult] = []
        self.began = time.monotonic()
        self.prepare_s = until.left_s  # matrices are made by whoever needs them first

    @property
    def is_untouched(self) -> bool:
        """Whether no part of it is done or in hand: a process before had it in hand when it was killed."""
        return len(self.todo) == len(self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether all parts ended."""
        return len(self.results) == len(self.parts)

    @property
    def seconds(self) -> float:
        """Of training, on one core."""
        return sum(result.seconds for result in self.results)

    @property
    def whole_s(self) -> float | None:
        """What all parts take, by those that ended."""
        return self.seconds * len(self.parts) / len(self.results) if self.results else None

    def fold_losses(self, study: Study) -> dict[tuple[str, int], float]:
        """By stage of the race."""
        found = {(result.part.kind, result.part.number): result.scores for result in self.results}
        if self.parts == (SEARCH,):
            found = {("fold", number): (score,) for number, score in enumerate(self.results[0].scores)}
        return {stage: study.metric.loss(float(np.mean(scores))) for stage, scores in found.items()}

    def outcome(self, study: Study, status: str, reason: str | None) -> Outcome:
        """The trial as it ended."""
        results = sorted(self.results, key=lambda one: one.part.number)
        scores = tuple(score for result in results for score in result.scores)
        is_complete = status == "completed"
        valid = np.concatenate([result.valid for result in results]) if is_complete else None
        test = np.mean([result.test for result in results], axis=0) if is_complete else None
        sizes = [rows.stop - rows.start for rows in study.folds.slices][: len(scores)]
        trial = Trial(
            run_id="",
            number=self.spec.number,
            candidate=self.spec.candidate.name,
            params=self.spec.params,
            status=status,  # type: ignore[arg-type]
            score=float(np.average(scores, weights=sizes)) if scores else None,
            fold_scores=scores,
            seconds=time.monotonic() - self.began,
            rounds=round(float(np.mean([result.rounds for result in results]))) if results else 0,
            reason=reason,
        )
        latency_us = max((result.latency_us for result in results), default=0.0)
        losses = tuple(study.metric.loss(score) for score in scores)
        part_s = float(np.mean([result.seconds for result in results])) if results else 0.0
        measure_s = max((result.measure_s for result in results), default=0.0)
        return Outcome(self.spec, trial, valid, test, losses, latency_us, self.parts, part_s, measure_s)
