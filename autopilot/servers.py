"""Starting the two servers, `python -m serving` and `python -m monitor`, as processes of their own."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NamedTuple

from storage.deaths import Deaths, reason_of
from storage.errors import FailureError, InputError

_GRACE_S = 27  # the server answers for 25 s what is under way, and container platforms kill us after 30 s
_POLL_S = 0.2

Process = subprocess.Popen[bytes]

_log = logging.getLogger(__name__)


def serve(store: str, host: str, port: int, *options: str, workers: str = "1") -> int:
    """Run both servers until a signal comes or the one that answers ends; gives the exit code of that one.

    workers: processes that answer, as in `Settings`. SIGHUP renews them one after another, but for a single one: as
    nothing is there to take its place, SIGHUP ends it, and so does a terminal that is closed.

    Raises FailureError if that one was ended by a signal, and so without a word. It is not started again, as the
    monitor is: whatever runs us, such as a container platform, has to know.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    renews = workers != "1" and not (sys.stdin and sys.stdin.isatty())
    with (
        _signalled(renews=renews) as signals,
        running(store, host, port, "--workers", workers, *options) as servers,
    ):
        while not signals.is_over and servers.look():
            if signals.take_renewal():
                servers.serving.send_signal(signal.SIGHUP)
            time.sleep(_POLL_S)
    code = servers.serving.returncode or 0  # there is none of one that had to be killed
    if code < 0 and not signals.is_over:
        raise FailureError(
            f"The server (process {servers.serving.pid}) {reason_of(code)}, and the monitor ends with it. Start it "
            "again, or have that done; with --workers 1..2, what answers is replaced when it dies."
        )
    return code


@contextmanager
def running(store: str, host: str, port: int, *options: str) -> Generator["Servers"]:
    """Both servers while the block runs; ended gracefully after it, by force if they do not end within 27 s.

    options: further ones of the server that answers.
    """
    servers = Servers(
        _start("serving", "--store", store, "--host", host, "--port", str(port), *options),
        Monitor(store),
    )
    try:
        yield servers
    finally:
        servers.end()


class Servers(NamedTuple):
    """The server that answers, and the monitor beside it."""

    serving: Process
    monitor: "Monitor"

    def look(self) -> bool:
        """Start the monitor again if it died; whether the server that answers has not ended."""
        self.monitor.look()
        return self.serving.poll() is None

    def end(self) -> None:
        """Tell both to end, and wait for it."""
        processes = [self.serving, *([self.monitor.process] if self.monitor.process else [])]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()


class Monitor:
    """The monitor of a store, which is started again when it dies: predictions need it not, and schedules do.

    process: None between its death and its next start.
    """

    def __init__(self, store: str) -> None:
        self.process: Process | None = None
        self._store = store
        self._deaths = Deaths()
        self._start()

    def look(self) -> None:
        """See whether it died, and start it again: at once, or later and later if it dies again and again."""
        if self.process is not None and (code := self.process.poll()) is not None:
            lived_s = time.monotonic() - self._began
            self._mourn(f"The monitor (process {self.process.pid}) {reason_of(code)}, after {lived_s:.0f} s", lived_s)
        if self.process is None and self._deaths.may_replace(time.monotonic()):
            try:
                self._start()
            except OSError as error:  # as where no more processes or files may be opened
                self._mourn(f"The monitor cannot be started: {error}", 0.0)

    def _start(self) -> None:
        self._began = time.monotonic()
        self.process = _start("monitor", "--store", self._store)

    def _mourn(self, why: str, lived_s: float) -> None:
        self.process = None
        pause_s = self._deaths.add(lived_s, time.monotonic())
        _log.error("%s; it is started again %s. Predictions go on.", why, f"in {pause_s:g} s" if pause_s else "now")


def ask_monitor(*arguments: str) -> dict[str, Any]:
    """Run a command of `python -m monitor` and read its JSON. Raises its error again."""
    command = [sys.executable, "-m", "monitor", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        message = said or f"The monitor (python -m monitor {arguments[0]}) {reason_of(done.returncode)}."
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
    """In a session of its own, so that Ctrl-C reaches it through us and once; it ends with us, however we end."""
    pipe = _pipe()
    command = [sys.executable, "-m", module, "--parent", str(pipe), *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(pipe,), start_new_session=True)


@cache
def _pipe() -> int:
    """What our servers read until we are gone: its other end is ours alone, and stays open as long as we live."""
    reader, _ = os.pipe()
    return reader


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
