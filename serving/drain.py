"""Requests that arrive together run together.

    poll ── task 1: rows ─┐
            task 2: rows ─┼─ one run of the graph ── answers 1, 2, 3
            task 3: rows ─┘

The first request of a turn of the event loop asks for a run at the end of that turn; those that the same turn reads
join it. Nobody ever waits for company, and the more there are, the less each costs (`bench.serving throughput`). A
request that is alone in the server runs at once, which spares it two turns of the loop, a fifth of its time.

Only models whose answers do not depend on the company, to the bit, are run this way: `is_steady` tries it when a
model is loaded.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from time import perf_counter
from typing import NamedTuple

import numpy as np

from serving.metrics import EndpointMetrics
from storage.boundary import Blocks
from storage.predictor import Outputs, Predictor
from storage.traffic import packed_inputs

_log = logging.getLogger(__name__)


class Together(NamedTuple):
    """What ran together, for capture, which takes a run as one.

    rows: of each request. inputs: all rows one below another, packed. outputs: what the graph gave for them. No array
    of what was asked is kept: what is freed later is cold by then, 0.3 us a request.
    """

    rows: list[int]
    inputs: bytes
    outputs: Outputs


class Ran(NamedTuple):
    """What a run gave for one request, and when the run began and ended, by `perf_counter`.

    together: the whole run, if there were other requests in it and it was packed.
    """

    outputs: Outputs
    began: float
    ended: float
    together: Together | None = None


class Drain:
    """Runs the requests of one model, together where they arrive together. For the event loop alone.

    steady: whether company leaves each answer as it is, to the bit; otherwise use `run_now` alone.
    most_rows: of one run, so that the event loop is not held up for longer than milliseconds.
    """

    def __init__(self, predictor: Predictor, metrics: EndpointMetrics, *, steady: bool, most_rows: int) -> None:
        self._predictor = predictor
        self._metrics = metrics
        self.steady = steady
        self._most_rows = most_rows
        self._waiting: list[tuple[Blocks, asyncio.Future[Ran]]] = []

    def run_now(self, blocks: Blocks) -> Ran:
        """What the model gives for one request's rows, at most 50, alone."""
        began = perf_counter()
        outputs = self._predictor.run_once(blocks)
        ended = perf_counter()
        self._metrics.ran(blocks.rows)
        return Ran(outputs, began, ended)

    def run(self, blocks: Blocks) -> "asyncio.Future[Ran]":
        """The same, together with what arrives in this turn of the event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ran] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._run)
        self._waiting.append((blocks, future))
        return future

    def runs(self, requests: Sequence[Blocks], *, packs: bool = False) -> "Iterator[list[Ran | Exception]]":
        """What the model gives for each of several requests' rows, at most 50 each, run by run; for all of a run what
        it raised.

        packs: whether what ran together is packed for capture.
        """
        start = 0
        for stop in self._stops(requests):
            yield self._run_together(requests[start:stop], packs=packs)
            start = stop

    def _stops(self, requests: Sequence[Blocks]) -> Iterator[int]:
        """Where each run ends: as many requests as it may have rows, or one where the model is not steady."""
        rows = 0
        for at, blocks in enumerate(requests):
            if at and (not self.steady or rows + blocks.rows > self._most_rows):
                yield at
                rows = 0
            rows += blocks.rows
        yield len(requests)

    def _run(self) -> None:
        waiting = [item for item in self._waiting if not item[1].done()]  # done: cancelled, nobody waits
        self._waiting = []
        if not waiting:
            return
        rans = chain.from_iterable(self.runs([blocks for blocks, _ in waiting]))
        for (_, future), ran in zip(waiting, rans, strict=True):
            if isinstance(ran, Exception):
                future.set_exception(ran)
            else:
                future.set_result(ran)

    def _run_together(self, requests: Sequence[Blocks], *, packs: bool) -> "list[Ran | Exception]":
        """One run."""
        blocks = requests[0] if len(requests) == 1 else _joined(requests)
        inputs = _packed(blocks) if packs and len(requests) > 1 else None
        began = perf_counter()
        try:
            outputs = self._predictor.run_once(blocks)
        except Exception as error:  # noqa: BLE001 - raised again where each request is answered
            return [error] * len(requests)
        ended = perf_counter()
        self._metrics.ran(blocks.rows)
        if len(requests) == 1:
            return [Ran(outputs, began, ended)]
        rows = [len(own.number) for own in requests]
        together = None if inputs is None else Together(rows, inputs, outputs)
        answers: list[Ran | Exception] = []
        start = 0
        for own in rows:
            answers.append(Ran(rows_of(outputs, start, start + own), began, ended, together))
            start += own
        return answers


def is_steady(predictor: Predictor, rows: Blocks) -> bool:
    """Whether a model gives each of these rows the same bits alone and in company."""
    alone = [predictor.run_once(rows.slice(at, at + 1)) for at in range(rows.rows)]
    for size in (2, 3, 7, 16, rows.rows):
        for start in range(0, rows.rows, size):
            together = predictor.run_once(rows.slice(start, start + size))
            for at in range(min(size, rows.rows - start)):
                if not _same(alone[start + at], rows_of(together, at, at + 1)):
                    return False
    return True


def _packed(blocks: Blocks) -> bytes | None:
    """What was asked, packed; None if it cannot be: it is answered all the same, and each is captured alone."""
    try:
        return packed_inputs(blocks)
    except Exception:  # noqa: BLE001 - capture never costs an answer
        _log.exception("What was asked could not be packed for capture.")
        return None


def _joined(parts: Sequence[Blocks]) -> Blocks:
    return Blocks(*(np.concatenate(blocks) for blocks in zip(*parts, strict=True)))


def rows_of(outputs: Outputs, start: int, stop: int) -> Outputs:
    """The outputs of some rows of a run."""
    label, probabilities, prediction, _, _ = outputs
    if prediction is not None:
        return Outputs(None, None, prediction[start:stop])
    assert label is not None  # noqa: S101 - for the type checker: a task has these or a prediction
    assert probabilities is not None  # noqa: S101
    return Outputs(label[start:stop], probabilities[start:stop], None)


def _same(one: Outputs, other: Outputs) -> bool:
    """Whether outputs are the same to the bit; NaN is the same as NaN."""
    return all(
        a is b
        or (
            a is not None
            and b is not None
            and (a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes())
        )
        for a, b in zip(one, other, strict=True)
    )
