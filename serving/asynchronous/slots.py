"""Takes work as long as there is some, and does some of it at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from storage.errors import StoreError

_IDLE_S = 1.0  # until it is looked again whether there is some, unless somebody says so

_log = logging.getLogger(__name__)

_Work = TypeVar("_Work")


class Slots(Generic[_Work]):
    """Does work in tasks of the event loop, a bounded number at once.

    take: the next piece; None if there is none. do: does it; it sees to its own errors. When it is cancelled it gives
    the piece back.
    """

    def __init__(
        self, name: str, room: int, take: Callable[[], Awaitable[_Work | None]], do: Callable[[_Work], Awaitable[None]]
    ) -> None:
        self._name = name
        self._take = take
        self._do = do
        self._room = asyncio.Semaphore(room)
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self._is_taking = False
        self._is_ending = False

    def start(self) -> None:
        """Begin to take work."""
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Say that there is work."""
        self._woken.set()

    async def end(self, grace_s: float) -> None:
        """Take no more; wait a while for what is being done, and cancel the rest."""
        self._is_ending = True
        if self._running is not None:
            if not self._is_taking:  # what a thread has taken by then would be nobody's
                self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while not self._is_ending:
            await self._room.acquire()
            work = None
            try:
                work = await self._taken()
            finally:
                if work is None:
                    self._room.release()
            if work is not None:
                self._begin(work)
            elif not self._is_ending:
                await self._wait()

    async def _taken(self) -> _Work | None:
        self._woken.clear()
        self._is_taking = True
        try:
            return await self._take()
        except StoreError as error:
            _log.warning("%s: the store could not be asked: %s", self._name, error)
        except Exception:  # noqa: BLE001 - who stops to look for work is noticed too late
            _log.exception("%s: work could not be taken; the next look is in %s s.", self._name, _IDLE_S)
        finally:
            self._is_taking = False
        return None

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), _IDLE_S)
        except TimeoutError:
            return

    def _begin(self, work: _Work) -> None:
        task = asyncio.create_task(self._done(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _done(self, work: _Work) -> None:
        try:
            await self._do(work)
        except StoreError as error:
            _log.warning("%s: the store could not be told: %s", self._name, error)
        except Exception:  # noqa: BLE001 - a defect ends this piece, and not those that wait
            _log.exception("%s: a defect.", self._name)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
