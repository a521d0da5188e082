"""Quality without labels: how good the answers of a window probably are, as far as the reference can tell."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from monitor.calibrated import check_level
from monitor.performance.answers import Answers, read_answers
from monitor.performance.calibration import Calibration, calibrate
from monitor.performance.confidence import estimate_classes
from monitor.performance.direct import Loss, estimate_values, learn_losses
from monitor.performance.figures import Drop, Figure, drop_of, figure_of, floor_of
from monitor.performance.inputs import Inputs, Matrix
from monitor.performance.metrics import Measured, Metric, metrics_of
from monitor.performance.overlap import LEAST_WEIGHED, Overlap, overlap_of
from monitor.performance.realised import asked_of, judged_metric, unreadable_note, within
from monitor.performance.record import BLOCKS_OF_FOLD, blocks_of, stretch_of_classes, stretch_of_values
from monitor.performance.reference import Reference, read_sample, reference_of_answers
from monitor.performance.windows import Levels, Window, levels_of, with_whole
from storage.errors import SettingError, listed
from storage.records import ModelVersion
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from storage.store import Store

#: Windows with a greater share of rows of which the reference tells nothing are not estimated.
MOST_OUTSIDE = 0.1
#: Nor those that fewer of the reference's rows are like, by their weights.
LEAST_LIKE = 100
#: Fewer rows with known truths teach too little.
LEAST_REFERENCE = 300

Verdict = Literal["drop", "no drop", "outside the support", "too few rows", "no rows", "no reference"]
Method = Literal["CBPE", "DLE"]

_TIME = f"{OUTPUT_PREFIX}time"
_ESTIMATED_VALUES = ("rmse", "mae")


class EstimatedWindow(Struct, frozen=True):
    """How good the answers of a window probably are.

    rows, unreadable: as of `RealisedWindow`. outside: the share of readable rows of which the reference tells nothing;
    figures are of the others. like_rows: how many rows of the reference are like the window's.
    figures: with intervals for what labels will say; empty where there is no estimate. drop: of the metric that is
    judged. notes: in sentences.
    """

    start: datetime
    end: datetime
    verdict: Verdict
    rows: int
    unreadable: int
    outside: float
    like_rows: int
    figures: tuple[Figure, ...]
    drop: Drop | None
    notes: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """The figure of a metric. Raises KeyError."""
        return {figure.metric: figure for figure in self.figures}[name]


class EstimatedQuality(Struct, frozen=True):
    """How good a model's answers probably were over time, without labels.

    verdict: `drop` if any window, or the whole, probably dropped; else that of the whole.
    method: `CBPE` for classes, `DLE` for values. likelihoods: what they come of: `scores`, `isotonic` or `inputs`; None
        for values. error_before, error_after: the calibration error of scores and of likelihoods, on rows not seen.
    stretched: by metric, by how much errors were stretched because estimates of the reference's own blocks were off.
    metric, level, reference, reference_rows, whole, windows, levels: as of `RealisedQuality`.
    """

    verdict: Verdict
    endpoint: str
    model: str
    version: int
    method: Method
    likelihoods: str | None
    error_before: float | None
    error_after: float | None
    stretched: dict[str, float]
    metric: str
    level: float
    reference_rows: int
    reference: tuple[Figure, ...]
    whole: EstimatedWindow
    windows: tuple[EstimatedWindow, ...]
    levels: Levels | None = None

    def json(self) -> bytes:
        """One JSON document, which `EstimatedQuality.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "EstimatedQuality":
        """Back from JSON."""
        return msgspec.json.decode(data, type=cls)


def estimated(
    store: "Store",
    endpoint_name: str,
    *,
    start: datetime,
    end: datetime,
    every: timedelta | None = None,
    metric: str | None = None,
    level: float = 0.05,
) -> EstimatedQuality:
    """How good the answers of `start <= time < end` probably were, of the version that the endpoint serves.

    every, metric, level: as of `realised`. The reference is the version's sample; a version of before the sample told
    what happened has the verdict "no reference". Columns that were redacted in any row are not looked at.

    Raises UnknownNameError for the endpoint, SettingError for a period, a length, a metric or a level that cannot be,
    and StoreError if the store cannot be read.
    """
    version, windows, _ = asked_of(store, endpoint_name, Window(start, end), every, metric, level)
    judged = estimated_metric(version, metric)
    frame = store.traffic.read(endpoint_name, start, end, model=version.name, version=version.version)
    sample = read_sample(store, version)
    found = estimated_of(version.signature, sample, frame, windows, metric=judged, level=level)
    return msgspec.structs.replace(found, endpoint=endpoint_name, model=version.name, version=version.version)


def estimated_metric(version: ModelVersion, asked: str | None = None) -> str:
    """As `judged_metric`; of values, one that can be estimated unless another is asked for."""
    judged = judged_metric(version, asked)
    if asked is None and version.signature.task == "regression" and judged not in _ESTIMATED_VALUES:
        return _ESTIMATED_VALUES[0]
    return judged


def estimated_of(
    signature: Signature,
    reference: pl.DataFrame,
    frame: pl.DataFrame,
    windows: Sequence[Window],
    *,
    metric: str | None = None,
    level: float = 0.05,
) -> EstimatedQuality:
    """As `estimated`, of frames of the columns that captured traffic has.

    Both need the model's inputs and outputs, the reference `autopilot.truth`, the other `autopilot.time`. Where the
    reference has a time too, how estimates fare from one tenth of its time to the next is learnt from it.
    """
    metrics = metrics_of(signature.task, _ESTIMATED_VALUES if signature.task == "regression" else ())
    (judged,) = metrics_of(signature.task, (metric or metrics[0].name,))
    if judged not in metrics:
        raise SettingError(f"The metric {judged.name!r} is not estimated. Use {listed([one.name for one in metrics])}.")
    check_level(level)
    teacher = _learn(signature, reference, frame, metrics)
    looked_at = with_whole(windows)
    parts = [_part(signature, teacher, within(frame, window)) for window in looked_at]
    enough = [judged.name in part.measured for part in parts]
    levels = levels_of(level, enough)
    judge = _Judge(metrics, judged, teacher.reference)
    told = [judge.window(*one) for one in zip(looked_at, parts, levels.of_windows(enough), strict=True)]
    calibration = teacher.calibration
    return EstimatedQuality(
        verdict="drop" if any(one.verdict == "drop" for one in told) else told[-1].verdict,
        endpoint="",
        model="",
        version=0,
        method="DLE" if signature.task == "regression" else "CBPE",
        likelihoods=calibration and calibration.source,
        error_before=calibration and calibration.error_before,
        error_after=calibration and calibration.error_after,
        stretched=teacher.stretched,
        metric=judged.name,
        level=level,
        reference_rows=teacher.reference.rows,
        reference=judge.reference_figures(),
        whole=told[-1],
        windows=tuple(told[: len(windows)]),
        levels=levels,
    )


# ---------------------------------------------------------------------------------------------------- the reference


class _Teacher(NamedTuple):
    """What the reference has taught. known: its rows with a truth, with `X`. calibration: for classes; losses: for
    values; neither where there are too few rows."""

    metrics: tuple[Metric, ...]
    reference: Reference
    known: Answers
    inputs: Inputs
    X: Matrix
    calibration: Calibration | None
    losses: dict[str, Loss]
    stretched: dict[str, float]


def _learn(signature: Signature, reference: pl.DataFrame, frame: pl.DataFrame, metrics: tuple[Metric, ...]) -> _Teacher:
    answers, readable = read_answers(signature, reference)
    rows = reference.filter(pl.Series(readable)).filter(pl.Series(answers.known))
    known = answers.of(answers.known)
    columns = [c for c in signature.columns if c.name in rows.columns and (c.name in frame.columns or not frame.width)]
    inputs = Inputs(columns, rows)
    teacher = _Teacher(
        metrics, reference_of_answers(signature, known), known, inputs, inputs.matrix(rows), None, {}, {}
    )
    if len(known) < LEAST_REFERENCE:
        return teacher
    order = rows.get_column(_TIME).arg_sort().to_numpy().astype(np.int64) if _TIME in rows.columns else None
    block = blocks_of(len(known), order)
    fold = block // BLOCKS_OF_FOLD
    if signature.task == "regression":
        losses = learn_losses(known, teacher.X, inputs.categories, fold)
        return teacher._replace(losses=losses, stretched=stretch_of_values(losses, block))
    calibration = calibrate(known, teacher.X, inputs.categories, fold)
    stretched = stretch_of_classes(metrics, known, calibration.reference, block)
    return teacher._replace(calibration=calibration, stretched=stretched)


# ------------------------------------------------------------------------------------------------------ one window


class _Part(NamedTuple):
    """The rows of a window and what is estimated of them. measured: empty where nothing can be."""

    rows: int
    unreadable: int
    outside: float
    like_rows: float
    measured: dict[str, Measured]
    verdict: Verdict


def _part(signature: Signature, teacher: _Teacher, frame: pl.DataFrame) -> _Part:
    answers, readable = read_answers(signature, frame)
    unreadable = int((~readable).sum())
    nothing = _Part(frame.height, unreadable, 0.0, 0.0, {}, "no rows" if not frame.height else "too few rows")
    if not teacher.stretched:
        return nothing._replace(verdict="no reference") if frame.height else nothing
    if len(answers) < LEAST_WEIGHED:
        return nothing
    rows = frame.filter(pl.Series(readable))
    Z = teacher.inputs.matrix(rows)
    overlap = overlap_of(teacher.X, Z, teacher.inputs.categories)
    outside = overlap.outside | teacher.inputs.beyond(rows)
    seen = nothing._replace(outside=float(outside.mean()), like_rows=overlap.rows)
    if seen.outside > MOST_OUTSIDE or seen.like_rows < LEAST_LIKE:
        return seen._replace(verdict="outside the support")
    found = _estimate(teacher, overlap, answers.of(~outside), Z[~outside])
    stretched = {name: one._replace(error=one.error * teacher.stretched[name]) for name, one in found.items()}
    return seen._replace(measured=stretched, verdict="no drop")


def _estimate(teacher: _Teacher, overlap: Overlap, answers: Answers, Z: Matrix) -> dict[str, Measured]:
    if teacher.calibration is None:
        return estimate_values(teacher.losses, overlap.weights, answers, Z)
    likely = teacher.calibration.likelihoods(answers.scores, Z)
    return estimate_classes(teacher.metrics, teacher.known, teacher.calibration, overlap.weights, answers, likely)


class _Judge(NamedTuple):
    """What windows are held against."""

    metrics: tuple[Metric, ...]
    judged: Metric
    reference: Reference

    def window(self, window: Window, part: _Part, threshold: float | None) -> EstimatedWindow:
        """A window with its verdict. threshold: None for one that is not judged."""
        drop = self._drop(part, threshold)
        return EstimatedWindow(
            start=window.start,
            end=window.end,
            verdict="drop" if drop is not None and drop.dropped else part.verdict,
            rows=part.rows,
            unreadable=part.unreadable,
            outside=part.outside,
            like_rows=round(part.like_rows),
            figures=tuple(figure_of(m, part.measured[m.name]) for m in self.metrics if m.name in part.measured),
            drop=drop,
            notes=tuple(_notes(part)),
        )

    def reference_figures(self) -> tuple[Figure, ...]:
        """The reference's figures."""
        known = self.reference.measured
        return tuple(figure_of(metric, known[metric.name]) for metric in self.metrics if metric.name in known)

    def _drop(self, part: _Part, threshold: float | None) -> Drop | None:
        current, before = part.measured.get(self.judged.name), self.reference.measured.get(self.judged.name)
        if threshold is None or current is None or before is None or not math.isfinite(current.value):
            return None
        return drop_of(self.judged, before, current, threshold, floor_of(self.judged, before.value))


def _notes(part: _Part) -> Iterator[str]:
    if part.unreadable:
        yield unreadable_note(part.unreadable, part.rows)
    match part.verdict:
        case "outside the support":
            yield (
                f"{part.outside:.1%} of the rows are unlike any of the reference, and {part.like_rows:,.0f} of its "
                f"rows are like the window's. There is no estimate with more than {MOST_OUTSIDE:.0%} of the former, or "
                f"fewer than {LEAST_LIKE} of the latter: wait for labels."
            )
        case "no reference":
            yield (
                f"The reference has fewer than {LEAST_REFERENCE} rows of which it is known what happened. A model that "
                "is fitted now brings them along."
            )
        case "too few rows":
            yield f"An estimate needs {LEAST_WEIGHED} rows."
        case _:
            if part.outside:
                yield f"{part.outside:.1%} of the rows are unlike any of the reference; figures are of the others."
