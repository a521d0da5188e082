"""Formats and encodings of bodies: what `Content-Type`, `Accept`, `Content-Encoding` and `Accept-Encoding` ask for."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import zstandard

from serving.caches import remembered
from serving.errors import AcceptError, BodyError, BodyTooLargeError, MediaTypeError

Format = Literal["json", "jsonlines", "csv", "npy", "arrow", "arrow_file", "parquet"]

#: The media type of each format. Where `Accept` likes several as much, and the request's own is none of them, it is the
#: first.
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "jsonlines": "application/jsonlines",
    "csv": "text/csv",
    "npy": "application/x-npy",
    "arrow": "application/vnd.apache.arrow.stream",
    "arrow_file": "application/vnd.apache.arrow.file",
    "parquet": "application/vnd.apache.parquet",
}
#: What clients call the formats beside that.
ALIASES: dict[str, Format] = {
    "application/x-www-form-urlencoded": "json",  # curl -d says so; what people type first is JSON all the same
    "application/x-ndjson": "jsonlines",
    "application/ndjson": "jsonlines",
    "application/jsonl": "jsonlines",
    "application/x-jsonlines": "jsonlines",
    "application/csv": "csv",
    "application/x-parquet": "parquet",
}
#: Formats that are text, which packs well: three times and more.
TEXT_FORMATS: frozenset[Format] = frozenset({"json", "jsonlines", "csv"})

_FORMATS: dict[str, Format] = {**{name: format for format, name in MEDIA_TYPES.items()}, **ALIASES}
_CHARSETS = {"utf-8", "utf8", "us-ascii"}


@remembered
def sent_format(content_type: bytes | None) -> Format:
    """The format of a request's body; JSON if the header is absent or what `curl -d` sends. Raises MediaTypeError.

    >>> sent_format(b"text/csv; charset=utf-8"), sent_format(b"application/x-ndjson")
    ('csv', 'jsonlines')
    """
    if content_type is None:
        return "json"
    shown = content_type.decode("latin-1")
    name, *parameters = (part.strip().lower() for part in shown.split(";"))
    charset = next((p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    format = _FORMATS.get(name)
    if format is None or (format in TEXT_FORMATS and charset not in _CHARSETS):
        raise MediaTypeError(f"Content-Type is {shown!r}. Send {_listed()}; text in UTF-8.")
    return format


@remembered
def wanted_format(accept: bytes | None, sent: Format) -> Format:
    """The format of the answer: what `Accept` likes best, and the request's own where it does not care.

    >>> wanted_format(b"*/*", "csv"), wanted_format(b"text/csv, application/json;q=0.5", "json")
    ('csv', 'csv')
    """
    if accept is None or not accept.strip():
        return sent
    shown = accept.decode("latin-1")
    ranges = _weights(accept)
    liking: dict[Format, float] = {format: _liking(ranges, format) for format in MEDIA_TYPES}
    best = max(liking, key=lambda format: (liking[format], format == sent))
    if liking[best] <= 0:
        raise AcceptError(f"Accept is {shown!r}. The answer can be {_listed()}: accept one of them.")
    return best


def _listed() -> str:
    *some, last = MEDIA_TYPES.values()
    return f"{', '.join(some)} or {last}"


def _liking(ranges: Mapping[str, float], format: Format) -> float:
    """How much ranges of media types want a format, 0 to 1; the most specific range decides (RFC 9110, 12.5.1)."""
    named = [MEDIA_TYPES[format], *(alias for alias, of in ALIASES.items() if of == format)]
    if asked := [ranges[name] for name in named if name in ranges]:
        return max(asked)
    return ranges.get(MEDIA_TYPES[format].partition("/")[0] + "/*", ranges.get("*/*", 0.0))


def _weights(header: bytes) -> dict[str, float]:
    """What a header such as `Accept` lists, each with its `q`: 1 if there is none, or none that can be read."""
    weights: dict[str, float] = {}
    for part in header.decode("latin-1").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    return weights


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0


# ------------------------------------------------------------------------------------------------------ encodings


class _Coding(NamedTuple):
    """A way to pack bodies.

    unpacker: of a body with these first bytes; it has `eof` and `unused_data`. feed: what comes out of it for a chunk,
    at most so many bytes if it knows a limit. chunk_bytes: how many to feed at once. error: what damaged data raise.
    pack: a whole body.
    """

    unpacker: Callable[[bytes], Any]
    feed: Callable[[Any, bytes, int], bytes]
    chunk_bytes: int
    error: type[Exception]
    pack: Callable[[bytes], bytes]


_LEVEL = 1  # of zlib's nine: a third of the time of the usual one, for a tenth more bytes
_GZIP = 31  # zlib's word for: largest window, gzip header and checksum
_RAW = -15  # zlib's word for: largest window, neither header nor checksum
_CHUNK_BYTES = 16_384  # the rest behind a packed part is copied, so a body of many small parts is fed in small chunks
_MOST_PARTS = 1_000  # a part costs up to 20 us, however little is in it
_ZSTD_CHUNK_BYTES = 1_024  # zstandard knows no limit for what comes out: 4 bytes in are up to 128 KiB out, so 32 MiB
_ZSTD_WINDOW_BYTES = 2**23  # the largest that RFC 9659 allows in a content encoding


def _feed_zlib(unpacker: Any, chunk: bytes, most_bytes: int) -> bytes:
    return unpacker.decompress(chunk, most_bytes)


def _gunzip(_: bytes) -> Any:
    return zlib.decompressobj(_GZIP)


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, wbits=_GZIP)


def _inflate(start: bytes) -> Any:
    """Deflate is the zlib format (RFC 9110, 8.4.1.2); some clients send it without the header of that, which is known
    by its method, 8, and by being a multiple of 31."""
    is_zlib = len(start) < 2 or (start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0)
    return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else _RAW)


def _deflate(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL)


def _feed_zstd(unpacker: Any, chunk: bytes, _: int) -> bytes:
    return unpacker.decompress(chunk)


def _unzstd(_: bytes) -> Any:
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(body)


#: By name; where `Accept-Encoding` likes several as much, the first: at level 1 zstd takes a fifth of gzip's time.
_CODINGS: dict[str, _Coding] = {
    "zstd": _Coding(_unzstd, _feed_zstd, _ZSTD_CHUNK_BYTES, zstandard.ZstdError, _zstd),
    "gzip": _Coding(_gunzip, _feed_zlib, _CHUNK_BYTES, zlib.error, _gzip),
    "deflate": _Coding(_inflate, _feed_zlib, _CHUNK_BYTES, zlib.error, _deflate),
}


def unpack(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """A body without its content encoding: gzip, zstd, deflate, or identity.

    Raises MediaTypeError for another encoding, BodyTooLargeError as soon as more than `limit_bytes` come out, BodyError
    for damaged or truncated data.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name == "identity":
        return body
    coding = _CODINGS.get(name.removeprefix("x-"))
    if coding is None:
        raise MediaTypeError(
            f"Content-Encoding is {name!r}. Send the body as it is, or packed with {' or '.join(sorted(_CODINGS))}."
        )
    try:
        return _unpacked(name, coding, body, limit_bytes)
    except coding.error as error:
        raise BodyError(f"Content-Encoding is {name}, and the body is not: {error}. Pack it again.") from error


def _unpacked(name: str, coding: _Coding, body: bytes, limit_bytes: int) -> bytes:
    """What is in a body of one packed part, or several: a gzip or zstd file may be several, one after another."""
    out, at, parts, unpacker = bytearray(), 0, 0, None
    while at < len(body):
        chunk = body[at : at + coding.chunk_bytes]
        if unpacker is None:
            parts += 1
            unpacker = coding.unpacker(chunk)
        if parts > _MOST_PARTS:
            raise BodyError(f"The {name} body is packed in more than {_MOST_PARTS} parts. Pack it in one.")
        out += coding.feed(unpacker, chunk, limit_bytes + 1 - len(out))
        if len(out) > limit_bytes:
            raise too_large(limit_bytes)
        at += len(chunk)
        if unpacker.eof:
            at -= len(unpacker.unused_data)
            unpacker = None
    if unpacker is not None:
        raise BodyError(f"The {name} body ends too early. Send it whole.")
    return bytes(out)


@remembered
def wanted_encoding(accept_encoding: bytes | None) -> str | None:
    """How an answer may be packed: what `Accept-Encoding` likes best, None if that is not to pack it.

    >>> wanted_encoding(b"gzip, deflate"), wanted_encoding(b"gzip, zstd"), wanted_encoding(b"gzip;q=0, identity")
    ('gzip', 'zstd', None)
    """
    if accept_encoding is None:
        return None
    weights = _weights(accept_encoding)
    liking = {name: weights.get(name, weights.get("*", 0.0)) for name in _CODINGS}
    best = max(liking, key=lambda name: liking[name])
    return best if liking[best] > 0 and liking[best] >= weights.get("identity", 0.0) else None


#: What a connection sends before it waits for the first word back (RFC 6928): what is shorter arrives no sooner packed.
PACKED_FROM_BYTES = 14_600


def pack(body: bytes, encoding: str) -> bytes:
    """A body packed by an encoding that `wanted_encoding` gave."""
    return _CODINGS[encoding].pack(body)


def too_large(limit_bytes: int) -> BodyTooLargeError:
    """The error for a body beyond the limit."""
    return BodyTooLargeError(
        f"The body is longer than {limit_bytes} bytes, unpacked. Send fewer rows in each request, "
        "or raise AUTOPILOT_MAX_BODY_BYTES."
    )
