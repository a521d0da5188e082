"""The tape of a run: its events in the store, written as they happen and read by whoever goes on from them."""

import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from autopilot.events import Event, Observer, TrialEnded, Working, event_of
from storage.records import RunEvent
from storage.store import Store


class Tape:
    """Writes each event to the store before it passes it on; threads may share it."""

    def __init__(self, store: Store, run_id: str, observe: Observer) -> None:
        self._store, self._run_id, self._observe = store, run_id, observe
        self._lock = threading.RLock()  # who listens here gets events in the order in which they are kept

    def begin(self, spent_s: float) -> None:
        """This process works on the run from here on."""
        self.write(Working(os.getpid(), spent_s))

    def write(self, event: Event) -> None:
        """On disk when this returns; an ended trial is a record of its own, too."""
        with self._lock:
            if isinstance(event, TrialEnded):
                self._store.runs.add_trial(event.trial)
            body = msgspec.json.encode(event).decode()
            record = self._store.runs.add_event(self._run_id, datetime.now(UTC), type(event).__name__, body)
            self._observe(event_of(record) or event)  # as any other reader gets it


def read_tape(store: Store, run_id: str) -> list[Event]:
    """All events of a run that this version knows, in their order."""
    found = (event_of(record) for record in store.runs.events(run_id))
    return [event for event in found if event is not None]


def spent_s(records: Sequence[RunEvent]) -> float:
    """Seconds that processes have worked on a run; what lay between a kill and a resume does not count."""
    total_s, began = 0.0, None
    for record in records:
        event = event_of(record)
        if isinstance(event, Working):
            total_s, began = event.spent_s, record.at
    return total_s if began is None else total_s + (records[-1].at - began).total_seconds()
