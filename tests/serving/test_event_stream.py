"""Frames are what botocore's own parser reads, however they are cut on their way."""

import json
from binascii import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.event_stream import event, exception, frame

eventstream = pytest.importorskip("botocore.eventstream")

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def parsed(sent: bytes, cuts: list[int]) -> list[tuple[dict[str, str], bytes]]:
    """Messages as botocore reads them from pieces of these lengths."""
    buffer = eventstream.EventStreamBuffer()
    messages = []
    while sent:
        length = cuts.pop() if cuts else len(sent)
        buffer.add_data(sent[:length])
        messages += [(message.headers, message.payload) for message in buffer]
        sent = sent[length:]
    return messages


@given(
    st.lists(st.tuples(st.dictionaries(NAMES, TEXT, max_size=5), st.binary(max_size=300)), max_size=5),
    st.lists(st.integers(1, 50)),
)
def test_frames_are_read_back_whole(frames: list[tuple[dict[str, str], bytes]], cuts: list[int]) -> None:
    """Headers, payload, and both checksums, which the parser verifies."""
    assert parsed(b"".join(frame(headers, payload) for headers, payload in frames), cuts) == frames


def test_a_frame_is_what_the_specification_draws() -> None:
    """Byte by byte."""
    prelude = bytes([0, 0, 0, 24, 0, 0, 0, 6])
    body = prelude + crc32(prelude).to_bytes(4, "big") + b"\x01a\x07\x00\x01b" + b"xy"
    assert frame({"a": "b"}, b"xy") == body + crc32(body).to_bytes(4, "big")


def test_events_and_exceptions_are_told_apart_by_their_headers() -> None:
    """By the names that botocore looks for."""
    (first, second) = parsed(event("PayloadPart", b"1\n") + exception("ModelStreamError", {"Message": "ä"}), [])
    assert first == (
        {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"},
        b"1\n",
    )
    headers, payload = second
    assert (headers[":message-type"], headers[":exception-type"]) == ("exception", "ModelStreamError")
    assert json.loads(payload) == {"Message": "ä"}
