"""Lines that several processes write to one file or pipe, none of them torn."""

import io
import os
from collections.abc import Iterator
from typing import IO, Any, cast

#: What POSIX promises to write to a pipe in one piece; longer lines, of which there are hardly any, may be torn.
_PIECE_BYTES = 4096


def whole_lines(number: int) -> IO[str]:
    """Text that is written to a file, by its number; whoever writes, writes lines."""
    return io.TextIOWrapper(cast("Any", _Pieces(number)), encoding="utf-8", write_through=True)


class _Pieces(io.RawIOBase):
    """Writes in pieces that end with a line. Closing it leaves the file open."""

    def __init__(self, number: int) -> None:
        self._number = number

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Write whole lines, all of them."""
        for piece in pieces(bytes(data)):
            while piece:
                piece = piece[os.write(self._number, piece) :]
        return len(data)


def pieces(data: bytes, most: int = _PIECE_BYTES) -> Iterator[bytes]:
    r"""The data in as few pieces as whole lines allow, of at most so many bytes but for a longer line.

    >>> list(pieces(b"one\ntwo\nthree\n", most=8))
    [b'one\ntwo\n', b'three\n']
    """
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + most) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
