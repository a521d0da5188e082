"""The parent's side of `server.py`: one server, kept for the next call, and the workers that it forks."""

import atexit
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from autopilot.workers.channel import Channel, Look
from autopilot.workers.process import TICK_S, new_log
from autopilot.workers.resident import SURROUNDINGS
from autopilot.workers.server import EXIT_CODE, FORK, KILL, ORDER

_BURIAL_S = 1.0

_lock = threading.Lock()
_servers: dict[tuple[int, tuple[str, ...]], "ForkServer"] = {}


def server_of(modules: Sequence[str]) -> "ForkServer":
    """The server of this process that has imported these modules; started if there is none, which does not block."""
    key = (os.getpid(), tuple(modules))
    with _lock:
        server = _servers.get(key)
        if server is not None and server.has_ended:
            server.close()
            server = None
        if server is None:
            server = _servers[key] = ForkServer(key[1])
        return server


def _forget_lock() -> None:
    """In a child that was forked while another thread held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)


@atexit.register
def end_servers() -> None:
    """End the servers of this process, and their workers with them; the next call starts others."""
    for pid, modules in list(_servers):
        if pid == os.getpid():
            _servers.pop((pid, modules)).close()


class ForkServer:
    """A process that has imported the modules and forks workers.

    In a session of its own: Ctrl-C in the terminal is for the parent, which decides what becomes of its workers.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._numbers = itertools.count()
        self._orders = threading.Lock()
        self.log = new_log()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                start_command("autopilot.workers.server", json.dumps(modules)),
                stdin=theirs.fileno(),  # the one number that is sure to be free, even where ours is closed
                stdout=self.log,
                stderr=self.log,
                env=os.environ | SURROUNDINGS,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is of no use any more."""
        return self._process.poll() is not None

    def fork(self, channel: socket.socket, log: IO[bytes], exit_code: int) -> int:
        """Order a worker with these files; gives its number. If there is none, it is told by the files' closing."""
        number = next(self._numbers)
        with self._orders, suppress(OSError):
            socket.send_fds(self._control, [ORDER.pack(FORK, number)], [channel.fileno(), log.fileno(), exit_code])
        return number

    def kill(self, number: int) -> None:
        """Order a worker's end."""
        with self._orders, suppress(OSError):
            self._control.send(ORDER.pack(KILL, number))

    def close(self) -> None:
        """End it and all its workers."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        self.log.close()


class ForkedProcess:
    """A worker that a server forked."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._code: int | None = None
        self._log = new_log()
        self._ours, theirs = socket.socketpair()
        self._exit_code, exit_code = os.pipe()
        try:
            self._number = server.fork(theirs, self._log, exit_code)
        finally:
            theirs.close()
            os.close(exit_code)

    def connect(self, look: Look) -> Channel:
        """Its channel is there from the start."""
        return Channel(self._ours, TICK_S)

    def kill(self) -> None:
        """By the server, whose child it is: no other process can have its number."""
        self._server.kill(self._number)

    @property
    def has_ended(self) -> bool:
        """Told by the file to which the server writes how."""
        return self._is_told(0)

    def exit_code(self) -> int | None:
        """None if the server has ended too."""
        if self._code is None and self._is_told(_BURIAL_S):
            told = os.read(self._exit_code, EXIT_CODE.size)
            self._code = EXIT_CODE.unpack(told)[0] if told else None
        return self._code

    @property
    def log(self) -> IO[bytes]:
        """The server's, if that has ended and may say why."""
        has_more = self._server.has_ended and not self._server.log.closed
        return self._server.log if has_more else self._log

    def close(self) -> None:
        """Its files."""
        self._ours.close()
        self._log.close()
        os.close(self._exit_code)

    def _is_told(self, within_s: float) -> bool:
        poll = select.poll()  # select() takes no file numbered above 1023
        poll.register(self._exit_code, select.POLLIN)
        return bool(poll.poll(1000 * within_s))


def start_command(module: str, *arguments: str) -> list[str]:
    """How to run `main` of a module in a new interpreter that finds what this one finds, and not the user's script."""
    path = json.dumps([folder for folder in sys.path if isinstance(folder, str)])  # pyright: ignore[reportUnnecessaryIsInstance] - some put a Path there
    code = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main(*sys.argv[2:])"
    return [sys.executable, "-P", "-c", code, path, *arguments]
