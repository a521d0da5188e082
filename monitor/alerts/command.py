"""Commands: an alert is given to a program of this machine on its standard input, as JSON."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from storage.errors import FailureError

_POLL_S = 0.1
_GRACE_S = 5.0
_SHOWN = 400  # characters at the end of what the command says on its standard error


class StoppedError(FailureError):
    """The monitor was told to end while a command ran; it is run again later."""


def tell(words: Sequence[str], body: bytes, timeout_s: float, stop: threading.Event) -> None:
    """Run a command, without a shell, and wait for its end.

    Raises FailureError unless it ends with exit code 0 in time, and StoppedError if `stop` is set meanwhile. The first
    line of the message, which is shown over HTTP, has no more of the command than the program's name; below is the end
    of what it said. What does not end in time is ended with all that it has started.
    """
    program = Path(words[0]).name
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(body)
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(words), stdin=given, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except (OSError, ValueError) as error:
            raise FailureError(f"{program!r} could not be run: {getattr(error, 'strerror', None) or error}.") from error
        code = _wait(process, time.monotonic() + timeout_s, stop)
        said.seek(0)
        words_of_it = said.read().decode(errors="replace").strip()[-_SHOWN:]
    if code is None and stop.is_set():
        raise StoppedError(f"{program!r} was ended, as the monitor was.")
    if code is None:
        raise FailureError(f"{program!r} did not end in {timeout_s:g} s.\n{words_of_it}".strip())
    if code != 0:
        raise FailureError(f"{program!r} ended with exit code {code}.\n{words_of_it}".strip())


def _wait(process: "subprocess.Popen[bytes]", end: float, stop: threading.Event) -> int | None:
    """The exit code; None if it had to be ended."""
    while time.monotonic() < end and not stop.is_set():
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
    _end(process, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        _end(process, signal.SIGKILL)
        process.wait()
    return None


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """It and what it has started: they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
