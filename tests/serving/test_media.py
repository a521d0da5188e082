"""Formats and encodings are taken from headers as RFC 9110 means them."""

import gzip

import pytest

from serving.errors import AcceptError, BodyError, BodyTooLargeError, MediaTypeError
from serving.media import Format, sent_format, unpack, wanted_format


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        (None, "json"),
        (b"application/json", "json"),
        (b"Application/JSON; charset=UTF-8", "json"),
        (b"text/csv", "csv"),
        (b'text/csv;charset="utf-8";header=present', "csv"),
    ],
)
def test_content_types_that_are_read(content_type: bytes | None, format: Format) -> None:
    """JSON where the header is absent."""
    assert sent_format(content_type) == format


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"text/csv; charset=latin-1", b"\xff", b"json"])
def test_other_content_types_are_refused_with_those_that_are_read(content_type: bytes) -> None:
    """curl's own default is among them."""
    with pytest.raises(MediaTypeError, match=r"Send application/json or text/csv"):
        sent_format(content_type)


@pytest.mark.parametrize(
    ("accept", "sent", "wanted"),
    [
        (None, "json", "json"),
        (None, "csv", "csv"),
        (b"*/*", "csv", "csv"),
        (b"*/*", "json", "json"),
        (b"text/csv", "json", "csv"),
        (b"text/*", "json", "csv"),
        (b"application/json", "csv", "json"),
        (b"text/html, application/*;q=0.1", "csv", "json"),
        (b"text/csv;q=0.2, application/json;q=0.9", "csv", "json"),
        (b"*/*;q=0.9, text/csv;q=0", "csv", "json"),
        (b"", "csv", "csv"),
    ],
)
def test_accept_decides_the_answer(accept: bytes | None, sent: Format, wanted: Format) -> None:
    """The heaviest range; the request's own format where it does not matter."""
    assert wanted_format(accept, sent) == wanted


@pytest.mark.parametrize("accept", [b"text/html", b"application/json;q=0", b"image/*", b",", b"\xff/\xfe"])
def test_accept_that_allows_neither_is_refused(accept: bytes) -> None:
    """With what can be written."""
    with pytest.raises(AcceptError, match=r"application/json or text/csv"):
        wanted_format(accept, "json")


def test_gzip_is_unpacked_in_one_or_more_members() -> None:
    """A gzip file may be several, one after another; identity is no encoding."""
    assert unpack(gzip.compress(b"ab") + gzip.compress(b"cd"), b"GZIP", 4) == b"abcd"
    assert unpack(b"ab", b"identity", 1) == b"ab"


def test_unpacking_stops_at_the_limit() -> None:
    """A small body that unpacks to a gigabyte costs no gigabyte."""
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(BodyTooLargeError, match="1000000 bytes"):
        unpack(bomb, b"gzip", 1_000_000)
    with pytest.raises(BodyTooLargeError):
        unpack(gzip.compress(b"ab") * 3, b"gzip", 5)


@pytest.mark.parametrize("body", [b"plain", gzip.compress(b"abc")[:-3], gzip.compress(b"abc") + b"x"])
def test_damaged_gzip_is_refused(body: bytes) -> None:
    """Not gzip, cut short, or followed by something else."""
    with pytest.raises(BodyError, match="gzip"):
        unpack(body, b"gzip", 100)


def test_other_encodings_are_refused() -> None:
    """By name."""
    with pytest.raises(MediaTypeError, match="'br'"):
        unpack(b"", b"br", 100)
