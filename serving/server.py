"""uvicorn, set up for many small requests, and for an end that no client notices.

Told to end, a server takes no new connections and answers what is under way. A connection that waits for its next
request cannot just be closed: a request that is on its way then would be lost. So for some seconds whatever still comes
on kept connections is answered too, with `connection: close`, and only those that stayed silent are closed.
"""

import asyncio
import math
import signal
import socket
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

#: Connections that wait to be accepted.
BACKLOG = 2048

_DRAIN_S = 25  # container platforms send SIGKILL 30 s after SIGTERM
_WAIT_S = 5.0  # for kept connections to learn of the end: whoever asks less often than this rarely asks just then
_KEEP_ALIVE_S = 75  # longer than the 60 s of common load balancers, so that they close first
_CLOSE_S = 0.1  # for all workers to stop accepting: whom one tells to go would come to another just as that closes
_LOOK_S = 0.05


class State(ServerState):
    """uvicorn's own, shared by all connections. last: so many requests from now on are the last of their connection."""

    last: float = 0


class Connection(HttpToolsProtocol):
    """A connection that ends after a request if it is told to."""

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        state: Any = self.server_state
        if state.last:
            state.last -= 1
            self.cycle.keep_alive = False  # the reply says so, and the connection is closed after it

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None at first


class Life(Protocol):
    """Who is told of a server's life."""

    async def began(self) -> None:
        """It answers requests."""
        ...

    def ending(self) -> None:
        """It takes no more connections, and answers what is under way."""
        ...

    async def ended(self) -> None:
        """It answers nothing more."""
        ...


class Alone:
    """The life of a server that is the only process: it is told on stdout, and to health checks.

    ready: what is printed when it answers. leave: is called when it ends.
    """

    def __init__(self, ready: str, leave: Callable[[], None] = lambda: None) -> None:
        self._ready = ready
        self._leave = leave

    async def began(self) -> None:
        """Say so."""
        print(self._ready, flush=True)

    def ending(self) -> None:
        """Have health checks fail, so that nobody sends more."""
        self._leave()

    async def ended(self) -> None:
        """Whoever started the process sees it."""


class Server(uvicorn.Server):
    """Serves an application, and ends with exit code 0 when told to stop. life: is told when; `Alone` if nobody is."""

    def __init__(self, app: Any, ready: str, connection: Callable[..., Any] = Connection) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="auto",  # uvloop where it is installed, which is everywhere but Windows
                http=connection,  # pyright: ignore[reportArgumentType] - called, never asked whether it is a class
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_DRAIN_S,
                backlog=BACKLOG,
            )
        )
        self.server_state: State = State()  # pyright: ignore[reportIncompatibleVariableOverride]
        self.life: Life = Alone(ready)
        self._waits = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        await self.life.began()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self.server_state.connections)

    def stop_accepting(self) -> None:
        """Take no more connections."""
        for server in self.servers:
            server.close()

    def let_go(self, connections: int) -> None:
        """Close so many connections after the next request that each brings: their clients will make new ones."""
        self.server_state.last = connections

    def end(self, *, waits: bool = True, at_once: bool = False) -> None:
        """Drain and end. waits: for kept connections to learn of it. at_once: answer nothing more."""
        self.should_exit = True
        self.force_exit = self.force_exit or at_once
        self._waits = self._waits and waits

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A person who presses Ctrl-C does not wait for connections that nobody uses; a platform does. A second signal
        waits for nothing. uvicorn's own raises the signal again in the end, and exits with it."""
        self.end(waits=sig != signal.SIGINT, at_once=self.should_exit)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: at most 25 s in all."""
        began = monotonic()
        self.life.ending()
        self.stop_accepting()
        await asyncio.sleep(_CLOSE_S)
        self._make_requests_the_last()
        while self._waits and self.connections and not self.force_exit and monotonic() - began < _WAIT_S:
            await asyncio.sleep(_LOOK_S)
        self.config.timeout_graceful_shutdown = max(1, math.ceil(began + _DRAIN_S - monotonic()))
        await super().shutdown(sockets)
        await self._cut_the_rest()
        await self.life.ended()

    async def _cut_the_rest(self) -> None:
        """Close connections that are still open, when the time is up or nothing is to be waited for: an event loop does
        not end well with them."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.force_exit:
            await self.lifespan.shutdown()  # uvicorn leaves it out, and a traceback tells that it was cancelled
        await asyncio.sleep(0)

    def _make_requests_the_last(self) -> None:
        """Those under way, and all that come."""
        self.server_state.last = math.inf
        for connection in self.server_state.connections:
            if isinstance(connection, Connection) and connection.is_answering:
                connection.shutdown()
