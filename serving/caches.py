"""Memory for what headers mean: clients send the same few again and again."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

_LONGEST_BYTES = 1_000  # of what is kept: a header may have megabytes
_MOST = 256

_Function = TypeVar("_Function", bound=Callable[..., Any])


def remembered(function: _Function) -> _Function:
    """A function of headers that remembers its results, of short ones.

    >>> remembered(len)(b"text/csv")
    8
    """
    kept = lru_cache(maxsize=_MOST)(function)

    @wraps(function)
    def called(header: bytes | None, *others: Any) -> Any:
        is_short = header is None or len(header) <= _LONGEST_BYTES
        return kept(header, *others) if is_short else function(header, *others)

    return called  # pyright: ignore[reportReturnType] takes and gives what the function does
