"""How a user wants a run: what `fit` was asked for beside the data."""

from typing import Literal

from msgspec import Struct

from autopilot.search.strategy import Strategy
from storage.errors import InputError

Quality = Literal["fast", "balanced", "best"]
QUALITY_NAMES: tuple[Quality, ...] = ("fast", "balanced", "best")


class Options(Struct, frozen=True):
    """quality: a name in `search.ensemble.QUALITIES`. max_latency_us: of one row, None for no limit.

    strategy: the means of the search. balanced: classes weigh alike in training.
    """

    quality: Quality = "balanced"
    max_latency_us: float | None = None
    strategy: Strategy = Strategy()
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.quality not in QUALITY_NAMES:
            raise InputError(f"There is no quality {self.quality!r}. Use one of {', '.join(QUALITY_NAMES)}.")
        most = self.strategy.max_trials
        if most is not None and most < 1:
            raise InputError(f"max_trials is {most}. Allow at least 1 trial, or leave it out.")
