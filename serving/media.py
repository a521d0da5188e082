"""Formats of bodies: what `Content-Type`, `Content-Encoding` and `Accept` ask for."""

import zlib
from functools import lru_cache
from typing import Literal

from serving.errors import AcceptError, BodyError, BodyTooLargeError, MediaTypeError

Format = Literal["json", "csv"]

MEDIA_TYPES: dict[Format, str] = {"json": "application/json", "csv": "text/csv"}
#: curl -d says that it sends a form unless told otherwise; what people type first is JSON all the same.
_SENT_AS_FORM = "application/x-www-form-urlencoded"
_FORMATS: dict[str, Format] = {**{name: format for format, name in MEDIA_TYPES.items()}, _SENT_AS_FORM: "json"}
_CHARSETS = {"utf-8", "utf8", "us-ascii"}
_GZIP = 31  # zlib's word for: largest window, gzip header and checksum


@lru_cache(maxsize=256)
def sent_format(content_type: bytes | None) -> Format:
    """The format of a request's body; JSON if the header is absent or what `curl -d` sends. Raises MediaTypeError.

    >>> sent_format(b"text/csv; charset=utf-8"), sent_format(b"application/x-www-form-urlencoded")
    ('csv', 'json')
    """
    if content_type is None:
        return "json"
    shown = content_type.decode("latin-1")
    name, *parameters = (part.strip().lower() for part in shown.split(";"))
    charset = next((p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    if name not in _FORMATS or charset not in _CHARSETS:
        raise MediaTypeError(f"Content-Type is {shown!r}. Send application/json or text/csv in UTF-8.")
    return _FORMATS[name]


@lru_cache(maxsize=256)
def wanted_format(accept: bytes | None, sent: Format) -> Format:
    """The format of the answer: what `Accept` likes best, and the request's own where it does not care.

    >>> wanted_format(b"*/*", "csv"), wanted_format(b"text/csv, application/json;q=0.5", "json")
    ('csv', 'csv')
    """
    if accept is None or not accept.strip():
        return sent
    shown = accept.decode("latin-1")
    liking: dict[Format, float] = {format: _liking(shown, MEDIA_TYPES[format]) for format in MEDIA_TYPES}
    best = max(liking, key=lambda format: (liking[format], format == sent))
    if liking[best] <= 0:
        raise AcceptError(f"Accept is {shown!r}. The answer can be application/json or text/csv: accept one of them.")
    return best


def _liking(accept: str, media_type: str) -> float:
    """How much an `Accept` header wants a media type, 0 to 1; the most specific range decides (RFC 9110, 12.5.1)."""
    ranges = ["*/*", media_type.partition("/")[0] + "/*", media_type]
    found = (-1, 0.0)
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in ranges:
            found = max(found, (ranges.index(name), _weight(parameters)))
    return found[1]


def _weight(parameters: list[str]) -> float:
    """The `q` among a range's parameters; 1 if there is none, or none that can be read."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0


def unpack(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """A body without its content encoding: gzip, or identity.

    Raises MediaTypeError for another encoding, BodyTooLargeError as soon as more than `limit_bytes` come out, BodyError
    for damaged or truncated data.
    """
    name = encoding.decode("latin-1").strip().lower()
    if name == "identity":
        return body
    if name != "gzip":
        raise MediaTypeError(f"Content-Encoding is {name!r}. Send the body as it is, or packed with gzip.")
    out = bytearray()
    while body:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            out += unpacker.decompress(body, limit_bytes + 1 - len(out))
        except zlib.error as error:
            raise BodyError(f"Content-Encoding is gzip, and the body is not: {error}. Pack it again.") from error
        if len(out) > limit_bytes:
            raise too_large(limit_bytes)
        if not unpacker.eof:
            raise BodyError("The gzip body ends too early. Send it whole.")
        body = unpacker.unused_data  # a gzip file may be several, one after another
    return bytes(out)


def too_large(limit_bytes: int) -> BodyTooLargeError:
    """The error for a body beyond the limit."""
    return BodyTooLargeError(
        f"The body is longer than {limit_bytes} bytes, unpacked. Send fewer rows in each request, "
        "or raise AUTOPILOT_MAX_BODY_BYTES."
    )
