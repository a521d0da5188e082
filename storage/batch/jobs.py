"""Transforms as jobs of a store: asked for, looked at and stopped from any process; worked off by `serving.batch`."""

import hashlib
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from storage.batch import places
from storage.batch.plan import parts_folder, plan_of, refuse_existing
from storage.batch.transform import Progress, Summary, Transform, TransformJob
from storage.errors import DataError, InputError
from storage.records import Job, JobStatus
from storage.store import Store

_KIND = "batch"


def create(store: Store, transform: Transform, now: datetime) -> TransformJob:
    """Ask for a transform. Paths are taken from this process's folder.

    Looks whether it can be done before it is kept: raises UnknownNameError for the model, DataError if there is
    nothing to read, InputError for other options and for output that is there, FailureError if an object store does
    not answer.
    """
    return add(store, checked(store, transform), now)


def anywhere(place: str, asked: str) -> None:
    """Refuse no place: whoever asks may read and write what the process may."""


def checked(store: Store, transform: Transform, refuse: Callable[[str, str], None] = anywhere) -> Transform:
    """A transform that can be done, with paths that mean the same in another folder and a version of its model, so
    that it means the same later. Takes as long as an object store takes to list; raises what `create` raises.

    refuse: raises InputError for a place that may be neither read nor written, and names what was asked for instead,
    its second argument; is asked before anything is looked at.
    """
    try:
        transform = _absolute(transform)
        for place in (transform.source, transform.out):
            refuse(place, place)
        if transform.model.endswith(".onnx"):
            refuse(transform.model, transform.model)
        transform = replace(transform, model=_pinned(store, transform.model))
        plan = plan_of(transform)
        for one in plan.inputs:  # links may lead out of a folder
            refuse(one.place, transform.source)
        for output in plan.outputs:
            refuse(output.place, transform.out)
        if not (transform.resume and parts_folder(transform.out, scratch_of(store, transform.out)).is_dir()):
            refuse_existing(plan)  # otherwise the worker does, which knows what of it is its own
    except InputError as error:
        error.args = (in_words_of_jobs(str(error)),)
        raise
    return transform


_OPTION = re.compile(r"(?<!\S)--(overwrite|resume|columns|format)\b")


def in_words_of_jobs(message: str) -> str:
    """A message with fields of a job in place of options of the command line.

    >>> in_words_of_jobs("Name another, or replace it by --overwrite.")
    'Name another, or replace it by "overwrite": true.'
    """
    return _OPTION.sub(_field, message)


def summary_of_job(summary: Summary) -> Summary:
    """A summary whose reasons speak of fields of a job."""
    told = (replace(one, reason=in_words_of_jobs(one.reason)) if one.reason else one for one in summary.files)
    return replace(summary, files=tuple(told))


def _field(option: re.Match[str]) -> str:
    name = option.group(1)
    return f'"{name}"' if name in ("columns", "format") else f'"{name}": true'


def add(store: Store, transform: Transform, now: datetime) -> TransformJob:
    """Keep a transform that was checked as a job."""
    return view(store.jobs.create(_KIND, msgspec.json.encode(transform).decode(), now))


def get(store: Store, job_id: str) -> TransformJob:
    """A transform by the id of its job. Raises UnknownNameError."""
    return view(store.jobs.get(job_id, _KIND))


def list_jobs(
    store: Store, *, status: JobStatus | None = None, limit: int = 100, before: str | None = None
) -> list[TransformJob]:
    """Transforms, the newest first. before: id of the last one that was seen. Raises UnknownNameError for that."""
    return [view(job) for job in store.jobs.list(kind=_KIND, status=status, limit=limit, before=before)]


def stop(store: Store, job_id: str, now: datetime) -> TransformJob:
    """Stop a transform: it ends within a second, and nothing but whole files is left of it.

    Raises UnknownNameError, and InputError if it has ended by itself.
    """
    before = store.jobs.get(job_id, _KIND)
    stopped = view(store.jobs.stop(job_id, now, _KIND))
    if before.lease_until is None or before.lease_until <= now:  # nobody works on it who would clear up
        clear(store, stopped)
    return stopped


def rows_under_way(store: Store) -> int:
    """Rows that running transforms have scored so far."""
    running = list_jobs(store, status="running")
    return sum(job.progress.rows for job in running if job.progress is not None)


def clear(store: Store, job: TransformJob) -> None:
    """Let go of the parts of a job that will not go on."""
    shutil.rmtree(parts_folder(job.transform.out, scratch_of(store, job.transform.out)), ignore_errors=True)


def scratch_of(store: Store, out: str) -> Path:
    """Where a job keeps what is not whole yet, if its output is in an object store: another into it finds that."""
    return store.work.path(f"batch-{hashlib.sha256(out.encode()).hexdigest()[:16]}")


def view(job: Job) -> TransformJob:
    """A job as its fields mean it."""
    return TransformJob(
        id=job.id,
        status=job.status,
        transform=msgspec.json.decode(job.spec, type=Transform),
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        attempts=job.attempts,
        reason=job.reason,
        progress=msgspec.json.decode(job.progress, type=Progress) if job.progress else None,
        result=msgspec.json.decode(job.result, type=Summary) if job.result else None,
    )


def _absolute(transform: Transform) -> Transform:
    """With paths that mean the same to a process in another folder; the slash at a folder's end is kept."""
    source, out = (
        place if places.is_address(place) else str(places.path_of(place).absolute()) + "/" * place.endswith("/")
        for place in (transform.source, transform.out)
    )
    return replace(transform, source=source, out=out)


def _pinned(store: Store, model: str) -> str:
    """A model file's path, or the version that a name means now."""
    if not model.endswith(".onnx"):
        version = store.models.get(model)
        return f"{version.name}:{version.version}"
    if not Path(model).is_file():
        raise DataError(f"There is no model file {model!r}. Give the path of an .onnx file, or a registered name.")
    return str(Path(model).absolute())
