"""Servers as users have them: `python -m serving` in a process of its own, asked over a socket."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import httpx
import pytest
from msgspec.structs import replace

from storage import Store
from storage.records import Report
from tests import portable

ROOT = Path(__file__).parents[2]


class ServerProcess:
    """A running server. `url` is where it listens, `client` asks it, `log` is what it wrote to stderr."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=60)
        self._log = log

    @property
    def log(self) -> str:
        """Everything written so far."""
        return self._log.read_text()

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        self.client.close()
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """End it as a power cut would, as far as the process is concerned."""
        self.client.close()
        self.process.kill()
        self.process.wait(60)


def spawn(*arguments: str, stderr: IO[str] | int, environ: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """`python -m serving ARGUMENTS`, with warnings as errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "serving", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


@contextmanager
def serving(store: Store, *arguments: str, environ: dict[str, str] | None = None) -> Generator[ServerProcess]:
    """A server over a store, on a free port; stopped in the end if the test has not."""
    log = store.root.parent / f"{store.root.name}.log"
    with log.open("w") as file:
        process = spawn("--store", str(store.root), "--port", "0", *arguments, stderr=file, environ=environ)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Serving http"), log.read_text()
    server = ServerProcess(process, line.split()[1], log)
    try:
        yield server
    finally:
        if process.poll() is None:
            server.kill()
        process.stdout.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store.open(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a classifier as endpoint `paid`, a regressor as endpoint `price`, and a report on the first."""
    store = Store.open(tmp_path_factory.mktemp("shared") / "store")
    portable.publish(store, portable.classifier(), name="classifier", endpoint="paid")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    bodies = (b'{"verdict": "drift"}', b"<!doctype html><p>drift</p>", "# Drift · été\n".encode())
    json, html, markdown = map(store.blobs.put, bodies)
    day = datetime(2024, 5, 1, tzinfo=UTC)
    later = day + timedelta(days=1)
    report = Report("r1", "paid", "classifier", 1, day, later, "drift", True, 7, json, html, later)
    store.reports.add(replace(report, markdown_digest=markdown))
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(shared_store: Store) -> Iterator[ServerProcess]:
    """A server over the shared store, for tests that only ask."""
    with serving(shared_store, environ={"AUTOPILOT_MAX_BODY_BYTES": "1000000"}) as server:
        yield server
