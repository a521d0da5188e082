"""`python -m serving.batch`: work off the transforms of a store until told to stop."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from serving.batch.worker import work_off
from storage import AutopilotError, InputError, Settings, Store

#: Requests and everything else come first.
_NICE = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; the exit code: 0, 1 for a failure, 2 for bad usage."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("serving").setLevel(logging.INFO)
    try:
        options = _parse(arguments)
        signal.signal(signal.SIGTERM, _interrupt)
        if hasattr(os, "nice"):
            os.nice(options.nice)
        if options.child:
            threading.Thread(target=_end_with_parent, daemon=True).start()
        store = Store.open(options.store)
        work_off(store, options.owner, once=options.once)
    except KeyboardInterrupt:
        return 0
    except AutopilotError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.batch", description=__doc__)
    parser.add_argument("--store", default=Settings.load().store, help="folder of the store (%(default)s)")
    parser.add_argument("--once", action="store_true", help="end when no job waits")
    parser.add_argument("--nice", type=int, default=_NICE, help="added to its niceness (%(default)s)")
    parser.add_argument("--owner", default=f"{socket.gethostname()}-{os.getpid()}", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Standard input ends when the process that started this one does, however it does. What it has is then free.

    Read past `sys.stdin`, whose lock a thread that reads it holds: Python aborts if it cannot have that at its end.
    """
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
