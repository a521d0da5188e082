"""Servers: which processes serve, what each makes of each endpoint, and what state an endpoint is in by that.

A server says each two seconds that it is there. One that has not for ten seconds has ended without a word: it counts no
longer, and is forgotten.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, Table, delete, select, update

from storage.database import Database, insert_record, record_of, values_of
from storage.records import Endpoint, Rollout, Server, Serving, Tally
from storage.tables import servers, tallies

#: How often a server says that it is there.
BEAT_S = 2.0
_GONE = timedelta(seconds=10)

State = Literal["Creating", "InService", "Updating", "RollingBack", "Failed"]


class ServerStatus(Struct, frozen=True):
    """What one server makes of an endpoint.

    revision: the one that it answers with; 0 if it has none. is_current: whether that is the endpoint's newest. reason:
    why it could not load the newest; None if it did, or has not tried yet. notes: what else people should know.
    """

    id: str
    host: str
    pid: int
    revision: int
    is_current: bool
    reason: str | None = None
    notes: tuple[str, ...] = ()


class EndpointStatus(Struct, frozen=True):
    """The state of an endpoint: what its servers say of it, taken together.

    state: `Creating` as long as no server answers for it, `InService` when all that run serve its newest revision,
    `Updating` while some do not yet or a roll-out goes on, `RollingBack` while they return from one, and `Failed` if
    none of them could load the newest revision; those that had an older one go on with that.
    reason: what people should know of it; None where there is nothing to say.
    """

    state: State
    reason: str | None
    servers: tuple[ServerStatus, ...] = ()


class Servers:
    """Records of the processes that serve, and what they have counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, server: Server, counted: Sequence[Tally] = ()) -> None:
        """Say that a server is there, and what it has counted; forget those that have not said so for ten seconds."""
        with self._database.write() as connection:
            _put(connection, servers, server, "id")
            for tally in counted:
                _put(connection, tallies, tally, "subject", "server_id", "variant")
            connection.execute(delete(servers).where(servers.c.seen_at < server.seen_at - _GONE))

    def remove(self, id: str) -> None:
        """Forget a server that ends. What it has counted stays."""
        with self._database.write() as connection:
            connection.execute(delete(servers).where(servers.c.id == id))

    def tallies(self, subject: str) -> list[Tally]:
        """What all servers, also those that have ended, have counted of a subject; by server and variant.

        A subject that ends with `:` stands for all that begin so.
        """
        wanted = tallies.c.subject == subject
        if subject.endswith(":"):
            wanted = tallies.c.subject.startswith(subject, autoescape=True)
        query = select(tallies).where(wanted).order_by(tallies.c.subject, tallies.c.server_id, tallies.c.variant)
        with self._database.read() as connection:
            return [record_of(Tally, row) for row in connection.execute(query).mappings().all()]

    def list(self, now: datetime) -> list[Server]:
        """Those that have said in the last ten seconds that they are there, by id."""
        query = select(servers).where(servers.c.seen_at >= now - _GONE).order_by(servers.c.id)
        with self._database.read() as connection:
            return [record_of(Server, row) for row in connection.execute(query).mappings().all()]

    def url(self, host: str, now: datetime) -> str | None:
        """Where those of a machine answer, the one that was started last; None where none runs there."""
        own = [server for server in self.list(now) if server.host == host]
        return max(own, key=lambda server: server.started_at).url if own else None


def _put(connection: Connection, table: Table, record: Server | Tally, *keys: str) -> None:
    """Insert a record, or replace the one that has the same keys."""
    same = [table.c[key] == getattr(record, key) for key in keys]
    if not connection.execute(update(table).where(*same).values(values_of(record))).rowcount:
        insert_record(connection, table, record)


def status_of(endpoint: Endpoint, running: Sequence[Server], rollouts: Sequence[Rollout] = ()) -> EndpointStatus:
    """The state of an endpoint. running: the servers that are there; rollouts: the endpoint's, newest first."""
    told = tuple(_status(endpoint, server) for server in running)
    state, reason = _state(endpoint, told, rollouts[0] if rollouts else None)
    notes = sorted({note for server in told for note in server.notes})
    return EndpointStatus(state, " ".join(filter(None, [reason, *notes])) or None, told)


def _status(endpoint: Endpoint, server: Server) -> ServerStatus:
    serving = server.serving.get(endpoint.name, Serving(0))
    reason = serving.reason if serving.failed == endpoint.revision else None
    is_current = serving.revision == endpoint.revision
    return ServerStatus(server.id, server.host, server.pid, serving.revision, is_current, reason, serving.notes)


def _state(endpoint: Endpoint, told: Sequence[ServerStatus], rollout: Rollout | None) -> tuple[State, str | None]:
    failed = [server for server in told if server.reason is not None]
    behind = [server for server in told if not server.is_current]
    if not told:
        return "Creating", "No server runs: start one with `autopilot serve`."
    if len(failed) == len(told):
        return "Failed", f"No server could load revision {endpoint.revision}: {failed[0].reason}"
    if not any(server.revision for server in told):
        return "Creating", "Servers are loading it."
    if rollout is not None and rollout.status == "rolled back" and behind:
        return "RollingBack", rollout.reason
    if behind:
        return "Updating", _behind(endpoint, len(told), len(behind), failed)
    if rollout is not None and rollout.status == "running":
        return "Updating", f"Roll-out {rollout.id} goes on."
    return "InService", None


def _behind(endpoint: Endpoint, running: int, behind: int, failed: Sequence[ServerStatus]) -> str:
    told = f"{behind} of {running} servers do not serve revision {endpoint.revision} yet."
    return f"{told} One could not load it: {failed[0].reason}" if failed else told
