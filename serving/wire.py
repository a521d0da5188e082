"""The shortest way from a connection to an answer and back, past ASGI: for invocations of a few rows.

    poll ── request 1 ─┐
            request 2 ─┼─ a turn: who is in time, read, one run of the graph, write 1, 2, 3
            request 3 ─┘

A scope, a task, and messages to and from an application cost more than a small model's run does. A request goes this
way if it is an ordinary one: POST to an invocations path, a short body, nothing that only ASGI's users read. Every
other one goes the usual way, from its beginning, and is answered by the same functions: `Invocations`, and the parts of
`Engine`.

Requests that the same poll brings run together, as in `drain.py`, and whoever would be answered too late is told before
anything is done for it. Nothing here may wait: each turn holds the event loop.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from time import monotonic, perf_counter
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving.admission import Turns, too_late
from serving.drain import Ran
from serving.endpoints import LiveVariant
from serving.engine import Begun, Engine, is_quick
from serving.errors import DeadlineError, UnloadedError
from serving.exchange import CURRENT, Exchange
from serving.invocations import Invocations, Prepared
from serving.problems import KINDS
from serving.protocols.sagemaker.errors import is_sdk, refuse
from serving.protocols.sagemaker.headers import LOOKED_AT
from serving.replies import Headers, Reply
from serving.request_ids import RequestIds, request_id_headers
from serving.requests import Request
from serving.server import Connection

_PATH = re.compile(rb"(?:/endpoints/([\w.-]+))?/invocations")
_DIGITS = 5  # of the length of a short body: below 100 kB
#: Headers that ask for what only the usual way gives.
_UNUSUAL = LOOKED_AT | {b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"}
_OK = int(HTTPStatus.OK)  # to look up a member of an enumeration for each request takes as long as to compare
_NEVER = float("inf")
_REFUSAL_S = 25e-6  # reading and refusing one request
_SILENCE = 25  # times what refusing took: 10 left 72 % of the peak at three times the load, 2 left 49 %, this 96 %
_LONGEST_SILENCE_S = 0.5  # half of the shortest `Retry-After`
_LATE = KINDS[DeadlineError].name
_MOST_VALUES = 500  # of an answer that is surely too short to be packed


class Wire:
    """Answers the requests of all connections, turn by turn. For the event loop alone.

    observe: is told of each exchange. Its scope is empty: who reads that has to have all requests go the usual way.
    """

    def __init__(self, invocations: Invocations, engine: Engine, observe: Callable[[Exchange], None]) -> None:
        self._invocations = invocations
        self._engine = engine
        self._observe = observe
        self._ids = RequestIds()
        self._turns = Turns()
        self._waiting: list[_Waiting] = []
        self._late: list[WireConnection] = []

    def take(self, waiting: "_Waiting") -> None:
        """Answer a request in the turn that is to come."""
        waiting.exchange = Exchange({}, waiting.headers, self._ids.of(waiting.headers))  # pyright: ignore[reportArgumentType] - empty, as said
        waiting.exchange.protocol, waiting.exchange.bytes_in = "invocations", len(waiting.request.body)
        self._waiting.append(waiting)
        if len(self._waiting) > 1:
            return
        self._turns.arrived(monotonic())
        if len(waiting.connection.connections) == 1:
            self._turn()  # nobody else can come
        else:
            waiting.connection.loop.call_soon(self._turn)

    def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        arrived = self._turns.begin(monotonic())
        together: dict[LiveVariant, list[_Read]] = {}
        for request in waiting:
            if request.is_mine:
                CURRENT.set(request.exchange)
                if (read := self._read(request, arrived)) is not None:
                    together.setdefault(read.begun.call.endpoint, []).append(read)
        for endpoint, requests in together.items():
            self._answer_all(endpoint, requests)
        CURRENT.set(None)
        self._turns.end(monotonic())
        if self._late:
            self._have_wait(waiting[0].connection.loop)

    def _answer_all(self, endpoint: LiveVariant, requests: "list[_Read]") -> None:
        plan = endpoint.capture if endpoint.capture is not None and endpoint.capture.takes_runs else None
        start = 0
        for rans in endpoint.drain.runs([one.begun.asked.blocks for one in requests], packs=plan is not None):
            of_run = requests[start : start + len(rans)]
            for request, ran in zip(of_run, rans, strict=True):
                CURRENT.set(request.waiting.exchange)
                self._end(request.waiting, self._answer(request, ran))
            if plan is not None:
                answered = [one.waiting.exchange.status == _OK for one in of_run]
                self._engine.capture_run(plan, [one.begun for one in of_run], rans, answered)
            start += len(rans)

    def _have_wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do not hear for a while the connections that were refused, the longer the more they are.

        To read and refuse a request takes half of what a small model's answer does: in an overload there would be time
        for nothing else. Who comes back at once, and not after `Retry-After`, waits in its socket meanwhile.
        """
        late, self._late = self._late, []
        for connection in late:
            connection.wait()
        loop.call_later(min(_SILENCE * _REFUSAL_S * len(late), _LONGEST_SILENCE_S), _hear, late)

    def _read(self, waiting: "_Waiting", arrived: float) -> "_Read | None":
        """Read a request; None if it was refused, goes the usual way, or nobody waits for it."""
        if waiting.connection.transport.is_closing():
            self._end(waiting, None)
            return None
        headers, is_container = waiting.headers, waiting.name is None
        since = waiting.connection.silent_since
        try:
            prepared = self._invocations.prepare(
                waiting.name,
                waiting.request,
                headers.get(b"accept"),
                is_container=is_container,
                arrived=min(arrived, since),
            )
            call = prepared.call
            if self._engine.is_small(call):
                late_s = self._turns.admit(call.deadline)
                if late_s > 0:
                    self._end_late(waiting, late_s)
                    return None
                waiting.connection.silent_since = _NEVER
                begun = self._engine.begin(call)
                if is_quick(begun) and not _may_be_packed(begun):
                    return _Read(waiting, prepared, begun)
        except UnloadedError:
            pass  # others are answered while it is loaded
        except Exception as error:  # noqa: BLE001 - each error has a reply; those that nobody raised on purpose are logged
            self._end(waiting, self._refused(error, waiting))
            return None
        waiting.connection.go_the_usual_way()
        return None

    def _end_late(self, waiting: "_Waiting", late_s: float) -> None:
        waiting.exchange.problem = _LATE
        if waiting.connection.silent_since == _NEVER:
            self._late.append(waiting.connection)
        waiting.connection.silent_since = _NEVER
        is_for_sdk = waiting.name is not None and is_sdk(waiting.headers)
        self._end(waiting, _late_reply(ceil(1000 * late_s), is_for_sdk=is_for_sdk))

    def _answer(self, read: "_Read", ran: Ran | Exception) -> Reply:
        try:
            if isinstance(ran, Exception):
                raise ran
            written = self._engine.finish(read.begun, ran)
        except Exception as error:  # noqa: BLE001 - as above
            return self._refused(error, read.waiting)
        return Reply(200, written.headers + read.prepared.headers, written.body)

    def _refused(self, error: Exception, waiting: "_Waiting") -> Reply:
        return self._invocations.refused(error, waiting.request, is_container=waiting.name is None)

    def _end(self, waiting: "_Waiting", reply: Reply | None) -> None:
        """Send the reply, None to nobody, and say what became of the request."""
        exchange = waiting.exchange
        if reply is not None:
            exchange.status = reply.status
            exchange.bytes_out = len(reply.body)
            waiting.connection.reply(reply, exchange.request_id)
        exchange.ended = perf_counter()
        self._observe(exchange)


class _Waiting:
    """A request that came in whole. is_mine: whether it is answered here; it may still go the usual way."""

    __slots__ = ("connection", "exchange", "headers", "is_mine", "name", "request")

    exchange: Exchange

    def __init__(
        self, connection: "WireConnection", name: str | None, headers: Mapping[bytes, bytes], body: bytes
    ) -> None:
        self.connection = connection
        self.name = name
        self.headers = headers
        self.request = Request("POST", "", b"", headers, body, _never)
        self.is_mine = True


class _Read(NamedTuple):
    """A request that was read."""

    waiting: _Waiting
    prepared: Prepared
    begun: Begun


def _hear(late: "list[WireConnection]") -> None:
    for connection in late:
        connection.hear()


async def _never() -> None:
    """Nobody asks whether the client of so short a request has gone: its turn is over before."""
    await asyncio.Event().wait()


def _may_be_packed(begun: Begun) -> bool:
    """Whether an answer may be so long that its client has it packed, if it can read that."""
    asked, call = begun.asked, begun.call
    values = asked.blocks.rows * len(call.endpoint.signature.outputs)
    return values > _MOST_VALUES and b"accept-encoding" in call.request.headers


@lru_cache(maxsize=1_000)
def _late_reply(late_ms: int, *, is_for_sdk: bool) -> Reply:
    """The refusal of a request that would be answered too late: in an overload, most of what there is to do."""
    return refuse(too_late(late_ms / 1000), {b"amz-sdk-invocation-id": b""} if is_for_sdk else {})


class WireConnection(Connection):
    """A connection whose ordinary requests are answered by the wire."""

    def __init__(self, wire: Wire, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._wire = wire
        self._name: str | None = None
        self._fields: Mapping[bytes, bytes] = {}
        self._parts: list[bytes] | None = None  # of the body of a request that is for the wire
        self._waiting: _Waiting | None = None
        self._is_ending = False
        self._rested_at = 0.0
        self.silent_since = _NEVER  # the request that comes next may have waited in the socket since then
        self._resting: asyncio.TimerHandle | None = None

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return self._waiting is not None or self._parts is not None or super().is_answering

    def on_message_begin(self) -> None:
        """A request begins. Where another waits, the client sends them in a row: uvicorn knows how to answer such."""
        if self._waiting is not None:
            self.go_the_usual_way()
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide which way the request goes."""
        fields = dict(self.headers)
        path = _PATH.fullmatch(self.url) if self._is_ordinary(fields) else None
        if path is not None:
            self._name = None if path[1] is None else path[1].decode()
            self._fields = fields
            self._parts = []
            return
        url, headers = self.url, self.headers
        self._begin_scope(url, headers)
        self.expect_100_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        super().on_headers_complete()

    def _begin_scope(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Do what uvicorn does at the beginning of each request."""
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)

    def _is_ordinary(self, fields: Mapping[bytes, bytes]) -> bool:
        length, parser = fields.get(b"content-length"), self.parser
        return (
            parser is not None
            and length is not None
            and len(length) <= _DIGITS
            and _UNUSUAL.isdisjoint(fields)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not (self.server_state.last or self._is_ending)  # type: ignore[attr-defined]
            and not (self.flow.write_paused or super().is_answering)
        )

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """The request is here in whole."""
        if self._parts is None:
            return super().on_message_complete()
        body, self._parts = b"".join(self._parts), None
        self._waiting = _Waiting(self, self._name, self._fields, body)
        self._wire.take(self._waiting)

    def go_the_usual_way(self) -> None:
        """Have the application answer the request that waits."""
        assert self._waiting is not None  # noqa: S101 - for the type checker
        waiting, self._waiting = self._waiting, None
        waiting.is_mine = False
        self._begin_scope(self.url, self.headers)
        path = self.url.decode("ascii")
        self.scope.update(method="POST", path=path, raw_path=self.url, query_string=b"")
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=not self._is_ending,
            on_response=self.on_response_complete,
        )
        self.cycle.body += waiting.request.body
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self._start_asgi_task(self.cycle, self.app)  # pyright: ignore[reportArgumentType] - as uvicorn itself does

    def reply(self, reply: Reply, request_id: bytes) -> None:
        """Answer the request that waits."""
        self._waiting = None
        if self.transport.is_closing():
            return
        self.transport.write(
            _head(reply, request_id, self.server_state.default_headers, ends=self._is_ending) + reply.body
        )
        self.server_state.total_requests += 1
        if self._is_ending:
            self.transport.close()
            return
        self._rested_at = self.loop.time()
        if self._resting is None:
            self._resting = self.loop.call_later(self.timeout_keep_alive, self._end_rest)

    def wait(self) -> None:
        """Read nothing for now: its client was just told to come back later."""
        if not self.transport.is_closing() and not self.flow.read_paused:
            self.flow.pause_reading()
            self.silent_since = monotonic()

    def hear(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _end_rest(self) -> None:
        """Close the connection if nothing came for long. One timer for many requests: most connections are busy."""
        self._resting = None
        if self.is_answering or self.timeout_keep_alive_task is not None:
            return  # after which somebody sets a timer
        left_s = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._resting = self.loop.call_later(left_s, self._end_rest)
        else:
            self.timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        super().connection_lost(exc)
        self._parts = None
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def shutdown(self) -> None:
        """End, once what is under way is answered."""
        if self._waiting is not None or self._parts is not None:
            self._is_ending = True
        else:
            super().shutdown()


def _head(reply: Reply, request_id: bytes, default_headers: Headers, *, ends: bool) -> bytes:
    """Status line and headers. Their values hold no line ends: nothing of a request is sent back on this way but ids,
    which are looked at where they are read."""
    headers = [
        *default_headers,
        *reply.headers,
        (b"content-length", b"%d" % len(reply.body)),
        *request_id_headers(request_id),
    ]
    if ends:
        headers.append((b"connection", b"close"))
    return STATUS_LINE[reply.status] + b"".join([b"%b: %b\r\n" % pair for pair in headers]) + b"\r\n"
