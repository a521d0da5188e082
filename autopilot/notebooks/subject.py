"""What a notebook tells of: a finished run, and where its table is read."""

from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from autopilot.events import Asked, Checked
from autopilot.table.findings import Finding
from autopilot.table.read import describe, digest, read
from autopilot.table.write import write_table
from autopilot.tape import read_tape
from storage.errors import InputError
from storage.records import Card, ModelVersion, Run, Trial
from storage.signature import Signature
from storage.store import Store

#: A table from memory is kept beside the notebook as a whole up to so many cells: some 100 MB of Parquet at the most.
_MOST_CELLS = 20_000_000


class Source(Struct, frozen=True):
    """Where a notebook reads the run's table.

    place: a path or a URL; a copy's is relative to the notebook. rows: of the table, if the copy is a sample of them.
    is_whole: whether it holds the same rows and columns as the run read.
    """

    place: str
    rows: int | None = None
    is_whole: bool = True


class Subject(Struct, frozen=True):
    """A finished run as notebooks tell of it.

    asked: how its table was read. checked: what was decided about it. trials: in the order in which they were
    numbered. store: the folder.
    """

    run: Run
    version: ModelVersion
    trials: tuple[Trial, ...]
    asked: Asked
    checked: Checked
    findings: tuple[Finding, ...]
    store: str
    source: Source

    @property
    def card(self) -> Card:
        """Of the published model."""
        return self.version.card

    @property
    def signature(self) -> Signature:
        """Of the published model."""
        return self.version.signature

    @property
    def reading(self) -> dict[str, Any]:
        """Arguments of `read` that say more than the place."""
        written = [name for name, kind in self.asked.columns.items() if kind in ("category", "text")]
        delimiter = {} if self.asked.delimiter == "," else {"delimiter": self.asked.delimiter}
        return delimiter | ({"text": written} if written else {})

    @property
    def inferring(self) -> dict[str, Any]:
        """Arguments of `infer`, and of `fit`, that say what the columns are, where the user had said so."""
        columns = {"columns": self.asked.columns} if self.asked.columns else {}
        named = {"ignore": list(self.asked.ignore), "sensitive": list(self.asked.sensitive)}
        return columns | {argument: names for argument, names in named.items() if names}

    @property
    def roles(self) -> dict[str, str]:
        """Arguments of `Roles`, and of `fit`: columns that order, group or weigh the rows."""
        named = {"time": self.asked.time, "group": self.asked.group, "weight": self.asked.weight}
        return {role: column for role, column in named.items() if column is not None}

    @property
    def decisions(self) -> dict[str, Any]:
        """What was decided about the table that changes what is learnt: columns left out, and what divides the rows."""
        found = self.checked.guarded
        left_out = [[drop["name"], drop["reason"]] for drop in found.get("left_out", ())]
        divided = {name: found[name] for name in ("group", "time", "together") if found.get(name)}
        return {"left_out": left_out, **divided} if left_out or divided else {}

    @property
    def division(self) -> str:
        """What divides the rows, as asked or as the checks of the table decided: `time`, `group`, or "" for neither."""
        found = self.checked.guarded
        if self.asked.time is not None or found.get("time"):
            return "time"
        return "group" if self.asked.group is not None or found.get("group") or found.get("together") else ""


def asked_of(store: Store, run: Run) -> tuple[Asked, Checked]:
    """How a run's table was read, and what was decided about it, by its tape; as by default, if an old one has none."""
    asked, checked = Asked(run.task, {}, (), ",", None, None, None, balanced=False), Checked()
    for event in read_tape(store, run.id):
        match event:
            case Asked():
                asked = event
            case Checked():
                checked = event
            case _:
                pass
    return asked, checked


def source_of(run: Run, data: Any, folder: Path, stem: str) -> Source:
    """Where a notebook in the folder finds the table.

    data: a path or URL, by default the run's own; or a table in memory, of which a copy is written to the folder, a
    sample of its rows where it is large. Raises InputError if there is no table where the run read it.
    """
    if data is None or isinstance(data, str | Path):
        return Source(_found(run, str(run.data if data is None else data)))
    frame = read(data).select(pl.exclude(pl.Object))
    rows = max(1, _MOST_CELLS // frame.width)
    kept = frame if frame.height <= rows else frame[_drawn(frame.height, rows, run.seed)]
    copy = folder / f"{stem}-table.parquet"
    write_table(kept, str(copy))
    is_whole = digest(read(copy)) == run.data_digest
    return Source(copy.name, frame.height if kept.height < frame.height else None, is_whole)


def _found(run: Run, place: str) -> str:
    """The place, which has to be there, as it can be read from any folder."""
    if place.startswith(("http://", "https://")):
        return place
    path = Path(place).expanduser()
    if not path.is_file():
        raise InputError(
            f"Run {run.id!r} read {describe(place)}, and there is no such file in {str(Path.cwd())!r}. Hand the table "
            "in, as a path or as a frame: notebooks(folder, data=frame)."
        )
    return str(path.resolve())


def _drawn(height: int, rows: int, seed: int) -> pl.Series:
    """Row numbers of a sample, in the table's order."""
    return pl.int_range(height, eager=True).sample(rows, seed=seed).sort()
