"""Starting the two servers, `python -m serving` and `python -m monitor`, as processes of their own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from storage.errors import FailureError, InputError

_GRACE_S = 27  # the server answers for 25 s what is under way, and container platforms kill us after 30 s
_POLL_S = 0.2

Process = subprocess.Popen[bytes]


def serve(store: str, host: str, port: int, *options: str) -> int:
    """Run both servers until one ends or a signal comes; gives the exit code of the one that ended first."""
    with _signalled() as is_over, running(store, host, port, *options) as processes:
        while not is_over() and all(process.poll() is None for process in processes):
            time.sleep(_POLL_S)
        ended = next((process for process in processes if process.poll() is not None), processes[0])
    return ended.returncode


@contextmanager
def running(store: str, host: str, port: int, *options: str) -> Generator[list[Process]]:
    """Both servers while the block runs; ended gracefully after it, by force if they do not end within 27 s.

    options: further ones of the server that answers.
    """
    processes = [
        _start("serving", "--store", store, "--host", host, "--port", str(port), *options),
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
def _signalled() -> Generator[Callable[[], bool]]:
    """Whether we were told to end. The servers are told once, when they are ended: told twice they would not wait for
    the requests under way. A second signal does to us what it always does."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    finally:
        restore()
