"""Writing a table into a file: parquet, csv, tsv, ndjson or arrow, whole or not at all."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from storage.errors import DataError, FailureError
from storage.formats import format_of, packing_of


def refuse_target(out: str) -> None:
    """Raise DataError unless a table can be written there: before the work that it takes to make the table."""
    format_of(out)
    if packing_of(out):
        ending = out[out.rindex(".") :]
        raise DataError(f"{out!r} cannot be written: leave out {ending}. Parquet is compressed by itself.")
    folder = Path(out).parent
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r} to write {Path(out).name!r} into. Make it first.")


@contextmanager
def writing(out: str) -> Generator[Path]:
    """A folder beside the target for what is not whole yet; it goes when the block ends.

    What fails in the block, and was not told otherwise, is the writing: raises FailureError.
    """
    try:
        with tempfile.TemporaryDirectory(dir=Path(out).parent, prefix=".autopilot-") as folder:
            yield Path(folder)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FailureError(
            f"{out!r} could not be written: {reason}. Free some disk, or choose another format."
        ) from error


def sink(table: pl.LazyFrame, folder: Path, out: str) -> None:
    """Write a table in the format of the target's ending, in bounded memory, then put it in the target's place."""
    form = format_of(out)
    whole = folder / f"whole.{form}"
    if form == "parquet":
        table.sink_parquet(whole)
    elif form in ("csv", "tsv"):
        table.sink_csv(whole, separator="\t" if form == "tsv" else ",")
    elif form == "ndjson":
        table.sink_ndjson(whole)
    else:
        table.sink_ipc(whole)
    whole.replace(out)


def write_table(frame: pl.DataFrame, out: str) -> None:
    """Write a frame in the format of the file's ending. Raises DataError as `refuse_target`, or FailureError."""
    refuse_target(out)
    with writing(out) as folder:
        sink(frame.lazy(), folder, out)
