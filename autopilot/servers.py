"""Starting the two servers, `python -m serving` and `python -m monitor`, as processes of their own."""

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from storage.errors import FailureError, InputError

_GRACE_S = 20
_POLL_S = 0.2

Process = subprocess.Popen[bytes]


def serve(store: str, host: str, port: int) -> int:
    """Run both servers until one ends or a signal comes; gives the exit code of the one that ended first."""
    with running(store, host, port) as processes, _forwarding(processes):
        while True:
            for process in processes:
                try:
                    return process.wait(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    continue


@contextmanager
def running(store: str, host: str, port: int) -> Generator[list[Process]]:
    """Both servers while the block runs; ended gracefully after it, by force if they do not end within 20 s."""
    processes = [
        _start("serving", "--store", store, "--host", host, "--port", str(port)),
        _start("monitor", "--store", store),
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def ask_monitor(*arguments: str) -> dict[str, Any]:
    """Run a command of `python -m monitor` and read its JSON. Raises its error again."""
    command = [sys.executable, "-m", "monitor", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        raise (InputError if done.returncode == 2 else FailureError)(message.removeprefix("monitor: "))
    return json.loads(done.stdout)


def _start(module: str, *arguments: str) -> Process:
    """In a session of its own, so that Ctrl-C reaches it through us and once."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments], start_new_session=True)


@contextmanager
def _forwarding(processes: list[Process]) -> Generator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.terminate()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
