"""An exchange: one request and what became of it, as metrics, the access log and traces tell it.

It is in a context variable, not among arguments: whoever learns something notes it here (`LiveEndpoints.find` the
endpoint, `Engine` rows and times, `problems` the error), so a new protocol is observed without a line of its own.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING

from serving.metrics import EndpointMetrics, Times

if TYPE_CHECKING:
    from litestar.types import HTTPScope

#: The status of a request whose client went away before it was answered; nginx's, as in `problems.KINDS`.
UNANSWERED = 499


class Exchange:
    """One request and what became of it.

    protocol: whose paths it came to; `http` for lists, pages and `/ping`. metrics: of the endpoint that was asked; None
    if there is none by that name, or none was meant. problem: the kind of error it ended in, the end of the problem's
    `type`. times: of the phases of the last answer, as in `EndpointMetrics.answer`. began, ended: by `perf_counter`.
    """

    # defaults in the class, not set for each request: half a microsecond
    protocol: str = "http"
    metrics: EndpointMetrics | None = None
    problem: str = ""
    status: int = UNANSWERED
    rows: int = 0
    times: Times | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    ended: float = 0.0

    def __init__(self, scope: "HTTPScope", headers: Mapping[bytes, bytes], request_id: bytes) -> None:
        self.scope = scope
        self.headers = headers
        self.request_id = request_id
        self.began = perf_counter()


#: The exchange that this task, or a thread that it waits for, works on; None outside a server.
CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def note_endpoint(metrics: EndpointMetrics) -> None:
    """Note which endpoint was asked."""
    if exchange := CURRENT.get():
        exchange.metrics = metrics


def note_protocol(name: str) -> None:
    """Note whose paths the request came to."""
    if exchange := CURRENT.get():
        exchange.protocol = name


def note_body(length: int) -> None:
    """Note how many bytes the body has, as it was sent."""
    if exchange := CURRENT.get():
        exchange.bytes_in = length


def note_answer(rows: int, times: Times) -> None:
    """Note what was answered. Of several answers in one reply the rows add up, and the last one's times are kept."""
    if exchange := CURRENT.get():
        exchange.rows += rows
        exchange.times = times


def note_problem(kind: str) -> bytes:
    """Note in which kind of error the request ended; gives the request's id, for the log."""
    exchange = CURRENT.get()
    if exchange is None:
        return b"-"
    exchange.problem = kind
    return exchange.request_id
