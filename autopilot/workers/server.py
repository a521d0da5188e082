"""The process that forks workers. It has imported everything once, so that a worker is there in some 20 ms.

It runs one thread and takes two orders from its parent, over the socket that is its standard input: to fork a worker,
with the three files that it shall have, and to kill one. It ends, and all workers with it, when that socket closes: the
parent closed it, or died in whatever way.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from typing import NamedTuple

from autopilot.workers import resident
from autopilot.workers.channel import Channel

#: How a worker ended, as `subprocess` tells it: an exit code, or a signal's number made negative.
EXIT_CODE = struct.Struct("<i")
ORDER = struct.Struct("<cQ")
FORK, KILL = b"f", b"k"

#: How often to see whether the parent still lives, should a copy of its socket live on in another child of it.
_LOOK_S = 1.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


class _Worker(NamedTuple):
    """number: by which the parent knows it. exit_code: where to write how it ended."""

    number: int
    exit_code: int


def main(modules: str) -> None:
    """Import the modules (a JSON list), then serve until the parent is gone."""
    parent = os.getppid()
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    resident.prepare(json.loads(modules))
    gc.collect()
    gc.freeze()  # what is here now is never looked at again, so that its pages stay shared
    Server(control, parent).serve()


class Server:
    """Forks, kills and buries workers."""

    def __init__(self, control: socket.socket, parent: int) -> None:
        self._control, self._parent = control, parent
        self._workers: dict[int, _Worker] = {}
        self._death, self._died = os.pipe()
        os.set_blocking(self._died, False)

    def serve(self) -> None:
        """Until the parent is gone."""
        signal.set_wakeup_fd(self._died, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        try:
            while os.getppid() == self._parent:
                ready, _, _ = select.select([self._control, self._death], [], [], _LOOK_S)
                if self._death in ready:
                    os.read(self._death, 4096)
                    self._bury()
                if self._control in ready and not self._obey():
                    break
        finally:
            for pid in self._workers:
                _kill(pid)

    def _obey(self) -> bool:
        """The next order; False when there will be no more."""
        try:
            order, files, _, _ = socket.recv_fds(self._control, ORDER.size, 3, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return False
        if not order:
            return False
        kind, number = ORDER.unpack(order)
        if kind == FORK:
            self._fork(number, *files)
        else:
            for pid, worker in self._workers.items():
                if worker.number == number:
                    _kill(pid)
        return True

    def _fork(self, number: int, channel: int, log: int, exit_code: int) -> None:
        """A worker that serves the channel and writes to the log. What it shares with the server it closes."""
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            traceback.print_exc()  # into our log, which the parent reads when the channel closes
            os.close(exit_code)
        else:
            if pid == 0:
                try:
                    self._become_worker(server, channel, log, exit_code)
                except BaseException:  # noqa: BLE001 - nothing of the server's may go on in here
                    traceback.print_exc()
                os._exit(1)
            with suppress(OSError):  # both set it, so that neither comes too late
                os.setpgid(pid, pid)
            self._workers[pid] = _Worker(number, exit_code)
        os.close(channel)
        os.close(log)

    def _become_worker(self, server: int, channel: int, log: int, exit_code: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)  # so that what a task starts dies with it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            return
        os.dup2(log, 1)
        os.dup2(log, 2)
        self._control.close()
        for file in (self._death, self._died, log, exit_code, *(worker.exit_code for worker in self._workers.values())):
            os.close(file)
        resident.serve(Channel(socket.socket(fileno=channel)))
        os._exit(0)

    def _bury(self) -> None:
        """Tell how dead workers ended, and kill what they started, while their numbers are still taken."""
        while self._workers:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return
            _kill(found.si_pid)
            _, status = os.waitpid(found.si_pid, 0)
            worker = self._workers.pop(found.si_pid, None)
            if worker is not None:
                with suppress(BrokenPipeError):
                    os.write(worker.exit_code, EXIT_CODE.pack(os.waitstatus_to_exitcode(status)))
                os.close(worker.exit_code)


def _kill(pid: int) -> None:
    """A worker, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
