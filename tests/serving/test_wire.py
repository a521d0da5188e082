"""Ordinary requests skip ASGI: they are answered as all others, in order, together, and each with its own answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config

from serving.admission import Turns
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.hot import HotPath
from serving.invocations import Invocations
from serving.observed import Observed
from serving.server import State
from serving.wire import Wire, WireConnection
from storage import Store
from tests.portable import ROWS, SCORES, regressor

PATH = "/endpoints/demo/invocations"


class Site:
    """A server in this event loop. usual: how many requests went the usual way."""

    def __init__(self, port: int, wire: Wire, live: LiveEndpoints, state: State) -> None:
        self.port, self.wire, self.live, self.state = port, wire, live, state
        self.usual = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        """Close all connections, and see the server's end."""
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        while self.state.connections:
            await asyncio.sleep(0.01)


@pytest.fixture
def live(store: Store, tmp_path: Path) -> Iterator[LiveEndpoints]:
    """One endpoint, `demo`."""
    path = tmp_path / "demo.onnx"
    path.write_bytes(regressor())
    with LiveEndpoints(store) as live:
        live.hold("demo", path)
        yield live


@asynccontextmanager
async def site(live: LiveEndpoints, store: Store, **config: Any) -> AsyncIterator[Site]:
    """A server whose connections are the wire's."""
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=10**6, max_rows=1_000) as engine:
        invocations = Invocations(live, engine)
        wire = Wire(invocations, engine, live.metrics.observe)
        hot = Observed(HotPath(invocations, live, nowhere, 10**6), live.metrics.observe)

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            found.usual += 1
            await hot(scope, receive, send)

        settings = Config(counting, interface="asgi3", ws="none", log_config=None, access_log=False, **config)
        settings.load()
        state = State()
        made = partial(WireConnection, wire, settings, state, {})
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        found = Site(server.sockets[0].getsockname()[1], wire, live, state)
        try:
            yield found
        finally:
            server.close()
            await found.close()


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no other paths are asked here")


SETTINGS = Config(nowhere, interface="asgi3", ws="none", log_config=None)
SETTINGS.load()


def request(body: bytes, *headers: str, path: str = PATH) -> bytes:
    """A request with a content-length."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def row(number: int = 0) -> bytes:
    return json.dumps([ROWS[number]]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def value(body: bytes) -> float:
    return json.loads(body)["predictions"][0]["value"]


def played(live: LiveEndpoints, store: Store, play: Callable[[Site], Awaitable[None]], **config: Any) -> None:
    """Run a test against a server."""

    async def run() -> None:
        async with site(live, store, **config) as found:
            await play(found)

    asyncio.run(run())


def test_an_ordinary_request_skips_the_application(live: LiveEndpoints, store: Store) -> None:
    """Its answer has the headers that all have, and is counted."""

    async def play(site: Site) -> None:
        reader, writer = await site.open()
        for number in range(len(ROWS)):
            writer.write(request(row(number), "x-request-id: mine", "x-amzn-sagemaker-inference-id: a-1"))
            status, headers, body = await answer(reader)
            assert (status, value(body)) == (200, SCORES[number])
            assert (headers["x-request-id"], headers["x-inference-id"]) == ("mine", "a-1")
        assert site.usual == 0
        metrics = next(iter(site.live.metrics.endpoints.values()))
        assert metrics.replies.by_status == {("invocations", 200): len(ROWS)}
        assert (metrics.answered, metrics.waiting) == (len(ROWS), 0)

    played(live, store, play)


def test_requests_of_many_connections_run_together_and_each_gets_its_own_answer(
    live: LiveEndpoints, store: Store
) -> None:
    """Bad ones among them get their errors, and change nothing for the others."""

    async def play(site: Site) -> None:
        connections = [await site.open() for _ in range(40)]
        for number, (_, writer) in enumerate(connections):
            writer.write(request(b"[{}" if number % 5 == 4 else row(number % len(ROWS))))
        for number, (reader, _) in enumerate(connections):
            status, _, body = await answer(reader)
            if number % 5 == 4:
                assert (status, json.loads(body)["type"]) == (400, "urn:autopilot:body")
            else:
                assert (status, value(body)) == (200, SCORES[number % len(ROWS)])
        assert site.usual == 0
        metrics = next(iter(site.live.metrics.endpoints.values()))
        assert metrics.rows == 32
        assert metrics.runs < 32

    played(live, store, play)


@pytest.mark.parametrize(
    "headers",
    [
        ["x-amzn-sagemaker-custom-attributes: trace=7"],
        ["connection: close"],
        ["expect: 100-continue"],
    ],
)
def test_what_is_out_of_the_ordinary_goes_the_usual_way(live: LiveEndpoints, store: Store, headers: list[str]) -> None:
    """And is answered the same."""

    async def play(site: Site) -> None:
        reader, writer = await site.open()
        writer.write(request(row(), *headers))
        status, told, body = await answer(reader)
        if status == 100 or "content-length" not in told:
            status, told, body = await answer(reader)
        assert (status, value(body), site.usual) == (200, SCORES[0], 1)

    async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        told = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), told, await reader.readexactly(int(told.get("content-length", 0)))

    played(live, store, play)


def test_many_rows_and_long_bodies_go_the_usual_way(live: LiveEndpoints, store: Store) -> None:
    """Whether their length, or only their rows, tell it; the connection goes on afterwards."""

    async def play(site: Site) -> None:
        reader, writer = await site.open()
        for many in (51, 900):
            writer.write(request(json.dumps([ROWS[0]] * many).encode()))
            status, _, body = await answer(reader)
            assert (status, len(json.loads(body)["predictions"])) == (200, many)
        writer.write(request(row() + b" " * 200_000))
        assert (await answer(reader))[0] == 200
        writer.write(request(row()))
        assert value((await answer(reader))[2]) == SCORES[0]
        assert site.usual == 3

    played(live, store, play)


def test_requests_in_a_row_are_answered_in_their_order(live: LiveEndpoints, store: Store) -> None:
    """Though the client sends the next before it has the last one's answer."""

    async def play(site: Site) -> None:
        _other = await site.open()  # with a second connection, the first request waits for its turn
        reader, writer = await site.open()
        writer.write(b"".join(request(row(number % len(ROWS))) for number in range(10)))
        for number in range(10):
            assert value((await answer(reader))[2]) == SCORES[number % len(ROWS)]

    played(live, store, play)


@given(cuts=st.lists(st.integers(1, 250), max_size=6))
def test_a_request_may_come_in_any_pieces(cuts: list[int]) -> None:
    """Cut in the middle of a header, of the body, or anywhere."""
    connection, said = alone()
    whole = request(row(1))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        connection.data_received(whole[start:end]) if start < end else None
    assert said == [(whole[-len(row(1)) :], "demo")]


def alone() -> tuple[WireConnection, list[tuple[bytes, str | None]]]:
    """A connection without a socket, and the bodies that it hands to the wire."""
    said: list[tuple[bytes, str | None]] = []

    class Taken:
        def take(self, waiting: Any) -> None:
            said.append((waiting.request.body, waiting.name))

    class Silent(asyncio.Transport):
        def is_closing(self) -> bool:
            return False

    connection = WireConnection(Taken(), SETTINGS, State(), {}, _loop=object())  # type: ignore[arg-type]
    connection.connection_made(Silent())
    return connection, said


def test_a_client_that_went_away_is_not_answered(live: LiveEndpoints, store: Store) -> None:
    """Its row is not run, and the request is counted as one that nobody waited for."""

    async def play(site: Site) -> None:
        _other = await site.open()
        _, writer = await site.open()
        writer.write(request(row()))
        await writer.drain()
        writer.transport.abort()
        metrics = next(iter(site.live.metrics.endpoints.values()))
        while not (counted := {**metrics.replies.by_status, **site.live.metrics.unserved.by_status}):
            await asyncio.sleep(0.01)
        assert set(counted) <= {("invocations", 499), ("invocations", 200)}  # it may have been quicker

    played(live, store, play)


def test_a_kept_connection_that_stays_silent_is_closed(live: LiveEndpoints, store: Store) -> None:
    """After the time that the server keeps them; one that asks meanwhile is kept."""

    async def play(site: Site) -> None:
        reader, writer = await site.open()
        for _ in range(3):
            writer.write(request(row()))
            assert (await answer(reader))[0] == 200
            await asyncio.sleep(0.3)
        assert not reader.at_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""

    played(live, store, play, timeout_keep_alive=0.5)


def test_a_server_that_ends_answers_what_is_under_way(live: LiveEndpoints, store: Store) -> None:
    """A request whose body is on its way is waited for, and its connection closed after the answer."""

    async def play(site: Site) -> None:
        reader, writer = await site.open()
        whole = request(row())
        writer.write(whole[:-5])
        while not any(connection.is_answering for connection in site.state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        for connection in list(site.state.connections):
            connection.shutdown()
        writer.write(whole[-5:])
        status, headers, _ = await answer(reader)
        assert (status, headers["connection"]) == (200, "close")
        assert await reader.read() == b""

    played(live, store, play)


def test_who_would_be_answered_too_late_is_told_so_and_not_heard_for_a_while(live: LiveEndpoints, store: Store) -> None:
    """Then it is answered again, and others meanwhile."""

    async def play(site: Site) -> None:
        other_reader, other_writer = await site.open()
        reader, writer = await site.open()
        turns = site.wire._turns
        turns._cost_s = 10.0
        writer.write(request(row(), "x-request-timeout-ms: 50"))
        status, headers, body = await answer(reader)
        assert (status, json.loads(body)["type"]) == (503, "urn:autopilot:deadline")
        assert int(headers["retry-after"]) >= 1
        writer.write(request(row()))
        other_writer.write(request(row()))
        assert (await answer(other_reader))[0] == 200
        assert (await answer(reader))[0] == 200
        assert site.usual == 0

    played(live, store, play)


def test_a_turn_admits_whom_it_has_time_for() -> None:
    """All are answered in its end, so each that is admitted makes the others wait, and none of them may be late."""
    turns = Turns()
    turns.arrived(0.0)
    turns.begin(0.0)
    turns.admit(None)
    turns.end(0.01)  # 10 ms a request, believed by a tenth
    turns.arrived(1.0)
    assert turns.begin(1.0) == 1.0
    admitted = [turns.admit(1.0055) <= 0 for _ in range(10)]
    assert admitted == [True] * 5 + [False] * 5
    assert turns.admit(None) == 0.0  # who has no deadline is answered in some turn


def test_requests_that_came_during_a_turn_may_be_as_old_as_that(live: LiveEndpoints) -> None:
    """Unless the event loop had time to look at its connections since."""
    turns = Turns()
    turns.arrived(1.0)
    turns.begin(1.0)
    turns.admit(None)
    turns.end(1.04)
    turns.arrived(1.041)
    assert turns.begin(1.041) == pytest.approx(1.0)
    turns.end(1.05)
    turns.arrived(1.5)
    assert turns.begin(1.5) == 1.5


def test_refusals_alone_are_doubted() -> None:
    """One slow turn would refuse everybody for ever otherwise."""
    turns = Turns()
    turns.arrived(0.0)
    turns.begin(0.0)
    turns.admit(None)
    turns.end(10.0)
    now, count = monotonic(), 0
    while True:
        turns.arrived(now)
        turns.begin(now)
        if turns.admit(now + 0.01) <= 0:
            break
        turns.end(now)
        count += 1
    assert count < 100
