"""What workers and their supervisor tell each other, over a socket that each worker inherits.

    worker      Ready, each half second Report, Ask (by whom /metrics is asked), Told (an answer to Collect), Leaving
    supervisor  Collect, Collected (the answer to Ask), LetGo, End

A message is its length (little-endian 32-bit) and MessagePack. When one side closes its end, or is killed, the other
reads to the end of what was sent: that is how each notices.
"""

import struct
from asyncio import StreamReader

import msgspec
from msgspec import Struct

from serving.workers.totals import State

_LENGTH = struct.Struct("<I")


class Ready(Struct, frozen=True, tag=True):
    """The worker answers requests. serving: what, and from where, as a user is told."""

    serving: str


class Report(Struct, frozen=True, tag=True):
    """How a worker fares. busy: 0 to 1, of what one event loop can do. connections: that are open."""

    busy: float
    connections: int


class Ask(Struct, frozen=True, tag=True):
    """The worker was asked for metrics: what have the others counted? number: comes back in the answer."""

    number: int
    own: State


class Told(Struct, frozen=True, tag=True):
    """What the worker has counted. number: of the question; None if it was not asked."""

    number: int | None
    own: State


class Leaving(Struct, frozen=True, tag=True):
    """The worker takes no more connections, whoever told it to end."""


class Collect(Struct, frozen=True, tag=True):
    """What has the worker counted?"""

    number: int


class Collected(Struct, frozen=True, tag=True):
    """What the other workers have counted, ended ones included."""

    number: int
    others: State


class LetGo(Struct, frozen=True, tag=True):
    """So many connections are to go to other workers: the next request of each is its last."""

    connections: int


class End(Struct, frozen=True, tag=True):
    """The worker is to end. server: whether the whole server ends, which health checks are told. waits: whether kept
    connections are given some seconds to learn of it. at_once: answer nothing more."""

    server: bool
    waits: bool = True
    at_once: bool = False


FromWorker = Ready | Report | Ask | Told | Leaving
ToWorker = Collect | Collected | LetGo | End

_FROM_WORKER = msgspec.msgpack.Decoder(FromWorker)
_TO_WORKER = msgspec.msgpack.Decoder(ToWorker)


def packed(message: FromWorker | ToWorker) -> bytes:
    """A message as it is sent."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


async def from_worker(reader: StreamReader) -> FromWorker:
    """The next message of a worker. Raises EOFError or OSError if the other end is gone."""
    return _FROM_WORKER.decode(await _read(reader))


async def to_worker(reader: StreamReader) -> ToWorker:
    """The next message of the supervisor. Raises EOFError or OSError if the other end is gone."""
    return _TO_WORKER.decode(await _read(reader))


async def _read(reader: StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)
