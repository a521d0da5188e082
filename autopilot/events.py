"""What happens while `fit` works, as records: whoever listens decides what to show."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from storage.records import Trial


class Started(Struct, frozen=True):
    """A run begins: what it is to predict, from how much, by which metric and within which time."""

    target: str
    task: str
    metric: str
    rows: int
    columns: int
    budget_s: float


class Phase(Struct, frozen=True):
    """A stretch of the work begins, in words for the user."""

    name: str


class TrialStarted(Struct, frozen=True):
    """A candidate with parameters is being tried."""

    number: int
    candidate: str
    params: dict[str, Any]


class TrialEnded(Struct, frozen=True):
    """A trial ended; `best` is the best complete score so far, in the metric's own direction."""

    trial: Trial
    best: float | None


class Note(Struct, frozen=True):
    """Something that the user should read."""

    message: str


Event = Started | Phase | TrialStarted | TrialEnded | Note
Observer = Callable[[Event], None]
