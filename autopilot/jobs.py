"""Jobs: runs that have not ended, seen and steered from any process that opens the store."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from autopilot.events import Observer, Phase, Stopping, TrialEnded, event_of
from autopilot.tape import spent_s
from storage.errors import InputError
from storage.records import Run
from storage.store import Store

_LOOK_S = 0.25
#: How long a stop is waited for: it takes a second, unless the machine is very busy.
_STOP_S = 30.0

State = Literal["working", "interrupted"]


class Job(Struct, frozen=True):
    """A run that has not ended.

    state: `working`, or `interrupted` by a kill, a crash or Ctrl-C, to be resumed or removed. spent_s: of its budget.
    phase: what it does, or did last. trials: that ended; best: their best score so far, by the run's metric.
    """

    run: Run
    state: State
    spent_s: float
    phase: str
    trials: int
    best: float | None


def list_jobs(store: Store) -> list[Job]:
    """The latest of them first."""
    return [_job(store, run) for run in store.runs.list() if run.status != "completed" and store.work.has(run.id)]


def stop(store: Store, run_id: str) -> Run:
    """Ask a run to end with the best model so far, wait until it has, and give it as it ended.

    Raises InputError if no process works on it.
    """
    run = store.runs.get(run_id)
    if run.status == "completed":
        return run
    _refuse_idle(store, run)
    store.runs.add_event(run_id, datetime.now(UTC), Stopping.__name__)
    until = time.monotonic() + _STOP_S
    while store.work.is_claimed(run_id) and time.monotonic() < until:
        time.sleep(_LOOK_S / 5)
    return store.runs.get(run_id)


def watch(store: Store, run_id: str, observe: Observer, tell_time: Callable[[float | None], None]) -> Run:
    """Give an observer all events of a run, those before now first, until it ends or its process does.

    tell_time: is told the time of each event, in seconds since 1970, before it is given; None where it is now.
    """
    last = 0
    while True:
        is_over = not store.work.is_claimed(run_id)  # asked first: what was written before the end is read below
        for record in store.runs.events(run_id, after=last):
            last, event = record.number, event_of(record)
            if event is not None:
                tell_time(record.at.timestamp())
                observe(event)
        tell_time(None)
        if is_over:
            return store.runs.get(run_id)
        time.sleep(_LOOK_S)


def remove(store: Store, run_id: str) -> None:
    """Give up an interrupted run: its working folder goes, its record stays. Raises InputError if it works."""
    run = store.runs.get(run_id)
    if store.work.is_claimed(run_id):
        raise InputError(f"Run {run_id!r} is being worked on. Stop it first: autopilot jobs stop {run_id}")
    if run.status == "running":
        store.runs.fail(run_id, datetime.now(UTC), "interrupted, and given up")
    store.work.remove(run_id)


def carry_on(store: Store, tell: Callable[[str], None], *, once: bool = False) -> None:
    """Resume each run whose process was killed, one after the other, each in a process of its own.

    Those that were interrupted by Ctrl-C or ended by an error are left to their user. once: those that there are now,
    and no later ones.
    """
    tried: set[str] = set()
    while True:
        killed = [job.run for job in list_jobs(store) if job.state == "interrupted" and job.run.status == "running"]
        for run in [run for run in killed if run.id not in tried]:
            tried.add(run.id)  # one that dies again and again is not begun for ever
            tell(f"Going on with run {run.id} ({run.target}).")
            command = [sys.executable, "-m", "autopilot", "fit", "--resume", run.id, "--store", str(store.root)]
            done = subprocess.run(command, check=False)
            tell(f"Run {run.id} {'has ended' if done.returncode == 0 else 'could not go on'}.")
        if once:
            return
        time.sleep(_LOOK_S)


def _job(store: Store, run: Run) -> Job:
    records = store.runs.events(run.id)
    events = [event for event in map(event_of, records) if event is not None]
    ended = [event for event in events if isinstance(event, TrialEnded)]
    phases = [event.name for event in events if isinstance(event, Phase)]
    state: State = "working" if store.work.is_claimed(run.id) else "interrupted"
    return Job(
        run,
        state,
        spent_s(records),
        phases[-1] if phases else "reading the table",
        len(ended),
        ended[-1].best if ended else None,
    )


def _refuse_idle(store: Store, run: Run) -> None:
    if store.work.is_claimed(run.id):
        return
    if store.work.has(run.id):
        raise InputError(
            f"Run {run.id!r} was interrupted; no process works on it. Go on with it, autopilot fit --resume {run.id}, "
            f"or give it up, autopilot jobs remove {run.id}"
        )
    raise InputError(f"Run {run.id!r} {run.status}: {run.reason}. Nothing is left of it to stop.")
