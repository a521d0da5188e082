"""Model versions: the registry."""

import re

from msgspec.structs import replace
from sqlalchemy import Connection, delete, func, select

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.errors import InputError, UnknownNameError
from storage.records import ModelVersion
from storage.tables import endpoints, models

_MOST_DIGITS = 9  # of a version; a database's integer holds as many
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Models:
    """Published model versions; a newer one takes the next number.

    A version never changes once its run has ended, or an endpoint serves it.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def publish(self, version: ModelVersion, *, replacing: int | None = None) -> ModelVersion:
        """Record a version under the next free number of its name; the number given is ignored.

        Its blobs must be in the store already, so that whoever sees the record can read them.
        replacing: an earlier version of the same run, whose number it takes unless an endpoint has been given it.
        """
        with self._database.write() as connection:
            if replacing is not None:
                _delete(connection, version.name, replacing, version.run_id)
            latest = connection.execute(
                select(func.max(models.c.version)).where(models.c.name == version.name)
            ).scalar()
            numbered = replace(version, version=_free(connection, version.name, replacing) or (latest or 0) + 1)
            insert_record(connection, models, numbered)
        return numbered

    def withdraw(self, version: ModelVersion) -> None:
        """Take back what a run published before it ended; stays if an endpoint has been given it."""
        with self._database.write() as connection:
            _delete(connection, version.name, version.version, version.run_id)

    def get(self, spec: str) -> ModelVersion:
        """A version by `name` (the latest) or `name:3`. Raises UnknownNameError."""
        name, _, number = spec.partition(":")
        query = select(models).where(models.c.name == name)
        if number:
            if not number.isdecimal() or len(number) > _MOST_DIGITS:
                raise UnknownNameError(f"{spec!r} is no model version. Write it as name or name:3.")
            query = query.where(models.c.version == int(number))
        with self._database.read() as connection:
            row = connection.execute(query.order_by(models.c.version.desc()).limit(1)).mappings().first()
        if row is None:
            raise UnknownNameError(f"The store has no model {spec!r}. `autopilot models` lists those that it has.")
        return record_of(ModelVersion, row)

    def of_run(self, run_id: str) -> ModelVersion | None:
        """The version that a run has registered; None if there is none yet."""
        query = select(models).where(models.c.run_id == run_id).order_by(models.c.version.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else record_of(ModelVersion, row)

    def list(self) -> list[ModelVersion]:
        """All versions, by name, newest first."""
        query = select(models).order_by(models.c.name, models.c.version.desc())
        with self._database.read() as connection:
            return [record_of(ModelVersion, row) for row in connection.execute(query).mappings().all()]

    def read_file(self, version: ModelVersion) -> bytes:
        """The ONNX file's bytes, checked against their digest."""
        return self._blobs.get(version.digest)

    def read_reference(self, version: ModelVersion) -> bytes:
        """The reference sample as the bytes of a Parquet file.

        Columns: the signature's, typed as `boundary.typed` does, and the outputs under `traffic.OUTPUT_PREFIX` names.
        """
        return self._blobs.get(version.reference_digest)


def _delete(connection: Connection, name: str, number: int, run_id: str) -> None:
    """Delete a version of a run that no endpoint has."""
    served = connection.execute(select(endpoints.c.variants, endpoints.c.shadows)).all()
    if not any((v.model, v.version) == (name, number) for row in served for v in (*row.variants, *row.shadows)):
        of_run = (models.c.name == name, models.c.version == number, models.c.run_id == run_id)
        connection.execute(delete(models).where(*of_run))


def _free(connection: Connection, name: str, number: int | None) -> int | None:
    """The number, if the name has no such version."""
    if number is None:
        return None
    taken = select(models.c.version).where(models.c.name == name, models.c.version == number)
    return number if connection.execute(taken).first() is None else None


def check_name(name: str, what: str) -> str:
    """The name, if it can stand in a URL and a path. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name {what}. Use up to 63 letters, digits, '_', '-' and '.', a letter or digit first."
        )
    return name
