"""Working folders of runs: what a run needs to go on after a kill, until it has ended.

    work/RUN/
    ├── lock        held by the process that works on the run; let go of by the system when that dies, however it does
    └── ...         the run's own files, which only the program that trains reads

Only one process at a time works on a run: the lock is one of the file, not of the name, so that none is left behind.
Such a folder holds pickled objects of the run's own process, as its workers get them, and is private to the user who
made it: do not take one from a stranger. It is gone once its run has ended.
"""

import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import BusyError

if os.name == "posix":
    import fcntl

_LOCK = "lock"
#: Who asks whether a run is worked on holds its lock for a moment: so often and so long it is tried again.
_TRIES, _PAUSE_S = 5, 0.02


class Work:
    """The working folders of a store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, run_id: str) -> Path:
        """Where a run's folder is, or would be."""
        return self._folder / run_id

    def has(self, run_id: str) -> bool:
        """Whether a run has one: it works, or it was interrupted and can go on."""
        return self.path(run_id).is_dir()

    @contextmanager
    def claimed(self, run_id: str) -> Generator[Path]:
        """The folder, made if there is none, for this process alone until the block ends or the process does.

        Raises BusyError if another process has it.
        """
        folder = self.path(run_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / _LOCK).open("a+") as file:
            if not _lock(file.fileno(), _TRIES):
                file.seek(0)
                raise BusyError(
                    f"Run {run_id!r} is being worked on by process {file.read().strip() or 'unknown'}. Wait for it, or "
                    f"stop it: autopilot jobs stop {run_id}"
                )
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield folder

    def is_claimed(self, run_id: str) -> bool:
        """Whether a process works on the run now."""
        if not self.has(run_id):
            return False
        try:
            with (self.path(run_id) / _LOCK).open("a+") as file:
                return not _lock(file.fileno())
        except FileNotFoundError:  # it has just ended
            return False

    def remove(self, run_id: str) -> None:
        """Of a run that has ended."""
        shutil.rmtree(self.path(run_id), ignore_errors=True)


def _lock(file: int, tries: int = 1) -> bool:
    """Whether the lock could be had; where files cannot be locked, always."""
    if os.name != "posix":
        return True
    for attempt in range(tries):
        time.sleep(_PAUSE_S if attempt else 0.0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False
