"""Idempotency keys: what a request that changed something was answered, so that asking again changes nothing.

An answer is kept in the very transaction that makes the change (`together`): there is no moment at which a kill leaves
one without the other, and of two processes that are asked at once one waits for the other and finds its answer.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from storage.database import Database, insert_record, record_of
from storage.records import IdempotencyKey
from storage.tables import idempotency_keys as table

#: How long an answer is kept.
KEPT = timedelta(hours=24)


class IdempotencyKeys:
    """Answers by the key that the client chose."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()

    def find(self, key: str, now: datetime) -> IdempotencyKey | None:
        """What was answered to a key in the last 24 hours; None if nothing was."""
        query = select(table).where(table.c.key == key, table.c.created_at > now - KEPT)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else record_of(IdempotencyKey, row)

    def add(self, answer: IdempotencyKey) -> None:
        """Keep an answer, and forget those that are older than 24 hours."""
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.created_at <= answer.created_at - KEPT))
            insert_record(connection, table, answer)

    @contextmanager
    def together(self) -> Generator[None]:
        """One transaction for a change and its answer: both are kept, or none. Other writers wait meanwhile.

        Of this process, one waits at a time: each that waits has a connection, which readers would lack.
        """
        with self._turn, self._database.together():
            yield
