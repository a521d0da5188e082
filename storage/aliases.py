"""Aliases: names such as `production` that stand for a model version, and can be given to another one."""

import re
from datetime import datetime

from sqlalchemy import Connection, delete, select

from storage.database import Database, insert_record, record_of
from storage.errors import InputError, UnknownNameError
from storage.models import check_name, find_version
from storage.records import Alias
from storage.tables import aliases

#: What a model's newest version is called without anybody saying so.
LATEST = "latest"
_NUMBER = re.compile(r"\d+")


class Aliases:
    """Alias records. `Models.get` knows them: `churn:production` is the version that has the alias at that moment.

    Whoever deploys a model by an alias deploys the version: moving the alias later moves no endpoint.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, model: str, name: str, version: int, now: datetime) -> Alias:
        """Give a version an alias, and take it from the one that has it.

        Raises InputError for a name that cannot be one, and UnknownNameError for a version that there is not.
        """
        check_name(name, "an alias")
        if _NUMBER.fullmatch(name) or name == LATEST:
            what = "is what versions are numbered by" if name != LATEST else "is the newest version, always"
            raise InputError(f"Alias {name!r} {what}. Use another word, such as production.")
        alias = Alias(model, name, version, now)
        with self._database.write() as connection:
            find_version(connection, f"{model}:{version}")
            _delete(connection, model, name)
            insert_record(connection, aliases, alias)
        return alias

    def remove(self, model: str, name: str) -> None:
        """Take an alias away. Raises UnknownNameError."""
        with self._database.write() as connection:
            _known(connection, model, name)
            _delete(connection, model, name)

    def get(self, model: str, name: str) -> Alias:
        """An alias of a model. Raises UnknownNameError."""
        with self._database.read() as connection:
            return _known(connection, model, name)

    def list(self, model: str | None = None) -> list[Alias]:
        """Aliases by model and name; of one model or of all."""
        query = select(aliases).order_by(aliases.c.model, aliases.c.name)
        if model is not None:
            query = query.where(aliases.c.model == model)
        with self._database.read() as connection:
            return [record_of(Alias, row) for row in connection.execute(query).mappings().all()]


def _known(connection: Connection, model: str, name: str) -> Alias:
    query = select(aliases).where(aliases.c.model == model, aliases.c.name == name)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise UnknownNameError(f"Model {model[:80]!r} has no alias {name[:80]!r}. `autopilot models` lists them.")
    return record_of(Alias, row)


def _delete(connection: Connection, model: str, name: str) -> None:
    connection.execute(delete(aliases).where(aliases.c.model == model, aliases.c.name == name))
