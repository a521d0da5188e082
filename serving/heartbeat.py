"""The heartbeat of a server: each two seconds it writes to the store that it is there, which revision of each endpoint
it serves or why it cannot, and what it has counted. A change of what it serves is told at once."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from serving.endpoints import LiveEndpoints
from storage import AutopilotError, Store
from storage.records import Server, Tally
from storage.servers import BEAT_S

_PAUSE_S = 0.25  # between two beats, however much changes

_log = logging.getLogger(__name__)

#: What a server has counted since it was last asked, given its id and the time.
Teller = Callable[[str, datetime], Iterable[Tally]]


class Heartbeat:
    """Says that this server process is there. Use it as a context: leaving it tells the last counts, and that it ends.

    id: of the server, drawn when it starts: a process that is started again is another server. url: where it answers.
    tellers: are asked at each beat, and in the end; what they give is written again if the store could not be written.
    """

    def __init__(
        self, store: Store, live: LiveEndpoints, url: str | None = None, tellers: Iterable[Teller] = ()
    ) -> None:
        self.id = uuid.uuid4().hex
        self.tellers: list[Teller] = [live.shadows.news, *tellers]
        self._store = store
        self._live = live
        self._url = url
        self._started_at = datetime.now(UTC)
        self._untold: dict[tuple[str, str], Tally] = {}
        self._is_heard = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self.beat(datetime.now(UTC))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._live.changed.set()
        self._thread.join()
        self.beat(datetime.now(UTC))
        try:
            self._store.servers.remove(self.id)
        except AutopilotError as error:
            _log.warning("This server ends, and the store could not be told: %s It will be forgotten in 10 s.", error)

    def beat(self, now: datetime) -> None:
        """Write what is to be told. A store that cannot be written is told once to the log, and tried again."""
        for tell in self.tellers:
            self._untold |= {(tally.subject, tally.variant): tally for tally in tell(self.id, now)}
        server = Server(
            self.id, socket.gethostname(), os.getpid(), self._started_at, now, self._live.serving, self._url
        )
        try:
            self._store.servers.beat(server, list(self._untold.values()))
        except AutopilotError as error:
            if self._is_heard:
                _log.error("The store cannot be told that this server is there: %s", error)
            self._is_heard = False
            return
        self._is_heard = True
        self._untold.clear()
        self._live.forget_counts()

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self._live.changed.wait(BEAT_S - _PAUSE_S)
            self._live.changed.clear()
            if self._stopping.is_set():
                return
            try:
                self.beat(datetime.now(UTC))
            except Exception:  # noqa: BLE001 - a server that does not tell what it serves is taken for dead
                _log.exception("The heartbeat failed; the next is in %s s.", BEAT_S)
