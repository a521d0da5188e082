"""Working off jobs, one after the other, in this process."""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn

import msgspec

from storage.batch import Progress, Summary
from storage.batch.engine import transform_files
from storage.batch.jobs import clear, in_words_of_jobs, scratch_of, summary_of_job, view
from storage.errors import AutopilotError, StoreError
from storage.predictor import Predictor
from storage.records import Job
from storage.store import Store

#: How long nobody else takes a job whose worker is silent.
LEASE_S = 10.0
_RENEW_S = 1.0
_LOOK_S = 0.2  # for a stop: it is promised within a second

_log = logging.getLogger(__name__)


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def work_off(store: Store, owner: str, *, once: bool, most_running: int = 1) -> None:
    """Claim jobs and run them until there are none; then wait for more, unless `once`.

    What ends this from outside (SIGTERM, Ctrl-C) gives the job back, to be gone on with by another worker.
    """
    while True:
        job = store.jobs.claim("batch", owner, now(), lease_s=LEASE_S, most_running=most_running)
        if job is not None:
            _run(store, job, owner)
        elif once:
            return
        else:
            time.sleep(_RENEW_S)


def _run(store: Store, job: Job, owner: str) -> None:
    _log.info("Job %s: attempt %s", job.id, job.attempts)
    try:
        with _Lease(store, job, owner) as lease:
            summary = _transform(store, job, lease.note)
        _finish(store, job, owner, summary)
    except AutopilotError as error:
        store.jobs.finish(job.id, owner, now(), "failed", reason=in_words_of_jobs(str(error)))
    except Exception as error:  # noqa: BLE001 - a defect ends this job, and not those that wait
        _log.exception("Job %s failed", job.id)
        store.jobs.finish(job.id, owner, now(), "failed", reason=f"{type(error).__name__}: {error}")
    except BaseException:
        store.jobs.release(job.id, owner)
        raise


def _transform(store: Store, job: Job, observe: Callable[[Progress], None]) -> Summary:
    transform = view(job).transform
    is_file = transform.model.endswith(".onnx")
    predictor = (
        Predictor.open(transform.model)
        if is_file
        else Predictor(store.models.read_file(store.models.get(transform.model)))
    )
    resume = job.attempts > 1 or not transform.overwrite
    return transform_files(
        predictor, transform, observe=observe, resume=resume, scratch=scratch_of(store, transform.out)
    )


def _finish(store: Store, job: Job, owner: str, summary: Summary) -> None:
    summary = summary_of_job(summary)
    result, reason = msgspec.json.encode(summary).decode(), None
    if failed := summary.failed:
        reason = f"{len(failed)} of {len(summary.files)} files could not be scored. The first: {failed[0].reason}"
    status = "failed" if failed else "completed"
    store.jobs.finish(job.id, owner, now(), status, result=result, reason=reason)
    _log.info("Job %s %s: %s rows in %.1f s", job.id, status, summary.rows, summary.seconds)


class _Lease:
    """Keeps a job while it is worked on, from a thread; ends this process when the job is stopped, or another's."""

    def __init__(self, store: Store, job: Job, owner: str) -> None:
        self._store, self._job, self._owner = store, job, owner
        self._progress: Progress | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def note(self, progress: Progress) -> None:
        """Take note of how far the job is."""
        self._progress = progress

    def __enter__(self) -> "_Lease":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        if kind is None:
            self._renew()  # so that the last progress stays

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._is_over.wait(_LOOK_S):
            is_due = time.monotonic() - renewed >= _RENEW_S
            try:
                is_ours = self._renew() if is_due else self._is_ours()
            except StoreError:  # a full disk, say: until nobody can know whose the job is
                is_ours = time.monotonic() - renewed < LEASE_S
            else:
                renewed = time.monotonic() if is_due else renewed
            if not is_ours:
                self._leave()

    def _renew(self) -> bool:
        progress = msgspec.json.encode(self._progress).decode() if self._progress else None
        return self._store.jobs.renew(self._job.id, self._owner, now(), lease_s=LEASE_S, progress=progress)

    def _is_ours(self) -> bool:
        job = self._store.jobs.get(self._job.id)
        return job.status == "running" and job.owner == self._owner

    def _leave(self) -> NoReturn:
        """At once: parts on disk are whole, and there is no other way to interrupt a run of a model."""
        job = view(self._store.jobs.get(self._job.id))
        if job.status == "stopped":
            clear(self._store, job)
        os._exit(0)
