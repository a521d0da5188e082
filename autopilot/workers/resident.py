"""What runs inside a worker process: it reads a call, does it, sends the outcome, and reads the next."""

import faulthandler
import os
import sys
from contextlib import suppress
from importlib import import_module

from autopilot.workers.channel import Channel
from autopilot.workers.messages import answer

#: Of every worker, whatever its parent has. One thread each: cores are filled by workers, and the server must have none
#: when it forks; so the allocators of Polars and Arrow start none, and ONNX Runtime not the one that reports its use to
#: its maker. Polars warns of forks, which are dangerous where threads are.
SURROUNDINGS = {
    "BLIS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "POLARS_ALLOW_FORKING_THREAD": "1",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "_RJEM_MALLOC_CONF": "background_thread:false",
}


def prepare(modules: list[str]) -> None:
    """Import what tasks will need. What cannot be imported is told by the tasks that need it."""
    for module in modules:
        with suppress(Exception):
            import_module(module)


def serve(channel: Channel) -> None:
    """Do calls until the other end closes the channel. Its output, and where it crashed, go to standard error."""
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr] - a text file: nothing has replaced it
    with suppress(EOFError, OSError):
        while True:
            channel.send(answer(channel.receive()))


def settle(folder: str, environment: dict[str, str], path: list[str]) -> int:
    """The first call of a worker: what its parent sees, it shall see. Gives its process id."""
    with suppress(OSError):  # the folder may be gone, and most tasks name theirs
        os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment | SURROUNDINGS)
    sys.path[:] = path
    return os.getpid()
