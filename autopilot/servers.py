"""Starting the two servers, `python -m serving` and `python -m monitor`, as processes of their own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from storage.errors import FailureError, InputError

_GRACE_S = 27  # the server answers for 25 s what is under way, and container platforms kill us after 30 s
_POLL_S = 0.2

Process = subprocess.Popen[bytes]


def serve(store: str, host: str, port: int, *options: str, workers: str = "1") -> int:
    """Run both servers until one ends or a signal comes; gives the exit code of the one that ended first.

    workers: processes that answer, as in `Settings`. SIGHUP renews them one after another, but for a single one: as
    nothing is there to take its place, SIGHUP ends it, and so does a terminal that is closed.
    """
    renews = workers != "1" and not (sys.stdin and sys.stdin.isatty())
    with (
        _signalled(renews=renews) as signals,
        running(store, host, port, "--workers", workers, *options) as processes,
    ):
        while not signals.is_over and all(process.poll() is None for process in processes):
            if signals.take_renewal():
                processes[0].send_signal(signal.SIGHUP)
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


@contextmanager
def as_parquet(*places: str, delimiter: str) -> Generator[list[str]]:
    """Paths of Parquet files, which the monitor reads, of tables of any format."""
    from autopilot.table.read import read

    with TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{index}.parquet") for index in range(len(places))]
        for place, path in zip(places, paths, strict=True):
            read(place, delimiter=delimiter).write_parquet(path)
        yield paths


def _start(module: str, *arguments: str) -> Process:
    """In a session of its own, so that Ctrl-C reaches it through us and once."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments], start_new_session=True)


class _Signals:
    """What was asked of us by signals. is_over: whether we were told to end."""

    def __init__(self) -> None:
        self.is_over = False
        self._renews = False

    def end(self) -> None:
        """We were told to end."""
        self.is_over = True

    def renew(self) -> None:
        """We were told to renew the workers."""
        self._renews = True

    def take_renewal(self) -> bool:
        """Whether we were told to renew the workers since this was last asked."""
        asked, self._renews = self._renews, False
        return asked


@contextmanager
def _signalled(*, renews: bool) -> Generator[_Signals]:
    """What signals ask of us. renews: whether SIGHUP asks for new workers; otherwise it ends us.

    The servers are told once, when they are ended: told twice they would not wait for the requests under way. A second
    signal does to us what it always does.
    """
    signals = _Signals()

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and renews:
            return signals.renew()
        signals.end()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if renews or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield signals
    finally:
        restore()
