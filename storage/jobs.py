"""Jobs: long work that was asked for, claimed by one process at a time with a lease, and followed by whoever looks."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import JSON, ColumnElement, Connection, and_, delete, func, null, or_, select, type_coerce, update

from storage.database import Database, insert_record, record_of
from storage.errors import InputError, UnknownNameError
from storage.records import Job, JobKind, JobStatus
from storage.tables import jobs

#: A job whose process died so often kills each of them: it is not begun again.
MOST_ATTEMPTS = 3


class Jobs:
    """Job records. Whoever works on one renews its lease; when a lease ends, another may claim the job.

    Only the owner of a job can renew, release or finish it: each of these tells by False that it is another's by now,
    or was stopped.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: JobKind, spec: str, now: datetime) -> Job:
        """Ask for work; it waits until a process claims it."""
        job = Job(f"{kind}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}", kind, "queued", spec, now)
        with self._database.write() as connection:
            insert_record(connection, jobs, job)
        return job

    def get(self, job_id: str, kind: JobKind | None = None) -> Job:
        """A job by id. kind: that it has to be of. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, job_id, kind)

    def waits(self, kind: JobKind, now: datetime, *, most_running: int = 1) -> bool:
        """Whether `claim` would find one, or has one to give up."""
        with self._database.read() as connection:
            if _count_running(connection, kind, now) >= most_running:
                return False
            query = select(jobs.c.id).where(jobs.c.kind == kind, _is_free(now)).limit(1)
            return connection.execute(query).first() is not None

    def claim(self, kind: JobKind, owner: str, now: datetime, *, lease_s: float, most_running: int = 1) -> Job | None:
        """Take the oldest job that waits, or whose owner's lease has ended; None if there is none to take.

        most_running: none is given while so many run. A job that was begun three times and whose owner died each time
        is failed, and not given.
        """
        with self._database.write() as connection:
            _give_up(connection, kind, now)
            if _count_running(connection, kind, now) >= most_running:
                return None
            free = select(jobs).where(jobs.c.kind == kind, _is_free(now)).order_by(jobs.c.created_at, jobs.c.id)
            row = connection.execute(free.limit(1)).mappings().first()
            if row is None:
                return None
            changes = {
                "status": "running",
                "owner": owner,
                "lease_until": now + timedelta(seconds=lease_s),
                "attempts": row["attempts"] + 1,
                "started_at": row["started_at"] or now,
            }
            connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(changes))
            return record_of(Job, {**row, **changes})

    def renew(self, job_id: str, owner: str, now: datetime, *, lease_s: float, progress: str | None) -> bool:
        """Keep a job for so much longer, and tell how far it is."""
        until = now + timedelta(seconds=lease_s)
        return self._change_own(job_id, owner, {"lease_until": until, "progress": progress})

    def release(self, job_id: str, owner: str) -> bool:
        """Give a job back, to be gone on with by another at once; the attempt does not count."""
        changes = {"status": "queued", "owner": None, "lease_until": None, "attempts": jobs.c.attempts - 1}
        return self._change_own(job_id, owner, changes)

    def expire(self, owner: str, now: datetime) -> None:
        """End the leases of an owner that is known to have died, so that nobody waits for it."""
        with self._database.write() as connection:
            own = and_(jobs.c.owner == owner, jobs.c.status == "running", jobs.c.lease_until > now)
            connection.execute(update(jobs).where(own).values(lease_until=now))

    def finish(
        self,
        job_id: str,
        owner: str,
        now: datetime,
        status: JobStatus,
        *,
        result: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Tell how a job ended."""
        changes = {"status": status, "ended_at": now, "result": result, "reason": reason, "lease_until": None}
        return self._change_own(job_id, owner, changes)

    def stop(self, job_id: str, now: datetime, kind: JobKind | None = None) -> Job:
        """Stop a job that waits or runs; its owner looks, and ends within a second. Again, it changes nothing.

        kind: that it has to be of. Raises UnknownNameError, and InputError if it has ended by itself.
        """
        with self._database.write() as connection:
            job = _known(connection, job_id, kind)
            if job.status in ("completed", "failed"):
                raise InputError(f"Job {job_id!r} has {job.status}. There is nothing left to stop.")
            if job.status != "stopped":
                changes = {"status": "stopped", "ended_at": now, "lease_until": None, "reason": "stopped by a user"}
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(changes))
            return _known(connection, job_id)

    def counts(self, kind: JobKind) -> dict[str, int]:
        """How many jobs there are in each status that any is in."""
        with self._database.read() as connection:
            query = select(jobs.c.status, func.count()).where(jobs.c.kind == kind).group_by(jobs.c.status)
            return {row[0]: row[1] for row in connection.execute(query)}

    def list(
        self,
        *,
        kind: JobKind | None = None,
        status: JobStatus | None = None,
        spec: tuple[Sequence[str], str] | None = None,
        results: bool = True,
        limit: int = 100,
        before: str | None = None,
    ) -> "list[Job]":
        """Jobs, the newest first. before: id of the last one that was seen. Raises UnknownNameError for that.

        spec: only those whose spec has this text at this path. results: whether results are read, which may be large.
        """
        read = [column if results or column is not jobs.c.result else null().label("result") for column in jobs.c]
        query = select(*read).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if spec is not None:
            query = query.where(type_coerce(jobs.c.spec, JSON)[tuple(spec[0])].as_string() == spec[1])
        if status is not None:
            query = query.where(jobs.c.status == status)
        with self._database.read() as connection:
            if before is not None:
                last = _known(connection, before, kind)
                earlier = and_(jobs.c.created_at == last.created_at, jobs.c.id < last.id)
                query = query.where(or_(jobs.c.created_at < last.created_at, earlier))
            return [record_of(Job, row) for row in connection.execute(query).mappings()]

    def forget(self, kind: JobKind, before: datetime) -> int:
        """Delete jobs of a kind that ended before a time; returns how many are gone."""
        with self._database.write() as connection:
            return connection.execute(delete(jobs).where(jobs.c.kind == kind, jobs.c.ended_at < before)).rowcount

    def _change_own(self, job_id: str, owner: str, changes: Mapping[str, object]) -> bool:
        own = and_(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.status == "running")
        with self._database.write() as connection:
            return connection.execute(update(jobs).where(own).values(changes)).rowcount == 1


def _count_running(connection: Connection, kind: JobKind, now: datetime) -> int:
    query = select(func.count()).where(jobs.c.kind == kind, jobs.c.status == "running", jobs.c.lease_until > now)
    return connection.execute(query).scalar_one()


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(jobs.c.status == "queued", and_(jobs.c.status == "running", jobs.c.lease_until <= now))


def _give_up(connection: Connection, kind: JobKind, now: datetime) -> None:
    """Fail jobs whose processes die again and again."""
    hopeless = and_(
        jobs.c.kind == kind,
        jobs.c.status == "running",
        jobs.c.lease_until <= now,
        jobs.c.attempts >= MOST_ATTEMPTS,
    )
    reason = f"the process that worked on it died {MOST_ATTEMPTS} times, as when memory runs out"
    changes = {"status": "failed", "ended_at": now, "lease_until": None, "reason": reason}
    connection.execute(update(jobs).where(hopeless).values(changes))


def _known(connection: Connection, job_id: str, kind: JobKind | None = None) -> Job:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
    if row is None:
        raise UnknownNameError(f"The store has no job {job_id[:80]!r}.")
    job = record_of(Job, row)
    if kind not in (None, job.kind):
        raise UnknownNameError(
            f"Job {job_id!r} is a {job.kind} job, and a {kind} job was asked for. Give the id of one."
        )
    return job
