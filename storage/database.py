"""The database: opened, brought up to date, and read and written as records."""

import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table, create_engine, event, insert, inspect, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from storage.errors import StoreError, StoreVersionError
from storage.tables import HEAD

R = TypeVar("R", bound=msgspec.Struct)

#: How long a writer waits for another process's transaction; ours last milliseconds.
_BUSY_S = 30


class Database:
    """SQLite in WAL mode: readers never wait for the one writer, in this process or another.

    `read` and `write` give a connection inside a transaction; `write` takes the write lock at once, so that what it
    reads cannot change before it writes. Failures are StoreErrors that name the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_S, "isolation_level": None})
        event.listen(self._engine, "connect", _configure)
        self._own = threading.local()  # `connection`: of the transaction that `together` has open in this thread
        with self._told("opened"):
            self._migrate()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A connection that sees one state of the database."""
        if (own := self._joined()) is not None:
            with self._told("read"):
                yield own
            return
        with self._told("read"), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def write(self, prepare: Callable[[Connection], None] | None = None) -> Generator[Connection]:
        """A connection whose changes are all kept, or none if the block raises.

        prepare: is done on the connection before anybody waits for the block; it may only touch temporary tables.
        """
        if (own := self._joined()) is not None:
            if prepare is not None:
                raise AssertionError("what prepares its writes begins a transaction of its own")
            with self._told("written"), _savepoint(own):
                yield own
            return
        with self._told("written"), self._engine.connect() as connection:
            if prepare is not None:
                prepare(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def together(self) -> Generator[None]:
        """One transaction for all that this thread reads and writes in the block: all is kept, or none if it raises.

        Other writers wait for the end of the block, so it has to be short. What it does in other threads is not part.
        """
        with self.write() as connection:
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = None

    def _joined(self) -> Connection | None:
        return getattr(self._own, "connection", None)

    def check(self) -> str:
        """SQLite's own verdict on the file: `ok`, or its first complaint."""
        with self.read() as connection:
            return str(connection.execute(text("PRAGMA quick_check(1)")).scalar())

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            found = _revision(connection)
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise StoreVersionError(
                    f"The store {str(self.path.parent)!r} has schema {found}; this version of autopilot knows up to "
                    f"{HEAD}. Upgrade autopilot, or name another store with --store."
                )
            # Two processes may open a new store at once: the second waits here and finds the work done.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                if _revision(connection) != HEAD:
                    _upgrade(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def _told(self, verb: str) -> Generator[None]:
        try:
            yield
        except IntegrityError:
            raise  # the caller asked for something that is there already, and handles it
        except (DatabaseError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"The store's database {str(self.path)!r} could not be {verb}: {cause}. "
                "See that the disk has space, the folder can be written and the file is a store's."
            ) from error


@contextmanager
def _savepoint(connection: Connection) -> Generator[None]:
    """A part of a transaction that is undone if it raises, whatever becomes of the rest."""
    connection.exec_driver_sql("SAVEPOINT part")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO part")
        raise
    finally:
        connection.exec_driver_sql("RELEASE part")


def insert_record(connection: Connection, table: Table, record: msgspec.Struct) -> None:
    """Insert a record into its table."""
    connection.execute(insert(table).values(values_of(record)))


def values_of(record: msgspec.Struct) -> dict[str, Any]:
    """A record's fields by name, nested structs untouched."""
    return {name: getattr(record, name) for name in record.__struct_fields__}


def record_of(kind: type[R], row: Mapping[Any, Any]) -> R:
    """The record of a row that was selected from its table."""
    return kind(**{str(name): value for name, value in row.items()})


def _configure(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # With WAL, NORMAL survives a killed process and loses at most the last commits in a power cut; FULL survives both.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the transaction that `connection` has open."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
