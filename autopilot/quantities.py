"""Latencies and sizes as people write them."""

import re

from storage.errors import InputError

_US = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6, "": 1.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_latency(latency: str | float | None) -> float | None:
    """Microseconds from `500us`, `2ms`, or a number of microseconds; None stays None. Raises InputError.

    >>> parse_latency("2ms"), parse_latency(500)
    (2000.0, 500.0)
    """
    if latency is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s|)\s*", str(latency))
    if found is None or not float(found[1]):
        raise InputError(f"The latency {latency!r} is no time. Write it as 500us, 2ms or microseconds above 0.")
    return float(found[1]) * _US[found[2]]


def parse_memory(memory: str | int | None) -> int | None:
    """Bytes from `2GB`, `512MB`, `1GiB` or a number of bytes; None stays None. Raises InputError.

    >>> parse_memory("1GiB"), parse_memory("2GB")
    (1073741824, 2000000000)
    """
    if memory is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?b|b|)\s*", str(memory).lower())
    if found is None or not float(found[1]):
        raise InputError(f"The memory {memory!r} is no size. Write it as 2GB, 512MB or bytes above 0.")
    return int(float(found[1]) * _BYTES[found[2]])
