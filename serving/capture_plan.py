"""What is kept of a variant's answers: worked out once for each revision of an endpoint."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from math import inf
from typing import cast
from zlib import crc32

from msgspec import Struct

from serving.drain import Together, rows_of
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import Endpoint, Variant
from storage.redaction import redacts
from storage.signature import Signature
from storage.traffic import Header, Invocation, PlainBatch, frame_of, plain_batch

_ALL = 2**32
_MASK = _ALL - 1
_ODD = 2_654_435_769  # 2**32 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
_FEW_ROWS = 50  # that the event loop packs itself, in some 50 us
_VALUE_BYTES = 60  # of a text or a number in memory, with its share of the arrays
_REQUEST_BYTES = 500


#: An answer that was given: its inference id, when (seconds since 1970), what was asked, what was answered, and what is
#: done when it is captured, if anybody waits for that.
Given = tuple[str, float, Blocks, Outputs, asyncio.Future[None] | None]


class Turn:
    """What was given of one plan in a turn of the event loop: answers that ran alone, and runs of several."""

    __slots__ = ("alone", "runs")

    def __init__(self) -> None:
        self.alone: list[Given] = []
        self.runs: list[Together] = []

    @property
    def answers(self) -> list[Given]:
        """Each answer for itself."""
        return [*self.alone, *chain.from_iterable(map(_parts, self.runs))]


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
    kept: list[asyncio.Future[None]]


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

    def taken(self, turn: Turn) -> Iterator[Taken]:
        """Answers as they wait to be written: packed if that is quick, else as they are for a thread to pack."""
        whole, few, others = list[Together](), list[Given](), list[Given]()
        alone = turn.alone.copy()
        for run in turn.runs:
            if self.is_plain and None not in run.ids:
                whole.append(run)
            else:
                alone += _parts(run)
        for one in alone:
            (few if self.is_plain and len(one[2].number) <= _FEW_ROWS else others).append(one)
        if whole or few:
            yield self._packed(whole, few)
        for name, now, blocks, outputs, kept in others:
            invocation = Invocation(name, int(now * 1e6), blocks, outputs)
            waiting = [] if kept is None else [kept]
            yield Taken(self, now, blocks.rows, _size_bytes(blocks), None, invocation, waiting)

    def _packed(self, whole: Sequence[Together], few: Sequence[Given]) -> Taken:
        frame = frame_of([*map(_batch_of_run, whole), *map(_batch, few)])
        rows, since, kept = 0, inf, list[asyncio.Future[None] | None]()
        for run in whole:
            rows += run.blocks.rows
            since = min(since, run.since)
            kept += run.kept if self.is_sync else ()
        for one in few:
            rows += one[2].rows
            since = min(since, one[1])
            kept.append(one[4])
        return Taken(self, since, rows, len(frame), frame, None, [one for one in kept if one is not None])


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


def kept_of(given: Sequence[Given]) -> list[asyncio.Future[None]]:
    """What waits for some answers to be captured."""
    return [one[4] for one in given if one[4] is not None]


def _batch(given: Given) -> PlainBatch:
    name, now, blocks, outputs, _ = given
    return plain_batch([name], [int(now * 1e6)], [len(blocks.number)], blocks, outputs)


def _batch_of_run(run: Together) -> PlainBatch:
    """A run whose answers are all to be captured, as one batch: a third of the time of many."""
    ids = cast("list[str]", run.ids)
    return plain_batch(ids, [int(run.since * 1e6)] * len(ids), run.rows, run.blocks, run.outputs)


def _parts(run: Together) -> Iterator[Given]:
    """The answers of a run that are to be captured, each for itself."""
    start = 0
    for name, rows, kept in zip(run.ids, run.rows, run.kept, strict=True):
        stop = start + rows
        if name is not None:
            yield name, run.since, run.blocks.slice(start, stop), rows_of(run.outputs, start, stop), kept
        start = stop


def _size_bytes(blocks: Blocks) -> int:
    """What inputs take in memory, if the texts of the first rows are like the others."""
    first = blocks.text[:_FEW_ROWS].ravel().tolist()
    characters = sum(map(len, first)) * len(blocks.text) // max(1, min(_FEW_ROWS, len(blocks.text)))
    return _REQUEST_BYTES + _VALUE_BYTES * sum(block.size for block in blocks) + characters
