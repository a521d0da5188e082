"""An Arrow IPC stream batch by batch: Polars reads one as a whole alone.

A stream is messages of a length, metadata (a FlatBuffer) and a body: one schema, dictionaries, then batches of rows.
https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import polars as pl

from storage.errors import DataError

_CONTINUES = b"\xff\xff\xff\xff"
_END = _CONTINUES + bytes(4)
_BATCH = 3  # of the union MessageHeader in Message.fbs
#: Fields of the table Message there.
_HEADER_TYPE, _BODY_LENGTH = 1, 3


class _Message(NamedTuple):
    """kind: of MessageHeader. data: all of it, as it is written."""

    kind: int
    data: bytes


def batches_of(path: Path) -> Iterator[pl.DataFrame]:
    """Each batch of rows of a stream; one without rows if there are none. Raises DataError if it is no stream."""
    before, is_begun = b"", False
    with path.open("rb") as file:
        while (message := _next(file)) is not None:
            if message.kind == _BATCH:
                yield pl.read_ipc_stream(io.BytesIO(before + message.data + _END))
                is_begun = True
            else:  # the schema, and dictionaries, of which each batch needs all that came before it
                before += message.data
    if not is_begun:
        yield pl.read_ipc_stream(io.BytesIO(before + _END))


def _next(file: IO[bytes]) -> _Message | None:
    """The next message; None at the end, which may be written or not."""
    start = file.read(8)
    if not start or start == _END:
        return None
    if len(start) < 8 or start[:4] != _CONTINUES:
        raise DataError("is no Arrow file and no stream. Check the file and its ending.")
    size = struct.unpack("<i", start[4:])[0]
    if size < 8:
        raise DataError("is no Arrow stream: a message has an impossible length. Copy it again.")
    metadata = _whole(file, size)
    try:
        kind, body_bytes = _parsed(metadata)
    except struct.error as error:
        raise DataError("is no Arrow stream: a message cannot be read. Copy it again.") from error
    return _Message(kind, start + metadata + _whole(file, body_bytes))


def _whole(file: IO[bytes], size: int) -> bytes:
    if size > os.fstat(file.fileno()).st_size - file.tell():  # asked first: a damaged length may be any number
        raise EOFError("it ends too early")
    return file.read(size)


def _parsed(metadata: bytes) -> tuple[int, int]:
    """Kind of a message, and how many bytes its body has. What a table leaves out is 0."""
    table = _unsigned(metadata, 0)
    fields = table - struct.unpack_from("<i", metadata, table)[0]  # offsets of the fields, after two sizes

    def value(form: str, field: int) -> int:
        at = 4 + 2 * field
        listed = at < struct.unpack_from("<H", metadata, fields)[0]
        offset = struct.unpack_from("<H", metadata, fields + at)[0] if listed else 0
        return int(struct.unpack_from(form, metadata, table + offset)[0]) if offset else 0

    kind, body_bytes = value("<B", _HEADER_TYPE), value("<q", _BODY_LENGTH)
    if body_bytes < 0:
        raise struct.error
    return kind, body_bytes


def _unsigned(metadata: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", metadata, at)[0])
