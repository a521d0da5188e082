"""Frames of `application/vnd.amazon.eventstream`, in which AWS services send answers in parts.

    ┌ prelude ───────────────────────────────┐
    │ length of the frame  u32               │
    │ length of the headers  u32             │
    │ CRC-32 of these 8 bytes  u32           │
    ├────────────────────────────────────────┤
    │ headers: length of the name  u8, name, │
    │   7 (text), length  u16, value         │
    ├────────────────────────────────────────┤
    │ payload                                │
    ├────────────────────────────────────────┤
    │ CRC-32 of all before  u32              │
    └────────────────────────────────────────┘

Numbers are big-endian. See https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html
"""

import struct
from collections.abc import Mapping
from zlib import crc32

import msgspec

CONTENT_TYPE = b"application/vnd.amazon.eventstream"

_TEXT = 7
_PRELUDE = 12
_CHECKSUM = 4


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame. headers: names of up to 255 bytes of UTF-8, values of up to 65,535."""
    packed = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _PRELUDE + len(packed) + len(payload) + _CHECKSUM, len(packed))
    body = prelude + _number(crc32(prelude)) + packed + payload
    return body + _number(crc32(body))


def event(kind: str, payload: bytes) -> bytes:
    """A frame that carries bytes, as an event of this kind."""
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/octet-stream"}
    return frame(headers, payload)


def exception(kind: str, members: Mapping[str, str]) -> bytes:
    """A frame that tells an error, after which nothing comes."""
    headers = {":message-type": "exception", ":exception-type": kind, ":content-type": "application/json"}
    return frame(headers, msgspec.json.encode(members))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(value)) + value


def _number(value: int) -> bytes:
    return struct.pack(">I", value)
