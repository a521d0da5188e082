"""The ensemble while the search goes on: chosen anew as trials end, so that it is known when the time is up."""

import time
from collections.abc import Callable

from autopilot.deadline import Deadline
from autopilot.search.ensemble import Blend, Pricing, blend
from autopilot.search.scoring import Scoring
from autopilot.search.trial import Outcome

#: Chosen anew when that takes less than this share of the time since it was last chosen.
_SHARE = 0.05
#: A better ensemble gains at least this share of the loss; less is chance.
_LEAST_GAIN = 1e-3


class Combining:
    """Keeps the best blend of the outcomes so far. limit_s: that choosing it may take, with a slow metric on fewer."""

    def __init__(self, scoring: Scoring, pricing: Callable[[], Pricing], limit_s: float) -> None:
        self._scoring, self._pricing = scoring, pricing
        self.limit_s = limit_s
        self._took_s = 0.0
        self._chosen_at = -1e9
        self._loss = float("inf")
        self.blend: Blend | None = None

    def gained(self, outcomes: list[Outcome]) -> bool:
        """Whether the ensemble of these outcomes is better than the last; taken for granted where asking is slow."""
        if self._took_s > _SHARE * (time.monotonic() - self._chosen_at):
            return True
        self.choose(outcomes)
        loss = self._scoring.metric.loss(self.blend.score) if self.blend else float("inf")
        if loss < self._loss - _LEAST_GAIN * abs(self._loss) or self._loss == float("inf"):
            self._loss = loss
            return True
        return False

    def choose(self, outcomes: list[Outcome]) -> Blend:
        """The best blend of complete outcomes, best first."""
        began = time.monotonic()
        self.blend = blend(outcomes, self._scoring, self._pricing(), Deadline.after(self.limit_s))
        self._chosen_at = time.monotonic()
        self._took_s = self._chosen_at - began
        return self.blend
