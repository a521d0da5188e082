"""A profile as bytes.

MessagePack of `_Stored`, so that what needs the counts alone, as rescoring does, passes over the sketches. Most counts
of an hour are below 256: parted into planes of bytes, three of four planes are zeros, and pack into nothing.
"""

from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import zstandard
from msgspec import Struct
from numpy.typing import NDArray

from monitor.sketches.blocks import blocks_from, planes_of
from monitor.sketches.exact import packed, unpacked
from monitor.sketches.quantiles import compacted
from monitor.sketches.window import Profile
from storage.errors import StoreError

#: The form that is written. The first one has no blocks: nobody knows then how much its rows depended on one another.
FORM = 2
_READ = (1, FORM)

_COUNT_BYTES = 8


class Skimmed(NamedTuple):
    """What rescoring needs of a stored profile, as `Profile` has it."""

    rows: int
    counts: NDArray[np.int64]
    blocks: NDArray[np.int64]


class _Counts(Struct, frozen=True, kw_only=True):
    form: int
    baseline: str
    rows: int
    counts: bytes
    lows: bytes
    blocks: bytes = b""

    @property
    def columns(self) -> int:
        return len(self.lows) // np.dtype("<f8").itemsize


class _Stored(_Counts, frozen=True, kw_only=True):
    sums: tuple[tuple[tuple[int, bytes], tuple[int, bytes]], ...]
    highs: bytes
    quantiles: tuple[bytes, ...]
    distinct: tuple[bytes, ...]
    extra: tuple[str, ...]


S = TypeVar("S", bound=_Counts)


def dump(window: Profile) -> bytes:
    """The bytes of a profile; several KLL sketches of a column become one."""
    planes = window.counts.astype("<u8").view(np.uint8).reshape(-1, _COUNT_BYTES).T.tobytes()
    return msgspec.msgpack.encode(
        _Stored(
            form=FORM,
            baseline=window.baseline,
            rows=window.rows,
            counts=zstandard.ZstdCompressor().compress(planes),
            blocks=zstandard.ZstdCompressor().compress(planes_of(window.blocks)),
            sums=tuple((packed(total), packed(squares)) for total, squares in window.sums),
            lows=window.lows.astype("<f8").tobytes(),
            highs=window.highs.astype("<f8").tobytes(),
            quantiles=tuple(
                sketches[0] if len(sketches) == 1 else compacted(sketches) for sketches in window.quantiles
            ),
            distinct=window.distinct,
            extra=window.extra,
        )
    )


def parse(data: bytes) -> Profile:
    """The profile of bytes. Raises StoreError if they are none, or of another form."""
    stored = _decoded(data, _Stored)
    return Profile(
        baseline=stored.baseline,
        rows=stored.rows,
        counts=_counts(stored.counts),
        blocks=_blocks(stored),
        sums=tuple((unpacked(*total), unpacked(*squares)) for total, squares in stored.sums),
        lows=np.frombuffer(stored.lows, "<f8").astype(np.float64),
        highs=np.frombuffer(stored.highs, "<f8").astype(np.float64),
        quantiles=tuple((sketch,) if sketch else () for sketch in stored.quantiles),
        distinct=stored.distinct,
        extra=stored.extra,
    )


def skim(data: bytes) -> Skimmed:
    """What rescoring needs of a profile's bytes, at a tenth of the cost of `parse`. Raises StoreError as that does."""
    stored = _decoded(data, _Counts)
    return Skimmed(stored.rows, _counts(stored.counts), _blocks(stored))


def _decoded(data: bytes, kind: type[S]) -> S:
    try:
        stored = msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{len(data)} bytes are no profile: {error}. Profile the hour anew.") from error
    if stored.form not in _READ:
        raise StoreError(f"The profile has form {stored.form}; this version reads up to {FORM}. Profile the hour anew.")
    return stored


def _counts(data: bytes) -> NDArray[np.int64]:
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8)
    return np.ascontiguousarray(planes.reshape(_COUNT_BYTES, -1).T).view("<u8").ravel().astype(np.int64)


def _blocks(stored: _Counts) -> NDArray[np.int64]:
    data = zstandard.ZstdDecompressor().decompress(stored.blocks) if stored.blocks else b""
    return blocks_from(data, stored.columns)
