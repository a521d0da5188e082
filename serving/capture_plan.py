"""What is kept of a variant's answers: worked out once for each revision of an endpoint."""

from zlib import crc32

from msgspec import Struct

from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import Endpoint, Variant
from storage.redaction import redacts
from storage.signature import Signature
from storage.traffic import Header, Invocation, pack_plain

_ALL = 2**32
_MASK = _ALL - 1
_ODD = 2_654_435_769  # 2**32 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
_FEW_ROWS = 50  # that the event loop packs itself, in some 50 us
_VALUE_BYTES = 60  # of a text or a number in memory, with its share of the arrays
_REQUEST_BYTES = 500


class Plan(Struct, frozen=True, eq=False):
    """What is kept of one variant's answers. Two plans are never equal.

    share: of requests, above 0. is_sync: before they leave. is_plain: no column is redacted.
    """

    header: Header
    share: float
    is_sync: bool
    is_plain: bool

    def draws(self, inference_id: str) -> bool:
        """Whether a request is among those that are captured. The same id always is, or never, whatever variant it
        gets: ids are drawn for both independently.

        >>> half = Plan(Header("e", "m", 1, Signature("regression", "y", ())), 0.5, False, True)
        >>> [half.draws(name) for name in "abcdef"]
        [True, True, True, False, False, False]
        """
        # 0.3 us, a third of what `place_of` takes. CRC-32 of ids that count up is not spread evenly; mixed so, it is
        mixed = crc32(inference_id.encode()) * _ODD & _MASK
        return (mixed ^ mixed >> 15) * _ODD & _MASK < self.share * _ALL

    def taken(self, inference_id: str, now: float, blocks: Blocks, outputs: Outputs) -> "Taken":
        """An answer as it waits to be written: packed if that is quick, else as it is for a thread to pack.

        now: when it was given, seconds since 1970.
        """
        time_us = int(now * 1e6)
        rows = len(blocks.number)
        if rows <= _FEW_ROWS and self.is_plain:
            packed = pack_plain(inference_id, time_us, blocks, outputs)
            return Taken(self, time_us, rows, len(packed), packed)
        size_bytes = _REQUEST_BYTES + _VALUE_BYTES * sum(block.size for block in blocks) + _characters(blocks)
        return Taken(self, time_us, rows, size_bytes, Invocation(inference_id, time_us, blocks, outputs))


class Taken(Struct, frozen=True, gc=False):
    """An answer that waits to be written. size_bytes: what it takes in memory, about."""

    plan: Plan
    time_us: int
    rows: int
    size_bytes: int
    content: bytes | Invocation


def plan_of(record: Endpoint, variant: Variant, signature: Signature) -> Plan | None:
    """What is kept of a variant's answers; None if nothing is."""
    policy = record.capture
    if policy.share <= 0:
        return None
    header = Header(
        endpoint=record.name,
        model=variant.model,
        version=variant.version,
        signature=signature,
        variant=variant.name,
        redact=policy.redact,
        share=policy.share,
    )
    return Plan(header, policy.share, policy.mode == "sync", not redacts(signature, policy.redact))


def _characters(blocks: Blocks) -> int:
    """Of all texts, if those of the first rows are like the others."""
    first = blocks.text[:_FEW_ROWS].ravel().tolist()
    return sum(map(len, first)) * len(blocks.text) // max(1, min(_FEW_ROWS, len(blocks.text)))
