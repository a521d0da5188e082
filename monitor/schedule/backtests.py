"""Backtests that were asked for over HTTP: jobs of the store, claimed and made one at a time."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from monitor.schedule.watch import LEASE_S, owner_of_process, utc_now
from monitor.sketches import backtest
from storage.backtests import Backtest, BacktestProgress, spec_of
from storage.errors import AutopilotError
from storage.records import Job
from storage.store import Store

_log = logging.getLogger("monitor")


class _GivenUpError(Exception):
    """The job is stopped or another's by now, or this process ends."""


class Backtests:
    """Makes the backtests that wait in a store: `look` in one thread, while another calls `renew` each second."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self.owner = owner_of_process()
        self._store = store
        self._clock = clock
        self._job: Job | None = None
        self._progress: BacktestProgress | None = None
        self._lost: Job | None = None
        self._is_over = False

    def look(self) -> None:
        """Make those that wait, one after the other. Raises StoreError if the store cannot be used."""
        while not self._is_over and (job := self._claim()) is not None:
            self._progress, self._job = None, job
            try:
                self._make(job)
            finally:
                self._job = None

    def renew(self) -> None:
        """Say that this process still works on what it has claimed, and how far it is. Raises StoreError if the store
        cannot be used."""
        job = self._job
        if job is not None:
            progress = msgspec.json.encode(self._progress).decode() if self._progress else None
            is_ours = self._store.jobs.renew(job.id, self.owner, self._clock(), lease_s=LEASE_S, progress=progress)
            self._lost = self._lost if is_ours else job

    def stop(self) -> None:
        """Have the backtest under way given back after the hour that it is at, for another monitor."""
        self._is_over = True

    def _claim(self) -> Job | None:
        now = self._clock()
        if not self._store.jobs.waits("backtest", now):
            return None
        return self._store.jobs.claim("backtest", self.owner, now, lease_s=LEASE_S)

    def _make(self, job: Job) -> None:
        try:
            result = self._result_of(job)
        except _GivenUpError:
            self._store.jobs.release(job.id, self.owner)  # which does nothing to one that was stopped
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this job and must not stop others
            reason = str(error) if isinstance(error, AutopilotError) else f"{type(error).__name__}: {error}"
            _log.warning("Backtest %s failed: %s", job.id, reason)
            self._store.jobs.finish(job.id, self.owner, self._clock(), "failed", reason=reason)
        else:
            told = msgspec.json.encode(result).decode()
            self._store.jobs.finish(job.id, self.owner, self._clock(), "completed", result=told)

    def _result_of(self, job: Job) -> Backtest:
        spec = spec_of(job)
        return backtest(self._store, spec.schedule, spec.start, spec.end, now=self._clock(), observe=self._observe)

    def _observe(self, step: Literal["profiled", "read"], hours: int, of: int) -> None:
        self._progress = BacktestProgress(step, hours, of)
        if self._is_over or self._lost is self._job:
            raise _GivenUpError
