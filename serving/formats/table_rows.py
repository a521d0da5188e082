"""Tables to a model's inputs: Arrow IPC, as stream and as file, and Parquet.

A table has the model's columns by their names, in any order; more columns do no harm. What cells mean is what
`storage.boundary` says of frames, so a struct or list column may stand for its parts.

It is read in a process of its own (`table_process.py` says why). That is started for the first table, in half a second,
and kept for the next; there are as many as threads ask at once.
"""

import atexit
import os
import select
import subprocess
import sys
from collections import deque
from contextlib import suppress
from typing import IO, NoReturn

import msgspec
import numpy as np

from serving.errors import BodyError, TableTimeoutError, TooManyRowsError
from serving.formats.table_process import Fault, Found, TableFormat, Task, receive, send
from serving.limits import Limits
from serving.media import too_large
from storage.boundary import Blocks
from storage.errors import CellError
from storage.signature import Signature

_PATIENCE_S = 60.0
_MOST_IDLE = 2  # a hundred MB each
_PIPE_BYTES = 1 << 20  # some thousand rows at once: with the usual 64 KiB both sides wait for each other often
_NAMES: dict[TableFormat, str] = {
    "arrow": "Arrow IPC stream",
    "arrow_file": "Arrow IPC file",
    "parquet": "Parquet file",
}


class TableRows:
    """Reads tables of one format for one model."""

    def __init__(self, signature: Signature, limits: Limits, format: TableFormat) -> None:
        self._signature = signature
        self._limits = limits
        self._name = _NAMES[format]
        self._task = msgspec.msgpack.encode(Task(format, signature, limits.max_rows, limits.max_body_bytes))

    def has_few(self, body: bytes) -> bool:
        """Never: each takes longer than a hop to a thread."""
        return False

    def decode(self, body: bytes) -> Blocks:
        """A body's rows. Raises BodyError for what is no such table or has no rows, CellError for a wrong cell."""
        found = self._found(body)
        if isinstance(found, Fault):
            self._refuse(found)
        if not found.rows:
            raise BodyError("The body has no rows. Send at least one.")
        text = np.empty((found.rows, len(found.text)), dtype=object)
        for at, column in enumerate(found.text):
            levels = np.array(column.levels, dtype=object)
            text[:, at] = levels[np.frombuffer(column.codes, dtype=np.uint32)] if column.codes else levels
        number, time = (len(self._signature.block(block)) for block in ("number", "time"))
        return Blocks(
            np.frombuffer(found.number, dtype=np.float64).reshape(found.rows, number),
            text,
            np.frombuffer(found.time, dtype=np.int64).reshape(found.rows, time),
        )

    def _found(self, body: bytes) -> Found | Fault:
        try:
            return msgspec.msgpack.decode(_PROCESSES.ask(self._task, body), type=Found | Fault)
        except EOFError:
            return Fault("body", "what it says of itself cannot be true, or it takes too much memory")

    def _refuse(self, fault: Fault) -> NoReturn:
        if fault.kind == "cell":
            raise CellError(fault.message, row=fault.row, column=fault.column)
        if fault.kind == "rows":
            raise TooManyRowsError(fault.message)
        if fault.kind == "text":
            raise too_large(self._limits.max_body_bytes)
        raise BodyError(f"The body is no {self._name} that can be read: {fault.message}. Send it whole.")


class Processes:
    """Processes that read tables, each asked by one thread at a time. They end with this process."""

    def __init__(self) -> None:
        self._idle: deque[subprocess.Popen[bytes]] = deque()
        self._busy: set[subprocess.Popen[bytes]] = set()

    def ask(self, task: bytes, body: bytes) -> bytes:
        """What a process answers. Raises EOFError if it died of the question, TableTimeoutError after a minute."""
        process = self._idle_or_new()
        self._busy.add(process)
        assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            send(process.stdin, task, body)
            answer = receive(process.stdout) if _is_ready(process.stdout) else None
        except (EOFError, OSError, ValueError) as error:  # of a pipe that `close` has closed it is a ValueError
            _end(process)
            raise EOFError from error
        finally:
            self._busy.discard(process)
        if answer is None:
            _end(process)
            raise TableTimeoutError(f"The table was not read within {_PATIENCE_S:.0f} s. Send fewer rows at once.")
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(process)
        else:
            _end(process)
        return answer

    def close(self) -> None:
        """End all. Whoever waits for one gets an EOFError."""
        for process in list(self._busy):
            process.kill()
        while self._idle:
            _end(self._idle.pop())

    def _idle_or_new(self) -> "subprocess.Popen[bytes]":
        with suppress(IndexError):
            while True:
                process = self._idle.pop()
                if process.poll() is None:
                    return process
                _end(process)
        return subprocess.Popen(
            [sys.executable, "-m", "serving.formats.table_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE_BYTES,
            stderr=subprocess.DEVNULL,  # what Polars says when it panics helps nobody
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
        )


def _is_ready(pipe: IO[bytes]) -> bool:
    """Whether something comes within a minute."""
    if sys.platform == "win32":  # where one can wait for sockets alone
        return True
    poll = select.poll()  # `select` knows no more than 1,024 files
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(_PATIENCE_S * 1000))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was left in a buffer is for nobody
                pipe.close()


_PROCESSES = Processes()


def close_processes() -> None:
    """End the processes that read tables; the next table starts another."""
    _PROCESSES.close()


atexit.register(close_processes)
