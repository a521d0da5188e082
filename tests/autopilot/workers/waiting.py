"""Waiting for what other processes do."""

import time
from collections.abc import Callable

import psutil

_PATIENCE_S = 20


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Also if it waits to be buried by a process that is not ours; with all of its threads.

    The first thread may be gone while others still hold the files, and then the system does not tell its end yet.
    """
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True
