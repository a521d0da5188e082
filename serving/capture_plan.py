"""What is kept of a variant's answers: worked out once for each revision of an endpoint."""

import asyncio
from collections.abc import Sequence
from zlib import crc32

from msgspec import Struct

from serving.drain import Together
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import Endpoint, Variant
from storage.redaction import redacts
from storage.signature import Signature
from storage.traffic import Header, Invocation, packed, packed_inputs

_ALL = 2**32
_MASK = _ALL - 1
_ODD = 2_654_435_769  # 2**32 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
_FEW_ROWS = 50  # that the event loop packs itself, in some 50 us
_VALUE_BYTES = 60  # of a text or a number in memory, with its share of the arrays
_REQUEST_BYTES = 500


#: An answer that was given: its inference id, when (seconds since 1970), what was asked, what was answered, and what is
#: done when it is captured, if anybody waits for that.
Given = tuple[str, float, Blocks, Outputs, asyncio.Future[None] | None]


class Taken(Struct, gc=False):
    """Answers of one plan that wait to be written. batch: if they are packed; else the one invocation is to be packed.

    since: when the first was given. size_bytes: what they take in memory, about. kept: are done when this is written.
    """

    plan: "Plan"
    since: float
    rows: int
    size_bytes: int
    batch: bytes | None
    invocation: Invocation | None
    kept: list[asyncio.Future[None]]


class Plan(Struct, frozen=True, eq=False):
    """What is kept of one variant's answers. Two plans are never equal.

    share: of requests, above 0. is_sync: before they leave. is_plain: no column is redacted. takes_runs: what ran
    together is taken as one, since all of it is kept as it was sent, and no answer waits.
    """

    header: Header
    share: float
    is_sync: bool
    is_plain: bool

    @property
    def takes_runs(self) -> bool:
        return self.is_plain and self.share >= 1 and not self.is_sync

    def draws(self, inference_id: str) -> bool:
        """Whether a request is among those that are captured. The same id always is, or never, whatever variant it
        gets: ids are drawn for both independently.

        >>> half = Plan(Header("e", "m", 1, Signature("regression", "y", ())), 0.5, False, True)
        >>> [half.draws(name) for name in "abcdef"]
        [True, True, True, False, False, False]
        """
        # 0.3 us, a third of what `routes.place_of` takes. CRC-32 of ids that count up is not spread evenly; mixed it is
        mixed = crc32(inference_id.encode()) * _ODD & _MASK
        return (mixed ^ mixed >> 15) * _ODD & _MASK < self.share * _ALL

    def taken_of(self, together: Together, ids: Sequence[str], now: float) -> Taken:
        """The answers of a run, packed. ids: of each."""
        batch = packed(ids, int(now * 1e6), together.rows, together.inputs, together.outputs)
        return Taken(self, now, sum(together.rows), len(batch), batch, None, [])

    def taken(self, given: Given) -> Taken:
        """An answer as it waits to be written: packed if that is quick, else as it is for a thread to pack."""
        name, now, blocks, outputs, kept = given
        waiting, time_us = [] if kept is None else [kept], int(now * 1e6)
        if self.is_plain and blocks.rows <= _FEW_ROWS:
            batch = packed([name], time_us, [blocks.rows], packed_inputs(blocks), outputs)
            return Taken(self, now, blocks.rows, len(batch), batch, None, waiting)
        invocation = Invocation(name, time_us, blocks, outputs)
        return Taken(self, now, blocks.rows, _size_bytes(blocks), None, invocation, waiting)


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


def _size_bytes(blocks: Blocks) -> int:
    """What inputs take in memory, if the texts of the first rows are like the others."""
    first = blocks.text[:_FEW_ROWS].ravel().tolist()
    characters = sum(map(len, first)) * len(blocks.text) // max(1, min(_FEW_ROWS, len(blocks.text)))
    return _REQUEST_BYTES + _VALUE_BYTES * sum(block.size for block in blocks) + characters
