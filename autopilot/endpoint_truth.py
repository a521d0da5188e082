"""What `autopilot endpoints labels` and `replay` do with files."""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from autopilot.predict_progress import showing_progress
from autopilot.table.write import refuse_target, sink, writing
from storage.errors import InputError
from storage.labels import Received
from storage.labels.files import LabelColumns, put_file
from storage.replay import Replay, ReplaySpec
from storage.replay.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from storage.store import Store


def take_labels(
    store: "Store",
    name: str,
    source: str,
    now: datetime,
    columns: LabelColumns,
    *,
    delimiter: str = ",",
    replace: bool = False,
) -> Received:
    """Keep the labels of files, with progress on a terminal. Raises what `put_file` raises."""
    with showing_progress() as observe:
        return put_file(
            store, name, source, now, columns=columns, delimiter=delimiter, replace=replace, observe=observe
        )


def replay_into(store: "Store", name: str, spec: ReplaySpec, now: datetime, out: str | None = None) -> Replay:
    """Replay, with progress on a terminal, and write the rows to a file.

    Raises what `replay` raises, DataError if there can be no such file, InputError if there are no rows for it, and
    FailureError if it cannot be written.
    """
    with showing_progress() as observe:
        if out is None:
            return replay(store, name, spec, now, observe=observe)
        refuse_target(out)
        with writing(out) as folder:
            parts: list[Path] = []

            def keep(rows: pl.DataFrame) -> None:
                parts.append(folder / f"{len(parts)}.parquet")
                rows.write_parquet(parts[-1])

            found = replay(store, name, spec, now, keep=keep, observe=observe)
            if not parts:
                raise InputError(f"No request to {name!r} is captured in the window, so {out!r} was not written.")
            # versions may have given other columns: what one lacks is null
            sink(pl.concat([pl.scan_parquet(part) for part in parts], how="diagonal_relaxed"), folder, out)
    return found
