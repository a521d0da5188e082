"""Scoring a file of any size in bounded memory."""

import tempfile
from pathlib import Path

import polars as pl

from autopilot.data import NULL_WORDS, format_of
from storage.boundary import blocks_of_frame, typed
from storage.errors import DataError, FailureError
from storage.predictor import Predictor, frame_of_outputs

_CHUNK_ROWS = 50_000


def predict_file(predictor: Predictor, source: str, out: str, *, delimiter: str = ",") -> int:
    """Predict each row of a file into another, in the rows' order; returns the number of rows.

    source: csv, tsv, parquet, ndjson or arrow. out: parquet, csv, ndjson or arrow by its ending; written whole or not
    at all. Its columns are `label` and `p_CLASS` for each class, or `prediction`. Raises DataError for a bad cell with
    its row's number, counted from 0.
    """
    if not Path(source).is_file():
        raise DataError(f"There is no file {source!r}. Check the path; it is taken from {str(Path.cwd())!r}.")
    target = Path(out)
    form = format_of(out)
    if not target.parent.is_dir():
        raise DataError(f"There is no folder {str(target.parent)!r} to write {target.name!r} into. Make it first.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".autopilot-") as folder:
            rows = _predict_parts(predictor, _scan(source, delimiter), Path(folder))
            whole = Path(folder) / f"whole.{form}"
            _sink(pl.scan_parquet(sorted(Path(folder).glob("*.part"))), whole, form)
            whole.replace(target)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source!r} cannot be read: {str(error).partition(chr(10))[0]}. Check the file.") from error
    except OSError as error:
        raise FailureError(f"{out!r} could not be written: {error.strerror or error}. Free some disk.") from error
    return rows


def _scan(source: str, delimiter: str) -> pl.LazyFrame:
    form = format_of(source)
    if form in ("csv", "tsv"):  # cells stay text, so that a wrong one is named and not guessed around
        separator = "\t" if form == "tsv" else delimiter
        return pl.scan_csv(source, separator=separator, null_values=NULL_WORDS, infer_schema=False)
    if form == "parquet":
        return pl.scan_parquet(source)
    return pl.scan_ndjson(source) if form == "ndjson" else pl.scan_ipc(source)


def _predict_parts(predictor: Predictor, table: pl.LazyFrame, folder: Path) -> int:
    """One Parquet file for each chunk, named so that they sort."""
    rows = part = 0
    for chunk in table.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
        clean = typed(predictor.signature, chunk, first_row=rows)
        outputs = predictor.run(blocks_of_frame(predictor.signature, clean))
        frame_of_outputs(predictor.signature, outputs).write_parquet(folder / f"{part:09}.part")
        rows, part = rows + chunk.height, part + 1
    if not part:
        empty = typed(predictor.signature, table.head(0).collect())
        outputs = predictor.run(blocks_of_frame(predictor.signature, empty))
        frame_of_outputs(predictor.signature, outputs).write_parquet(folder / f"{part:09}.part")
    return rows


def _sink(table: pl.LazyFrame, path: Path, form: str) -> None:
    if form == "parquet":
        table.sink_parquet(path)
    elif form in ("csv", "tsv"):
        table.sink_csv(path, separator="\t" if form == "tsv" else ",")
    elif form == "ndjson":
        table.sink_ndjson(path)
    else:
        table.sink_ipc(path)
