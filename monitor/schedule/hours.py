"""Keeping the hours: what each endpoint was sent and answered is profiled hour by hour, as long as its rows are there.

So any period of the past can be judged anew (`monitor.sketches`), by a schedule that nobody had thought of then.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from monitor.schedule.watch import utc_now
from monitor.sketches import Subject, keep_hours, subject_of
from monitor.sketches.hours import whole_hour
from storage.errors import AutopilotError
from storage.profiles import KEPT
from storage.records import Endpoint
from storage.store import Store

#: How far back is looked again and again. Traffic comes later than that only from a server that was killed and did not
#: start again for so long; the first look after a start finds it.
AGAIN = timedelta(days=2)

#: Hours before `KEPT` are profiled for a backtest of a time long past, which reads them within this.
READ_WITHIN = timedelta(days=1)

_log = logging.getLogger("monitor")


class _StoppedError(Exception):
    """The rest of the hours is for another time."""


class _Watched(NamedTuple):
    """A model version at an endpoint. variant: that has it; None is the main one, and all others with that version."""

    endpoint: str
    variant: str | None
    spec: str


class Hours:
    """Keeps the hours of all endpoints of a store, whatever schedules there are: `look` profiles what is new.

    What is wrong with one endpoint is logged once, and the others go on.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._stopped = threading.Event()
        self._subjects: dict[_Watched, Subject] = {}
        self._complaints: dict[_Watched, str] = {}

    def look(self) -> None:
        """Profile the hours that have ended and have traffic that no profile knows. Raises StoreError if the store
        cannot be used."""
        self._store.traffic.compact()
        for endpoint in self._store.endpoints.list():
            for watched in _watched(endpoint):
                self._keep(watched, endpoint)
            now = self._clock()
            self._store.profiles.forget(endpoint.name, now - KEPT, now - READ_WITHIN)

    def stop(self) -> None:
        """Have a look that is under way end after the hour that it is at."""
        self._stopped.set()

    def _keep(self, watched: _Watched, endpoint: Endpoint) -> None:
        now = self._clock()
        try:
            known = self._subjects.get(watched)
            start = whole_hour(now - (AGAIN if known else KEPT))
            if self._stopped.is_set() or not self._store.traffic.parts(endpoint.name, start, now):
                return
            subject = known or subject_of(self._store, endpoint.name, watched.variant)
            # A version has answered nothing before it was there, so that a new one need not look at a year of others.
            start = max(start, whole_hour(subject.version.created_at))
            keep_hours(self._store, subject, start, whole_hour(now), now=now, observe=self._go_on)
        except AutopilotError as error:
            self._complain(watched, str(error))
            return
        except _StoppedError:
            return
        self._complaints.pop(watched, None)
        self._forget_others(watched)
        self._subjects[watched] = subject

    def _go_on(self, done: int, of: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError

    def _forget_others(self, watched: _Watched) -> None:
        """Let go of the version that was served before."""
        for one in [one for one in self._subjects if one[:2] == watched[:2]]:
            del self._subjects[one]

    def _complain(self, watched: _Watched, reason: str) -> None:
        if self._complaints.get(watched) != reason:
            _log.warning("The hours of %r at endpoint %r are not profiled: %s", watched.spec, watched.endpoint, reason)
        self._complaints[watched] = reason


def _watched(endpoint: Endpoint) -> Iterator[_Watched]:
    """What an endpoint serves: its main version, and each variant that has another."""
    yield _Watched(endpoint.name, None, endpoint.main.spec)
    for variant in endpoint.variants:
        if variant.spec != endpoint.main.spec:
            yield _Watched(endpoint.name, variant.name, variant.spec)
