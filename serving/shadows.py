"""Shadow variants: run what was asked of others, and compare; nobody gets their answers.

    event loop, after an answer         thread
    watch() ── is it in the share ──── queue ──── run the shadow ──── compare ──── tallies

Nothing waits for a shadow. The queue is short: when the thread does not keep up, requests are skipped and counted, and
what is answered is as fast as without. One thread runs all shadows of a process, one request at a time, so that they
never have more than one core.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from serving.routes import Route, place_of
from storage.boundary import Blocks
from storage.predictor import Outputs
from storage.records import Tally
from storage.shadows import ShadowTally, encoded, subject_of
from storage.signature import BLOCKS, Signature

if TYPE_CHECKING:
    from serving.endpoints import Answered, LiveVariant, Watcher

_MOST_WAITING = 256  # requests; at 1 ms for each a shadow is a quarter of a second behind
_MOST_CELLS = 1_000_000  # that wait before the last: 25,000 rows of 40 columns, some tens of MB

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """What one tally is of. subject: the endpoint's revision, as in the store. against: the version that answered."""

    subject: str
    endpoint: str
    shadow: str
    model: str
    against: str


class _Task(NamedTuple):
    """One request that a shadow is to run. seconds: of the run that answered it."""

    shadow: "LiveVariant"
    columns: "Columns"
    key: Key
    blocks: Blocks
    outputs: Outputs
    seconds: float


class Shadows:
    """Runs the shadows of one process, and counts. Use it as a context: leaving it drops what waits."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._taken_cells = 0  # written by the event loop alone, as `skipped` of a tally is,
        self._done_cells = 0  # and this by the thread alone, as the other counts: no lock where answers are made
        self._tallies: dict[Key, ShadowTally] = {}
        self._told: dict[Key, tuple[int, int]] = {}
        self._lock = threading.Lock()  # of the two above, and of what the thread counts
        self._is_leaving = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Shadows":
        return self

    def __exit__(self, *_: object) -> None:
        self._is_leaving = True
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def watchers(self, route: Route, answering: "LiveVariant") -> "list[Watcher]":
        """What a production variant of an endpoint tells its answers to: one for each shadow that sees any."""
        return [self._watcher(route, answering, shadow) for shadow in route.shadows.values() if shadow.variant.weight]

    @property
    def tallies(self) -> Mapping[Key, ShadowTally]:
        """What was counted since the start; a snapshot."""
        with self._lock:
            return dict(self._tallies)

    def news(self, server_id: str, now: datetime) -> Iterable[Tally]:
        """What has been counted, of each shadow of which there is something new since it was last asked."""
        with self._lock:
            changed = {key for key, tally in self._tallies.items() if self._told.get(key, (0, 0)) != _progress(tally)}
            self._told |= {key: _progress(self._tallies[key]) for key in changed}
            return [
                Tally(subject, server_id, shadow, now, encoded(self._of(subject, shadow)))
                for subject, shadow in sorted({(key.subject, key.shadow) for key in changed})
            ]

    def keep(self, subjects: Iterable[str]) -> None:
        """Forget what was counted of other revisions than these, once it has been told."""
        wanted = set(subjects)
        with self._lock:
            for key, tally in list(self._tallies.items()):
                if key.subject not in wanted and self._told.get(key, (0, 0)) == _progress(tally):
                    del self._tallies[key]
                    self._told.pop(key, None)

    def _of(self, subject: str, shadow: str) -> list[ShadowTally]:
        return [tally for key, tally in self._tallies.items() if (key.subject, key.shadow) == (subject, shadow)]

    def _watcher(self, route: Route, answering: "LiveVariant", shadow: "LiveVariant") -> "Watcher":
        columns = Columns(answering.signature, shadow.signature)
        key = Key(
            subject_of(route.record),
            route.record.name,
            shadow.variant.name,
            shadow.variant.spec,
            answering.variant.spec,
        )
        purpose, share, tally = f"sh{shadow.variant.name}".encode()[:16], shadow.variant.weight, self._tally(key)

        def watch(answered: "Answered") -> None:
            if share < 1 and place_of(answered.inference_id, purpose) >= share:
                return
            if self._queue.qsize() >= _MOST_WAITING or self._taken_cells - self._done_cells > _MOST_CELLS:
                tally.skipped += 1
                return
            self._taken_cells += _cells(answered.blocks)
            _, _, queued, ran, _ = answered.times
            self._queue.put(_Task(shadow, columns, key, answered.blocks, answered.outputs, ran - queued))

        return watch

    def _tally(self, key: Key) -> ShadowTally:
        """The counts under a key; who counts the first has the thread begin."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadows", daemon=True)
                self._thread.start()
            return self._tallies.setdefault(key, ShadowTally(key.model, key.against))

    def _run(self) -> None:
        while (task := self._queue.get()) is not None and not self._is_leaving:
            began = perf_counter()
            try:
                outputs = task.shadow.predictor.run(task.columns.pick(task.blocks))
                seconds, error = perf_counter() - began, None
                compared = compare(task.outputs, outputs)
            except Exception as failure:  # noqa: BLE001 - whatever a shadow does, it is counted, and the next is run
                seconds, error, compared = 0.0, failure, None
            self._done_cells += _cells(task.blocks)
            with self._lock:
                tally = self._tallies.setdefault(task.key, ShadowTally(task.key.model, task.key.against))
                if compared is None:
                    tally.failed += 1
                    tally.error = f"{type(error).__name__}: {error}"[:300]
                else:
                    _count(tally, task, compared, seconds)


class Compared(Struct, frozen=True):
    """Two answers to the same rows: rows of the same label, rows of which a difference can be told, their sum, and the
    greatest."""

    agreed: int
    differences: int
    difference_sum: float
    difference_max: float


def compare(one: Outputs, other: Outputs) -> Compared:
    """How far two models' answers to the same rows are apart.

    Of probabilities a row's difference is that of the class which differs most. Rows where either is no finite number
    have none.

    >>> ours = Outputs(np.array(["a", "b"]), np.array([[0.9, 0.1], [0.25, 0.75]], np.float32), None)
    >>> theirs = Outputs(np.array(["a", "a"]), np.array([[0.9, 0.1], [0.75, 0.25]], np.float32), None)
    >>> compare(ours, theirs)
    Compared(agreed=1, differences=2, difference_sum=0.5, difference_max=0.5)
    """
    with np.errstate(invalid="ignore", over="ignore"):
        if one.label is None or one.probabilities is None:
            return _compared(0, np.abs(np.asarray(one.prediction) - np.asarray(other.prediction)))
        agreed = int(np.count_nonzero(one.label == other.label))
        apart = np.abs(one.probabilities.astype(np.float64) - np.asarray(other.probabilities))
        return _compared(agreed, apart.max(axis=1))


def _compared(agreed: int, apart: NDArray[np.float64]) -> Compared:
    finite = apart[np.isfinite(apart)]
    return Compared(agreed, len(finite), float(finite.sum()), float(finite.max(initial=0.0)))


def _count(tally: ShadowTally, task: _Task, compared: Compared, seconds: float) -> None:
    tally.requests += 1
    tally.rows += task.blocks.rows
    tally.agreed += compared.agreed
    tally.differences += compared.differences
    tally.difference_sum += compared.difference_sum
    tally.difference_max = max(tally.difference_max, compared.difference_max)
    tally.shadow.add(seconds)
    tally.production.add(task.seconds)


def _progress(tally: ShadowTally) -> tuple[int, int]:
    """What grows with each event: two tallies of the same progress are the same."""
    return tally.requests, tally.skipped + tally.failed


def _cells(blocks: Blocks) -> int:
    return blocks.number.size + blocks.text.size + blocks.time.size


class Columns:
    """Where a shadow's columns are among those of the variant that answers, block by block."""

    def __init__(self, answering: Signature, shadow: Signature) -> None:
        self._places: list[Sequence[int] | None] = []
        for block in BLOCKS:
            there, wanted = answering.block(block), shadow.block(block)
            self._places.append(None if there == wanted else [there.index(name) for name in wanted])

    def pick(self, blocks: Blocks) -> Blocks:
        """The shadow's blocks, of those of the variant that answers."""
        picked: list[Any] = [
            block if places is None else block[:, places] for block, places in zip(blocks, self._places, strict=True)
        ]
        return Blocks(*picked)
