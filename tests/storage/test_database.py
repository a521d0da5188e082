"""The database is made, brought up to date, shared between processes, and tells what is wrong with it."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

import storage
from storage import StoreError, StoreVersionError
from storage.database import Database
from storage.endpoints import Endpoints
from storage.records import Execution, Schedule, Variant
from storage.schedules import Schedules
from storage.tables import HEAD, metadata
from tests import processes
from tests.refusals import raises

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a new database goes."""
    return tmp_path / "autopilot.db"


def test_a_new_database_has_the_newest_schema(path: Path) -> None:
    """The migrations ran to their end."""
    Database(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    connection.close()


def test_migrations_make_the_tables_that_the_code_speaks_of(path: Path) -> None:
    """Alembic, comparing the two, finds nothing to add, remove or alter."""
    Database(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_opening_again_changes_nothing(path: Path) -> None:
    """Rows of an up-to-date database stay."""
    first = Database(path)
    with first.write() as connection:
        connection.execute(text("INSERT INTO experiments VALUES ('a', 1)"))
    first.close()
    second = Database(path)
    with second.read() as connection:
        assert connection.execute(text("SELECT name FROM experiments")).scalars().all() == ["a"]
    second.close()


def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    """One migrates, the others wait and find the work done; each can write at once."""
    script = """
import os, sys
from datetime import UTC, datetime
from storage import Store
from storage.records import Run
input("ready\\n")
for number in range(5):
    store = Store.open(f"{sys.argv[1]}/{number}")
    now = datetime.now(UTC)
    store.runs.start(Run(f"{os.getpid()} {number}", "e", "running", "d", "0", 1, "t", "binary", "m", 1.0, 0, now))
    store.close()
"""
    processes.run_at_once(script, tmp_path, count=4)
    for number in range(5):
        database = Database(tmp_path / str(number) / "autopilot.db")
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM runs")).scalar() == 4
            assert connection.execute(text("SELECT count(*) FROM experiments")).scalar() == 1
        database.close()


def test_a_store_of_a_newer_version_is_refused_with_a_remedy(path: Path) -> None:
    """Both schemas are named, and nothing is changed."""
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    message = f"has schema 9999; this version of autopilot knows up to {HEAD}. Upgrade autopilot, or name another store"
    with raises(StoreVersionError, message):
        Database(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_a_store_error(path: Path, content: bytes) -> None:
    """It names the file and the remedy; the file is left as it was."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"The store's database '{path}' could not be opened: .* the file is a store"):
        Database(path)
    assert path.read_bytes() == content


def test_a_page_that_was_overwritten_is_a_store_error(path: Path) -> None:
    """Damage behind the first page is found when it is read."""
    database = Database(path)
    with database.write() as connection:
        for number in range(500):
            connection.execute(text("INSERT INTO experiments VALUES (:name, 1)"), {"name": f"{number:0100}"})
    database.close()
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    data = bytearray(path.read_bytes())
    for start in range(4096 * 5, len(data), 4096):
        data[start : start + 100] = b"\xff" * 100
    path.write_bytes(data)
    with raises(StoreError, f"The store's database '{path}' could not be"):
        _read_all(path)


def _read_all(path: Path) -> None:
    database = Database(path)
    try:
        with database.read() as connection:
            connection.execute(text("SELECT * FROM experiments ORDER BY name")).all()
    finally:
        database.close()


def test_what_a_failing_block_wrote_is_taken_back(path: Path) -> None:
    """All of a block's changes are kept, or none."""
    database = Database(path)
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM experiments")).scalar() == 0
    database.close()


def _write_and_fail(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO experiments VALUES ('a', 1)"))
        raise ZeroDivisionError


def test_a_reader_sees_one_state_while_a_writer_writes(path: Path) -> None:
    """It neither waits nor sees half of it."""
    database = Database(path)
    count = text("SELECT count(*) FROM experiments")
    with database.read() as reading:
        assert reading.execute(count).scalar() == 0
        with database.write() as writing:
            writing.execute(text("INSERT INTO experiments VALUES ('a', 1)"))
        assert reading.execute(count).scalar() == 0
    with database.read() as reading:
        assert reading.execute(count).scalar() == 1
    database.close()


def test_a_committed_row_survives_a_killed_process(path: Path) -> None:
    """What `write` returned from is there after kill -9; what it had not is not."""
    script = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import text
from storage.database import Database
database = Database(Path(sys.argv[1]))
with database.write() as connection:
    connection.execute(text("INSERT INTO experiments VALUES ('kept', 1)"))
with database.write() as connection:
    connection.execute(text("INSERT INTO experiments VALUES ('lost', 1)"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    processes.run(script, path, returncode=-9)
    database = Database(path)
    with database.read() as connection:
        assert connection.execute(text("SELECT name FROM experiments")).scalars().all() == ["kept"]
    assert database.check() == "ok"
    database.close()


def test_endpoints_of_a_version_before_variants_keep_what_they_served(path: Path) -> None:
    """Their one version is the main variant, capture is all or nothing, and schedules still refer to them."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(text("INSERT INTO endpoints VALUES ('paid', 'demo', 2, 7, 1, 10, 20)"))
        connection.execute(text("INSERT INTO endpoints VALUES ('quiet', 'demo', 1, 1, 0, 10, 20)"))
        connection.execute(text("INSERT INTO schedules VALUES ('paid', '0 * * * *', 0.05, 10)"))
    engine.dispose()
    database = Database(path)
    paid, quiet = Endpoints(database).list()
    assert (paid.variants, paid.revision, paid.capture.share) == ((Variant("main", "demo", 2),), 7, 1.0)
    assert (quiet.main.spec, quiet.capture.share) == ("demo:1", 0.0)
    with database.read() as connection:
        assert connection.execute(text("SELECT endpoint FROM schedules")).scalars().all() == ["paid"]
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    database.close()


def test_schedules_of_a_version_with_one_for_each_endpoint_go_on(path: Path) -> None:
    """By the endpoint's name; their executions too, and what a dead process left has failed."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(text("INSERT INTO endpoints VALUES ('paid', 'demo', 2, 7, 1, 10, 20)"))
        connection.execute(text("INSERT INTO schedules VALUES ('paid', '0 * * * *', 0.01, 10)"))
        connection.execute(
            text("INSERT INTO reports VALUES ('r1', 'paid', 'demo', 2, 1, 2, 'drift', 1, 50, 'a', 'b', 9)")
        )
        connection.execute(
            text(
                "INSERT INTO executions VALUES ('paid', 2, 'completed', 3, 4, 'r1', NULL), "
                "('paid', 5, 'running', 6, NULL, NULL, NULL)"
            )
        )
    engine.dispose()
    database = Database(path)
    schedules = Schedules(database)
    at = [_EPOCH + number * timedelta(microseconds=1) for number in range(11)]
    assert schedules.list() == [Schedule("paid", "paid", "0 * * * *", 0.01, at[10])]
    died = "the process that worked on it died"
    assert schedules.executions("paid") == [
        Execution("paid", at[5], "failed", at[6], ended_at=at[6], reason=died, attempts=1),
        Execution(
            "paid",
            at[2],
            "completed",
            at[3],
            ended_at=at[4],
            report_id="r1",
            attempts=1,
            window_start=at[1],
            window_end=at[2],
            verdict="drift",
            breached=True,
        ),
    ]
    assert schedules.last_end("paid") == at[2]
    assert schedules.alerts.states() == {"paid": "OK"}
    database.close()
