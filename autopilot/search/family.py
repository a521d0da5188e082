"""A family in the search: its suggestions, and what it has cost and gained so far."""

import numpy as np

from autopilot.candidates.candidate import Candidate, Problem
from autopilot.search.space import Params
from autopilot.search.tpe import Tpe

#: A family is given up after so many trials without a score.
_MOST_FAILURES = 3
#: And after so many in a row that were far behind the best of all.
_MOST_BEHIND = 5


class Family:
    """A candidate, its TPE, and the expected cost of improving with it.

    The cost is FLAML's rule (Wang et al., "FLAML: A Fast and Lightweight AutoML Library", MLSys 2021): as long as its
    last improvement took, or as long as it takes to close the gap to the best of all at the speed that it had so far.
    """

    def __init__(self, candidate: Candidate, problem: Problem, seed: int) -> None:
        self.candidate = candidate
        space = candidate.space(problem)
        self.tpe = Tpe(space, seed)
        self.is_fixed = not space
        self.started = 0
        self.best_loss = float("inf")
        self._first_loss = float("inf")
        self._spent_s = self._spent_at_best_s = self._spent_at_previous_s = 0.0
        self._seconds: list[float] = []
        self._failures = self._behind = 0

    @property
    def usual_s(self) -> float | None:
        """Seconds of training that a whole trial takes, on one core; None while no trial has told."""
        return float(np.median(self._seconds)) if self._seconds else None

    @property
    def is_given_up(self) -> bool:
        """Whether it failed or fell behind too often, or has no other point to try."""
        is_hopeless = self._failures >= _MOST_FAILURES or self._behind >= _MOST_BEHIND
        return is_hopeless or (self.is_fixed and self.started > 0)

    def ask(self, point: Params | None) -> tuple[int, Params]:
        """A number to tell by, and parameters: those of the point, or the TPE's next."""
        self.started += 1
        return self.tpe.ask(point)

    def tell(self, number: int, loss: float | None, seconds: float, whole_s: float | None, *, is_behind: bool) -> None:
        """A trial ended. loss: None if it failed; whole_s: what all folds took or would have taken.

        is_behind: it was given up because others are far better.
        """
        self.tpe.tell(number, loss)
        self._spent_s += seconds
        if whole_s is not None:
            self._seconds.append(whole_s)
        self._failures = self._failures + 1 if loss is None else 0
        self._behind = self._behind + 1 if is_behind else 0

    def improved(self, loss: float) -> None:
        """A whole trial's loss, which counts if it is the family's best."""
        if loss >= self.best_loss:
            return
        self._first_loss = loss if self.best_loss == float("inf") else self._first_loss
        self._spent_at_previous_s, self._spent_at_best_s = self._spent_at_best_s, self._spent_s
        self.best_loss = loss

    def cost_of_improvement(self, best: float) -> float:
        """Seconds until it is expected to improve on the best loss of all."""
        since = max(self._spent_s - self._spent_at_best_s, self._spent_at_best_s - self._spent_at_previous_s)
        gap = self.best_loss - best
        gained = self._first_loss - self.best_loss
        if gap <= 0:
            return since
        if not np.isfinite(gap) or gained <= 0:
            return max(since, 4.0 * self._spent_s + 1.0)
        return max(since, gap * self._spent_s / gained)
