"""`python -m monitor --store URL`: compact captured traffic, make the reports that schedules ask for, and backtests.

With a command (`run`, `compare`) it does that once instead, and prints one JSON document.

Runs until SIGTERM or SIGINT; then it ends the reports under way and exits with 0. Exit code 2 for a bad option, 1 for a
store that cannot be opened. A store that fails later is logged to stderr, and the next tick tries again.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import msgspec

from monitor.commands import add_commands
from storage.errors import AutopilotError, InputError
from storage.parent import end_with_parent
from storage.settings import Settings
from storage.streams import open_streams


def main(arguments: list[str] | None = None) -> int:
    """Monitor a store; returns the exit code."""
    open_streams()
    parser = argparse.ArgumentParser(prog="python -m monitor", description="Compact traffic and follow schedules.")
    parser.add_argument("--store", help="the store's folder; the setting `store` where it is not given")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    add_commands(parser)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    if chosen.parent is not None:
        end_with_parent(chosen.parent)
    try:
        if "answer" in chosen:
            print(msgspec.json.encode(chosen.answer(chosen)).decode())
        else:
            _watch(chosen.store or Settings.load().store)
    except AutopilotError as error:
        print(f"monitor: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def _watch(url: str) -> None:
    """Until a signal comes."""
    from monitor.schedule import watching
    from storage.store import Store

    store = Store.open(url)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of each tick that finds the last one at work
    with _signals() as wait, watching(store):
        print(f"Monitoring {store.root}", flush=True)
        wait()
    store.close()


@contextmanager
def _signals() -> Generator[Callable[[], object]]:
    """A function that returns after SIGTERM or SIGINT, also if the signal came before it was called.

    It reads a pipe that the interpreter's own C handler writes to. An Event set by a Python handler is no good: that
    handler runs between two instructions of the main thread, and a signal that comes just before `wait` blocks is not
    seen until the next one (2 of 40 processes that were stopped as soon as they were ready went on).
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield lambda: os.read(reader, 1)
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _ignore(number: int, frame: FrameType | None) -> None:
    """What counts is the byte in the pipe."""


if __name__ == "__main__":
    sys.exit(main())
