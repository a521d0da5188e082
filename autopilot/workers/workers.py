"""A queue of tasks, and a thread for each one that is done at a time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from autopilot.workers.errors import SendError
from autopilot.workers.messages import Call, pack_call
from autopilot.workers.shared import Shared

T = TypeVar("T")


class Task(NamedTuple):
    """A call, how long it may take, and whether nobody wants it any more."""

    call: Call
    limit_s: float | None
    is_cancelled: Callable[[], bool]


class Slot(Protocol):
    """Does one task at a time, somewhere."""

    def run(self, task: Task) -> Any:
        """What the call returns or raises; TimeLimitError, MemoryLimitError, WorkerDiedError for what befell it.

        It gives up, with any error, soon after the task was cancelled; the slot can be used again.
        """
        ...

    def close(self) -> None:
        """Let go of what serves this slot. Nothing runs any more."""
        ...


class Workers:
    """Does tasks, `count` at once, in the order in which they were given.

    A task is a function with arguments that pickle; functions and classes of the user's script go along by value. It
    and its result may be large. Close it, or use it in `with`, so that no worker stays.

    >>> from autopilot.workers import open_workers
    >>> with open_workers(count=2) as workers:
    ...     futures = [workers.submit(pow, 2, power) for power in range(3)]
    ...     [future.result() for future in futures]
    [1, 2, 4]
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        share: Callable[[Path], Shared] = lambda folder: Shared(str(folder)),
        end: Callable[[], object] = lambda: None,
    ) -> None:
        self._slots = slots
        self._share, self._end = share, end
        self._queue: SimpleQueue[tuple[Future[Any], Task] | None] = SimpleQueue()
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"autopilot-worker-{number}", daemon=True)
            for number, slot in enumerate(slots)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """Tasks at once."""
        return len(self._slots)

    def submit(self, function: Callable[..., T], /, *args: Any, limit_s: float | None = None) -> Future[T]:
        """Do `function(*args)` when its turn comes; `limit_s` counts from when it begins.

        The future raises what the function raised, with the worker's traceback as a note, or TimeLimitError,
        MemoryLimitError, WorkerDiedError, SendError. `future.cancel()` works while the task runs too: it is stopped.
        """
        future: Future[T] = Future()
        try:
            call = pack_call(function, args)
        except SendError as error:
            future.set_exception(error)
            return future
        with self._lock:
            if self._is_closed:
                raise RuntimeError("These workers are closed. Open others with open_workers().")
            self._open.add(future)
        future.add_done_callback(self._forget)
        self._queue.put((future, Task(call, limit_s, future.cancelled)))
        return future

    def share(self, folder: str | Path) -> Shared:
        """A stand-in for a folder, to give to tasks: its `here()` is the folder on the worker's machine.

        Where workers are on other machines it is sent now, as it is, once to each. Share it when it is complete.
        """
        return self._share(Path(folder))

    def close(self) -> None:
        """Cancel what waits, kill what runs, and let the workers go."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            left = list(self._open)
        for future in left:
            future.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        for slot in self._slots:
            slot.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, slot: Slot) -> None:
        while (given := self._queue.get()) is not None:
            _do(slot, *given)
            del given  # it holds arguments and a result, and the next may be long in coming

    def _forget(self, future: Future[Any]) -> None:
        """Of a future that is done; those who wait for one that was cancelled are woken."""
        with self._lock:
            self._open.discard(future)
        if future.cancelled():
            future.set_running_or_notify_cancel()


def _do(slot: Slot, future: Future[Any], task: Task) -> None:
    if future.cancelled():
        return
    with suppress(InvalidStateError):  # cancelled meanwhile
        try:
            result = slot.run(task)
        except BaseException as error:  # noqa: BLE001 - the future carries it to whoever asks
            future.set_exception(error)
        else:
            future.set_result(result)
