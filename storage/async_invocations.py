"""Async invocations: requests that are answered later, claimed by one server at a time with a lease.

    add ── queued ── claim ── running ── finish ── completed, failed, expired ── forget
              └──── retry ──────┘                        └ claim_webhook ── note_webhook

Inputs, answers and failures are blobs of their own folder, apart from models and reports: equal bytes are kept once,
and `forget` knows all that refers to them. Inputs hold what capture may have to leave out: nobody but the owner reads
the folder, and one that came with its request goes when that has ended (`forget_inputs`).
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.errors import UnknownNameError
from storage.leases import take_first
from storage.records import AsyncInvocation, AsyncStatus, WebhookStatus
from storage.tables import async_invocations as table

ENDED: tuple[AsyncStatus, ...] = ("completed", "failed", "expired")

#: A blob that was written or used so lately may be of an invocation that is just being added.
_FRESH = timedelta(hours=1)
#: From when an input is kept, on disk and whole, until its invocation is added are some milliseconds.
_ADDED = timedelta(minutes=1)
_AT_ONCE = 200  # of what one transaction forgets, so that others may write in between


class AsyncInvocations:
    """Records of async invocations, and their blobs.

    Only the owner of an invocation changes it, while its lease lasts or nobody else has claimed it: each of its verbs
    tells by False that it is another's by now.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(OSError):  # of a store that another made readable, or of one that is not ours
            folder.chmod(0o700)
        self._incoming = folder / "incoming"
        self._uploaded = folder / "uploaded"
        self.blobs = Blobs(folder)

    # ------------------------------------------------------------------------------------------------- being asked

    def incoming(self) -> Path:
        """Where an input that is too long for memory may be written while it comes in; `blobs.put_file` keeps it."""
        self._incoming.mkdir(exist_ok=True)
        return self._incoming / secrets.token_hex(8)

    def note_upload(self, digest: str) -> None:
        """Have an input outlive the invocations that use it: it was sent to be asked for again and again."""
        self._uploaded.mkdir(exist_ok=True)
        (self._uploaded / digest).touch()

    def add(self, invocation: AsyncInvocation, *, most_queued: int) -> AsyncInvocation | None:
        """Keep an invocation that is queued; None if so many wait already.

        Where there is one of its id, that is returned and nothing added: whoever asks twice is answered once. Its input
        has to be in `blobs`; raises UnknownNameError otherwise.
        """
        with self._database.write() as connection:
            known = _find(connection, invocation.id)
            if known is not None:
                return known
            if _count(connection, table.c.status == "queued") >= most_queued:
                return None
            if invocation.input_digest is not None and not self.blobs.has(invocation.input_digest):
                raise UnknownNameError(f"The store has no input {invocation.input_digest!r} any more. Send it again.")
            insert_record(connection, table, invocation)
        return invocation

    # -------------------------------------------------------------------------------------------------- answering

    def claim(self, owner: str, endpoints: Collection[str], now: datetime, *, lease_s: float) -> AsyncInvocation | None:
        """Take the invocation that is due first, of some endpoints; or one whose time to begin is over, of any.

        It is running from now on, and its attempts count one more. Also due are those whose owner's lease has ended.
        None if there is none.
        """
        due = _is_due(endpoints, now)
        if not self._has(due):
            return None
        with self._database.write() as connection:
            until = now + timedelta(seconds=lease_s)
            row = take_first(connection, table, due, table.c.due_at, owner, until, status="running")
        return None if row is None else record_of(AsyncInvocation, row)

    def renew(self, owner: str, ids: Iterable[str], now: datetime, *, lease_s: float) -> None:
        """Keep what an owner works on for so much longer."""
        own = and_(table.c.id.in_(list(ids)), table.c.owner == owner, table.c.lease_until.is_not(None))
        with self._database.write() as connection:
            connection.execute(update(table).where(own).values(lease_until=now + timedelta(seconds=lease_s)))

    def release(self, invocation_id: str, owner: str) -> bool:
        """Give one back, to be answered by another at once; the attempt does not count."""
        return self._retry(invocation_id, owner, {"attempts": table.c.attempts - 1})

    def retry(self, invocation_id: str, owner: str, due_at: datetime, reason: str) -> bool:
        """Have one tried again later. reason: why this attempt gave no answer."""
        return self._retry(invocation_id, owner, {"due_at": due_at, "reason": reason})

    def note_output(self, invocation_id: str, owner: str, digest: str, reply: str) -> bool:
        """Keep an answer that is there and has still to be brought somewhere: it is not computed again."""
        return self._change_running(invocation_id, owner, {"output_digest": digest, "reply": reply})

    def finish(
        self,
        invocation_id: str,
        owner: str,
        now: datetime,
        status: AsyncStatus,
        *,
        reply: str | None = None,
        output_digest: str | None = None,
        failure_digest: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Tell how one ended; its webhook, if it has one, is due from now on."""
        changes: dict[str, Any] = {
            "status": status,
            "ended_at": now,
            "output_digest": output_digest,
            "failure_digest": failure_digest,
            "reply": reply,
            "reason": reason,
            "owner": None,
            "lease_until": None,
        }
        with self._database.write() as connection:
            own = _is_own(invocation_id, owner)
            done = connection.execute(update(table).where(own).values(changes)).rowcount == 1
            if done:
                has_webhook = and_(table.c.id == invocation_id, table.c.webhook.is_not(None))
                due = {"webhook_status": "waiting", "webhook_due_at": now}
                connection.execute(update(table).where(has_webhook).values(due))
        return done

    # ---------------------------------------------------------------------------------------------------- telling

    def claim_webhook(self, owner: str, now: datetime, *, lease_s: float) -> AsyncInvocation | None:
        """Take an invocation that has ended and whose webhook is due; None if there is none."""
        free = or_(table.c.lease_until.is_(None), table.c.lease_until <= now)
        due = and_(table.c.webhook_status == "waiting", table.c.webhook_due_at <= now, free)
        if not self._has(due):
            return None
        with self._database.write() as connection:
            until = now + timedelta(seconds=lease_s)
            row = take_first(connection, table, due, table.c.webhook_due_at, owner, until, attempts="webhook_attempts")
        return None if row is None else record_of(AsyncInvocation, row)

    def note_webhook(
        self,
        invocation_id: str,
        owner: str,
        status: WebhookStatus,
        *,
        due_at: datetime | None = None,
        reason: str | None = None,
    ) -> bool:
        """Tell what became of a webhook: told, failed for good, or waiting until `due_at` to be tried again."""
        changes: dict[str, Any] = {
            "webhook_status": status,
            "webhook_due_at": due_at,
            "webhook_reason": reason,
            "owner": None,
            "lease_until": None,
        }
        own = and_(table.c.id == invocation_id, table.c.owner == owner, table.c.webhook_status == "waiting")
        with self._database.write() as connection:
            return connection.execute(update(table).where(own).values(changes)).rowcount == 1

    # ---------------------------------------------------------------------------------------------------- looking

    def get(self, invocation_id: str) -> AsyncInvocation:
        """An invocation by id. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, invocation_id)

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: AsyncStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> "list[AsyncInvocation]":
        """Invocations, the newest first. before: id of the last one that was seen. Raises UnknownNameError for that."""
        query = select(table).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
        if endpoint is not None:
            query = query.where(table.c.endpoint == endpoint)
        if status is not None:
            query = query.where(table.c.status == status)
        with self._database.read() as connection:
            if before is not None:
                last = _known(connection, before)
                earlier = and_(table.c.created_at == last.created_at, table.c.id < last.id)
                query = query.where(or_(table.c.created_at < last.created_at, earlier))
            return [record_of(AsyncInvocation, row) for row in connection.execute(query).mappings()]

    def counts(self) -> dict[str, int]:
        """How many there are in each status that any is in."""
        with self._database.read() as connection:
            query = select(table.c.status, func.count()).group_by(table.c.status)
            return {row[0]: row[1] for row in connection.execute(query)}

    def oldest_queued(self) -> datetime | None:
        """When the oldest of those that wait was asked for; None where none waits."""
        with self._database.read() as connection:
            query = select(func.min(table.c.created_at)).where(table.c.status == "queued")
            return connection.execute(query).scalar()

    # -------------------------------------------------------------------------------------------------- forgetting

    def forget(self, before: datetime, now: datetime) -> int:
        """Delete invocations that ended before a time, and their blobs where nothing else refers to them.

        Those whose webhook has still to be told stay. Returns how many are gone; some hundred at once.
        """
        old = and_(
            table.c.status.in_(ENDED),
            table.c.ended_at < before,
            or_(table.c.webhook_status.is_(None), table.c.webhook_status != "waiting"),
        )
        with self._database.write() as connection:
            rows = connection.execute(select(table).where(old).limit(_AT_ONCE)).mappings().all()
            connection.execute(delete(table).where(table.c.id.in_([row["id"] for row in rows])))
            digests = {digest for row in rows for digest in _digests(row)}
            self._drop(connection, digests, now - _FRESH)
        return len(rows)

    def forget_inputs(self, since: datetime, now: datetime) -> int:
        """Delete inputs of invocations that ended from `since` on, where none that has not ended has the same.

        Uploads stay, and so does what was kept in the last minute: it may be of an invocation that is just being added.
        Returns how many are gone; some hundred at once.
        """
        ended, waits = table.c.status.in_(ENDED), table.c.status.not_in(ENDED)
        query = select(table.c.input_digest).where(ended, table.c.ended_at >= since, table.c.input_digest.is_not(None))
        with self._database.read() as connection:
            digests = set(connection.execute(query).scalars())
        some = [
            digest for digest in digests if self.blobs.is_older(digest, now - _ADDED) and not self._is_upload(digest)
        ]
        some = some[:_AT_ONCE]
        if not some:
            return 0
        with self._database.write() as connection:
            query = select(table.c.input_digest).where(waits, table.c.input_digest.in_(some))
            used = set(connection.execute(query).scalars())
            dropped = [one for one in some if one not in used and self.blobs.is_older(one, now - _ADDED)]
            for digest in dropped:
                self.blobs.delete(digest)
        return len(dropped)

    def sweep(self, before: datetime, now: datetime) -> int:
        """Delete blobs that nothing refers to, and that were neither written nor used since `before`.

        They are of uploads that nobody asked to be answered, and of processes that died. Returns how many are gone.
        """
        before = min(before, now - _FRESH)
        for file in self._incoming.glob("*"):
            if file.stat().st_mtime < before.timestamp():
                file.unlink(missing_ok=True)
        old = [digest for digest in self.blobs.digests() if self.blobs.is_older(digest, before)]
        count = 0
        for start in range(0, len(old), _AT_ONCE):
            with self._database.write() as connection:
                count += self._drop(connection, old[start : start + _AT_ONCE], before)
        return count

    def _drop(self, connection: Connection, digests: Collection[str], before: datetime) -> int:
        """Delete those of some blobs that nothing refers to and that are older. For whoever may write: nothing can
        come to refer to them meanwhile."""
        some = list(digests)
        columns = (table.c.input_digest, table.c.output_digest, table.c.failure_digest)
        query = select(*columns).where(or_(*(column.in_(some) for column in columns)))
        used = {digest for row in connection.execute(query) for digest in row}
        dropped = [digest for digest in some if digest not in used and self.blobs.is_older(digest, before)]
        for digest in dropped:
            self.blobs.delete(digest)
            (self._uploaded / digest).unlink(missing_ok=True)
        return len(dropped)

    def _is_upload(self, digest: str) -> bool:
        return (self._uploaded / digest).exists()

    # ------------------------------------------------------------------------------------------------------ changes

    def _has(self, condition: ColumnElement[bool]) -> bool:
        """Whether there is one, asked without keeping others from writing: nearly always there is none."""
        with self._database.read() as connection:
            return connection.execute(select(table.c.id).where(condition).limit(1)).first() is not None

    def _retry(self, invocation_id: str, owner: str, changes: Mapping[str, Any]) -> bool:
        waits = {"status": "queued", "owner": None, "lease_until": None}
        return self._change_running(invocation_id, owner, {**waits, **changes})

    def _change_running(self, invocation_id: str, owner: str, changes: Mapping[str, Any]) -> bool:
        with self._database.write() as connection:
            own = _is_own(invocation_id, owner)
            return connection.execute(update(table).where(own).values(changes)).rowcount == 1


def _is_own(invocation_id: str, owner: str) -> ColumnElement[bool]:
    return and_(table.c.id == invocation_id, table.c.owner == owner, table.c.status == "running")


def _is_due(endpoints: Collection[str], now: datetime) -> ColumnElement[bool]:
    """To be answered, by one of these endpoints; or to be told that it is too late, whoever was asked."""
    free = or_(table.c.status == "queued", and_(table.c.status == "running", table.c.lease_until <= now))
    is_to_be_answered = and_(table.c.endpoint.in_(list(endpoints)), table.c.due_at <= now)
    return and_(free, or_(is_to_be_answered, table.c.expires_at <= now))


def _digests(row: Mapping[Any, Any]) -> Sequence[str]:
    return [row[name] for name in ("input_digest", "output_digest", "failure_digest") if row[name] is not None]


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(condition)).scalar_one()


def _find(connection: Connection, invocation_id: str) -> AsyncInvocation | None:
    row = connection.execute(select(table).where(table.c.id == invocation_id)).mappings().first()
    return None if row is None else record_of(AsyncInvocation, row)


def _known(connection: Connection, invocation_id: str) -> AsyncInvocation:
    found = _find(connection, invocation_id)
    if found is None:
        raise UnknownNameError(
            f"The store has no async invocation {invocation_id[:80]!r}. They are forgotten some time after they end."
        )
    return found
