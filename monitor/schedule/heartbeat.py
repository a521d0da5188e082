"""The heartbeat of a monitor: it writes to the store that it is there, for whoever asks if schedules are followed."""

import os
import socket

from msgspec.structs import replace

from monitor.schedule.watch import utc_now
from storage.records import Monitor
from storage.store import Store


class Heartbeat:
    """Says that this process monitors a store: `beat` each `storage.monitors.BEAT_S`, and `end` at the end.

    id: no other monitor has it.
    """

    def __init__(self, store: Store, id: str) -> None:
        now = utc_now()
        self._store = store
        self._monitor = Monitor(id, socket.gethostname(), os.getpid(), now, now)

    def beat(self) -> None:
        """It is there. Raises StoreError if the store cannot be used."""
        self._store.monitors.beat(replace(self._monitor, seen_at=utc_now()))

    def end(self) -> None:
        """It is no more. Raises StoreError if the store cannot be used."""
        self._store.monitors.remove(self._monitor.id)
