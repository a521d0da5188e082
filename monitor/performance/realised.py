"""Quality by labels: how good answers were, over windows by the time of the answer, as it was known at a time."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from monitor.calibrated import check_level
from monitor.performance.answers import Answers, read_answers
from monitor.performance.delay import Delay, delay_of
from monitor.performance.figures import Drop, Figure, drop_of, figure_of, floor_of
from monitor.performance.labelled import known_at_time, labelled_at
from monitor.performance.metrics import LEAST_REQUESTS, Measured, Metric, measure, metrics_of, usual
from monitor.performance.reference import Reference, Source, reference_of_version
from monitor.performance.windows import Levels, Window, levels_of, windows_of, with_whole
from monitor.two_sample import Outcome, kolmogorov_smirnov
from storage.errors import agreed, counted, listed
from storage.labels.items import LabelItem
from storage.labels.joined import keys_of, unknown_of
from storage.records import ModelVersion
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from storage.store import Store

#: Fewer rows with labels are not judged, as fewer rows are not in a drift report; nor fewer of either of two classes.
LEAST_LABELLED = 30
LEAST_OF_CLASS = 5

Verdict = Literal["drop", "no drop", "too few labels", "no labels", "no rows", "no reference"]

_TIME, _ID, _EVENT = (f"{OUTPUT_PREFIX}{name}" for name in ("time", "inference_id", "event_id"))
# Rows with labels and those without are told apart where that is beyond chance and no trifle: a tenth of the rows would
# have to have another score.
_SELECTION_LEVEL, _SELECTION_EFFECT = 0.001, 0.1
_MOST_LOOKED = 10_000


class RealisedWindow(Struct, frozen=True):
    """How good the answers of a window were.

    rows: answered; unreadable: of them, with a score that is missing, NaN or infinite, or a label that is no class:
        they are in no figure. labelled: of the readable ones, with a label; share: of them.
    figures: in the order of the report's metrics. drop: of the metric that is judged; None if it is not.
    selection_p: the p-value of whether rows with labels have the scores of those without; None where there are too few.
    notes: what to mind, in sentences.
    """

    start: datetime
    end: datetime
    verdict: Verdict
    rows: int
    unreadable: int
    labelled: int
    share: float
    figures: tuple[Figure, ...]
    drop: Drop | None
    selection_p: float | None
    notes: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """The figure of a metric. Raises KeyError."""
        return {figure.metric: figure for figure in self.figures}[name]


class RealisedQuality(Struct, frozen=True):
    """How good a model's answers were over time, by the labels that had been received at `known_at`.

    verdict: `drop` if any window, or the whole, dropped; else that of the whole.
    metric: the one that is judged. level: the chance of any drop in a report where nothing has changed.
    source: where the reference's figures are from; reference: they, with rows in `reference_rows`.
    whole: the whole period; windows: its pieces in order. labels: that the endpoint has of all times.
    levels: what of `level` the whole and its pieces have; None in reports of older programs.
    """

    verdict: Verdict
    endpoint: str
    model: str
    version: int
    known_at: datetime
    metric: str
    level: float
    source: Source
    reference_rows: int
    reference: tuple[Figure, ...]
    whole: RealisedWindow
    windows: tuple[RealisedWindow, ...]
    delay: Delay
    labels: int
    levels: Levels | None = None

    def json(self) -> bytes:
        """One JSON document, which `RealisedQuality.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "RealisedQuality":
        """Back from JSON."""
        return msgspec.json.decode(data, type=cls)

    def table(self) -> pl.DataFrame:
        """A row for each window and metric: `start`, `end`, `metric`, `value`, `low`, `high`, `labelled`."""
        rows = [(w.start, w.end, f.metric, f.value, f.low, f.high, w.labelled) for w in self.windows for f in w.figures]
        times, numbers = pl.Datetime("us", "UTC"), dict.fromkeys(("value", "low", "high"), pl.Float64)
        schema = {"start": times, "end": times, "metric": pl.String, **numbers, "labelled": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")


class Restatement(Struct, frozen=True):
    """A window's figures as they were known at a time."""

    known_at: datetime
    labelled: int
    share: float
    figures: tuple[Figure, ...]


def realised(
    store: "Store",
    endpoint_name: str,
    *,
    start: datetime,
    end: datetime,
    known_at: datetime,
    every: timedelta | None = None,
    metric: str | None = None,
    level: float = 0.05,
) -> RealisedQuality:
    """How good the answers of `start <= time < end` were, of the version that the endpoint serves.

    known_at: labels received later do not count; the same time gives the same figures, whatever has come since.
    every: the length of windows; None is one. metric: the one that is judged, by default the one that the model was
    chosen by, or the task's usual one if that is not watched. level: the chance of any drop in the report where nothing
    has changed; the whole period has half of it, and its windows the other (`levels_of`).

    Raises UnknownNameError for the endpoint, SettingError for a period, a length, a metric or a level that cannot be,
    and StoreError if the store cannot be read.
    """
    version, windows, judged = asked_of(store, endpoint_name, Window(start, end), every, metric, level)
    frame = labelled_at(store, endpoint_name, start, end, known_at, model=version.name, version=version.version)
    found = realised_of(
        version.signature, frame, reference_of_version(store, version), windows, known_at, metric=judged, level=level
    )
    found = msgspec.structs.replace(found, endpoint=endpoint_name, model=version.name, version=version.version)
    return with_labels(store, found)


def restated(
    store: "Store", endpoint_name: str, *, start: datetime, end: datetime, known_at: Sequence[datetime]
) -> tuple[Restatement, ...]:
    """How the figures of a period changed as labels came: as they were known at each of these times.

    Raises UnknownNameError for the endpoint and SettingError for a period that ends before it starts.
    """
    version = store.models.get(store.endpoints.get(endpoint_name).main.spec)
    windows_of(start, end)
    latest = max(known_at, default=start)
    frame = labelled_at(store, endpoint_name, start, end, latest, model=version.name, version=version.version)
    return tuple(_restatement(version.signature, frame, at) for at in known_at)


def realised_of(
    signature: Signature,
    frame: pl.DataFrame,
    reference: Reference,
    windows: Sequence[Window],
    known_at: datetime,
    *,
    metric: str | None = None,
    level: float = 0.05,
) -> RealisedQuality:
    """As `realised`, of rows in a frame of the columns that captured traffic with labels has.

    Needed are the outputs, `autopilot.time` and `autopilot.truth`; `autopilot.inference_id`, `autopilot.event_id` and
    `autopilot.received_at` tell more. `endpoint`, `model` and `version` stay empty. Raises SettingError as `realised`
    does.
    """
    metrics = metrics_of(signature.task)
    (judged,) = metrics_of(signature.task, (metric or metrics[0].name,))
    looked_at = with_whole(windows)
    parts = [_part(signature, metrics, within(frame, window)) for window in looked_at]
    enough = [_is_enough(judged, part) for part in parts]
    levels = levels_of(level, enough)
    judge = _Judge(metrics, judged, reference)
    told = [judge.window(*one) for one in zip(looked_at, parts, levels.of_windows(enough), strict=True)]
    return RealisedQuality(
        verdict="drop" if any(one.verdict == "drop" for one in told) else told[-1].verdict,
        endpoint="",
        model="",
        version=0,
        known_at=known_at.astimezone(UTC),
        metric=judged.name,
        level=level,
        source=reference.source,
        reference_rows=reference.rows,
        reference=judge.reference_figures(parts[-1]),
        whole=told[-1],
        windows=tuple(told[: len(windows)]),
        levels=levels,
        delay=delay_of(parts[-1].frame, known_at),
        labels=told[-1].labelled,
    )


def within(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """The rows that were answered in a window."""
    if not frame.width:
        return frame
    return frame.filter((pl.col(_TIME) >= window.start) & (pl.col(_TIME) < window.end))


class Asked(NamedTuple):
    """What a report on an endpoint is asked for: of which version, in which windows, judged by which metric."""

    version: ModelVersion
    windows: list[Window]
    metric: str


def asked_of(
    store: "Store", endpoint_name: str, period: Window, every: timedelta | None, metric: str | None, level: float
) -> Asked:
    """The version that the endpoint serves, the period in windows, and the metric that is asked for, or that the model
    was chosen by. Raises as `realised` does."""
    version = store.models.get(store.endpoints.get(endpoint_name).main.spec)
    windows = windows_of(*period, every)
    judged = judged_metric(version, metric)
    check_level(level)
    return Asked(version, windows, judged)


def judged_metric(version: ModelVersion, asked: str | None = None) -> str:
    """The metric that is asked for, or that the model was chosen by. Raises SettingError."""
    task = version.signature.task
    return metrics_of(task, (asked,))[0].name if asked else usual(task, version.card.scores.metric)


def _restatement(signature: Signature, frame: pl.DataFrame, known_at: datetime) -> Restatement:
    metrics = metrics_of(signature.task)
    part = _part(signature, metrics, known_at_time(frame, known_at) if frame.width else frame)
    figures = tuple(figure_of(metric, part.measured[metric.name]) for metric in metrics)
    return Restatement(known_at.astimezone(UTC), part.labelled, part.share, figures)


# ------------------------------------------------------------------------------------------------------ one window


class _Part(NamedTuple):
    """The rows of a window, read and measured."""

    frame: pl.DataFrame
    answers: Answers
    unreadable: int
    measured: dict[str, Measured]

    @property
    def labelled(self) -> int:
        return int(self.answers.known.sum())

    @property
    def share(self) -> float:
        return self.labelled / max(len(self.answers), 1)


def _part(signature: Signature, metrics: Sequence[Metric], frame: pl.DataFrame) -> _Part:
    answers, readable = read_answers(signature, frame)
    measured = {metric.name: measure(metric, answers) for metric in metrics}
    return _Part(frame, answers, int((~readable).sum()), measured)


def _is_enough(metric: Metric, part: _Part) -> bool:
    """Whether a window has rows enough to be judged."""
    measured = part.measured[metric.name]
    few = part.answers.classes == 2 and measured.weight < LEAST_OF_CLASS
    return measured.rows >= LEAST_LABELLED and math.isfinite(measured.value) and not few


class _Judge(NamedTuple):
    """What windows are held against."""

    metrics: Sequence[Metric]
    judged: Metric
    reference: Reference

    def window(self, window: Window, part: _Part, threshold: float | None) -> RealisedWindow:
        """A window with its verdict. threshold: None for one that is not judged."""
        drop = self._drop(part, threshold)
        selection, verdict = _selection(part), self._verdict(part, drop)
        return RealisedWindow(
            start=window.start,
            end=window.end,
            verdict=verdict,
            rows=part.frame.height,
            unreadable=part.unreadable,
            labelled=part.labelled,
            share=part.share,
            figures=tuple(figure_of(metric, part.measured[metric.name]) for metric in self.metrics),
            drop=drop,
            selection_p=None if selection is None else selection.p_value,
            notes=(
                *_notes(part, selection),
                *([_why_too_few(self.judged, part)] if verdict == "too few labels" else []),
            ),
        )

    def reference_figures(self, part: _Part) -> tuple[Figure, ...]:
        """The reference's figures, of the metrics that it knows."""
        found = [
            (metric, self.reference.measured_of(metric.name, part.measured[metric.name])) for metric in self.metrics
        ]
        return tuple(figure_of(metric, measured) for metric, measured in found if measured is not None)

    def _drop(self, part: _Part, threshold: float | None) -> Drop | None:
        if threshold is None:
            return None
        current = part.measured[self.judged.name]
        before = self.reference.measured_of(self.judged.name, current)
        if before is None:
            return None
        return drop_of(self.judged, before, current, threshold, floor_of(self.judged, before.value))

    def _verdict(self, part: _Part, drop: Drop | None) -> Verdict:
        if drop is not None:
            return "drop" if drop.dropped else "no drop"
        if not part.frame.height:
            return "no rows"
        if not part.labelled:
            return "no labels"
        return "no reference" if _is_enough(self.judged, part) else "too few labels"


def _notes(part: _Part, selection: Outcome | None) -> Iterator[str]:
    if part.unreadable:
        yield unreadable_note(part.unreadable, part.frame.height)
    shared = _shared(part.frame)
    if shared:
        were = "was" if shared == 1 else "were"
        ids = counted(shared, "inference id")
        yield f"{ids} {were} given to several requests, whose rows all have the same labels."
    requests = len(np.unique(part.answers.request[part.answers.known]))
    if requests < min(part.labelled, LEAST_REQUESTS):
        of = counted(requests, "request")
        yield f"Rows of {of} count as independent; if they are not, intervals are too narrow."
    if selection is not None and selection.p_value <= _SELECTION_LEVEL and selection.effect >= _SELECTION_EFFECT:
        yield "Rows with labels have other scores than those that wait for one: figures speak of the former alone."


def unreadable_note(unreadable: int, rows: int) -> str:
    """What is told of answers that cannot be used; there is one at least."""
    told = f"{agreed(unreadable, 'have')} no usable answer and {agreed(unreadable, 'are')} in no figure"
    return f"{unreadable:,} of {counted(rows, 'row')} {told}."


def _why_too_few(metric: Metric, part: _Part) -> str:
    """Of labels, what a verdict takes."""
    measured = part.measured[metric.name]
    if measured.rows < LEAST_LABELLED:
        return f"A verdict takes {LEAST_LABELLED} rows with a label."
    if not math.isfinite(measured.value):
        return figure_of(metric, measured).note
    return f"A verdict takes {LEAST_OF_CLASS} rows of either class; of the rarer one there are {measured.weight:.0f}."


def _shared(frame: pl.DataFrame) -> int:
    """How many inference ids several requests have."""
    if not {_ID, _EVENT} <= set(frame.columns):
        return 0
    return frame.group_by(_ID).agg(pl.col(_EVENT).n_unique().alias("requests")).filter(pl.col("requests") > 1).height


def _selection(part: _Part) -> Outcome | None:
    """Are rows with labels like those without, by their scores? None where either are too few."""
    answers, known = part.answers, part.answers.known
    if min(part.labelled, len(answers) - part.labelled) < LEAST_LABELLED:
        return None
    score = (
        answers.label
        if not answers.classes
        else answers.scores[:, 1]
        if answers.classes == 2
        else answers.scores.max(axis=1)
    )
    return kolmogorov_smirnov(np.sort(score[known]), np.sort(score[~known]))


# ---------------------------------------------------------------------------------------------- labels of no rows


def with_labels(store: "Store", found: RealisedQuality) -> RealisedQuality:
    """The report with the number of the endpoint's labels; where none has met a row, with what is wrong with them, and
    where there are none, with how they come."""
    count = store.labels.count(found.endpoint)
    found = msgspec.structs.replace(found, labels=count)
    if found.whole.labelled or not found.whole.rows:
        return found
    note = _without_match(store, found) if count else _HOW_LABELS_COME.format(found.endpoint)
    return msgspec.structs.replace(found, whole=msgspec.structs.replace(found.whole, notes=(*found.whole.notes, note)))


_HOW_LABELS_COME = "`autopilot endpoints labels {0} FILE` brings them, or PUT /api/endpoints/{0}/labels."


def _without_match(store: "Store", found: RealisedQuality) -> str:
    labels = store.labels.list(found.endpoint, limit=_MOST_LOOKED)
    keys = keys_of([LabelItem(label.inference_id, label.label, label.row) for label in labels])
    unknown, ids = unknown_of(store, found.endpoint, keys, found.known_at)
    note = f"No label meets a row of this period that was known then, of {found.labels:,} that the endpoint has."
    if unknown:
        note += f" Of {keys.height:,} looked at, {unknown:,} are of rows that were not captured, such as {listed(ids)}."
    return note
