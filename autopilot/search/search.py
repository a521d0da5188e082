"""The search: which candidate with which parameters is next, until the deadline."""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

import numpy as np

from autopilot.candidates.candidate import Candidate, Problem
from autopilot.deadline import Deadline
from autopilot.events import Observer, TrialEnded, TrialStarted
from autopilot.metrics import Metric
from autopilot.search.matrices import Matrices
from autopilot.search.tpe import Tpe
from autopilot.search.trial import Outcome, Spec, evaluate

#: A trial is given up when it has lost more than this share of what the best gains over the baseline.
_RACE_MARGIN = 0.1
#: For the constant guess, which takes no time: there is always a valid model, also where the budget is spent already.
_FREE_S = 60.0
#: No trial may take more than this share of the time that is left, so that one slow fit does not rule the run.
_MOST_SHARE = 0.5
#: A family whose improvement is expected to take more than so many times what is left is not tried again.
_PATIENCE = 3.0
#: A family is given up after so many trials without a score.
_MOST_FAILURES = 5
#: Members whose refit time is set aside.
_REFITTED = 4
#: Set aside beside it: export, gate and report, in seconds and as a share of the budget.
_EXPORT_S, _EXPORT_SHARE = 1.0, 0.08
_MOST_RESERVE_SHARE = 0.45


class Search:
    """Runs trials, several at once, and collects their outcomes.

    First the list of each family's good points, families in turn; then one TPE for each family, the family drawn by
    its expected cost of improvement (FLAML's rule: Wang et al., MLSys 2021). Ends when nothing more fits into the time
    that is left after setting aside what refit and export will take.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        matrices: Matrices,
        metric: Metric,
        deadline: Deadline,
        budget_s: float,
        seed: int,
        observe: Observer,
    ) -> None:
        self._matrices, self._metric, self._observe = matrices, metric, observe
        self._deadline, self._budget_s = deadline, budget_s
        self._rng = np.random.default_rng(seed)
        self._seed = seed
        fold = matrices.folds.folds[0]
        problem = Problem(matrices.table.signature.task, matrices.outputs, len(fold.train))
        self._families = [
            _Family(candidate, problem, seed + index)
            for index, candidate in enumerate(candidates)
            if candidate.applies(problem)
        ]
        self.outcomes: list[Outcome] = []
        self._count = 0

    def run(self, executor: Executor, workers: int) -> list[Outcome]:
        """Try until the time is up; gives the complete outcomes, best first."""
        running: dict[Future[Outcome], tuple[_Family, int]] = {}
        while True:
            while len(running) < workers and (started := self._start(executor)) is not None:
                future, family, number = started
                running[future] = (family, number)
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                self._collect(future.result(), *running.pop(future))
        return self.complete

    @property
    def complete(self) -> list[Outcome]:
        """Outcomes that were scored on all folds, best first."""
        whole = [outcome for outcome in self.outcomes if outcome.valid is not None]
        return sorted(whole, key=lambda outcome: self._loss(outcome))

    def reserve_s(self) -> float:
        """Seconds to keep for refitting the best members on all rows, at once on all workers, and for the export."""
        rows, trained = len(self._matrices.table.y), len(self._matrices.folds.folds[0].train)
        per_fold = [outcome.trial.seconds / len(self._matrices.folds.folds) for outcome in self.complete[:_REFITTED]]
        refit_s = max([sum(per_fold) / 2, *per_fold, 0.0]) * rows / trained
        wanted = 1.3 * refit_s + _EXPORT_S + _EXPORT_SHARE * self._budget_s
        return min(wanted, _MOST_RESERVE_SHARE * self._budget_s)

    def _start(self, executor: Executor) -> "tuple[Future[Outcome], _Family, int] | None":
        until = self._deadline.earlier(self.reserve_s())
        family = self._choose(until.left_s)
        if family is None:
            return None
        number, params = family.tpe.ask()
        spec = Spec(self._count, family.candidate, params, self._seed + self._count)
        self._count += 1
        family.started += 1
        self._observe(TrialStarted(spec.number, family.candidate.name, params))
        limit = Deadline.after(_FREE_S) if family.is_free else until.share(_MOST_SHARE)
        race = self._race_of(family)
        future = executor.submit(evaluate, spec, self._matrices, self._metric, limit, race)
        return future, family, number

    def _choose(self, left_s: float) -> "_Family | None":
        """The next family: those with listed points in turn, then by expected cost of improvement."""
        fitting = [family for family in self._families if family.can_start(left_s)]
        listed = [family for family in fitting if family.tpe.listed]
        if listed:
            return min(listed, key=_Family.progress)
        best = min(family.best_loss for family in self._families)
        costs = [(family, family.cost_of_improvement(best)) for family in fitting]
        hopeful = [(family, cost) for family, cost in costs if cost < _PATIENCE * left_s]
        if not hopeful:
            return None
        chances = np.array([1.0 / max(cost, 1e-6) for _, cost in hopeful])
        return hopeful[int(self._rng.choice(len(hopeful), p=chances / chances.sum()))][0]

    def _collect(self, outcome: Outcome, family: "_Family", number: int) -> None:
        self.outcomes.append(outcome)
        loss = self._loss(outcome) if outcome.valid is not None else None
        worst = float(np.mean(outcome.fold_losses)) if outcome.trial.status == "raced" and outcome.fold_losses else None
        family.tpe.tell(number, loss if loss is not None else worst)
        family.note(outcome.trial.seconds, loss)
        best = self.complete
        self._observe(TrialEnded(outcome.trial, best[0].trial.score if best else None))

    def _race_of(self, family: "_Family") -> "_Racing":
        """The first trial of a family always runs to its end: ensembles live on difference."""
        best = self.complete
        if family.started <= 1 or not best:
            return _Racing((), 0.0)
        baseline = max(float(np.mean(outcome.fold_losses)) for outcome in best)
        gained = baseline - float(np.mean(best[0].fold_losses))
        return _Racing(best[0].fold_losses, _RACE_MARGIN * gained)

    def _loss(self, outcome: Outcome) -> float:
        score = outcome.trial.score
        return float("inf") if score is None else self._metric.loss(score)


class _Racing:
    """Whether losses on the first folds are behind the best's on the same folds by more than a margin."""

    def __init__(self, best: tuple[float, ...], margin: float) -> None:
        self._best, self._margin = best, margin

    def __call__(self, losses: list[float]) -> bool:
        if not self._best:
            return False
        return float(np.mean(losses)) > float(np.mean(self._best[: len(losses)])) + self._margin


class _Family:
    """A candidate, its TPE, and what it has cost and gained so far."""

    def __init__(self, candidate: Candidate, problem: Problem, seed: int) -> None:
        self.candidate = candidate
        points, space = candidate.points(problem), candidate.space(problem)
        self.is_free = not space  # nothing to tune: one trial that takes no time
        self._points = len(points)
        self.tpe = Tpe(space, points, seed)
        self.started = 0
        self.best_loss = float("inf")
        self._first_loss = float("inf")
        self._spent_s = 0.0
        self._spent_at_best_s = 0.0
        self._spent_at_previous_s = 0.0
        self._seconds: list[float] = []

    def progress(self) -> float:
        """How far its list would be done with one more trial; families take turns by it."""
        return 0.0 if self.is_free else (self.started + 1) / self._points

    def can_start(self, left_s: float) -> bool:
        """Whether a trial of usual length fits; a family without space is tried once."""
        if self.is_free:
            return self.started == 0
        if self.best_loss == float("inf") and len(self._seconds) >= _MOST_FAILURES:
            return False
        usual = float(np.median(self._seconds)) if self._seconds else 0.2
        return left_s > 1.2 * usual

    def note(self, seconds: float, loss: float | None) -> None:
        """A trial ended."""
        self._spent_s += seconds
        self._seconds.append(seconds)
        if loss is None or loss >= self.best_loss:
            return
        self._first_loss = loss if self.best_loss == float("inf") else self._first_loss
        self._spent_at_previous_s, self._spent_at_best_s = self._spent_at_best_s, self._spent_s
        self.best_loss = loss

    def cost_of_improvement(self, best: float) -> float:
        """Seconds until this family is expected to improve on the best of all."""
        since = max(self._spent_s - self._spent_at_best_s, self._spent_at_best_s - self._spent_at_previous_s)
        gap = self.best_loss - best
        gained = self._first_loss - self.best_loss
        if gap <= 0:
            return since
        if not np.isfinite(gap) or gained <= 0:
            return max(since, 4.0 * self._spent_s + 1.0)
        return max(since, gap * self._spent_s / gained)
