"""Doing a run again from its tape: the same trainings with the same steps, and the same model to the bit."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import onnx
from msgspec import Struct

from autopilot.errors import TapeError
from autopilot.events import (
    Asked,
    Checked,
    Divided,
    Event,
    Note,
    Observer,
    PartTrained,
    Published,
    RefitEnded,
    TrialStarted,
    Used,
)
from autopilot.fit import PRELOAD, observing, read_whole, table_of, worker_count
from autopilot.metrics import Metric, metric_named
from autopilot.table.read import digest
from autopilot.tape import read_tape
from autopilot.workers import Shared, Workers, open_workers
from storage.errors import InputError
from storage.records import Run
from storage.settings import Settings
from storage.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from autopilot.candidates import Candidate
    from autopilot.search.study import Study
    from autopilot.search.trial import Spec
    from autopilot.table.infer import Table


class Replayed(Struct, frozen=True):
    """What came of a replay.

    expected, digest: of the graph that was published, and of the one that came now. trainings: that were done again.
    differing: in words, those whose predictions were not the same to the bit.
    """

    run: str
    model: str
    version: int
    expected: str
    digest: str
    trainings: int
    differing: tuple[str, ...]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether everything was, to the bit."""
        return self.digest == self.expected and not self.differing


def replay(
    run_id: str,
    data: Any = None,
    *,
    store: str | Path | Store | None = None,
    candidates: "Sequence[Candidate]" = (),
    metric: Metric | None = None,
    everything: bool = False,
    progress: bool | Observer = True,
) -> Replayed:
    """Train a run's model again by its tape, and compare.

    A time limit ends trainings where the machine had got to; the tape holds what each was told of the time, so that the
    same steps are done again, whatever they take now and on however many workers. Trained again is what the published
    model was made of, or with `everything` each part of each trial that ended.

    run_id: of a run that has ended. data: the same table, where the run's path is not there any more, or where it was
    given as an object. candidates, metric: the user's own, if the run had any. store, progress: as of `fit`.

    Raises InputError for a run that has not ended and for other data, TapeError for a run without a tape and where the
    same training does not do the same steps, as with other versions of the libraries.
    """
    began = time.monotonic()
    opened = Store.open(Settings.load().store if store is None else store)
    run = opened.runs.get(run_id)
    if run.status != "completed":
        raise InputError(f"Run {run_id!r} is {run.status}; only one that has ended can be replayed.")
    recorded = _Recorded.of(read_tape(opened, run_id), run)
    asked = recorded.asked
    place = run.data if data is None else data
    frame = read_whole(place, asked.columns, asked.delimiter, sensitive=bool(asked.sensitive))
    if digest(frame) != run.data_digest:
        raise InputError(f"The data are not those of run {run_id!r}: {run.data}. Give the same rows and columns.")
    table = table_of(frame, run.target, asked, recorded.checked)
    own = metric or metric_named(_known(run.metric), table.signature.task, table.signature.classes)
    with (
        observing(progress) as observe,
        open_workers(None, worker_count(), None, preload=PRELOAD) as workers,
        tempfile.TemporaryDirectory(prefix="autopilot-", ignore_cleanup_errors=True) as folder,
    ):
        again = _Again(run, recorded, table, own, workers, Path(folder), candidates, observe)
        found = again.guess() if not recorded.published.used else again.model(everything=everything)
    published = recorded.published
    return Replayed(
        run_id,
        published.model,
        published.version,
        published.digest,
        found,
        again.trainings,
        tuple(again.differing),
        time.monotonic() - began,
    )


def _known(metric: str) -> str:
    """The metric, if it is one of ours; else that of the task: scores of a user's own are not compared."""
    from autopilot.metrics import METRICS

    return metric if metric in METRICS else "auto"


class _Recorded(NamedTuple):
    """What a tape says, by what it says it of."""

    asked: Asked
    checked: Checked | None
    divided: Divided | None
    starts: dict[int, TrialStarted]
    parts: dict[tuple[int, str], PartTrained]
    refits: dict[int, RefitEnded]
    published: Published

    @classmethod
    def of(cls, events: Sequence[Event], run: Run) -> "_Recorded":
        asked = [event for event in events if isinstance(event, Asked)]
        published = [event for event in events if isinstance(event, Published)]
        if not asked or not published:
            raise TapeError(f"Run {run.id!r} has no tape: an earlier version of autopilot made it. Fit again.")
        return cls(
            asked[0],
            next((event for event in events if isinstance(event, Checked)), None),
            next((event for event in events if isinstance(event, Divided)), None),
            {event.number: event for event in events if isinstance(event, TrialStarted)},
            {(event.number, event.part): event for event in events if isinstance(event, PartTrained)},
            {event.number: event for event in events if isinstance(event, RefitEnded)},
            published[-1],
        )


class _Again:
    """Does recorded trainings again. trainings: how many; differing: which were not the same."""

    def __init__(
        self,
        run: Run,
        recorded: _Recorded,
        table: "Table",
        metric: Metric,
        workers: Workers,
        folder: Path,
        candidates: "Sequence[Candidate]",
        observe: Observer,
    ) -> None:
        self._run, self._recorded, self._table, self._metric = run, recorded, table, metric
        self._workers, self._folder, self._observe = workers, folder, observe
        self._own = {candidate.name: candidate for candidate in candidates}
        self.trainings = 0
        self.differing: list[str] = []

    def guess(self) -> str:
        """The digest of the constant guess, which needs no trial."""
        from autopilot.card import digest_of
        from autopilot.safe import SafeModel

        graph = SafeModel(self._table, self._metric, self._run.seed).assembled.graph
        return digest_of(onnx.load_from_string(graph))

    def model(self, *, everything: bool) -> str:
        """The digest of the published model, trained again."""
        from autopilot.card import digest_of
        from autopilot.graph.calibration import Head
        from autopilot.search.assembly import Ingredient, assemble
        from autopilot.search.matrices import Part

        published = self._recorded.published
        study = self._study()
        study.save(self._folder)
        shared = self._workers.share(self._folder)
        wanted = [(used.number, used.part) for used in published.used]
        others = [key for key in self._recorded.parts if everything and key not in wanted]
        futures = {key: self._submit(shared, study, *key) for key in [*wanted, *others]}
        fitted = {key: self._take(key, future) for key, future in futures.items()}

        def ingredient(used: Used) -> Ingredient:
            spec, part = self._spec(study, used.number), Part.of_key(used.part)
            return Ingredient(spec, part, used.weight, fitted[used.number, used.part])

        head = msgspec.convert(published.head, Head)
        assembled = self._workers.submit(assemble, shared, tuple(map(ingredient, published.used)), head).result()
        return digest_of(onnx.load_from_string(assembled.graph))

    def _study(self) -> "Study":
        from autopilot.search.folds import Scheme, divide
        from autopilot.search.study import Study

        if self._recorded.divided is None:
            raise TapeError(f"The tape of run {self._run.id!r} does not tell how its rows were divided. Fit again.")
        scheme = msgspec.convert(self._recorded.divided.scheme, Scheme)
        table, seed = self._table, self._run.seed
        folds = divide(table.y, scheme, seed, table.groups, table.times)
        return Study.of(table, folds, self._metric, seed, balanced=self._recorded.asked.balanced)

    def _spec(self, study: "Study", number: int) -> "Spec":
        from autopilot.candidates import choose
        from autopilot.search.trial import Spec

        start = self._recorded.starts[number]
        candidate = self._own.get(start.candidate) or choose([start.candidate])[0]
        return Spec(number, candidate, start.params, study.seed + number)

    def _submit(self, shared: Shared, study: "Study", number: int, part: str) -> "Future[Any]":
        from autopilot.search.assembly import refit
        from autopilot.search.matrices import ALL, Part
        from autopilot.search.trial import Wanted, train_part

        self.trainings += 1
        spec = self._spec(study, number)
        if part == ALL.key:
            told = self._recorded.refits[number]
            return self._workers.submit(refit, shared, spec, told.rounds, 0.0, told.answers)
        wanted = Wanted(fitted=True, latency=False, plan_latency=False)
        answers = self._recorded.parts[number, part].answers
        return self._workers.submit(train_part, shared, spec, Part.of_key(part), 0.0, wanted, answers)

    def _take(self, key: tuple[int, str], future: "Future[Any]") -> bytes:
        """The fitted model; where its predictions differ from what was recorded, that is noted."""
        from autopilot.search.kept import digest_of

        found = future.result()
        told = self._recorded.parts.get(key)
        if told is not None and digest_of(found.valid) != told.digest:
            self.differing.append(f"trial {key[0]} on {key[1]}")
            self._observe(Note(f"Trial {key[0]} on {key[1]} does not predict what it did."))
        return found.fitted
