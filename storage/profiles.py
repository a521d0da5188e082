"""Profiles of hours of traffic: a row for each, and its bytes as a blob, whose form the program that monitors knows."""

from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, delete, select

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.records import StoredProfile
from storage.tables import profiles

#: Profiles are kept so long: a year, and the month before it.
KEPT = timedelta(days=400)


class Profiles:
    """Profiles of hours. There is one at most of a variant, model version, baseline and hour."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def put(self, profile: StoredProfile, data: bytes) -> bool:
        """Keep an hour's profile; False, and nothing changes, if there is one of as many files or more.

        So it can be written by several processes, and again: what was made of most of the traffic stays. `digest` and
        `size_bytes` become those of the data. The blob of one that is replaced is deleted, unless another has the same.
        """
        with self._database.write() as connection:
            row = connection.execute(select(profiles).where(_is(profile))).mappings().first()
            found = None if row is None else record_of(StoredProfile, row)
            if found is not None and found.files >= profile.files:
                return False
            # Inside the transaction, so that nobody deletes the same bytes between the two.
            written = replace(profile, digest=self._blobs.put(data), size_bytes=len(data))
            connection.execute(delete(profiles).where(_is(profile)))
            insert_record(connection, profiles, written)
        if found is not None:
            self._delete_unused({found.digest})
        return True

    def list(
        self,
        endpoint: str,
        start: datetime,
        end: datetime,
        *,
        model: str,
        version: int,
        baseline: str,
        variant: str | None = None,
    ) -> "list[StoredProfile]":
        """Those of the hours that begin in `start <= hour < end`, by hour and variant; of one variant or of all."""
        query = select(profiles).where(
            profiles.c.endpoint == endpoint,
            profiles.c.model == model,
            profiles.c.version == version,
            profiles.c.baseline == baseline,
            profiles.c.hour >= start,
            profiles.c.hour < end,
        )
        if variant is not None:
            query = query.where(profiles.c.variant == variant)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(profiles.c.hour, profiles.c.variant)).mappings().all()
        return [record_of(StoredProfile, row) for row in rows]

    def read(self, profile: StoredProfile) -> bytes:
        """The profile's bytes. Raises StoreError if the blob is gone or was changed."""
        return self._blobs.get(profile.digest)

    def forget(self, endpoint: str, before: datetime, made_before: datetime | None = None) -> int:
        """Delete the profiles of an endpoint's hours that begin before a moment; returns how many there were.

        made_before: those that were made later stay; None deletes them whenever they were made.
        """
        old = and_(profiles.c.endpoint == endpoint, profiles.c.hour < before)
        if made_before is not None:
            old = and_(old, profiles.c.created_at < made_before)
        with self._database.write() as connection:
            digests = set(connection.execute(select(profiles.c.digest).where(old)).scalars())
            count = connection.execute(delete(profiles).where(old)).rowcount
        self._delete_unused(digests)
        return count

    def _delete_unused(self, digests: set[str]) -> None:
        """Delete blobs that no profile has; a kill before leaves them, which costs space alone."""
        with self._database.write() as connection:
            for digest in digests:
                if connection.execute(select(profiles.c.digest).where(profiles.c.digest == digest)).first() is None:
                    self._blobs.delete(digest)


def _is(profile: StoredProfile) -> ColumnElement[bool]:
    return and_(
        profiles.c.endpoint == profile.endpoint,
        profiles.c.variant == profile.variant,
        profiles.c.model == profile.model,
        profiles.c.version == profile.version,
        profiles.c.baseline == profile.baseline,
        profiles.c.hour == profile.hour,
    )
