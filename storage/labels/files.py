"""Labels in files of any size: csv, tsv, parquet, ndjson or arrow, and SageMaker's ground truth in JSON Lines."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from msgspec import Struct

from storage.batch import places
from storage.batch.chunks import Chunk, Place, Table, chunks_of
from storage.batch.engine import Observe, unobserved
from storage.batch.transform import Progress
from storage.boundary import MISSING_TIME
from storage.boundary.faults import held
from storage.boundary.times import time_value
from storage.errors import DataError, RowError, listed
from storage.labels.items import GroundTruth, LabelItem, items_of_truth
from storage.labels.joined import keys_of, looked_up
from storage.labels.receive import MOST_ROW, ROW_REMEDY, Received, check_labels, signature_of
from storage.signature import Column
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from storage.store import Store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRUTH, _EVENT = "groundTruthData", "eventMetadata"


class LabelColumns(Struct, frozen=True):
    """Which columns of a file hold what.

    id, row, at: None are the usual names, where the file has them: `inference_id`, `row` and `happened_at`, the first
    two also as exported traffic has them. Without a row it is row 0, without a time it is now.
    """

    label: str = "label"
    id: str | None = None
    row: str | None = None
    at: str | None = None


def put_file(
    store: "Store",
    name: str,
    source: str,
    now: datetime,
    *,
    columns: LabelColumns | None = None,
    delimiter: str = ",",
    replace: bool = False,
    observe: Observe = unobserved,
) -> Received:
    """Keep the labels of a file, or of all files of a folder or pattern, all or none of them.

    Raises what `put_labels` raises, DataError for a file that cannot be read or lacks a column, and FailureError if an
    object store does not answer. A broken row refuses all.
    """
    signature = signature_of(store, name)
    with tempfile.TemporaryDirectory(prefix="autopilot-labels-") as folder:
        files = _Files(source, columns or LabelColumns(), delimiter, Path(folder), observe)
        counts = store.labels.put(name, check_labels(signature, files, now, files.place), now, replace=replace)
    unknown, ids = looked_up(store, name, files.keys(), now)
    return Received(sum(counts), *counts, unknown, ids)


class _Files:
    """The labels of files, in their order; knows where it is, for messages, and keeps which rows it has seen."""

    def __init__(self, source: str, columns: LabelColumns, delimiter: str, folder: Path, observe: Observe) -> None:
        self._inputs = places.find(source).inputs
        self._columns, self._delimiter, self._folder, self._observe = columns, delimiter, folder, observe
        self._keys: list[pl.DataFrame] = []
        self._file, self._row = "", 0
        self._labels, self._began = 0, time.monotonic()

    def __iter__(self) -> Iterator[LabelItem]:
        for number, one in enumerate(self._inputs):
            self._file = one.place
            table = Table(places.local_copy(one, self._folder), one.place, one.form, self._folder, self._delimiter)
            for chunk in chunks_of(table, Place()):
                items = self._items(chunk)
                for self._row, item in items:
                    yield item
                self._keys.append(keys_of([item for _, item in items]))
                self._tell(number, len(items), chunk.share)

    def keys(self) -> pl.DataFrame:
        """Inference ids and rows of all labels that were read."""
        return pl.concat(self._keys) if self._keys else keys_of([])

    def place(self, number: int, field: str) -> str:
        """Where a field of the item is that was given last."""
        columns = self._columns
        named = {"label": columns.label, "inference_id": columns.id, "row": columns.row, "happened_at": columns.at}
        column = named[field]
        return f"Column {column or field!r} in row {self._row:,} of {self._file!r}"

    def _items(self, chunk: Chunk) -> list[tuple[int, LabelItem]]:
        """The labels of a chunk, each with the number of its row in the file."""
        if chunk.faults:
            raise DataError(f"{chunk.faults[min(chunk.faults)]} No label was kept.")
        frame = chunk.frame
        if _TRUTH in frame.columns and _EVENT in frame.columns:
            return list(self._truths(chunk))
        ids = self._cells(frame, self._columns.id, "inference_id", is_needed=True)
        labels = self._cells(frame, self._columns.label, "label")
        rows = self._cells(frame, self._columns.row, "row")
        times = self._cells(frame, self._columns.at, "happened_at")
        items: list[tuple[int, LabelItem]] = []
        for self._row, (name, label, row, at) in enumerate(zip(ids, labels, rows, times, strict=True), chunk.first_row):
            items.append((self._row, LabelItem(self._id(name), self._label(label), self._number(row), self._time(at))))
        return items

    def _cells(self, frame: pl.DataFrame, asked: str | None, usual: str, *, is_needed: bool = False) -> Sequence[Any]:
        names = [asked] if asked is not None else [usual, OUTPUT_PREFIX + usual]
        found = next((name for name in names if name in frame.columns), None)
        if found is not None:
            return frame.get_column(found).to_list()
        if asked is not None or is_needed:
            raise DataError(
                f"{self._file!r} has no column {names[0]!r}. It has {listed(frame.columns)}. Name the right one."
            )
        return [None] * frame.height

    def _truths(self, chunk: Chunk) -> Iterator[tuple[int, LabelItem]]:
        for number, line in enumerate(chunk.frame.select(_TRUTH, _EVENT).iter_rows(named=True), chunk.first_row):
            try:
                items = items_of_truth(msgspec.convert(line, GroundTruth))
            except (msgspec.MsgspecError, ValueError) as error:
                raise DataError(
                    f"Row {number:,} of {self._file!r} holds no ground truth: {error}. No label was kept."
                ) from error
            yield from ((number, item) for item in items)

    def _id(self, value: Any) -> str:
        if value is None:
            raise DataError(f"{self.place(0, 'inference_id')} is empty. Leave out rows without an id.")
        return str(value)

    def _label(self, value: Any) -> Any:
        if value is None:
            raise DataError(f"{self.place(0, 'label')} is empty. Leave out rows whose outcome is not known.")
        return value

    def _number(self, value: Any) -> int:
        if value is None:
            return 0
        try:
            number = float(value)
            if number.is_integer() and 0 <= number <= MOST_ROW:
                return int(number)
        except (TypeError, ValueError, OverflowError):
            pass
        told = held(value, sensitive=False)
        raise DataError(f"{self.place(0, 'row')} is {told}. {ROW_REMEDY}")

    def _time(self, value: Any) -> datetime | None:
        if value is None:
            return None
        name = self._columns.at or "happened_at"
        try:
            micros = time_value(Column(name, "time", "any"), value, self._row)
            return None if micros == MISSING_TIME else _EPOCH + timedelta(microseconds=micros)
        except (RowError, OverflowError) as error:
            told = held(value, sensitive=False)
            raise DataError(
                f"Column {name!r} in row {self._row:,} of {self._file!r} is {told}. Write 2024-05-01T13:30:00Z."
            ) from error

    def _tell(self, number: int, labels: int, share: float) -> None:
        self._labels += labels
        spent, files = time.monotonic() - self._began, len(self._inputs)
        done = (number + share) / files
        self._observe(
            Progress(
                rows=self._labels,
                bad_rows=0,
                files=files,
                files_done=number,
                files_failed=0,
                share=done,
                rows_per_s=self._labels / max(spent, 1e-9),
                left_s=spent * (1 - done) / done if done else None,
            )
        )
