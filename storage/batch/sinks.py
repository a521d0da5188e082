"""Parts put together as a file, and the file brought to its place."""

import os
from pathlib import Path

import polars as pl

from storage.batch.parts import MERGED, OutputDone, OutputMoving, Parts
from storage.batch.places import exists, put, remove
from storage.batch.plan import Output
from storage.errors import DataError, InputError
from storage.formats import Format


def finish(parts: Parts, number: int, output: Output, *, overwrite: bool) -> None:
    """Bring an output of which all parts are there to its place; again, if a kill came between.

    Raises OSError or a PolarsError if the disk is full, InputError if another file is there by now, DataError if the
    parts do not go together, FailureError if an object store does not take it.
    """
    whole, errors = parts.whole(number), parts.errors(number)
    if number not in parts.outputs_moving:
        if not overwrite and exists(output.place):
            raise InputError(f"{output.place!r} was written by another meanwhile. Name another, or allow --overwrite.")
        if output.form in MERGED:
            _put_together(parts.files(number), whole, output.form)
        parts.note(OutputMoving(number))
    if errors.exists():
        put(errors, output.errors)
    elif overwrite:
        remove(output.errors)  # it told of rows of the output before
    if whole.exists() or not exists(output.place):
        put(whole, output.place)
    parts.note(OutputDone(number))
    parts.clear(number)


def _put_together(files: list[Path], whole: Path, form: Format) -> None:
    """One part is the whole already."""
    if len(files) == 1:
        os.link(files[0], whole) if hasattr(os, "link") else files[0].replace(whole)
        return
    scans = [
        pl.scan_parquet(file, glob=False) if form == "parquet" else pl.scan_ipc(file, glob=False) for file in files
    ]
    try:
        if len({tuple(scan.collect_schema().items()) for scan in scans}) > 1:
            table = pl.concat(scans, how="vertical_relaxed")
        else:
            table = pl.scan_parquet(files, glob=False) if form == "parquet" else pl.scan_ipc(files, glob=False)
        sink = table.sink_parquet if form == "parquet" else table.sink_ipc
        sink(whole, sync_on_close="all")
    except pl.exceptions.SchemaError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"The columns of some rows are of another type than those of others: {reason}. Write csv or ndjson, or "
            "leave the column out by --columns."
        ) from error
