"""A slot that a process of this machine serves: it is killed at a limit, and another takes its place."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from signal import Signals
from typing import IO, Any, NamedTuple, Protocol

import psutil

from autopilot.workers.channel import Channel, Look
from autopilot.workers.errors import MemoryLimitError, TimeLimitError, WorkerDiedError
from autopilot.workers.messages import pack_call, result_of
from autopilot.workers.resident import settle
from autopilot.workers.workers import Task

#: How often the clock and the memory are looked at.
TICK_S = 0.05
#: A worker that keeps more than this share of its memory after a task is replaced, so that the next has its own.
_MOST_KEPT = 0.5
_LAST_LINES, _LAST_BYTES = 10, 4096


class Process(Protocol):
    """A process that serves a channel (`resident.serve`); made at once, connected when it is there."""

    def connect(self, look: Look) -> Channel:
        """Raises EOFError or OSError if it ended before."""
        ...

    def kill(self) -> None:
        """At once, with all that it started."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it is gone; a moment after `kill` it is."""
        ...

    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` tells it; None if that is not known within a second or so."""
        ...

    @property
    def log(self) -> IO[bytes]:
        """What it writes to its standard output and error."""
        ...

    def close(self) -> None:
        """Let go of all files; it has been killed."""
        ...


class ProcessSlot:
    """Serves its tasks by one process, and by a new one after that was killed or died.

    start: begins a process and returns at once. max_memory_bytes: that a task may take; what is mapped from files and
    could be read again does not count.
    """

    def __init__(self, start: Callable[[], Process], max_memory_bytes: int | None) -> None:
        self._start = start
        self._max_memory_bytes = max_memory_bytes
        self._process = start()
        self._settled: _Settled | None = None
        self._killed: Process | None = None

    def run(self, task: Task) -> Any:
        """In the process; see `Slot`."""
        if self._process.has_ended or (self._settled is not None and self._settled.channel.has_come):
            self._replace()  # it closed its end when it ended, which the system may tell a moment later
        try:
            frames = self._ask(task)
        except (EOFError, OSError) as error:
            died = WorkerDiedError(f"The worker was {_ending(self._process)} while it did {task.call.name}.")
            self._replace()
            raise died from error
        except BaseException:
            self._replace()
            raise
        if self._keeps_much:
            self._replace()
        return result_of(frames)

    def close(self) -> None:
        """Kill the process and wait until it is gone, so that it writes nothing any more."""
        self._bury()
        self._kill()
        self._bury()

    def _ask(self, task: Task) -> list[bytearray]:
        process = self._process
        if self._settled is None:
            self._settled = _settle(process, task)
        watch = _Watch(process, self._settled, task, self._max_memory_bytes)
        process.log.seek(0)
        process.log.truncate()
        self._settled.channel.send(task.call.frames, watch.look)
        return self._settled.channel.receive(watch.look)

    @property
    def _keeps_much(self) -> bool:
        most, settled = self._max_memory_bytes, self._settled
        return most is not None and settled is not None and settled.memory_bytes() > _MOST_KEPT * most

    def _replace(self) -> None:
        self._process.kill()
        fresh = self._start()  # should this fail, the next task tries again
        self._bury()
        self._kill()
        self._process = fresh

    def _kill(self) -> None:
        """Without waiting for its end: the next task has its process at once."""
        self._process.kill()
        if self._settled is None:  # it has never had a task
            self._process.close()
        else:
            self._killed, self._settled = self._process, None

    def _bury(self) -> None:
        """Wait for the end of the process that was killed before, if there is one."""
        if self._killed is not None:
            self._killed.exit_code()
            self._killed.close()
            self._killed = None


class _Settled(NamedTuple):
    """A process that has answered its first call."""

    channel: Channel
    process: psutil.Process

    def memory_bytes(self) -> int:
        """That is its own: resident, without what is mapped from files, where the system tells it (Linux)."""
        try:
            found = self.process.memory_info()
        except psutil.Error:
            return 0
        return found.rss - getattr(found, "shared", 0)


def _settle(process: Process, task: Task) -> _Settled:
    def look() -> None:
        _refuse_lost(process, task)

    channel = process.connect(look)
    path = [folder for folder in sys.path if isinstance(folder, str)]  # pyright: ignore[reportUnnecessaryIsInstance] - some put a Path there
    channel.send(pack_call(settle, (_working_folder(), dict(os.environ), path)).frames, look)
    pid = result_of(channel.receive(look))
    try:
        return _Settled(channel, psutil.Process(pid))
    except psutil.NoSuchProcess as error:
        raise EOFError("The process ended when it was ready.") from error


def _working_folder() -> str:
    with suppress(OSError):  # it may have been removed
        return os.getcwd()  # noqa: PTH109 - as the path that tasks' own paths are relative to
    return "/"


class _Watch:
    """Gives up a task at its limits, when it is cancelled, and when its process is gone."""

    def __init__(self, process: Process, settled: _Settled, task: Task, max_memory_bytes: int | None) -> None:
        self._process, self._settled, self._task = process, settled, task
        self._max_memory_bytes = max_memory_bytes
        self._began = time.monotonic()

    def look(self) -> None:
        """Every tick in which nothing came."""
        name, limit_s = self._task.call.name, self._task.limit_s
        _refuse_lost(self._process, self._task)
        if limit_s is not None and time.monotonic() - self._began > limit_s:
            raise TimeLimitError(f"{name} ran longer than {limit_s:.1f} s and was stopped.")
        if self._max_memory_bytes is not None and (taken := self._settled.memory_bytes()) > self._max_memory_bytes:
            raise MemoryLimitError(
                f"{name} took {_megabytes(taken)} of memory and was stopped; a worker may take "
                f"{_megabytes(self._max_memory_bytes)}. Allow more, or give it fewer rows."
            )


def _refuse_lost(process: Process, task: Task) -> None:
    if task.is_cancelled():
        raise CancelledError
    if process.has_ended:
        raise EOFError("The process ended.")


def new_log() -> IO[bytes]:
    """A file without a name for what a process writes; who asks for it closes it."""
    return tempfile.TemporaryFile()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _ending(process: Process) -> str:
    """How a process ended, in words, with the last that it wrote."""
    words = _exit_words(process.exit_code())
    said = _last_lines(process.log)
    return f"{words} (its last words: {said})" if said else words


def _exit_words(code: int | None) -> str:
    """
    >>> _exit_words(-9)
    'killed by signal 9 (SIGKILL, perhaps by the system, which ran out of memory)'
    >>> _exit_words(3)
    'ended from inside with exit code 3'
    """
    if code is None:
        return "lost"
    if code >= 0:
        return f"ended from inside with exit code {code}"
    try:
        name = Signals(-code).name
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"
    return (
        f"killed by signal {-code} ({name}{', perhaps by the system, which ran out of memory' if code == -9 else ''})"
    )


def _last_lines(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LAST_BYTES))
    lines = log.read().decode(errors="replace").splitlines()
    told = [line for line in lines if line.strip() and not line.startswith("Extension modules:")]
    return "\n".join(told[-_LAST_LINES:])
