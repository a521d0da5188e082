"""Clients that keep their connections, as libraries do, and count what goes wrong."""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.portable import ROWS

_HEAD = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


class Load:
    """What clients saw. answered: requests answered as they should. failed: all others, by what happened. rows: of a
    request."""

    def __init__(self, rows: int = 1) -> None:
        body = json.dumps([ROWS[0]] * rows).encode()
        self._request = _HEAD % len(body) + body
        self._answer = json.dumps({"predictions": [{"value": 1.0}] * rows}, separators=(",", ":")).encode()
        self.answered = 0
        self.failed: Counter[str] = Counter()
        self.connections = 0
        self._stop = threading.Event()

    def stop(self) -> None:
        """Have the clients end after their current answer."""
        self._stop.set()

    async def clients(self, url: str, pauses_s: list[float]) -> None:
        """One client for each pause, on average, between an answer and the next request."""
        address = urlsplit(url)
        await asyncio.gather(*(self._client(str(address.hostname), address.port or 0, pause) for pause in pauses_s))

    async def _client(self, host: str, port: int, pause_s: float) -> None:
        """Ask, on one connection after another."""
        dice = random.Random(pause_s)
        while not self._stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(host, port)
            except OSError as error:
                self.failed[type(error).__name__] += 1
                await asyncio.sleep(0.01)
                continue
            self.connections += 1
            try:
                while await self._ask(reader, writer) and not self._stop.is_set():
                    if pause_s:
                        await asyncio.sleep(dice.expovariate(1 / pause_s))
            except (OSError, EOFError) as error:
                self.failed[type(error).__name__] += 1
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once; gives whether the server keeps the connection."""
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status, length = int(head.split(b" ", 2)[1]), int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if status == 200 and body == self._answer:
            self.answered += 1
        else:
            self.failed[f"{status} {body.decode()}"] += 1
        return b"connection: close" not in head


@contextmanager
def load(url: str, pauses_s: list[float], rows: int = 1) -> Generator[Load]:
    """Load on a server while the block runs, from a thread."""
    seen = Load(rows)
    thread = threading.Thread(target=lambda: asyncio.run(seen.clients(url, pauses_s)))
    thread.start()
    try:
        yield seen
    finally:
        seen.stop()
        thread.join()
