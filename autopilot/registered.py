"""The version that a run registers: a safe model at once, better ones in its place, the best at the end."""

import threading
import time
from datetime import UTC, datetime

import msgspec
import polars as pl

from autopilot.events import Note, Observer, Published, Used
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.publish import Publisher, make_card, make_file, members_of, publish, reference_sample, used_of
from autopilot.scores import scores_of
from autopilot.search.assembly import Assembled
from autopilot.search.ensemble import single
from autopilot.search.study import Study
from autopilot.search.trial import Outcome
from autopilot.table.infer import Table
from storage.records import Member, ModelVersion, Run, Scores
from storage.store import Store

#: A better model is registered while the search goes on: the first at once, others after so many seconds at least, and
#: as many again as the run had lasted: whoever stops it loses no more than what the second half of its time gave.
_LEAST_BETWEEN_S = 10.0
#: Only while this many times what writing a file takes is left.
_LEAST_LEFT = 6.0
_EARLY = "Written while the search went on: trained on a part of the rows."


class Registered:
    """The run's version in the store, replaced by each better one; safe between threads."""

    def __init__(self, store: Store, run: Run, table: Table, started: float, observe: Observer) -> None:
        self._store, self._run, self._table, self.started = store, run, table, started
        self._observe = observe
        self._lock = threading.Lock()
        self.version = store.models.of_run(run.id)  # of a process before, which was interrupted
        self.file = b"" if self.version is None else store.models.read_file(self.version)

    def put(
        self,
        assembled: Assembled,
        members: tuple[Member, ...],
        scores: Scores,
        notes: tuple[str, ...],
        reference: pl.DataFrame,
        used: tuple[Used, ...] = (),
        head: Head = NO_HEAD,
    ) -> ModelVersion:
        """Register a model in the place of the one before. used: what it was made of; none for the constant guess."""
        seconds = time.monotonic() - self.started
        now = datetime.now(UTC)
        card = make_card(self._table, members, assembled, scores, notes, self._run, now=now, seconds=seconds)
        file = make_file(assembled, self._table.signature, card)
        with self._lock:
            replacing = self.version.version if self.version else None
            signature = self._table.signature
            self.version = publish(self._store, self._run.id, file, card, reference, signature, replacing=replacing)
            self.file = file
            published = self.version
        told = msgspec.to_builtins(head)
        self._observe(Published(published.name, published.version, card.digest, used, told))
        return published

    @property
    def is_guess(self) -> bool:
        """Whether it still is the constant guess."""
        return self.version is not None and all(one.candidate == "baseline" for one in self.version.card.members)

    def withdraw(self) -> None:
        """Take the version back: the run has no model that deserves the name."""
        if self.version is not None:
            self._store.models.withdraw(self.version)
            self.version = None


class EarlyModels:
    """Registers the best single model so far, in a thread beside the search, without training anything for it."""

    def __init__(
        self, study: Study, publisher: Publisher, registered: Registered, until: float, observe: Observer
    ) -> None:
        self._study, self._publisher, self._registered = study, publisher, registered
        self._until, self._observe = until, observe
        self._thread: threading.Thread | None = None
        self._last_at = 0.0
        self._last_number = 0

    def consider(self, outcomes: list[Outcome]) -> None:
        """Told of all complete outcomes, best first, after each trial."""
        best, now = outcomes[0], time.monotonic()
        baseline = next((one for one in outcomes if one.is_guess), None)
        is_due = not self._last_at or now - self._last_at > max(
            _LEAST_BETWEEN_S, self._last_at - self._registered.started
        )
        if baseline is None or best is baseline or best.spec.number == self._last_number or not is_due:
            return
        is_busy = self._thread is not None and self._thread.is_alive()
        if is_busy or self._until - now < _LEAST_LEFT * self._publisher.assembly_s([best]):
            return
        self._last_at, self._last_number = now, best.spec.number
        self._thread = threading.Thread(target=self._register, args=(best, baseline), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the last one."""
        if self._thread is not None:
            self._thread.join()

    def _register(self, best: Outcome, baseline: Outcome) -> None:
        try:
            self._put(best, baseline)
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost; the search goes on without it
            self._observe(Note(f"No better model could be registered while the search went on: {error}"))

    def _put(self, best: Outcome, baseline: Outcome) -> None:
        """With the model of its first part, which is kept of each trial."""
        blend = single(best)
        passed = self._publisher.attempt(blend, NO_HEAD, parts=best.parts[:1])
        if passed is not None:
            scores = scores_of(self._study, blend, NO_HEAD, baseline, None)
            reference = reference_sample(self._study, blend, NO_HEAD)
            members = members_of(passed.ingredients)
            self._registered.put(passed.assembled, members, scores, (_EARLY,), reference, used_of(passed))
