"""The baselines that are kept, one at most for an endpoint."""

from sqlalchemy import Connection, delete, select

from storage.baselines.document import check_document, parse_document
from storage.database import Database, insert_record, record_of
from storage.endpoints import endpoint_within
from storage.errors import UnknownNameError
from storage.models import find_version
from storage.records import KeptBaseline
from storage.tables import baselines


class Baselines:
    """Baselines of endpoints. One outlives the versions that the endpoint serves: it is what somebody knows of the rows
    that come there. Without one, the reference of the version that is served suggests what is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, kept: KeptBaseline) -> None:
        """Keep a baseline, in place of the one that is there.

        Raises UnknownNameError for an endpoint that there is not, and DataError for a body that is no baseline or that
        the rows of the endpoint's main variant cannot be asked.
        """
        document = parse_document(kept.body.encode(), "The baseline")
        with self._database.write() as connection:
            endpoint = endpoint_within(connection, kept.endpoint)
            check_document(document, find_version(connection, endpoint.main.spec).signature)
            connection.execute(delete(baselines).where(baselines.c.endpoint == kept.endpoint))
            insert_record(connection, baselines, kept)

    def find(self, endpoint: str) -> KeptBaseline | None:
        """The baseline of an endpoint; None if none is kept."""
        with self._database.read() as connection:
            return _find(connection, endpoint)

    def get(self, endpoint: str) -> KeptBaseline:
        """The baseline of an endpoint. Raises UnknownNameError if none is kept, or there is no such endpoint."""
        with self._database.read() as connection:
            endpoint_within(connection, endpoint)
            return _known(connection, endpoint)

    def remove(self, endpoint: str) -> None:
        """Remove the baseline of an endpoint: the reference suggests again. Raises UnknownNameError as `get`."""
        with self._database.write() as connection:
            endpoint_within(connection, endpoint)
            _known(connection, endpoint)
            connection.execute(delete(baselines).where(baselines.c.endpoint == endpoint))


def _find(connection: Connection, endpoint: str) -> KeptBaseline | None:
    row = connection.execute(select(baselines).where(baselines.c.endpoint == endpoint)).mappings().first()
    return None if row is None else record_of(KeptBaseline, row)


def _known(connection: Connection, endpoint: str) -> KeptBaseline:
    found = _find(connection, endpoint)
    if found is None:
        raise UnknownNameError(
            f"No baseline is kept for endpoint {endpoint[:80]!r}: the reference of its model suggests what is asked. "
            f"Keep one: autopilot monitor baseline FILE --endpoint {endpoint[:80]}."
        )
    return found
