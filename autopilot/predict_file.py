"""Scoring a file of any size in bounded memory."""

import gzip
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from autopilot.table.read import NULL_WORDS, format_of, refuse_delimiter
from autopilot.table.write import refuse_target, sink, writing
from storage.errors import DataError
from storage.predictor import OnError, Predictor

_CHUNK_ROWS = 50_000


def predict_file(
    predictor: Predictor,
    source: str,
    out: str,
    *,
    interval: bool = False,
    delimiter: str = ",",
    on_error: OnError = "raise",
) -> int:
    """Predict each row of a file into another, in the rows' order; returns the number of rows.

    source: csv, tsv, parquet, ndjson or arrow, each also gzipped. out: parquet, csv, ndjson or arrow by its ending;
    written whole or not at all. Its columns are `label` and `p_CLASS` for each class, or `prediction`; with `interval`
    also `lower` and `upper`, or `set`, which csv has as JSON. Raises DataError for a bad cell with its row's number,
    counted from 0, InputError if the model gives no interval, and FailureError if the disk is full. With
    `on_error="null"` a row with a bad cell has null outputs instead, and the column `error` tells what is wrong.
    """
    if not Path(source).is_file():
        raise DataError(f"There is no file {source!r}. Check the path; it is taken from {str(Path.cwd())!r}.")
    refuse_target(out)
    refuse_delimiter(delimiter)
    with writing(out) as parts:
        plain = _unpack(Path(source), parts / "unpacked")
        table = _scan(plain, format_of(source), delimiter)
        chunks = _chunks(source, table, sensitive=predictor.signature.has_sensitive)
        rows = 0
        for part, chunk in enumerate(chunks):  # one Parquet file for each, named so that they sort
            found = predictor.predict(chunk, interval=interval, on_error=on_error, first_row=rows)
            found.write_parquet(parts / f"{part:09}.part")
            rows += chunk.height
        table = pl.scan_parquet(sorted(parts.glob("*.part")))
        has_lists = interval and predictor.signature.task != "regression"
        sink(_flat(table) if has_lists and format_of(out) in ("csv", "tsv") else table, parts, out)
    return rows


def _unpack(source: Path, into: Path) -> Path:
    """The file, or where a gzipped one was unpacked to."""
    with source.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return source
    try:
        with gzip.open(source) as packed, into.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{str(source)!r} is gzip that cannot be unpacked: {error}. Copy it again.") from error
    return into


def _chunks(source: str, table: pl.LazyFrame, *, sensitive: bool) -> Iterator[pl.DataFrame]:
    """The table part by part; one part without rows if there are none.

    sensitive: whether Polars' words, which may quote a cell, are not to be shown.
    """
    parts, refused = 0, ""
    try:
        for chunk in table.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
            yield chunk
            parts += 1
        if not parts:
            yield table.head(0).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        if not sensitive:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{source!r} cannot be read: {reason}. Check the file.") from error
        refused = type(error).__name__
    if refused:  # outside the handler, so that no traceback shows Polars' words either
        raise DataError(f"{source!r} cannot be read: {refused}. Check the file.")


def _scan(source: Path, form: str, delimiter: str) -> pl.LazyFrame:
    if form in ("csv", "tsv"):  # cells stay text, so that a wrong one is named and not guessed around
        separator = "\t" if form == "tsv" else delimiter
        return pl.scan_csv(source, separator=separator, null_values=NULL_WORDS, infer_schema=False)
    if form == "parquet":
        return pl.scan_parquet(source)
    return pl.scan_ndjson(source) if form == "ndjson" else pl.scan_ipc(source)


def _flat(table: pl.LazyFrame) -> pl.LazyFrame:
    """Sets as JSON: csv has no lists."""
    text = pl.struct("set").struct.json_encode().str.strip_prefix('{"set":').str.strip_suffix("}")
    return table.with_columns(set=pl.when(pl.col("set").is_not_null()).then(text))
