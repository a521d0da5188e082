"""A program that was started by another ends with it: by a pipe whose other end only that one has.

The system closes that end with the process, however it ends, also by `kill -9`; no timer looks for it.
"""

import logging
import os
import signal
import threading

_log = logging.getLogger(__name__)


def end_with_parent(pipe: int) -> None:
    """Have this process end as by SIGTERM once nobody can write to a pipe any more. pipe: its file, to be read."""
    threading.Thread(target=_wait, args=(pipe,), name="parent", daemon=True).start()


def _wait(pipe: int) -> None:
    os.read(pipe, 1)
    _log.warning("The process that started this one is gone: process %d ends, too.", os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
