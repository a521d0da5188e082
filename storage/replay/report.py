"""What is to be replayed, and what came of it."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from storage.quality import MetricPair


class ReplaySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be replayed: requests that were answered in `start <= time < end`, or those of an inference id.

    start: None is an hour before the end, and with an inference id the beginning. end: None is now. model: such as
    `churn:7`, the version that is asked; None asks the one that answered, and compares to the bit. allow_redacted:
    whether columns that were not captured count as missing; otherwise such rows are refused. most_rows: no more
    requests are begun after so many rows.
    """

    start: datetime | None = None
    end: datetime | None = None
    inference_id: str | None = None
    model: str | None = None
    allow_redacted: bool = False
    most_rows: int | None = None


class RowPair(Struct, frozen=True):
    """A row, what was answered, and what came now. row: within its request. outputs as of `Predictor.predict`."""

    inference_id: str
    row: int
    time: datetime
    old: dict[str, Any]
    new: dict[str, Any]


class Same(Struct, frozen=True):
    """What a version says to the rows that it has answered. rows: identical ones to the bit, and different ones.

    max_difference: of probabilities or predictions, over the rows that differ; None if there are none. as_served: rows
    that are identical only with the company that they were served in. examples: the first rows that differ, or of an
    inference id all of them.
    """

    model: str
    version: int
    rows: int
    identical: int
    different: int
    as_served: int
    max_difference: float | None
    examples: tuple[RowPair, ...]


class Changed(Struct, frozen=True):
    """How many rows got one label, and now get another, or the same."""

    old: str | int
    new: str | int
    rows: int


class Distribution(Struct, frozen=True):
    """How numbers are spread. Quantiles are of a sample of 200,000 if there are more."""

    mean: float
    std: float
    minimum: float
    q05: float
    q25: float
    median: float
    q75: float
    q95: float
    maximum: float


class Against(Struct, frozen=True):
    """What another version says to the rows that `model:version` has answered.

    rows: compared. refused: rows that it cannot read, `reason` being the first's. agreement: share of rows with the
    same label; None for regression. decisions: how many rows by old and new label, those that changed first.
    mean_difference, max_difference: of probabilities, the class that differs most, or of predictions; None where they
    cannot be compared, because classes differ. score: what `old`, `new` and `shift`, the mean of new - old, are of.
    labelled: rows of which it is known what happened; quality: of both on these rows. examples: those that differ most,
    or of an inference id all rows.
    """

    model: str
    version: int
    rows: int
    refused: int
    reason: str | None
    agreement: float | None
    decisions: tuple[Changed, ...]
    mean_difference: float | None
    max_difference: float | None
    score: str
    old: Distribution | None
    new: Distribution | None
    shift: float | None
    labelled: int
    quality: tuple[MetricPair, ...]
    examples: tuple[RowPair, ...]


class Replay(Struct, frozen=True):
    """What came of a replay.

    model: the version that was asked; None: the one that had answered each row, told in `same`. against: by the version
    that had answered. rows: all that were replayed. is_whole: whether these were all there are, and not the first of
    them. as_missing: columns that were not captured, and counted as missing.
    """

    endpoint: str
    start: datetime | None
    end: datetime
    inference_id: str | None
    model: str | None
    rows: int
    is_whole: bool
    as_missing: tuple[str, ...]
    seconds: float
    same: tuple[Same, ...] = ()
    against: tuple[Against, ...] = ()

    @property
    def is_identical(self) -> bool:
        """Whether no row that was compared with itself came out different."""
        return not any(one.different for one in self.same)
