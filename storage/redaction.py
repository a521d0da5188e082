"""Redaction: what becomes of a captured column before any of it leaves the process.

| | what is kept | in a captured frame |
|---|---|---|
| `drop` | nothing | no column |
| `mask` | whether there was a value | `autopilot.masked.NAME`, true where there was one |
| `hash` | a keyed digest, equal for equal values of one store | `autopilot.hashed.NAME`, 32 hex digits; null: missing |

The digest is BLAKE2b of 16 bytes over the value as the model got it: a number as float64 (-0.0 as 0.0), a text as
UTF-8, a time as microseconds. Numbers, texts and times are told apart, columns and endpoints are not: the same customer
can be followed through all of them. Without the key nobody can try all postcodes until one fits.

The key is 32 random bytes, made when it is first needed, in a file that its owner alone can read, in a folder beside
the traffic: whoever is given the traffic is not given the key. Digests under another key fit no others.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from storage.boundary import MISSING_TIME, Blocks
from storage.errors import StoreError
from storage.signature import BLOCK_OF_KIND, BLOCKS, Block, Signature

Redaction = Literal["drop", "hash", "mask"]
REDACTIONS: tuple[Redaction, ...] = get_args(Redaction)

#: Bytes of a digest; all zeros stand for a missing value.
DIGEST_BYTES = 16
_MISSING = bytes(DIGEST_BYTES)
_KEY_BYTES = 32


class Redacted(NamedTuple):
    """What is left of the inputs of N rows.

    blocks: of the columns that are not redacted. masked, hashed: for each column so redacted, in the signature's order,
    N bytes (1: there was a value), and N digests one after another.
    """

    blocks: Blocks
    masked: list[bytes]
    hashed: list[bytes]


class Redactor:
    """Redacts the inputs of one signature.

    redact: by column; columns that the signature does not have are passed over. key: is asked for it when first needed;
    what it raises, `apply` raises.
    """

    def __init__(self, signature: Signature, redact: Mapping[str, Redaction], key: Callable[[], bytes]) -> None:
        self._key = key
        self._kept = [_kept(signature, block, redact) for block in BLOCKS]
        self._masked = _places(signature, redact, "mask")
        self._hashed = _places(signature, redact, "hash")
        self._changes = redacts(signature, redact)

    def apply(self, blocks: Blocks) -> Redacted:
        """What may be written of a request's inputs."""
        if not self._changes:
            return Redacted(blocks, [], [])
        masked = [_has_value(blocks, place).tobytes() for place in self._masked]
        hashed = [self._digests(blocks, place) for place in self._hashed] if self._hashed else []
        number, text, time = self._kept
        kept = Blocks(blocks.number[:, number], blocks.text[:, text], blocks.time[:, time])
        return Redacted(kept, masked, hashed)

    def _digests(self, blocks: Blocks, place: "_Place") -> bytes:
        """The digests of one column. Equal values, of which there are many, are digested once."""
        present = _has_value(blocks, place).tolist()
        values = _values(blocks, place)
        digest = partial(_digest, self._key(), place.block)
        digests = {value: digest(value) for value in set(values)}
        return b"".join(digests[value] if there else _MISSING for value, there in zip(values, present, strict=True))


def redacts(signature: Signature, redact: Mapping[str, Redaction]) -> bool:
    """Whether any column of a signature is to be redacted."""
    return any(name in redact for name in signature.names)


def plain_signature(signature: Signature, redact: Mapping[str, Redaction]) -> Signature:
    """The signature of the columns that are not redacted."""
    return replace(signature, columns=tuple(column for column in signature.columns if column.name not in redact))


def discreet_signature(signature: Signature, redact: Mapping[str, Redaction]) -> Signature:
    """The signature without what it tells of the values of redacted columns: levels and ranges."""
    columns = (
        replace(column, levels=(), minimum=None, maximum=None) if column.name in redact else column
        for column in signature.columns
    )
    return replace(signature, columns=tuple(columns))


def names_of(signature: Signature, redact: Mapping[str, Redaction], redaction: Redaction) -> list[str]:
    """The columns that are redacted in one way, in the signature's order."""
    return [name for name in signature.names if redact.get(name) == redaction]


def key_of(path: Path) -> bytes:
    """The key of a file; makes it, and its folder, if there is none. Several processes may do so at once.

    Raises OSError if it can be neither read nor made, and StoreError if it is no key.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        _make_key(path)
        key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StoreError(
            f"The key of hashed columns, {str(path)!r}, has {len(key)} bytes instead of {_KEY_BYTES}. Put the right "
            "file there; or remove it: a new key is made, under which the digests differ from those of before."
        )
    return key


def _make_key(path: Path) -> None:
    """Make a key whole or not at all, and never in the place of another."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        new.unlink()


class _Place(NamedTuple):
    """Where a column is."""

    block: Block
    at: int


def _kept(signature: Signature, block: Block, redact: Mapping[str, Redaction]) -> NDArray[np.intp]:
    names = signature.block(block)
    return np.array([index for index, name in enumerate(names) if name not in redact], dtype=np.intp)


def _places(signature: Signature, redact: Mapping[str, Redaction], redaction: Redaction) -> list[_Place]:
    blocks: dict[str, Block] = {column.name: BLOCK_OF_KIND[column.kind] for column in signature.columns}
    return [
        _Place(blocks[name], signature.block(blocks[name]).index(name))
        for name in names_of(signature, redact, redaction)
    ]


def _column(blocks: Blocks, place: _Place) -> NDArray[Any]:
    return blocks[BLOCKS.index(place.block)][:, place.at]


def _has_value(blocks: Blocks, place: _Place) -> NDArray[np.bool_]:
    column = _column(blocks, place)
    match place.block:
        case "number":
            return ~np.isnan(column)
        case "text":
            return np.array([value != "" for value in column.tolist()], dtype=np.bool_)
        case "time":
            return column != MISSING_TIME


def _values(blocks: Blocks, place: _Place) -> list[bytes]:
    """A column's values as the bytes that are digested."""
    column = _column(blocks, place)
    if place.block == "text":
        return [value.encode("utf-8", "surrogatepass") for value in column.tolist()]
    if place.block == "number":
        column = np.where(column == 0, 0.0, column)
    data = column.astype(column.dtype.newbyteorder("<")).tobytes()
    return [data[start : start + 8] for start in range(0, len(data), 8)]


def _digest(key: bytes, block: Block, value: bytes) -> bytes:
    return blake2b(value, digest_size=DIGEST_BYTES, key=key, person=block.encode()).digest()
