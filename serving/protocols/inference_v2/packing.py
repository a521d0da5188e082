"""Bodies of answers, packed as the client accepts it.

The header `Inference-Header-Content-Length` goes on counting bytes of the body as it is unpacked.
"""

import gzip
import zlib
from functools import lru_cache

from serving.replies import Headers

_LEAST_BYTES = 1_000  # fits one network packet: packing would only cost
_LEVEL = 1  # a third of the time of zlib's own choice, for numbers that hardly pack


def pack(body: bytes, accept: bytes | None) -> tuple[bytes, Headers]:
    """A body packed if that is worth it, and the headers that say so. accept: the header Accept-Encoding.

    `deflate` has the zlib format, as RFC 9110 has it.
    """
    if accept is None or len(body) < _LEAST_BYTES:
        return body, []
    encoding = wanted_encoding(accept)
    if encoding is None:
        return body, []
    packed = gzip.compress(body, _LEVEL, mtime=0) if encoding == b"gzip" else zlib.compress(body, _LEVEL)
    return packed, [(b"content-encoding", encoding), (b"vary", b"accept-encoding")]


@lru_cache(maxsize=256)
def wanted_encoding(accept: bytes) -> bytes | None:
    """What `Accept-Encoding` likes best among gzip, deflate and nothing (None); gzip where it likes both.

    >>> (
    ...     wanted_encoding(b"deflate, gzip"),
    ...     wanted_encoding(b"br, gzip;q=0.5, deflate;q=0.8"),
    ...     wanted_encoding(b"gzip;q=0"),
    ... )
    (b'gzip', b'deflate', None)
    """
    liking: dict[bytes, float] = {b"gzip": 0.0, b"deflate": 0.0}
    for part in accept.lower().split(b","):
        name, _, weight = part.partition(b";")
        if name.strip() in liking:
            liking[name.strip()] = _weight(weight.strip())
    best = max(liking, key=lambda name: liking[name])
    return best if liking[best] > 0 else None


def _weight(text: bytes) -> float:
    """1 where it cannot be read."""
    try:
        return float(text.removeprefix(b"q=")) if text else 1.0
    except ValueError:
        return 1.0
