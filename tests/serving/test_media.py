"""Formats and encodings are taken from headers as RFC 9110 means them."""

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard

from serving.errors import AcceptError, BodyError, BodyTooLargeError, MediaTypeError
from serving.media import Format, pack, sent_format, unpack, wanted_encoding, wanted_format

#: Without the time, so that tests with it are always called the same.
ABC = gzip.compress(b"abc", mtime=0)


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        (None, "json"),
        (b"application/json", "json"),
        (b"Application/JSON; charset=UTF-8", "json"),
        (b"text/csv", "csv"),
        (b'text/csv;charset="utf-8";header=present', "csv"),
        (b"application/x-www-form-urlencoded", "json"),
        (b"application/jsonlines", "jsonlines"),
        (b"application/x-ndjson; charset=utf-8", "jsonlines"),
        (b"application/x-npy", "npy"),
        (b"application/x-npy; charset=binary", "npy"),
        (b"application/vnd.apache.arrow.stream", "arrow"),
        (b"application/vnd.apache.arrow.file", "arrow_file"),
        (b"application/x-parquet", "parquet"),
    ],
)
def test_content_types_that_are_read(content_type: bytes | None, format: Format) -> None:
    """JSON where the header is absent."""
    assert sent_format(content_type) == format


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"text/csv; charset=latin-1", b"\xff", b"json"])
def test_other_content_types_are_refused_with_those_that_are_read(content_type: bytes) -> None:
    """By their names."""
    with pytest.raises(MediaTypeError, match=r"Send application/json, .*application/vnd.apache.parquet; text in UTF-8"):
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
        (b"application/*", "csv", "json"),
        (b"application/*", "npy", "npy"),
        (b"application/x-ndjson", "json", "jsonlines"),
        (b"application/x-ndjson;q=0.1, application/jsonlines", "json", "jsonlines"),
        (b"application/vnd.apache.arrow.stream, */*;q=0.1", "json", "arrow"),
        (b"application/x-npy;q=0, */*", "npy", "json"),
    ],
)
def test_accept_decides_the_answer(accept: bytes | None, sent: Format, wanted: Format) -> None:
    """The heaviest range; the request's own format where it does not matter."""
    assert wanted_format(accept, sent) == wanted


@pytest.mark.parametrize("accept", [b"text/html", b"application/json;q=0", b"image/*", b",", b"\xff/\xfe"])
def test_accept_that_allows_neither_is_refused(accept: bytes) -> None:
    """With what can be written."""
    with pytest.raises(AcceptError, match=r"can be application/json, .* or application/vnd.apache.parquet: accept one"):
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


@pytest.mark.parametrize("body", [b"plain", ABC[:-3], ABC + b"x"])
def test_damaged_gzip_is_refused(body: bytes) -> None:
    """Not gzip, cut short, or followed by something else."""
    with pytest.raises(BodyError, match="gzip"):
        unpack(body, b"gzip", 100)


def zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


def raw_deflate(body: bytes) -> bytes:
    """Without the header that RFC 9110 wants, as some clients send it."""
    return zlib.compress(body, wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"zstd", zstd(b"abcd")),
        (b"zstd", zstd(b"ab") + zstd(b"") + zstd(b"cd")),
        (b"deflate", zlib.compress(b"abcd")),
        (b"deflate", raw_deflate(b"abcd")),
        (b"X-Gzip", gzip.compress(b"abcd", mtime=0)),
    ],
)
def test_other_encodings_are_unpacked(encoding: bytes, packed: bytes) -> None:
    """To the limit, which is exact."""
    assert unpack(packed, encoding, 4) == b"abcd"
    with pytest.raises(BodyTooLargeError, match="3 bytes"):
        unpack(packed, encoding, 3)


@pytest.mark.parametrize(
    ("encoding", "bomb"), [(b"zstd", zstd(bytes(10**8))), (b"deflate", zlib.compress(bytes(10**8)))]
)
def test_unpacking_other_encodings_stops_at_the_limit(encoding: bytes, bomb: bytes) -> None:
    """Of zstd some megabytes beyond it, before it is known."""
    with pytest.raises(BodyTooLargeError, match="1000000 bytes"):
        unpack(bomb, encoding, 1_000_000)


@pytest.mark.parametrize("encoding", [b"zstd", b"deflate"])
@pytest.mark.parametrize("damage", [lambda body: b"plain", lambda body: body[:-3], lambda body: body + b"x"])
def test_damaged_bodies_of_other_encodings_are_refused(encoding: bytes, damage: Callable[[bytes], bytes]) -> None:
    """Another format, cut short, or followed by something else."""
    packed = pack(b"abc" * 100, encoding.decode())
    with pytest.raises(BodyError, match=encoding.decode()):
        unpack(damage(packed), encoding, 1000)


def test_a_window_beyond_the_standard_is_refused() -> None:
    """RFC 9659 allows 8 MB: more would be taken before a byte comes out."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(BodyError, match="zstd"):
        unpack(packing.compress(b"abc") + packing.flush(), b"zstd", 1000)


def test_a_body_of_very_many_parts_is_refused() -> None:
    """Each costs, however little is in it."""
    with pytest.raises(BodyError, match="more than 1000 parts"):
        unpack(gzip.compress(b"") * 1001, b"gzip", 100)


def test_encodings_that_are_not_read_are_refused() -> None:
    """By name."""
    with pytest.raises(MediaTypeError, match="'br'"):
        unpack(b"", b"br", 100)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, None),
        (b"identity", None),
        (b"br", None),
        (b"gzip, deflate", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip;q=1.0, zstd;q=0.5", "gzip"),
        (b"*", "zstd"),
        (b"identity, gzip;q=0.5", None),
        (b"zstd;q=0, *;q=0", None),
        (b"", None),
    ],
)
def test_accept_encoding_decides_whether_an_answer_is_packed(accepted: bytes | None, encoding: str | None) -> None:
    """The heaviest; zstd, which is fastest, where it does not matter."""
    assert wanted_encoding(accepted) == encoding


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
def test_what_is_packed_is_unpacked_again(encoding: str) -> None:
    """And is smaller."""
    body = b'{"label":"yes"}\n' * 1000
    packed = pack(body, encoding)
    assert unpack(packed, encoding.encode(), len(body)) == body
    assert len(packed) < len(body) / 10
