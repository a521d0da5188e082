"""The loop over captured traffic.

file      of Parquet: one version's rows of an hour, read whole
block     of 10,000 rows, cut between requests: run, compared, counted
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from storage.batch.transform import Progress
from storage.boundary import blocks_of_frame
from storage.errors import InputError, UnknownNameError, listed
from storage.labels.joined import TRUTH, outputs_of, with_truth
from storage.predictor import Outputs, Predictor, frame_of_outputs
from storage.records import ModelVersion
from storage.replay.other import Other, missing_columns
from storage.replay.report import Against, Replay, ReplaySpec, RowPair, Same
from storage.replay.same import PIECE_ROWS, run_again
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX, redactions_of

if TYPE_CHECKING:
    from storage.store import Store

#: Columns of the rows as they are kept: what came now.
NEW_PREFIX = "replayed."

_BLOCK_ROWS = 10_000
_MOST_EXAMPLES, _MOST_SHOWN = 10, 100
_LAST_HOUR = timedelta(hours=1)
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_OWN = tuple(OUTPUT_PREFIX + name for name in ("inference_id", "row", "time", "variant", "model", "version"))
_ID, _ROW, _TIME, _VARIANT, _MODEL, _VERSION = _OWN

Keep = Callable[[pl.DataFrame], None]
Observe = Callable[[Progress], None]


def replay(
    store: "Store",
    name: str,
    spec: ReplaySpec,
    now: datetime,
    *,
    keep: Keep | None = None,
    observe: Observe | None = None,
) -> Replay:
    """Ask captured rows of an endpoint again, in bounded memory.

    keep: is given all rows, block by block: where they came from, what was answered under the names of traffic, what
    came now under `replayed.` names, `replayed.same` or `replayed.error`, and `autopilot.truth` if labels are known.
    observe: is told how far it is.

    Raises UnknownNameError for an endpoint, inference id or version that there is not, and InputError for a window
    without an inside, for columns that are redacted unless `allow_redacted`, for columns that the other version takes
    and traffic lacks, and for one that predicts something else.
    """
    began = time.monotonic()
    store.endpoints.get(name)
    end = spec.end or now
    start = spec.start or (_FIRST if spec.inference_id is not None else end - _LAST_HOUR)
    if start >= end:
        raise InputError(f"The window is from {start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}. End it later.")
    run = _Run(store, name, spec, keep)
    run.all(start, end, observe)
    if spec.inference_id is not None and not run.rows:
        raise UnknownNameError(
            f"No request {spec.inference_id[:80]!r} to {name!r} is captured. What was answered in the last two seconds "
            "may not be there yet; `autopilot endpoints capture` tells what share of requests is."
        )
    told = Replay(
        endpoint=name,
        start=None if start == _FIRST else start,
        end=end,
        inference_id=spec.inference_id,
        model=run.model,
        rows=run.rows,
        is_whole=run.is_whole,
        as_missing=tuple(sorted(run.as_missing)),
        seconds=0.0,
        same=tuple(part for part in run.reports() if isinstance(part, Same)),
        against=tuple(part for part in run.reports() if isinstance(part, Against)),
    )
    return replace(told, seconds=time.monotonic() - began)


class _Asking(Protocol):
    """Asks rows of one version's traffic, and counts."""

    def ask(self, frame: pl.DataFrame, captured: Outputs) -> pl.DataFrame:
        """What came now, a row for each."""
        ...

    def report(self) -> Same | Against:
        """What was counted."""
        ...


class _Run:
    """One replay."""

    def __init__(self, store: "Store", name: str, spec: ReplaySpec, keep: Keep | None) -> None:
        self._store, self._name, self._spec, self._keep = store, name, spec, keep
        self._other = None if spec.model is None else store.models.get(spec.model)
        self.model = None if self._other is None else _spec_of(self._other)
        self._predictor = None if self._other is None else _open(store, self._other)
        self._asking: dict[str, tuple[Signature, _Asking]] = {}
        self._has_labels = store.labels.count(name) > 0
        self.rows, self.is_whole = 0, True
        self.as_missing = set[str]()

    def all(self, start: datetime, end: datetime, observe: Observe | None) -> None:
        """Replay what was answered in a window."""
        traffic, began = self._store.traffic, time.monotonic()
        paths = traffic.files(self._name, start, end)
        for number, path in enumerate(paths):
            if self._spec.inference_id is not None:
                ids = traffic.read_part(path, start, end, columns=(_ID,))
                if not (ids.width and (ids.get_column(_ID) == self._spec.inference_id).any()):
                    continue
            frame = traffic.read_part(path, start, end)
            if self._spec.inference_id is not None:
                frame = frame.filter(pl.col(_ID) == self._spec.inference_id)
            blocks = list(_blocks_of(frame)) if frame.height else []
            for done, block in enumerate(blocks, 1):
                if self._spec.most_rows is not None and self.rows >= self._spec.most_rows:
                    self.is_whole = False
                    return
                self._block(block)
                if observe is not None:
                    share = (number + done / len(blocks)) / len(paths)
                    observe(_progress(self.rows, share, time.monotonic() - began))

    def reports(self) -> list[Same | Against]:
        """What came of it, by the version that had answered."""
        return [asking.report() for _, (_, asking) in sorted(self._asking.items())]

    def _block(self, frame: pl.DataFrame) -> None:
        signature, asking = self._asking_of(frame)
        frame = self._whole(frame, signature)
        if self._has_labels:
            frame = with_truth(self._store, self._name, frame)
        captured = outputs_of(signature, frame)
        new = asking.ask(frame, captured)
        self.rows += frame.height
        if self._keep is not None:
            own = [*_OWN, *(OUTPUT_PREFIX + column for column in signature.outputs), TRUTH]
            kept = frame.select(column for column in own if column in frame.columns)
            self._keep(pl.concat([kept, new.rename(lambda column: NEW_PREFIX + column)], how="horizontal"))

    def _asking_of(self, frame: pl.DataFrame) -> tuple[Signature, _Asking]:
        model, version = frame.select(_MODEL, _VERSION).row(0)
        answered = f"{model}:{version}"
        if answered not in self._asking:
            found = self._store.models.get(answered)
            most = _MOST_SHOWN if self._spec.inference_id is not None else _MOST_EXAMPLES
            if self._predictor is None or self.model == answered:
                predictor = self._predictor or _open(self._store, found)
                asking = _AskSame(predictor, found, most, shows_all=self._spec.inference_id is not None)
            else:
                other = Other(self._predictor, str(self.model), found.signature, answered, most)
                asking = _AskOther(other, found.signature, self._predictor.signature)
            self._asking[answered] = (found.signature, asking)
        return self._asking[answered]

    def _whole(self, frame: pl.DataFrame, signature: Signature) -> pl.DataFrame:
        """The frame with what was redacted as missing, if that is allowed. Raises InputError otherwise."""
        redacted = redactions_of(frame)
        asked = signature if self._predictor is None else self._predictor.signature
        gone = [name for name in redacted if name in asked.names]
        if not gone:
            return frame
        if not self._spec.allow_redacted:
            told = listed([f"{name} ({redacted[name]})" for name in gone])
            raise InputError(
                f"Requests to {self._name!r} cannot be replayed: columns were redacted when captured, {told}. "
                "Name a version that takes none of them, or set allow_redacted (--allow-redacted) to count them as "
                "missing."
            )
        self.as_missing |= set(gone)
        return missing_columns(frame, asked, gone)


class _AskSame:
    """Asks the version that answered."""

    def __init__(self, predictor: Predictor, version: ModelVersion, most: int, *, shows_all: bool) -> None:
        self._predictor, self._version = predictor, version
        self._most, self._shows_all = most, shows_all
        self._rows = self._identical = self._as_served = 0
        self._furthest: float | None = None
        self._examples: list[RowPair] = []

    def ask(self, frame: pl.DataFrame, captured: Outputs) -> pl.DataFrame:
        """What came now, and whether it is the same."""
        signature = self._predictor.signature
        row = frame.get_column(_ROW).to_numpy().astype(np.int64)
        again = run_again(self._predictor, blocks_of_frame(signature, frame), captured, row)
        new = frame_of_outputs(signature, again.outputs)
        self._rows += frame.height
        self._identical += int(again.same.sum())
        self._as_served += again.as_served
        if not again.same.all():
            furthest = _furthest(captured, again.outputs, ~again.same)
            self._furthest = max(furthest, self._furthest or 0.0)
        shown = np.arange(frame.height) if self._shows_all else np.flatnonzero(~again.same)
        for at in shown[: self._most - len(self._examples)]:
            self._examples.append(_pair(frame, signature, new, int(at), int(at)))
        return new.with_columns(same=pl.Series(again.same))

    def report(self) -> Same:
        """What was counted."""
        return Same(
            model=self._version.name,
            version=self._version.version,
            rows=self._rows,
            identical=self._identical,
            different=self._rows - self._identical,
            as_served=self._as_served,
            max_difference=self._furthest,
            examples=tuple(self._examples),
        )


class _AskOther:
    """Asks another version."""

    def __init__(self, other: Other, answered: Signature, signature: Signature) -> None:
        self._other, self._answered, self._signature = other, answered, signature

    def ask(self, frame: pl.DataFrame, captured: Outputs) -> pl.DataFrame:
        """What came now, and what is wrong with rows that the version cannot read."""
        asked = self._other.ask(frame, captured)
        if TRUTH in frame.columns:
            self._other.judge(frame.get_column(TRUTH), captured, asked)
        places = np.cumsum(asked.sound) - 1
        new = frame_of_outputs(self._signature, asked.outputs)
        self._other.show(asked, lambda at: _pair(frame, self._answered, new, at, int(places[at])))
        if not asked.sound.all():
            where = pl.Series(places, dtype=pl.Int64).set(pl.Series(~asked.sound), None)
            new = new.select(pl.all().gather(where))
        return new.with_columns(error=asked.errors)

    def report(self) -> Against:
        """What was counted."""
        return self._other.report()


def _blocks_of(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Some thousand rows at a time, cut where rows of one request need not run together."""
    starts = np.flatnonzero(frame.get_column(_ROW).to_numpy() % PIECE_ROWS == 0)
    stops = np.append(starts[1:], frame.height)
    begin = 0
    while begin < frame.height:
        first, last = np.searchsorted(stops, (begin, begin + _BLOCK_ROWS), side="right")
        stop = int(stops[max(first, last - 1)])
        yield frame.slice(begin, stop - begin)
        begin = stop


def _pair(frame: pl.DataFrame, answered: Signature, new: pl.DataFrame, at: int, at_new: int) -> RowPair:
    row: dict[str, Any] = frame.row(at, named=True)
    old = {name: row[OUTPUT_PREFIX + name] for name in answered.outputs}
    return RowPair(row[_ID], row[_ROW], row[_TIME], old, new.row(at_new, named=True))


def _furthest(one: Outputs, other: Outputs, wanted: NDArray[np.bool_]) -> float:
    """The greatest difference of a number, over some rows; 0 if none is finite."""
    old, new = (
        np.asarray(answer.prediction if answer.probabilities is None else answer.probabilities)[wanted].astype(
            np.float64
        )
        for answer in (one, other)
    )
    with np.errstate(invalid="ignore"):
        apart = np.abs(old - new)
    return float(np.max(apart[np.isfinite(apart)], initial=0.0))


def _open(store: "Store", version: ModelVersion) -> Predictor:
    return Predictor(store.models.read_file(version))


def _spec_of(version: ModelVersion) -> str:
    return f"{version.name}:{version.version}"


def _progress(rows: int, share: float, spent_s: float) -> Progress:
    return Progress(
        rows=rows,
        bad_rows=0,
        files=1,
        files_done=0,
        files_failed=0,
        share=share,
        rows_per_s=rows / max(spent_s, 1e-9),
        left_s=spent_s * (1 - share) / share if share else None,
    )
