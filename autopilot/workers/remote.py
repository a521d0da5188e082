"""A slot of an executor that somebody else runs: limits end the waiting, not the task."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from autopilot.workers.errors import TimeLimitError, WorkerDiedError
from autopilot.workers.messages import Buffer, Call, answer, result_of
from autopilot.workers.workers import Task

#: How often to see whether a task was cancelled or is late.
_TICK_S = 0.05


class Promise(Protocol):
    """What futures of this kind and of Dask's have in common."""

    def add_done_callback(self, callback: Callable[[Any], Any], /) -> Any:
        """Called once it is done."""
        ...

    def result(self) -> Any:
        """The result, or the failure raised."""
        ...

    def cancel(self) -> Any:
        """So that it does not begin."""
        ...


class RemoteSlot:
    """Hands its tasks to `submit`, one at a time, and waits."""

    def __init__(self, submit: Callable[[Call], Promise]) -> None:
        self._submit = submit

    def run(self, task: Task) -> Any:
        """Whatever goes wrong with the executor itself is a WorkerDiedError."""
        name = task.call.name
        try:
            promise = self._submit(task.call)
            is_done = _wait(promise, task)
            frames: Any = promise.result() if is_done else promise.cancel()
        except BaseException as error:  # a broken pool, a lost connection, a key that somebody cancelled
            raise WorkerDiedError(f"The executor lost {name}: {type(error).__name__}: {error}.") from error
        if not is_done:
            raise TimeLimitError(f"{name} took longer than {task.limit_s} s and is not waited for any more.")
        return result_of(frames)

    def close(self) -> None:
        """The executor belongs to somebody else."""


def _wait(promise: Promise, task: Task) -> bool:
    """Until it is done (true), over its limit, or cancelled."""
    until = None if task.limit_s is None else time.monotonic() + task.limit_s
    done = threading.Event()
    promise.add_done_callback(lambda _: done.set())
    while not done.wait(_TICK_S):
        if task.is_cancelled() or (until is not None and time.monotonic() > until):
            return False
    return True


def slots_of(executor: Executor) -> list[RemoteSlot]:
    """As many as it has workers, one if it does not tell."""

    def submit(call: Call) -> Promise:
        return executor.submit(answer_in_bytes, in_bytes(call.frames))

    return [RemoteSlot(submit) for _ in range(getattr(executor, "_max_workers", 1))]


def in_bytes(frames: Sequence[Buffer]) -> list[bytearray]:
    """As any pickle takes them, and so that the arrays in them can be written to."""
    return [bytearray(frame) for frame in frames]


def answer_in_bytes(frames: list[bytearray]) -> list[bytearray]:
    """`answer` for those who pickle what it gives."""
    return in_bytes(answer(frames))
