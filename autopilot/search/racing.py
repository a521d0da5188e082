"""Racing: a trial that is far behind on the first rows is not trained on the others."""

import numpy as np

#: A trial is lost when it is behind the best by more than this share of what the best gains over the constant guess.
_MARGIN = 0.1
#: A family's first trial may be further behind: ensembles live on difference.
_FIRST_MARGIN = 0.3
#: And by this share of how much the best's losses differ from fold to fold: on few rows a fold says little.
_NOISE_SHARE = 0.5

#: A part of the rows: its kind and number.
Stage = tuple[str, int]


class Racing:
    """The best losses so far, stage by stage; smaller is better.

    >>> racing = Racing()
    >>> racing.note({("fold", 0): 1.0}, is_baseline=True)
    >>> racing.note({("fold", 0): 0.5}, is_baseline=False)
    >>> racing.is_lost(("fold", 0), 0.54, is_first=False), racing.is_lost(("fold", 0), 0.56, is_first=False)
    (False, True)
    """

    def __init__(self) -> None:
        self._best: dict[Stage, float] = {}
        self._baseline: dict[Stage, float] = {}
        self._noise = 0.0

    def note(self, losses: dict[Stage, float], *, is_baseline: bool) -> None:
        """The losses of a whole trial; the constant guess tells how much there is to gain."""
        known = self._baseline if is_baseline else self._best
        for stage, loss in losses.items():
            known[stage] = min(loss, known.get(stage, loss))
        folds = [loss for (kind, _), loss in self._best.items() if kind == "fold"]
        self._noise = float(np.std(folds)) if folds else 0.0

    def is_lost(self, stage: Stage, loss: float, *, is_first: bool) -> bool:
        """Whether this loss on a stage is too far behind; without a constant guess to compare with, never."""
        best = self._best.get(stage)
        worst = self._baseline.get(stage, self._baseline.get(("fold", 0)))
        if best is None or worst is None:
            return False
        margin = (_FIRST_MARGIN if is_first else _MARGIN) * max(worst - best, 0.0)
        return loss > best + margin + _NOISE_SHARE * self._noise
