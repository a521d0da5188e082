"""Workers started one by one, where a process cannot be forked safely: macOS, Windows.

Each imports for itself what trains, so that replacing one takes seconds. It connects back over the loopback interface,
which all systems have alike; its standard input brings it the port and a secret to show.
"""

import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import psutil

from autopilot.workers import resident
from autopilot.workers.channel import Channel, Look
from autopilot.workers.forking import start_command
from autopilot.workers.process import TICK_S, new_log

_SECRET_BYTES = 32
_LOOPBACK = "127.0.0.1"
_GREETING_S = 1.0
_BURIAL_S = 1.0


def main(modules: str) -> None:
    """In the worker: import the modules (a JSON list), connect, and serve until the parent is gone."""
    port, secret = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    resident.prepare(json.loads(modules))
    stream = socket.create_connection((_LOOPBACK, port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each message may wait 40 ms for company
    stream.sendall(bytes.fromhex(secret))
    resident.serve(Channel(stream))


def _end_with(parent: int) -> None:
    """A worker in the midst of a task does not see its channel close."""
    with suppress(psutil.Error):
        psutil.Process(parent).wait()
    os._exit(1)


class SpawnedProcess:
    """A worker that was started on its own."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._log = new_log()
        self._listener = socket.create_server((_LOOPBACK, 0))
        self._stream: socket.socket | None = None
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._process = subprocess.Popen(
            start_command("autopilot.workers.spawning", json.dumps(list(modules))),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=os.environ | resident.SURROUNDINGS,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent; Windows has the flag for that
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._process.stdin is not None  # noqa: S101 - tells the type
        with suppress(OSError), self._process.stdin as line:
            line.write(json.dumps([self._listener.getsockname()[1], self._secret.hex()]).encode())

    def connect(self, look: Look) -> Channel:
        """When it has imported what it needs. Who does not show the secret is sent away."""
        self._listener.settimeout(TICK_S)
        while self._stream is None:
            try:
                stream, _ = self._listener.accept()
            except TimeoutError:
                look()
                continue
            if _shows(stream, self._secret):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._stream = stream
            else:
                stream.close()
        return Channel(self._stream, TICK_S)

    def kill(self) -> None:
        """What it started is not known to the system as its own, and stays."""
        self._process.kill()

    @property
    def has_ended(self) -> bool:
        """As the system tells it."""
        return self._process.poll() is not None

    def exit_code(self) -> int | None:
        """None if the system takes longer than a second."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_BURIAL_S)
        return self._process.returncode

    @property
    def log(self) -> IO[bytes]:
        """Its standard output and error."""
        return self._log

    def close(self) -> None:
        """Its files."""
        self.exit_code()
        self._listener.close()
        if self._stream is not None:
            self._stream.close()
        self._log.close()


def _shows(stream: socket.socket, secret: bytes) -> bool:
    stream.settimeout(_GREETING_S)
    try:
        shown = stream.recv(len(secret), socket.MSG_WAITALL)
    except OSError:
        return False
    return hmac.compare_digest(shown, secret)
