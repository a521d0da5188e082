"""Load that waits for nobody: requests are due at times that were drawn before, whatever became of earlier ones.

A client that waits for an answer before it asks again asks less while the server is slow, and so does not see most of
what its users would (coordinated omission). Here every latency counts from the moment at which a request was due, also
if it had to wait for a connection. Of those that wait for one the newest is sent first: the oldest has next to no time
left, and a client that sends it first sends, once it is behind, only what cannot be answered any more.

It runs as a process of its own, on its own CPU, which it keeps busy: it looks at the clock between all turns of its
event loop, since timers are a millisecond late. `lag_p99_ms` tells how punctual it was where it had a connection: while
that is small, what is late is the server. Bytes are built before; an answer is read as far as its status and length.
"""

import asyncio
import gc
import re
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvloop

from bench._serving.processes import ROOT

_PATIENCE_S = 5.0  # for answers after the last request: those that come later are as lost as the late ones
_ACCEPTED_S = 0.5  # a server accepts when it finds time: those who come with the rush would wait for its end
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MS = 1e3


class Load(msgspec.Struct, frozen=True):
    """What to ask. bodies: a file with one a line.

    rate: requests a second, due at random (a Poisson process); None asks again as soon as an answer came, on each
    connection. deadline_ms: what is left of it when a request is sent is told as X-Request-Timeout-Ms; None
    tells nothing, and all answers 200 are good. asks_again: a request whose connection broke is sent once more on
    another, as boto3 and most clients do; it is as late as it is.
    """

    port: int
    path: str
    bodies: str
    seconds: float
    connections: int
    rate: float | None = None
    deadline_ms: int | None = None
    seed: int = 0
    asks_again: bool = False


class Seen(msgspec.Struct, frozen=True):
    """What became of the requests that were due: `due` is the sum of all that follows down to `lost`.

    good: answered 200 within the deadline. late: 200 after it. refused: by status. unsent: had no connection before
    their deadline. lost: not answered, by the end or because the connection broke. again: asked once more, which
    belong to the others too. p50_ms, p99_ms, p999_ms: of answers 200.
    """

    seconds: float
    due: int
    good: int
    late: int
    refused: dict[int, int]
    unsent: int
    lost: int
    again: int
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    lag_p99_ms: float | None


def ask(load: Load) -> Seen:
    """Run a load in a process of its own, on this one's CPUs."""
    import subprocess

    command = [sys.executable, "-m", "bench._serving.open_loop", msgspec.json.encode(load).decode()]
    return msgspec.json.decode(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout, type=Seen)


class Client:
    """Asks, and counts what comes back."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = [_request(load, body) for body in Path(load.bodies).read_bytes().splitlines()]
        self._deadline_s = load.deadline_ms / _MS if load.deadline_ms else float("inf")
        self._due = _due_times(load)
        self._next = 0
        self._free: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._under_way = 0
        self._latencies: list[float] = []
        self._lags: list[float] = []
        self._sent = 0
        self._statuses: Counter[int] = Counter()
        self._unsent = self._lost = 0
        self._again: set[float] = set()  # when they were due
        self._ended = asyncio.Event()

    async def run(self) -> Seen:
        """Connect, ask for the time, and wait a little for the last answers."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            await self.connect()
        await asyncio.sleep(_ACCEPTED_S)
        self._began = time.perf_counter()
        self._end = self._began + self._load.seconds
        if self._load.rate:
            self._tick()
        else:
            for connection in list(self._free):
                self._send(connection, time.perf_counter())
        await self._ended.wait()
        return self._seen()

    async def connect(self) -> None:
        """Open one more connection; it is free at once."""
        await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._load.port)

    def opened(self, connection: "_Connection") -> None:
        """A connection is there."""
        self._free.append(connection)

    def answered(self, connection: "_Connection", status: int) -> None:
        """A request was answered: count it, and give its connection to one that waits."""
        now = time.perf_counter()
        self._statuses[status] += 1
        if status == 200:
            self._latencies.append(now - connection.due)
        self._under_way -= 1
        self._free.append(connection)
        if self._load.rate is None:
            if now < self._end:
                self._send(self._free.pop(), now)
            elif not self._under_way:
                self._ended.set()

    def broke(self, connection: "_Connection") -> None:
        """A connection is gone: its request is lost, and another connection takes its place."""
        if connection.asked:
            self._under_way -= 1
            if self._load.asks_again and connection.due not in self._again:
                self._again.add(connection.due)
                self._waiting.append(connection.due)
            else:
                self._lost += 1
        elif connection in self._free:
            self._free.remove(connection)
        if not self._ended.is_set():
            self._reconnecting = self._loop.create_task(self.connect())

    def _tick(self) -> None:
        """Send all that is due; then again, after a turn of the event loop."""
        now = time.perf_counter()
        while self._next < len(self._due) and self._began + self._due[self._next] <= now:
            due = self._began + self._due[self._next]
            if len(self._free) > len(self._waiting):  # else it is the server that lets it wait
                self._lags.append(now - due)
            self._waiting.append(due)
            self._next += 1
        while self._waiting and now - self._waiting[0] > self._deadline_s:
            self._waiting.popleft()
            self._unsent += 1
        while self._waiting and self._free:
            self._send(self._free.popleft(), self._waiting.pop())
        if self._next < len(self._due) or ((self._waiting or self._under_way) and now < self._end + _PATIENCE_S):
            self._loop.call_soon(self._tick)
        else:
            self._ended.set()

    def _send(self, connection: "_Connection", due: float) -> None:
        request = self._requests[self._sent % len(self._requests)]
        if self._load.deadline_ms:
            left_ms = int((due + self._deadline_s - time.perf_counter()) * _MS)
            request = request % max(1, left_ms)
        connection.ask(request, due)
        self._sent += 1
        self._under_way += 1

    def _seen(self) -> Seen:
        took = np.array(self._latencies)
        late = int((took > self._deadline_s).sum())
        refused = {status: count for status, count in sorted(self._statuses.items()) if status != 200}
        lost = self._lost + self._under_way
        return Seen(
            seconds=time.perf_counter() - self._began if self._load.rate is None else self._load.seconds,
            due=self._statuses.total() + self._unsent + lost + len(self._waiting),
            good=len(took) - late,
            late=late,
            refused=refused,
            unsent=self._unsent + len(self._waiting),
            lost=lost,
            again=len(self._again),
            p50_ms=_percentile_ms(took, 50),
            p99_ms=_percentile_ms(took, 99),
            p999_ms=_percentile_ms(took, 99.9),
            lag_p99_ms=_percentile_ms(np.array(self._lags), 99),
        )


class _Connection(asyncio.Protocol):
    """One request at a time. due: when its request was. asked: whether it has one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._got = bytearray()
        self._length = 0  # of the answer, head and body; 0 while it is not known
        self.asked = False
        self.due = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._client.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.broke(self)

    def ask(self, request: bytes, due: float) -> None:
        self.asked, self.due, self._length = True, due, 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._length:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            found = _LENGTH.search(self._got, 0, head)
            assert found, f"an answer without a length: {bytes(self._got[:head])!r}"
            self._length = head + 4 + int(found[1])
        if len(self._got) >= self._length:
            status = int(self._got[9:12])
            self._got.clear()
            self.asked = False
            self._client.answered(self, status)


def _request(load: Load, body: bytes) -> bytes:
    """A request; one with a deadline has a place for the milliseconds that are left of it when it is sent."""
    head = f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n".encode()
    rest = f"content-length: {len(body)}\r\n\r\n".encode() + body
    return head + b"x-request-timeout-ms: %d\r\n" + rest.replace(b"%", b"%%") if load.deadline_ms else head + rest


def _due_times(load: Load) -> list[float]:
    """Seconds from the start: a Poisson process of that rate, as long as the load."""
    if load.rate is None:
        return []
    gaps = np.random.default_rng(load.seed).exponential(1 / load.rate, int(load.rate * load.seconds * 1.2) + 100)
    times = np.cumsum(gaps)
    return times[times < load.seconds].tolist()


def _percentile_ms(seconds: np.ndarray[Any, Any], percent: float) -> float | None:
    return round(float(np.percentile(seconds, percent)) * _MS, 3) if len(seconds) else None


def main() -> None:
    """Run the load that the first argument tells."""
    load = msgspec.json.decode(sys.argv[1], type=Load)
    gc.disable()  # some seconds' worth of garbage; a collection would look like a slow server
    print(msgspec.json.encode(uvloop.run(Client(load).run())).decode())


if __name__ == "__main__":
    main()
