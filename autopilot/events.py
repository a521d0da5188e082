"""What happens while `fit` works, as records: whoever listens decides what to show.

All of them in their order are the run's tape, kept in storage: what was tried, with which seeds and decisions, and what
a training was told of the time. `tape.py` writes and reads it, `resume.py` goes on from it, `replay.py` does it again.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from autopilot.deadline import Answers
from storage.records import RunEvent, Trial


class Working(Struct, frozen=True):
    """A process works on the run from here on. spent_s: of the budget, by processes before it."""

    process: int
    spent_s: float


class Started(Struct, frozen=True):
    """A run begins: what it is to predict, from how much, by which metric and within which time."""

    target: str
    task: str
    metric: str
    rows: int
    columns: int
    budget_s: float


class Asked(Struct, frozen=True):
    """What `fit` was asked for, as far as the table that is learnt depends on it: arguments of `read` and `infer`."""

    task: str
    columns: dict[str, str]
    ignore: tuple[str, ...]
    delimiter: str
    time: str | None
    group: str | None
    weight: str | None
    balanced: bool
    fairness: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()

    @property
    def kept(self) -> list[str]:
        """Columns that the user gave a kind or a role."""
        return [*self.columns, *(name for name in (self.time, self.group) if name is not None)]


class Checked(Struct, frozen=True):
    """What the guardrails decided about the table: the fields of `guardrails.Guarded`; empty where none looked."""

    guarded: dict[str, Any] = {}


class Phase(Struct, frozen=True):
    """A stretch of the work begins, in words for the user."""

    name: str


class TrialStarted(Struct, frozen=True):
    """A candidate with parameters is being tried."""

    number: int
    candidate: str
    params: dict[str, Any]


class PartTrained(Struct, frozen=True):
    """A trial trained on one part of the rows, and its result is on disk.

    part: its key, such as `fold-0`. digest: sha256 of the predictions for the rows that it validates. answers: what the
    training was told of the time.
    """

    number: int
    part: str
    scores: tuple[float, ...]
    rounds: int
    seconds: float
    digest: str
    answers: Answers


class TrialEnded(Struct, frozen=True):
    """A trial ended; `best` is the best complete score so far, in the metric's own direction.

    since_gain: trials since the ensemble was last better.
    """

    trial: Trial
    best: float | None
    since_gain: int = 0


class Divided(Struct, frozen=True):
    """How the rows are divided: the fields of `search.folds.Scheme`."""

    scheme: dict[str, Any]


class RefitEnded(Struct, frozen=True):
    """A trial's model was trained on all rows for so many rounds at most."""

    number: int
    rounds: int
    answers: Answers


class Used(Struct, frozen=True):
    """A model of a published average: the trial's, trained on that part, and its weight."""

    number: int
    part: str
    weight: float


class Published(Struct, frozen=True):
    """A model was registered; the last one of a run is its result.

    digest: of the graph, as its card has it. used: none for the constant guess that comes first. head: the fields of
    `graph.calibration.Head`.
    """

    model: str
    version: int
    digest: str
    used: tuple[Used, ...] = ()
    head: dict[str, Any] = {}


class Stopping(Struct, frozen=True):
    """Somebody asked the run to end now, with the best model so far."""


class Note(Struct, frozen=True):
    """Something that the user should read."""

    message: str


Event = (
    Working
    | Asked
    | Checked
    | Started
    | Phase
    | Divided
    | TrialStarted
    | PartTrained
    | TrialEnded
    | RefitEnded
    | Published
    | Stopping
    | Note
)
Observer = Callable[[Event], None]

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in Event.__args__}


def event_of(record: RunEvent) -> Event | None:
    """The event that a record holds; None for a kind that a later version knows."""
    kind = _KINDS.get(record.kind)
    return None if kind is None else msgspec.json.decode(record.body, type=kind)
