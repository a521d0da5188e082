"""Writing a table into a file: parquet, csv, tsv, ndjson or arrow, whole or not at all."""

import tempfile
from pathlib import Path

import polars as pl

from autopilot.table.read import format_of
from storage.errors import DataError, FailureError


def refuse_target(out: str) -> None:
    """Raise DataError unless a table can be written there: before the work that it takes to make the table."""
    format_of(out)
    if out.endswith(".gz"):
        raise DataError(f"{out!r} cannot be written: leave out .gz. Parquet is compressed by itself.")
    folder = Path(out).parent
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r} to write {Path(out).name!r} into. Make it first.")


def write_table(frame: pl.DataFrame, out: str) -> None:
    """Write a frame in the format of the file's ending. Raises DataError as `refuse_target`, or FailureError."""
    refuse_target(out)
    form = format_of(out)
    try:
        with tempfile.TemporaryDirectory(dir=Path(out).parent, prefix=".autopilot-") as folder:
            whole = Path(folder) / f"whole.{form}"
            if form == "parquet":
                frame.write_parquet(whole)
            elif form in ("csv", "tsv"):
                frame.write_csv(whole, separator="\t" if form == "tsv" else ",")
            elif form == "ndjson":
                frame.write_ndjson(whole)
            else:
                frame.write_ipc(whole)
            whole.replace(out)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FailureError(
            f"{out!r} could not be written: {reason}. Free some disk, or choose another format."
        ) from error
