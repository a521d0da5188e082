"""What a report on an endpoint looks at: one window of its traffic, and what that is held against.

The traffic is read once, so that all sections of a report speak of the same rows.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from msgspec.structs import replace

from monitor.calibrated import untested
from monitor.drift import Bars, ColumnDrift, Counts, DriftReport, Histogram, Kind
from monitor.performance.labelled import known_at_time
from monitor.performance.reference import read_sample
from monitor.performance.windows import Window, windows_of
from storage.errors import UnknownNameError
from storage.labels.joined import with_truth
from storage.records import Endpoint, ModelVersion
from storage.redaction import Redaction
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX, redactions_of

if TYPE_CHECKING:
    from storage.store import Store

#: Quality over time is drawn in at most so many pieces, each of one of these lengths where that is enough.
MOST_PIECES = 30
_PIECES = (*(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)), *(timedelta(days=days) for days in (1, 2, 7, 28)))


class Span(NamedTuple):
    """Whose traffic is looked at: `start <= time < end` in UTC. variant: whose answers; None is any one's."""

    endpoint: str
    start: datetime
    end: datetime
    variant: str | None = None


class Looked:
    """A window of traffic of one model version, and the version's reference.

    sample: the reference as it is stored; traffic: the window's rows, both with outputs named `autopilot.…`.
    kinds: what a report compares; reference, current: these columns in both, by the names that a report has for them.
    redacted: the columns that were redacted in any row of the window. sensitive: those of which no value is told.
    """

    def __init__(self, store: "Store", version: ModelVersion, span: Span) -> None:
        self.store, self.version, self.span = store, version, span
        self.signature = version.signature
        self.kinds = compared_kinds(version.signature)
        self.sample = read_sample(store, version)
        self.traffic = store.traffic.read(
            span.endpoint, span.start, span.end, model=version.name, version=version.version, variant=span.variant
        )
        self.redacted = redactions_of(self.traffic)
        self.sensitive = {column.name for column in version.signature.columns if column.sensitive}
        self.reference = renamed(self.sample, version.signature)
        self.current = renamed(self.traffic, version.signature) if self.traffic.width else self.reference.clear()

    @property
    def compared(self) -> list[str]:
        """The columns of which the window has values, by the names that a report has for them."""
        return [name for name in self.kinds if name not in self.redacted]

    @property
    def inputs(self) -> list[str]:
        """The model's inputs of which the window has values."""
        return [name for name in self.signature.names if name not in self.redacted]

    @property
    def shown(self) -> list[str]:
        """The compared columns of which values may be shown."""
        return [name for name in self.compared if name not in self.sensitive]

    @property
    def answers(self) -> pl.DataFrame:
        """The window's rows as they are stored; without any, the columns of the reference."""
        return self.traffic if self.traffic.width else self.sample.clear()

    @property
    def pieces(self) -> list[Window]:
        """The window in at most `MOST_PIECES` pieces of one length. Raises SettingError for one that has no length."""
        length = self.span.end - self.span.start
        enough = (piece for piece in _PIECES if piece * MOST_PIECES >= length)
        return windows_of(self.span.start, self.span.end, next(enough, length / MOST_PIECES))

    @cached_property
    def labels(self) -> pl.DataFrame:
        """The window's rows with all their labels; without rows, no column."""
        return with_truth(self.store, self.span.endpoint, self.traffic) if self.traffic.width else self.traffic

    def labelled(self, known_at: datetime) -> pl.DataFrame:
        """The window's rows with the labels that had been received at a time."""
        return known_at_time(self.labels, known_at) if self.labels.width else self.labels


def version_of(store: "Store", endpoint: Endpoint, variant: str | None) -> ModelVersion:
    """The model version that an endpoint, or one variant of it, serves now. Raises UnknownNameError."""
    if variant is None:
        return store.models.get(endpoint.main.spec)
    specs = {one.name: one.spec for one in endpoint.variants}
    if variant not in specs:
        raise UnknownNameError(
            f"Endpoint {endpoint.name!r} has no variant {variant[:80]!r}. It has: {', '.join(specs)}."
        )
    return store.models.get(specs[variant])


def compared_kinds(signature: Signature) -> dict[str, Kind]:
    """The columns that a report compares and what they are: the inputs in their order, then the outputs.

    Of a model with more than two classes, the probabilities are left out: its labels tell of each class already.

    >>> from storage import Column, Signature
    >>> compared_kinds(Signature("binary", "paid", (Column("label", "text", "String"),), classes=("no", "yes")))
    {'label': 'text', 'autopilot.label': 'category', 'p_yes': 'number'}
    """
    outputs: dict[str, Kind] = {"prediction": "number"} if signature.task == "regression" else {"label": "category"}
    if signature.task == "binary":
        outputs[f"p_{signature.classes[1]}"] = "number"
    names = _output_names(signature)
    return {
        **{column.name: column.kind for column in signature.columns},
        **{names[OUTPUT_PREFIX + name]: kind for name, kind in outputs.items()},
    }


def _output_names(signature: Signature) -> dict[str, str]:
    """What each stored output is called in a report: without the prefix, unless an input has the name."""
    return {
        OUTPUT_PREFIX + name: OUTPUT_PREFIX + name if name in signature.names else name for name in signature.outputs
    }


def renamed(frame: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Stored rows, whose outputs have the names that a report has for them."""
    return frame.rename(_output_names(signature))


def read_reference(store: "Store", version: ModelVersion) -> pl.DataFrame:
    """A model version's reference sample; outputs have the names that `compared_kinds` gives them."""
    return renamed(read_sample(store, version), version.signature)


# ---------------------------------------------------------------------------------------------- what is not told


def with_redacted(drift: DriftReport, kinds: Mapping[str, Kind], redacted: Mapping[str, Redaction]) -> DriftReport:
    """The report with a line, in its place, for each column that could not be compared: its values were not kept."""
    found = {column.name: column for column in drift.columns}
    columns = (found.get(name) or _redacted(name, kind, redacted[name]) for name, kind in kinds.items())
    return replace(drift, columns=tuple(columns))


def _redacted(name: str, kind: Kind, redaction: Redaction) -> ColumnDrift:
    note = f"Redacted in captured traffic ({redaction}), so there is nothing to compare."
    return untested().of(name, kind, Counts(0, 0), note=note)


def masked(drift: DriftReport, signature: Signature) -> DriftReport:
    """The report without values of sensitive columns: levels have numbers for names, ranges of values no chart.

    >>> from monitor.compare import compare
    >>> from storage import Column, Signature
    >>> names = pl.DataFrame({"name": ["Jane", "Jim"] * 20})
    >>> signature = Signature("binary", "paid", (Column("name", "category", "String", sensitive=True),))
    >>> masked(compare(names, names), signature).columns[0].chart.levels
    ('level 1', 'level 2')
    """
    hidden = {column.name for column in signature.columns if column.sensitive}
    columns = (replace(one, chart=_masked(one.chart)) if one.name in hidden else one for one in drift.columns)
    return replace(drift, columns=tuple(columns))


def _masked(chart: Histogram | Bars | None) -> Histogram | Bars | None:
    match chart:
        case Bars():
            return replace(chart, levels=tuple(f"level {number + 1}" for number in range(len(chart.levels))))
        case Histogram(unit="characters"):
            return chart
        case _:
            return None
