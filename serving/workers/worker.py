"""The worker's side: it tells its supervisor how it fares, and does what that tells it.

    supervisor ── socket ── Link ── Server        let connections go, end
                             ├───── LiveEndpoints health checks learn that the server ends
                             └───── Exposition    /metrics is asked of one worker, and tells of all

A supervisor that is gone, however, cannot be asked for anything any more: the worker drains and ends.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import NamedTuple

from serving.endpoints import LiveEndpoints
from serving.errors import DeadlineError, OverloadedError
from serving.metrics import Metrics
from serving.problems import KINDS
from serving.server import Server
from serving.workers.busy import Busy
from serving.workers.messages import (
    Ask,
    Collect,
    Collected,
    End,
    FromWorker,
    Leaving,
    LetGo,
    Ready,
    Report,
    Told,
    ToWorker,
    packed,
    to_worker,
)
from serving.workers.totals import State

_REPORT_S = 0.5
_TELL_S = 5.0  # a worker that is killed takes with it what it counted since
_ASK_S = 2.0  # the supervisor itself waits for a second, for workers that do not answer

_REFUSALS = tuple(KINDS[error].name for error in (DeadlineError, OverloadedError))

_log = logging.getLogger(__name__)


class Inherited(NamedTuple):
    """The numbers of the files that a worker is started with: where it listens, and its supervisor."""

    listener: int
    supervisor: int

    @classmethod
    def of(cls, text: str) -> "Inherited":
        """As they stand on the command line, such as `3,5`."""
        listener, supervisor = text.split(",")
        return cls(int(listener), int(supervisor))


class Link:
    """A worker's connection to its supervisor, which it tells of its server's life.

    serving: what it serves, as a user is told. own: what this worker has counted.
    """

    def __init__(
        self,
        stream: socket.socket,
        server: Server,
        serving: str,
        live: LiveEndpoints,
        own: Callable[[], State],
    ) -> None:
        self._stream = stream
        self._server = server
        self._serving = serving
        self._live = live
        self._own = own
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[State]] = {}
        self._numbers = count()
        self._telling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def began(self) -> None:
        """Say that the worker answers, and go on telling and listening as long as the event loop runs."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGHUP, lambda: None)  # meant for the supervisor
        reader, self._writer = await asyncio.open_unix_connection(sock=self._stream)
        self._send(Ready(self._serving))
        self._spawn(self._listen(reader))
        self._spawn(self._report())

    def ending(self) -> None:
        """Say that the worker takes no more connections."""
        self._send(Leaving())

    async def ended(self) -> None:
        """Say what the worker has counted in all."""
        for task in self._tasks:
            task.cancel()
        self._send(Told(None, self._own()))
        if self._writer is not None:
            with suppress(OSError):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()

    def others(self, own: State) -> State:
        """What the other workers have counted; nothing where the supervisor does not answer. For other threads.

        own: what this one has, which is kept should it be killed: what was once told never becomes less.
        """
        if self._loop is None:
            return ()
        asked = asyncio.run_coroutine_threadsafe(self._ask(own), self._loop)
        try:
            return asked.result(_ASK_S)
        except (TimeoutError, OSError):
            asked.cancel()
            _log.warning("The supervisor did not answer in %s s; these metrics are of one worker alone.", _ASK_S)
            return ()

    async def _ask(self, own: State) -> State:
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(Ask(number, own))
            return await future
        finally:
            del self._asked[number]

    async def _report(self) -> None:
        busy, refused, tell_at = Busy(), 0, monotonic() + _TELL_S
        while True:
            await asyncio.sleep(_REPORT_S)
            share, before, refused = busy.share(), refused, _refused(self._live.metrics)
            self._send(Report(1.0 if refused > before else share, self._server.connections))
            if monotonic() >= tell_at:
                await self._tell(None)
                tell_at = monotonic() + _TELL_S

    async def _tell(self, number: int | None) -> None:
        """Say what the worker has counted: one after another, so that what is newer comes later."""
        async with self._telling:
            self._send(Told(number, await asyncio.to_thread(self._own)))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._do(await to_worker(reader))
        _log.error("The supervisor is gone: worker %d answers what is under way, and ends.", os.getpid())
        self._live.leave()
        self._server.end()

    def _do(self, message: ToWorker) -> None:
        if isinstance(message, Collect):
            self._spawn(self._tell(message.number))
        elif isinstance(message, Collected):
            if (future := self._asked.get(message.number)) is not None and not future.done():
                future.set_result(message.others)
        elif isinstance(message, LetGo):
            self._server.let_go(message.connections)
        else:
            self._end(message)

    def _end(self, end: End) -> None:
        if end.server:
            self._live.leave()
            self._server.stop_accepting()
        self._server.end(waits=end.waits, at_once=end.at_once)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, message: FromWorker) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(packed(message))


def _refused(metrics: Metrics) -> int:
    """How many requests were refused so far because there was no time or room for them: a worker that refuses is as
    busy as can be, whatever it does."""
    return sum(
        count
        for counts in metrics.endpoints.values()
        for (_, kind), count in counts.replies.refused.items()
        if kind in _REFUSALS
    )
