"""Model versions: the registry."""

import re
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, and_, delete, exists, func, or_, select

from storage.blobs import Blobs
from storage.database import Database, insert_record, record_of
from storage.errors import InputError, UnknownNameError, UsedError
from storage.records import Job, ModelVersion, Rollout, Variant
from storage.tables import aliases, endpoints, jobs, models, rollouts, runs

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
            number = _free(connection, version.name, replacing) or _last(connection, version.name) + 1
            numbered = replace(version, version=number)
            insert_record(connection, models, numbered)
        return numbered

    def withdraw(self, version: ModelVersion) -> None:
        """Take back what a run published before it ended; stays if an endpoint has been given it."""
        with self._database.write() as connection:
            _delete(connection, version.name, version.version, version.run_id)

    def delete(self, name: str, number: int) -> None:
        """Delete a version that nothing uses; its number is not given again, and its files stay in the blob store.

        Raises UnknownNameError, and UsedError if an endpoint, a roll-out or a job that goes on, an alias, or the run
        that made it needs it.
        """
        with self._database.write() as connection:
            version = find_version(connection, f"{name}:{number}")
            if (user := _user(connection, version)) is not None:
                raise UsedError(f"Model version '{name}:{number}' is used by {user}. Let it go there first.")
            connection.execute(delete(models).where(models.c.name == name, models.c.version == number))

    def get(self, spec: str) -> ModelVersion:
        """A version by `name` (the latest), `name:3` or `name:production`, an alias. Raises UnknownNameError."""
        with self._database.read() as connection:
            return find_version(connection, spec)

    def of_run(self, run_id: str) -> ModelVersion | None:
        """The version that a run has registered; None if there is none yet."""
        query = select(models).where(models.c.run_id == run_id).order_by(models.c.version.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else record_of(ModelVersion, row)

    def list(
        self, name: str | None = None, *, limit: int | None = None, after: tuple[str, int] | None = None
    ) -> list[ModelVersion]:
        """Versions by name, newest first; of one name or of all. after: name and version of the last one seen."""
        query = select(models).order_by(models.c.name, models.c.version.desc()).limit(limit)
        if name is not None:
            query = query.where(models.c.name == name)
        if after is not None:
            older = and_(models.c.name == after[0], models.c.version < after[1])
            query = query.where(or_(models.c.name > after[0], older))
        with self._database.read() as connection:
            return [record_of(ModelVersion, row) for row in connection.execute(query).mappings().all()]

    def read_file(self, version: ModelVersion) -> bytes:
        """The ONNX file's bytes, checked against their digest."""
        return self._blobs.get(version.digest)

    def read_reference(self, version: ModelVersion) -> bytes:
        """The reference sample as the bytes of a Parquet file.

        Columns: the signature's, typed as `boundary.typed` does, the outputs under `traffic.OUTPUT_PREFIX` names, and
        what happened as `autopilot.truth`, which samples of older programs lack.
        """
        return self._blobs.get(version.reference_digest)


def find_version(connection: Connection, spec: str) -> ModelVersion:
    """As `Models.get`, in a transaction that does more."""
    name, _, which = spec.partition(":")
    query = select(models).where(models.c.name == name)
    if which.isdecimal() and len(which) <= _MOST_DIGITS:
        query = query.where(models.c.version == int(which))
    elif which and which != "latest":
        alias = select(aliases.c.version).where(aliases.c.model == name, aliases.c.name == which)
        query = query.where(models.c.version == alias.scalar_subquery())
    row = connection.execute(query.order_by(models.c.version.desc()).limit(1)).mappings().first()
    if row is None:
        raise UnknownNameError(
            f"The store has no model {spec[:200]!r}. Write name, name:3 or name:ALIAS; `autopilot models` lists those "
            "that it has."
        )
    return record_of(ModelVersion, row)


def _last(connection: Connection, name: str) -> int:
    """The greatest number that was ever given, to versions that were deleted too."""
    there = select(func.max(models.c.version)).where(models.c.name == name)
    ended = select(func.max(runs.c.version)).where(runs.c.model == name)
    return max(connection.execute(there).scalar() or 0, connection.execute(ended).scalar() or 0)


def _user(connection: Connection, version: ModelVersion) -> str | None:
    """What needs a version, in words; None if nothing does."""
    name, number = version.name, version.version

    def has(*groups: tuple[Variant, ...]) -> bool:
        return any((v.model, v.version) == (name, number) for variants in groups for v in variants)

    for row in connection.execute(select(endpoints.c.name, endpoints.c.variants, endpoints.c.shadows)):
        if has(row.variants, row.shadows):
            return f"endpoint {row.name!r}"
    for row in connection.execute(select(rollouts).where(rollouts.c.status == "running")).mappings():
        rollout = record_of(Rollout, row)
        if has(rollout.before, rollout.after):
            return f"roll-out {rollout.id}"
    alias = select(aliases.c.name).where(aliases.c.model == name, aliases.c.version == number)
    if (found := connection.execute(alias).scalar()) is not None:
        return f"alias {found!r}"
    transforms = select(jobs).where(jobs.c.kind == "batch", jobs.c.status.in_(["queued", "running"]))
    for row in connection.execute(transforms).mappings():
        job = record_of(Job, row)
        if _names(job.spec, version):
            return f"job {job.id}"
    running = select(runs.c.id).where(runs.c.id == version.run_id, runs.c.status == "running")
    return f"run {version.run_id}, which goes on" if connection.execute(running).first() is not None else None


def _names(spec: str, version: ModelVersion) -> bool:
    """Whether the JSON of a transform names a version, or the model without one."""
    wanted = msgspec.json.decode(spec, type=dict[str, Any]).get("model")
    return wanted in (version.name, f"{version.name}:{version.version}")


def _delete(connection: Connection, name: str, number: int, run_id: str) -> None:
    """Delete a version of a run that neither an endpoint nor an alias has."""
    served = connection.execute(select(endpoints.c.variants, endpoints.c.shadows)).all()
    if any((v.model, v.version) == (name, number) for row in served for v in (*row.variants, *row.shadows)):
        return
    is_called = exists().where(aliases.c.model == models.c.name, aliases.c.version == models.c.version)
    of_run = (models.c.name == name, models.c.version == number, models.c.run_id == run_id)
    connection.execute(delete(models).where(*of_run, ~is_called))


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
            f"{name[:80]!r} cannot name {what}. Use up to 63 letters, digits, '_', '-' and '.', a letter or digit "
            "first."
        )
    return name
