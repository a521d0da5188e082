"""Endpoints: which model version is served under which name."""

from datetime import datetime

from sqlalchemy import insert, select, update

from storage.database import Database, record_of, values_of
from storage.errors import UnknownNameError
from storage.models import check_name
from storage.records import Endpoint, ModelVersion
from storage.tables import endpoints


class Endpoints:
    """Endpoint records. Servers poll `list` and follow each change of `revision`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(self, name: str, version: ModelVersion, now: datetime, *, capture: bool = True) -> Endpoint:
        """Point an endpoint at a model version; makes the endpoint if it is new. Raises InputError for a bad name."""
        check_name(name, "an endpoint")
        query = select(endpoints).where(endpoints.c.name == name)
        with self._database.write() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                endpoint = Endpoint(name, version.name, version.version, 1, capture, now, now)
                connection.execute(insert(endpoints).values(values_of(endpoint)))
            else:
                old = record_of(Endpoint, row)
                endpoint = Endpoint(name, version.name, version.version, old.revision + 1, capture, old.created_at, now)
                connection.execute(update(endpoints).where(endpoints.c.name == name).values(values_of(endpoint)))
        return endpoint

    def get(self, name: str) -> Endpoint:
        """An endpoint by name. Raises UnknownNameError."""
        with self._database.read() as connection:
            row = connection.execute(select(endpoints).where(endpoints.c.name == name)).mappings().first()
        if row is None:
            raise UnknownNameError(
                f"The store has no endpoint {name!r}. `autopilot endpoints` lists those that it has."
            )
        return record_of(Endpoint, row)

    def list(self) -> list[Endpoint]:
        """All endpoints by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(endpoints).order_by(endpoints.c.name)).mappings().all()
        return [record_of(Endpoint, row) for row in rows]
