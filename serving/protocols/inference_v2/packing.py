"""Bodies of answers, packed as the client accepts it.

The header `Inference-Header-Content-Length` goes on counting bytes of the body as it is unpacked. zstd is not among the
ways: aiohttp accepts it where it can, and tritonclient, which unpacks by itself what aiohttp brings, cannot.
"""

from serving import media
from serving.caches import remembered
from serving.replies import Headers


def pack(body: bytes, accept: bytes | None) -> tuple[bytes, Headers]:
    """A body packed if that is worth it, and the headers that say so. accept: the header Accept-Encoding."""
    if accept is None or len(body) < media.PACKED_FROM_BYTES:
        return body, []
    encoding = wanted_encoding(accept)
    if encoding is None:
        return body, []
    return media.pack(body, encoding), [(b"content-encoding", encoding.encode()), (b"vary", b"accept-encoding")]


@remembered
def wanted_encoding(accept: bytes) -> str | None:
    """What `Accept-Encoding` likes best, of those that all clients of the protocol can unpack.

    >>> wanted_encoding(b"gzip, deflate, br, zstd"), wanted_encoding(b"zstd"), wanted_encoding(b"deflate")
    ('gzip', None, 'deflate')
    """
    others = [part for part in accept.split(b",") if b"zstd" not in part]
    return media.wanted_encoding(b",".join([*others, b"zstd;q=0"]))
