"""Going on with a run whose process was killed."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from autopilot.events import Note, Observer
from autopilot.fit import PRELOAD, carry_out, observing, worker_count
from autopilot.tape import read_tape, spent_s
from autopilot.workers import open_workers
from storage.errors import InputError
from storage.settings import Settings
from storage.store import Store

if TYPE_CHECKING:
    from autopilot.result import Result

#: Of its budget, and in seconds: what a run has at least when it is resumed, to write its model however late it was.
_LEAST_SHARE, _LEAST_S = 0.1, 3.0


def resume(
    run_id: str,
    *,
    store: str | Path | Store | None = None,
    progress: bool | Observer = True,
    _started: float | None = None,
) -> "Result":
    """Go on with a run that was interrupted, by a kill, a crash or Ctrl-C, and give what `fit` would have given.

    What its process had written is not done again: the division of the rows, each trial and each part of it that had
    ended. Lost is what its workers had in hand, a part each. It has what is left of its budget, and at least a tenth.

    run_id: as `autopilot jobs` lists it. store, progress: as of `fit`. A run in an executor object of the user's goes
    on in processes here.

    Raises UnknownNameError for a run that there is not, InputError for one that has ended or cannot go on, BusyError
    for one that another process works on.
    """
    started = time.monotonic() if _started is None else _started
    from autopilot.assignment import Assignment  # scikit-learn, LightGBM: a second that the budget counts

    opened = Store.open(Settings.load().store if store is None else store)
    run = opened.runs.get(run_id)
    if run.status == "completed":
        raise InputError(f"Run {run_id!r} has ended with model {run.model}:{run.version}. There is nothing to resume.")
    if not opened.work.has(run_id):
        raise InputError(f"Run {run_id!r} has no working folder in this store, so it cannot go on. Fit again.")
    with opened.work.claimed(run_id) as folder:
        assignment = Assignment.open(folder)
    if assignment is None:
        raise InputError(f"Run {run_id!r} was interrupted before it had read its table. Fit again.")
    past = read_tape(opened, run_id)
    spent = min(spent_s(opened.runs.events(run_id)), run.budget_s - max(_LEAST_SHARE * run.budget_s, _LEAST_S))
    with (
        observing(progress) as observe,
        open_workers(assignment.executor, worker_count(), assignment.memory_bytes, preload=PRELOAD) as workers,
    ):
        observe(Note(f"Going on with run {run_id} after {max(spent, 0.0):.0f} s of its {run.budget_s:g} s."))
        opened.runs.resume(run_id)
        going = replace(run, status="running", ended_at=None, reason=None)
        return carry_out(opened, going, assignment, workers, started - max(spent, 0.0), observe, past)
