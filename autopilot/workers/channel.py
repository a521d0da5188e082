"""Messages over a stream socket: several buffers each, of any size.

A message is the number of its buffers and their sizes (little-endian 64-bit), then the buffers.
"""

import socket
import struct
from collections.abc import Callable, Sequence
from itertools import chain
from multiprocessing.connection import wait

from autopilot.workers.messages import Buffer

#: Called while nothing moves; raises to give up.
Look = Callable[[], None]

_NUMBER = struct.Struct("<Q")


class Channel:
    """One end of a connection.

    tick_s: how often `look` is called while the other end neither sends nor takes anything; None waits for ever.
    """

    def __init__(self, stream: socket.socket, tick_s: float | None = None) -> None:
        stream.settimeout(tick_s)
        self._stream = stream

    def send(self, frames: Sequence[Buffer], look: Look | None = None) -> None:
        """Raises OSError if the other end is gone, and what `look` raises."""
        views = [memoryview(frame).cast("B") for frame in frames]
        header = b"".join(_NUMBER.pack(number) for number in (len(views), *(view.nbytes for view in views)))
        for view in chain([memoryview(header)], views):
            sent = 0
            while sent < view.nbytes:
                try:
                    sent += self._stream.send(view[sent:])
                except TimeoutError:
                    if look is not None:
                        look()

    def receive(self, look: Look | None = None) -> list[bytearray]:
        """Raises EOFError or OSError if the other end is gone, and what `look` raises."""
        count = _NUMBER.unpack(self._exactly(_NUMBER.size, look))[0]
        sizes = _NUMBER.iter_unpack(self._exactly(count * _NUMBER.size, look))
        return [self._exactly(size, look) for (size,) in sizes]

    @property
    def has_come(self) -> bool:
        """Whether there is something to receive, if only that the other end is gone."""
        return bool(wait([self._stream], timeout=0))

    def close(self) -> None:
        """The other end reads to what was sent, and then gets EOFError."""
        self._stream.close()

    def _exactly(self, size: int, look: Look | None) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        received = 0
        while received < size:
            try:
                got = self._stream.recv_into(view[received:])
            except TimeoutError:
                if look is not None:
                    look()
                continue
            if not got:
                raise EOFError("The other end of the channel is closed.")
            received += got
        return buffer
