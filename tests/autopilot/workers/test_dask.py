"""Workers on a Dask cluster: addresses, lost workers, folders that travel."""

import socket
import sys
from pathlib import Path

import pytest

from autopilot.workers import open_workers
from storage.errors import InputError
from tests.autopilot.workers import tasks
from tests.autopilot.workers.cluster import Cluster


def test_all_results_arrive_though_a_worker_is_killed(tmp_path: Path) -> None:
    """One of three, in the midst of its task: the scheduler has that done again elsewhere."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "note.txt").write_text("hello")
    with Cluster(3) as cluster, open_workers(cluster.address) as workers:
        assert workers.count == 3
        shared = workers.share(tmp_path)
        futures = [workers.submit(tasks.sleep, 0.2 + number / 1000) for number in range(12)]
        futures[0].result()
        cluster.workers[0].kill()
        assert [future.result() for future in futures] == [0.2 + number / 1000 for number in range(12)]
        here, note = workers.submit(tasks.read_shared, shared).result()
        assert note == "hello"
        assert not here.startswith(str(tmp_path))


def test_dask_is_another_word_for_tcp(cluster: Cluster) -> None:
    """As in `dask://host:8786`."""
    with open_workers(cluster.address.replace("tcp://", "dask://")) as workers:
        assert workers.submit(tasks.divide, 1, 2).result() == 0.5


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address as it was given."""
    monkeypatch.setattr("autopilot.workers.dask._CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(InputError, match=rf"No Dask scheduler answers at 'dask://127\.0\.0\.1:{port}'. Start one with"):
        open_workers(f"dask://127.0.0.1:{port}")


def test_an_address_that_is_none_is_named() -> None:
    """A port has to be a number."""
    with pytest.raises(InputError, match="No Dask scheduler answers at 'dask://host:port'"):
        open_workers("dask://host:port")


def test_a_cluster_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There would be nobody to do the tasks."""
    with Cluster(0) as cluster:
        monkeypatch.setattr("autopilot.workers.dask._CONNECT_S", 0.5)
        with pytest.raises(InputError, match=r"has no workers\. Start some: dask worker"):
            open_workers(cluster.address)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'autopilot\[dask\]'"):
        open_workers("dask://127.0.0.1:8786")


@pytest.mark.parametrize("executor", ["ray://host", "", 3])
def test_an_executor_that_is_none_is_named(executor: str) -> None:
    """With what it may be."""
    with pytest.raises(InputError, match=r"The executor is .*\. Leave it out, or give a concurrent\.futures\.Executor"):
        open_workers(executor)
