"""Captured traffic as files for others: SageMaker's data capture, Parquet, CSV.

    OUT/price/main/2024/05/01/12/00-03-417-ID.jsonl                       format `sagemaker`
    OUT/variant=main/date=2024-05-01/hour=12/ID.parquet                   format `parquet`; `csv` likewise

Each line of SageMaker's is one request. Both of its sides are CSV, one line for each row, in the order of the model's
columns and without their names: monitors that were written for it want both sides in the same encoding.

    {"captureData": {"endpointInput":  {"observedContentType": "text/csv", "mode": "INPUT",  "data": "4.0,Ulm,2.0,",
                                        "encoding": "CSV"},
                     "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "1.0",
                                        "encoding": "CSV"}},
     "eventMetadata": {"eventId": "0c5b...", "inferenceId": "abc", "inferenceTime": "2024-05-01T12:00:03Z"},
     "eventVersion": "0"}

What was captured is values as the model got them, not the bytes that a client sent, in whatever format these were. A
missing value is empty. So is a dropped one; of a masked column `***` stands for a value, of a hashed one its digest.
"""

import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct

from storage.captures import capture_summary, inputs_of, outputs_of
from storage.errors import InputError, SettingError, StoreError, UnknownNameError
from storage.store import Store
from storage.traffic import MASKED_PREFIX, OUTPUT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

CaptureFormat = Literal["sagemaker", "parquet", "csv"]
CAPTURE_FORMATS: tuple[CaptureFormat, ...] = get_args(CaptureFormat)

_MASK = "***"
_CSV = "text/csv"
_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


class Exported(Struct, frozen=True):
    """What was written."""

    requests: int
    rows: int
    files: int
    bytes: int


def export_captures(
    store: Store,
    endpoint: str,
    start: datetime,
    end: datetime,
    out: Path,
    *,
    format: CaptureFormat = "sagemaker",
    variant: str | None = None,
) -> Exported:
    """Write what an endpoint, or one variant, answered in `start <= time < end` to a new folder; whole or not at all.

    It reads and writes one file of the store at a time: at most some hundred MB of memory. Raises InputError if the
    folder exists or there is nothing to write, SettingError for a format that there is not, and StoreError if the
    folder cannot be written.
    """
    if format not in CAPTURE_FORMATS:
        raise SettingError(f"The format is {format!r}. Use {', '.join(CAPTURE_FORMATS)}.")
    if out.exists():
        raise InputError(f"{str(out)!r} exists. Name a folder that does not: what is in this one stays as it is.")
    part = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    try:
        exported = _write_all(store, _Window(endpoint, start, end, variant), part, format)
        if not exported.files:
            raise _nothing(store, endpoint, start, end)
        part.rename(out)
    except OSError as error:
        raise StoreError(
            f"The export to {str(out)!r} could not be written: {error.strerror}. Nothing is left of it; free some disk "
            "or name another folder, and export again."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return exported


class _Window(NamedTuple):
    endpoint: str
    start: datetime
    end: datetime
    variant: str | None


def _write_all(store: Store, window: _Window, out: Path, format: CaptureFormat) -> Exported:
    traffic = store.traffic
    requests = rows = files = size_bytes = 0
    for part in traffic.files(window.endpoint, window.start, window.end, variant=window.variant):
        frame = traffic.read_part(part, window.start, window.end)
        if not frame.height:
            continue
        path = _WRITERS[format](store, window.endpoint, frame, part, out)
        requests += frame.get_column(f"{OUTPUT_PREFIX}event_id").n_unique()
        rows += frame.height
        files += 1
        size_bytes += path.stat().st_size
    return Exported(requests, rows, files, size_bytes)


# ------------------------------------------------------------------------------------------------------- formats


def _write_parquet(store: Store, endpoint: str, frame: "pl.DataFrame", part: Path, out: Path) -> Path:
    path = _like(part, out, ".parquet")
    frame.write_parquet(path)
    return path


def _write_csv(store: Store, endpoint: str, frame: "pl.DataFrame", part: Path, out: Path) -> Path:
    path = _like(part, out, ".csv")
    frame.write_csv(path, datetime_format=_TIME)
    return path


def _like(part: Path, out: Path, suffix: str) -> Path:
    """The place in `out` that a file has in the store, by variant, date and hour; of a journal, a folder for all."""
    folder = part.parts[-4:-1] if part.suffix == ".parquet" else ("uncompacted",)
    path = out.joinpath(*folder, part.stem + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_sagemaker(store: Store, endpoint: str, frame: "pl.DataFrame", part: Path, out: Path) -> Path:
    import polars as pl

    of_request = [pl.col(f"{OUTPUT_PREFIX}{name}") for name in ("event_id", "inference_id", "time")]
    lines = (
        frame.select(
            *of_request,
            _line(frame, _inputs(store, frame)).alias("input"),
            _line(frame, outputs_of(frame).values()).alias("output"),
        )
        .group_by(of_request, maintain_order=True)
        .agg(pl.col("input", "output").str.join("\n"))
    )
    first: datetime = lines.item(0, f"{OUTPUT_PREFIX}time").astimezone(UTC)
    variant = frame.item(0, f"{OUTPUT_PREFIX}variant")
    folder = out / endpoint / variant / first.strftime("%Y/%m/%d/%H")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{first:%M-%S}-{first.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        for row in lines.iter_rows():
            file.write(encoder.encode(_event(*row)) + b"\n")
    return path


_WRITERS: dict[CaptureFormat, "Callable[[Store, str, pl.DataFrame, Path, Path], Path]"] = {
    "sagemaker": _write_sagemaker,
    "parquet": _write_parquet,
    "csv": _write_csv,
}


# ------------------------------------------------------------------------------------------ SageMaker's lines


class _Side(Struct, frozen=True, rename="camel"):
    observed_content_type: str
    mode: Literal["INPUT", "OUTPUT"]
    data: str
    encoding: Literal["CSV"]


class _Data(Struct, frozen=True, rename="camel"):
    endpoint_input: _Side
    endpoint_output: _Side


class _Metadata(Struct, frozen=True, rename="camel"):
    event_id: str
    inference_id: str
    inference_time: str


class _Event(Struct, frozen=True, rename="camel"):
    capture_data: _Data
    event_metadata: _Metadata
    event_version: str = "0"


def _event(event_id: str, inference_id: str, time: datetime, given: str, answered: str) -> _Event:
    return _Event(
        _Data(_Side(_CSV, "INPUT", given, "CSV"), _Side(_CSV, "OUTPUT", answered, "CSV")),
        _Metadata(event_id, inference_id, f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
    )


def _inputs(store: Store, frame: "pl.DataFrame") -> "list[str | None]":
    """The columns that hold the model's inputs, in its order; None for one that was dropped."""
    found = inputs_of(frame)
    model, version = frame.item(0, f"{OUTPUT_PREFIX}model"), frame.item(0, f"{OUTPUT_PREFIX}version")
    try:
        names: tuple[str, ...] = store.models.get(f"{model}:{version}").signature.names
    except UnknownNameError:  # of a store that its models were taken from
        names = tuple(found)
    return [found.get(name) for name in names]


def _line(frame: "pl.DataFrame", columns: "Iterable[str | None]") -> "pl.Expr":
    """The cells of a row as a line of CSV by RFC 4180."""
    import polars as pl

    cells = [pl.lit("") if name is None else _cell(name, frame.schema[name]) for name in columns]
    return pl.concat_str(cells, separator=",") if cells else pl.lit("")


def _cell(name: str, dtype: "pl.DataType") -> "pl.Expr":
    import polars as pl

    column = pl.col(name)
    if name.startswith(MASKED_PREFIX):
        return pl.when(column).then(pl.lit(_MASK)).otherwise(pl.lit(""))
    text = (column.dt.strftime(_TIME) if dtype.is_temporal() else column.cast(pl.String)).fill_null("")
    quoted = pl.concat_str(pl.lit('"'), text.str.replace_all('"', '""', literal=True), pl.lit('"'))
    return pl.when(text.str.contains('[",\r\n]')).then(quoted).otherwise(text)


def _nothing(store: Store, endpoint: str, start: datetime, end: datetime) -> InputError:
    """Why there is nothing to export."""
    window = f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} and {end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    there = capture_summary(store.traffic, endpoint)
    if not there:
        return InputError(
            f"Nothing was captured of endpoint {endpoint!r}. `autopilot endpoints` lists those there are."
        )
    first, last = min(one.first for one in there), max(one.last for one in there)
    return InputError(
        f"Nothing was captured of endpoint {endpoint!r} between {window}. What there is was answered from "
        f"{first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}; name a time in between, and a variant of "
        f"{', '.join(sorted({one.variant for one in there}))}."
    )
