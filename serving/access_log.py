"""The access log: a line of JSON for each request, where `--access-log` asks for it.

{"time": "2024-05-01T12:00:00.123456Z", "request_id": "…", "client": "10.0.0.7", "method": "POST",
 "path": "/endpoints/delays/invocations", "protocol": "invocations", "endpoint": "delays", "model": "flights",
 "version": 3, "status": 200, "problem": null, "rows": 1, "bytes_in": 61, "bytes_out": 70, "ms": 0.412,
 "read_ms": 0.031, "queue_ms": 0.0, "run_ms": 0.11, "write_ms": 0.02, "user_agent": "curl/8.5.0"}

It goes to stdout, while the log of the server itself goes to stderr. Everything but visible ASCII is escaped, so that
no client can begin a line, or move a terminal's cursor. What rows hold is never in it, nor the query string.

A thread writes ten times a second. Where it is not read, such as in a pipe to a program that hangs, lines are dropped
and counted rather than kept: an answer does not wait for the log.
"""

import json
import logging
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import IO, Any, NamedTuple

from serving.exchange import Exchange
from serving.metrics import PHASES

_WRITE_S = 0.1
_MOST_WAITING = 20_000  # lines, about 80 MB with what each holds on to: 2 s of what one process can answer
_LONGEST = 1_000  # characters of what a client chose itself

_log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    """An exchange, and when it was over in seconds since 1970."""

    exchange: Exchange
    time: float


class AccessLog:
    """Writes a line for each exchange. Use it as a context: leaving it writes what waits."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._waiting: deque[_Entry] = deque()
        self._dropped = 0
        self._ended = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def __enter__(self) -> "AccessLog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)  # no longer: nobody may be reading what is written

    def observe(self, exchange: Exchange) -> None:
        """Take an exchange that is over."""
        if self._ended:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
        else:
            self._waiting.append(_Entry(exchange, time.time()))

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_WRITE_S):
                self._write()
            self._write()
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            self._ended = True
            self._waiting.clear()
            _log.error("The access log cannot be written and ends here: %s.", error)

    def _write(self) -> None:
        lines = [line_of(*self._waiting.popleft()) for _ in range(len(self._waiting))]
        if lines:
            self._file.write("".join(lines))
            self._file.flush()
        if self._dropped:
            _log.error(
                "%d lines of the access log were dropped: nothing reads them as fast as they come.", self._dropped
            )
            self._dropped = 0


def line_of(exchange: Exchange, now: float) -> str:
    """The line of an exchange. now: seconds since 1970."""
    # json writes what is not ASCII as \u escapes, and of ASCII all control characters but this one
    return json.dumps(_told(exchange, now)).replace("\x7f", "\\u007f") + "\n"


def _told(exchange: Exchange, now: float) -> dict[str, Any]:
    scope, of, times = exchange.scope, exchange.metrics, exchange.times
    client = scope["client"]
    told = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "request_id": exchange.request_id.decode(),
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"][:_LONGEST],
        "protocol": exchange.protocol,
        "endpoint": of.endpoint if of else None,
        "model": of.model if of else None,
        "version": of.version if of else None,
        "status": exchange.status,
        "problem": exchange.problem or None,
        "rows": exchange.rows,
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
        "ms": _ms(exchange.ended - exchange.began),
    }
    for at, phase in enumerate(PHASES):
        told[f"{phase}_ms"] = _ms(times[at + 1] - times[at]) if times else None
    agent = exchange.headers.get(b"user-agent")
    told["user_agent"] = agent.decode("latin-1")[:_LONGEST] if agent is not None else None
    return told


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
