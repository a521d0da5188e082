"""What is kept of a variant's answers: worked out once for each revision of an endpoint."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from msgspec import Struct

from serving.drain import Together
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import Endpoint, Variant
from storage.redaction import redacts
from storage.signature import Signature
from storage.traffic import Header, Invocation, PlainBatch, frame_of, plain_batch

if TYPE_CHECKING:
    import asyncio

_ALL = 2**32
_MASK = _ALL - 1
_ODD = 2_654_435_769  # 2**32 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
_FEW_ROWS = 50  # that the event loop packs itself, in some 50 us
_VALUE_BYTES = 60  # of a text or a number in memory, with its share of the arrays
_REQUEST_BYTES = 500


#: An answer that was given: its inference id, when (seconds since 1970), what was asked, what was answered, and what is
#: done when it is captured, if anybody waits for that; and the run that it is of, if others are too.
Given = tuple[str, float, Blocks, Outputs, "asyncio.Future[None] | None", Together | None]


class Taken(Struct, gc=False):
    """Answers of one plan that wait to be written. frame: if they are packed; else the one invocation is to be packed.

    since: when the first was given. size_bytes: what they take in memory, about. kept: are done when this is written.
    """

    plan: "Plan"
    since: float
    rows: int
    size_bytes: int
    frame: bytes | None
    invocation: Invocation | None
    kept: "list[asyncio.Future[None]]"


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
        # 0.3 us, a third of what `routes.place_of` takes. CRC-32 of ids that count up is not spread evenly; mixed it is
        mixed = crc32(inference_id.encode()) * _ODD & _MASK
        return (mixed ^ mixed >> 15) * _ODD & _MASK < self.share * _ALL

    def taken(self, given: Sequence[Given]) -> Iterator[Taken]:
        """Answers as they wait to be written: packed if that is quick, else as they are for a thread to pack."""
        few, others = given, list[Given]()
        if not self.is_plain or any(len(one[2].number) > _FEW_ROWS for one in given):
            few = [one for one in given if self.is_plain and len(one[2].number) <= _FEW_ROWS]
            others = [one for one in given if not self.is_plain or len(one[2].number) > _FEW_ROWS]
        if few:
            frame, rows = frame_of([*_batches(few)]), sum(len(one[2].number) for one in few)
            yield Taken(self, few[0][1], rows, len(frame), frame, None, kept_of(few))
        for name, now, blocks, outputs, kept, _ in others:
            invocation = Invocation(name, int(now * 1e6), blocks, outputs)
            waiting = [] if kept is None else [kept]
            yield Taken(self, now, blocks.rows, _size_bytes(blocks), None, invocation, waiting)


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


def kept_of(given: Sequence[Given]) -> "list[asyncio.Future[None]]":
    """What waits for some answers to be captured."""
    return [one[4] for one in given if one[4] is not None]


def _batches(given: Sequence[Given]) -> Iterator[PlainBatch]:
    """Answers as batches: what ran together as one, which takes a third of the time of many."""
    at = 0
    while at < len(given):
        _, _, blocks, outputs, _, together = given[at]
        of_run = given[at : at + 1]
        if together is not None and _are_all(given[at : at + len(together.requests)], together):
            of_run = given[at : at + len(together.requests)]
            _, blocks, outputs = together
        yield plain_batch(
            [one[0] for one in of_run],
            [int(one[1] * 1e6) for one in of_run],
            [len(one[2].number) for one in of_run],
            blocks,
            outputs,
        )
        at += len(of_run)


def _are_all(given: Sequence[Given], together: Together) -> bool:
    """Whether these are all that ran together, in its order: some may not be drawn, and others have gone."""
    return len(given) == len(together.requests) and all(
        one[2] is blocks for one, blocks in zip(given, together.requests, strict=True)
    )


def _size_bytes(blocks: Blocks) -> int:
    """What inputs take in memory, if the texts of the first rows are like the others."""
    first = blocks.text[:_FEW_ROWS].ravel().tolist()
    characters = sum(map(len, first)) * len(blocks.text) // max(1, min(_FEW_ROWS, len(blocks.text)))
    return _REQUEST_BYTES + _VALUE_BYTES * sum(block.size for block in blocks) + characters
