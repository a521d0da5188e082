"""The backends that one contract holds."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from autopilot.workers import Workers, open_workers
from autopilot.workers.process import ProcessSlot
from autopilot.workers.spawning import SpawnedProcess
from tests.autopilot.workers.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two workers."""
    with Cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def executors() -> Iterator[dict[str, Executor]]:
    """Executors of the standard library, with two workers each."""
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        yield {"threads": threads, "processes": processes}


@pytest.fixture(params=["forked", "spawned", "threads", "processes", "dask"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Two at once, of each kind."""
    with _opened(request.param, request) as workers:
        yield workers


@pytest.fixture(params=["forked", "spawned"])
def local_workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Two processes of this machine, of each kind."""
    with _opened(request.param, request) as workers:
        yield workers


def _opened(kind: str, request: pytest.FixtureRequest) -> Workers:
    if kind == "forked":
        return open_workers(count=2)
    if kind == "spawned":
        return Workers([ProcessSlot(lambda: SpawnedProcess(()), None) for _ in range(2)])
    if kind == "dask":
        return open_workers(request.getfixturevalue("cluster").address)
    return open_workers(request.getfixturevalue("executors")[kind])
