"""A label as it is sent, and bodies and lines of them."""

import base64
import binascii
import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from storage.errors import InputError

_MOST_SHOWN = 80


class LabelItem(Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one captured row.

    row: within its request, from 0. happened_at: when it came to be known; None is when it is received, and a time
    without a zone is in UTC.
    """

    inference_id: str
    label: str | int | float | bool
    row: int = 0
    happened_at: datetime | None = None


class NewLabel(NamedTuple):
    """A label that was checked. happened_us: microseconds since 1970 UTC."""

    inference_id: str
    row: int
    label: str | int | float
    happened_us: int


class _Body(Struct, forbid_unknown_fields=True):
    """The long form of a body."""

    labels: list[LabelItem]


class _Data(Struct):
    data: str
    encoding: str = "CSV"


class _Event(Struct, rename="camel"):
    event_id: str


class GroundTruth(Struct, rename="camel"):
    """A line of SageMaker's ground truth files; `eventId` is the inference id, and `data` has a label for each row."""

    ground_truth_data: _Data
    event_metadata: _Event


def items_of(body: bytes, content_type: str = "application/json") -> list[LabelItem]:
    """The labels of a body: a JSON list, an object with the key `labels`, or for `application/jsonlines` and
    `application/x-ndjson` one a line, each an item or one of SageMaker's; for `text/csv` one a line below a header.
    Raises InputError that tells where.

    >>> items_of(b'[{"inference_id": "a", "label": "yes"}]')[0].label
    'yes'
    >>> line = b'{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "a"}}'
    >>> items_of(line, "application/jsonlines")
    [LabelItem(inference_id='a', label='1', row=0, happened_at=None)]
    """
    if "ndjson" in content_type or "jsonl" in content_type:
        return list(_items_of_lines(body))
    if "csv" in content_type:
        return list(_items_of_csv(body))
    kind = _Body if body.lstrip().startswith(b"{") else list[LabelItem]
    try:
        found = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"The body holds no labels: {_reason(error)}. Send a JSON list such as "
            '[{"inference_id": "a1", "label": "yes"}], with "row" and "happened_at" where they are needed.'
        ) from error
    return found.labels if isinstance(found, _Body) else found


def _items_of_lines(body: bytes) -> Iterator[LabelItem]:
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                yield from _items_of_line(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
                raise InputError(
                    f"Line {number} holds no label: {_reason(error)}. Write an object with inference_id and label, or "
                    "one of SageMaker's with groundTruthData and eventMetadata."
                ) from error


def _items_of_csv(body: bytes) -> Iterator[LabelItem]:
    """Of lines below a header that names the fields; an empty cell is as one that is left out."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, [])
        unknown = [name for name in header if name not in LabelItem.__struct_fields__]
        if unknown or not {"inference_id", "label"} <= set(header) or len(set(header)) < len(header):
            raise InputError(
                f"The csv has the header {header!r:.200}. It has to name inference_id and label, and may name row and "
                "happened_at."
            )
        for number, cells in enumerate(lines, 2):
            if cells:
                yield _item_of_cells(header, cells, number)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"The body is no csv: {_reason(error)}. Send UTF-8 as RFC 4180 has it.") from error


def _item_of_cells(header: list[str], cells: list[str], number: int) -> LabelItem:
    if len(cells) != len(header):
        raise InputError(
            f"Line {number} of the csv has {len(cells)} cells, and its header {len(header)}. Send one for each name."
        )
    given = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    try:
        return msgspec.convert(given, LabelItem, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(
            f"Line {number} of the csv holds no label: {_reason(error)}. Give it an inference_id and a label; row "
            "counts from 0, and happened_at is a time such as 2024-05-01T13:30:00Z."
        ) from error


def _items_of_line(line: bytes) -> list[LabelItem]:
    if b"groundTruthData" not in line:
        return [msgspec.json.decode(line, type=LabelItem)]
    return items_of_truth(msgspec.json.decode(line, type=GroundTruth))


def items_of_truth(truth: GroundTruth) -> list[LabelItem]:
    """The labels of a record of SageMaker's. Raises ValueError for data that its encoding does not fit."""
    name, sent = truth.event_metadata.event_id, truth.ground_truth_data
    return [LabelItem(name, label, row) for row, label in enumerate(_labels_of(sent.data, sent.encoding))]


def _labels_of(data: str, encoding: str) -> list[Any]:
    if encoding == "JSON":
        found = msgspec.json.decode(data, type=list[str | int | float | bool] | str | int | float | bool)
        return found if isinstance(found, list) else [found]
    if encoding == "BASE64":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("its data is no text in BASE64") from error
    elif encoding != "CSV":
        raise ValueError(f"its encoding is {encoding[:_MOST_SHOWN]!r}, which is none of CSV, JSON and BASE64")
    try:
        lines = [line for line in csv.reader(io.StringIO(data)) if line]
    except csv.Error as error:
        raise ValueError(f"its data is no csv: {error}") from error
    if not lines or any(len(line) != 1 for line in lines):
        raise ValueError("its data has not one label a line")
    return [line[0] for line in lines]


def _reason(error: Exception) -> str:
    return str(error).rstrip(".")[:300]
