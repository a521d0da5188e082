"""Servers as processes on CPUs of their own: starting and stopping them, their CPU time, memory and time to ready."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import psutil

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60
_LIMIT_BYTES = 2**30  # bodies of 100,000 rows; the server's own limit is 6 MiB
_FREED = {"AUTOPILOT_MAX_BODY_BYTES": str(_LIMIT_BYTES), "AUTOPILOT_MAX_ROWS": str(10**7)}


class NotReadyError(Exception):
    """A server ended, or did not answer in a minute; holds what it said last."""


class Memory(NamedTuple):
    """Of a process and its children, in MB: pages that several share are in `rss_mb` of each, in `pss_mb` once."""

    rss_mb: float
    pss_mb: float


class Server:
    """A running server. port: on 127.0.0.1. ready_s: from its start to its first answer 200."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, ready_s: float) -> None:
        self.port = port
        self.ready_s = ready_s
        self._root = psutil.Process(process.pid)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """User and system time so far, of all its processes; the kernel counts in hundredths."""
        return sum(sum(times[:2]) for times in (one.cpu_times() for one in self._tree()))

    def memory(self) -> Memory:
        """What it holds now."""
        told = [one.memory_full_info() for one in self._tree()]
        return Memory(sum(one.rss for one in told) / 1e6, sum(one.pss for one in told) / 1e6)

    def kill(self) -> None:
        """End all its processes at once, as a power cut would."""
        for one in self._tree():
            one.kill()

    def kill_worker(self) -> None:
        """End one of its worker processes."""
        self._root.children()[0].kill()

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


@contextmanager
def started(
    command: Sequence[str], port: int, cpu: str, environment: Mapping[str, str] | None = None
) -> Generator[Server]:
    """A server that has answered `GET /ping` with 200; terminated in the end. cpu: a list of taskset's, or ''."""
    pin = ["taskset", "-c", cpu] if cpu else []
    env = {**os.environ, "PYTHONPATH": str(ROOT), **_FREED, **(environment or {})}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*pin, *command], env=env, stdout=subprocess.DEVNULL, stderr=log)
        try:
            _wait(process, port, began, log)
            yield Server(process, port, time.perf_counter() - began)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, began: float, log: IO[bytes]) -> None:
    while not answers(port):
        if process.poll() is not None:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise NotReadyError(f"exit code {process.returncode}, its last line: {said[-1]}")
        if time.perf_counter() - began > _PATIENCE_S:
            raise NotReadyError(f"no answer in {_PATIENCE_S} s")
        time.sleep(0.003)


def answers(port: int, timeout_s: float = _PATIENCE_S) -> bool:
    """Whether `GET /ping` is answered with 200."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
        return connection.recv(4096).split(b" ", 2)[1:2] == [b"200"]
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate it, and kill it with its children if it does not end."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def busy_s() -> float:
    """CPU seconds that everything on the machine has spent."""
    times = psutil.cpu_times()
    return sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serving_command(store: Path, port: int, *more: str) -> list[str]:
    """Our server, as it is started by users."""
    return [sys.executable, "-m", "serving", "--store", str(store), "--port", str(port), *more]


def stay_on(cpu: str) -> None:
    """Keep this process, and the load that it starts, on CPUs that no server has; allow it many connections."""
    if cpu:
        os.sched_setaffinity(0, {int(number) for number in cpu.split(",")})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
