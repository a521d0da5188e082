"""What a run was told to do, in its working folder, so that another process can go on with it."""

import pickle
from pathlib import Path
from typing import Any

import cloudpickle
from msgspec import Struct
from msgspec.structs import replace

from autopilot.events import Asked, Checked
from autopilot.metrics import Metric
from autopilot.options import Options
from autopilot.search.study import read_frame, write_frame
from autopilot.table.infer import Table

_REST = "assignment.pickle"
#: Of a working folder: what is shared with workers, and what the parts of trials gave.
STUDY, KEPT = "study", "kept"


class Assignment(Struct, frozen=True):
    """A table to learn, how it is scored, what the user wants, which families, and where they are trained.

    asked: how the table was read. checked: what was decided about it. executor: an address; None for processes here.
    count: trials at once; memory_bytes: that each may take.
    """

    table: Table
    metric: Metric
    options: Options
    candidates: tuple[Any, ...]
    asked: Asked
    checked: Checked
    executor: str | None
    count: int
    memory_bytes: int | None

    def save(self, folder: Path) -> None:
        """Write it to a run's folder; it is whole there, or not at all."""
        (folder / STUDY).mkdir(exist_ok=True)
        (folder / KEPT).mkdir(exist_ok=True)
        write_frame(self.table.frame, folder / STUDY)
        bare = replace(self, table=replace(self.table, frame=self.table.frame.clear()))
        unfinished = folder / f"{_REST}.part"
        unfinished.write_bytes(cloudpickle.dumps(bare))
        unfinished.rename(folder / _REST)

    @classmethod
    def open(cls, folder: Path) -> "Assignment | None":
        """What `save` wrote; None if the process was killed before it had."""
        if not (folder / _REST).exists():
            return None
        bare: Assignment = pickle.loads((folder / _REST).read_bytes())  # noqa: S301 - the run's own process wrote it
        return replace(bare, table=replace(bare.table, frame=read_frame(folder / STUDY)))
