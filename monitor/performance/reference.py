"""How good the model was before it was served: what later figures are held against."""

import io
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from monitor.performance.answers import Answers, read_answers
from monitor.performance.metrics import Measured, measure, metrics_of
from storage.labels.joined import TRUTH
from storage.records import ModelVersion, Scores
from storage.signature import Signature

if TYPE_CHECKING:
    from storage.store import Store

#: Where the reference's figures are from: the reference sample's rows with what happened, or the model's card alone.
Source = Literal["sample", "card", "none"]


class Reference(NamedTuple):
    """How good a model was before it was served.

    measured: by metric, of the sample. scores: of the card, for a sample without what happened.
    """

    source: Source
    rows: int
    measured: dict[str, Measured]
    scores: Scores | None = None

    def measured_of(self, name: str, current: Measured) -> Measured | None:
        """A metric of the reference; None if it is not known.

        The card tells a value and of how many rows it is, and nothing of its error. If nothing has changed, its rows
        spread as the current ones do, so that theirs is the error, by the square root of the numbers of rows.
        """
        if name in self.measured:
            return self.measured[name]
        if self.scores is None:
            return None
        values = {self.scores.metric: self.scores.test_score, **self.scores.test}
        if name not in values or not math.isfinite(values[name]):
            return None
        if self.scores.test_rows:
            error = current.error * math.sqrt(current.rows / self.scores.test_rows)
            return Measured(values[name], error, self.scores.test_rows, self.scores.test_rows)
        if name == self.scores.metric and self.scores.test_error is not None:
            return Measured(values[name], self.scores.test_error, 0, 1.0)
        return None


def reference_of(signature: Signature, frame: pl.DataFrame) -> Reference:
    """The reference of rows with answers and `autopilot.truth`, as captured traffic has them."""
    return reference_of_answers(signature, read_answers(signature, frame).answers)


def reference_of_answers(signature: Signature, answers: Answers) -> Reference:
    """As `reference_of`; without a single known truth it is `none`."""
    rows = int(answers.known.sum())
    if not rows:
        return Reference("none", 0, {})
    found = {metric.name: measure(metric, answers) for metric in metrics_of(signature.task)}
    return Reference("sample", rows, {name: one for name, one in found.items() if math.isfinite(one.value)})


def reference_of_version(store: "Store", version: ModelVersion) -> Reference:
    """A model version's reference: of its sample, if that tells what happened, else of its card."""
    frame = read_sample(store, version)
    if TRUTH in frame.columns:
        return reference_of(version.signature, frame)
    return Reference("card", version.card.scores.test_rows, {}, version.card.scores)


def read_sample(store: "Store", version: ModelVersion) -> pl.DataFrame:
    """A version's reference sample as captured traffic is named; with `autopilot.truth`, if it tells what happened."""
    return pl.read_parquet(io.BytesIO(store.models.read_reference(version)))
