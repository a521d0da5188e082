"""What only processes of this machine promise: hard limits, replacements, and surroundings like their parent's."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autopilot.workers import MemoryLimitError, TimeLimitError, WorkerDiedError, Workers, open_workers
from autopilot.workers.forking import end_servers, server_of
from tests.autopilot.workers import tasks
from tests.autopilot.workers.waiting import is_gone, until

_LIBRARIES = ("lightgbm", "onnxruntime", "polars", "sklearn.ensemble", "there.is.no.such.module")


@pytest.fixture
def workers() -> Iterator[Workers]:
    """One at a time, forked."""
    with open_workers() as workers:
        yield workers


def pid_in(mark: Path) -> int:
    """Once a task has written it."""
    until(lambda: mark.exists() and mark.read_text() != "")
    return int(mark.read_text())


def test_a_task_over_its_limit_is_killed_and_the_next_gets_a_new_process(
    local_workers: Workers, tmp_path: Path
) -> None:
    """Even one that listens to nothing."""
    mark = tmp_path / "mark"
    for _ in range(2):
        local_workers.submit(tasks.sleep, 0.1)  # both have imported the tasks, which the limit does not cover
    future = local_workers.submit(tasks.mark_and_sleep, str(mark), 60, limit_s=1)
    with pytest.raises(TimeLimitError, match=r"mark_and_sleep ran longer than 1\.0 s and was stopped"):
        future.result()
    until(lambda: is_gone(pid_in(mark)))
    assert local_workers.submit(tasks.divide, 1, 1).result() == 1


def test_a_cancelled_task_is_killed(local_workers: Workers, tmp_path: Path) -> None:
    """And so is one that runs when the workers are closed."""
    marks = [tmp_path / "first", tmp_path / "second"]
    futures = [local_workers.submit(tasks.mark_and_sleep, str(mark), 60) for mark in marks]
    pids = [pid_in(mark) for mark in marks]
    futures[0].cancel()
    until(lambda: is_gone(pids[0]))
    local_workers.close()
    assert is_gone(pids[1])


def test_a_worker_keeps_its_process_from_task_to_task(workers: Workers) -> None:
    """So that it can keep what it has opened; also after a task failed."""
    pid = workers.submit(tasks.pid).result()
    with pytest.raises(ZeroDivisionError):
        workers.submit(tasks.divide, 1, 0).result()
    assert workers.submit(tasks.pid).result() == pid != os.getpid()


def test_a_worker_that_is_killed_from_outside_is_told(local_workers: Workers, tmp_path: Path) -> None:
    """Its task fails with the signal's name; the others go on."""
    mark = tmp_path / "mark"
    future = local_workers.submit(tasks.mark_and_sleep, str(mark), 60)
    os.kill(pid_in(mark), signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=r"killed by signal 9 \(SIGKILL, perhaps by the system, which ran out of"):
        future.result()
    assert [local_workers.submit(tasks.divide, 1, 1).result() for _ in range(3)] == [1, 1, 1]


def test_an_idle_worker_that_is_killed_is_replaced_without_a_word(local_workers: Workers) -> None:
    """No task is lost by it."""
    pids = {local_workers.submit(tasks.pid).result() for _ in range(5)}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(is_gone(pid) for pid in pids))
    assert local_workers.submit(tasks.pid).result() not in pids


def test_a_worker_that_ends_itself_is_told_with_its_last_words(local_workers: Workers) -> None:
    """The exit code, and what it wrote."""
    with pytest.raises(
        WorkerDiedError, match=r"exit code 3 \(its last words: the last thing it said\) while it did die"
    ):
        local_workers.submit(tasks.die, 3).result()


def test_a_crash_is_told_with_its_place(workers: Workers) -> None:
    """Python's fault handler tells the line that called native code."""
    with pytest.raises(WorkerDiedError, match=r"signal 11 \(SIGSEGV\)[\s\S]*tasks\.py\", line \d+ in crash"):
        workers.submit(tasks.crash).result()


def test_a_task_that_takes_too_much_memory_is_killed() -> None:
    """What it took and what it may take are told; the next task is done as ever."""
    with open_workers(max_memory_bytes=300_000_000) as workers:
        with pytest.raises(MemoryLimitError, match=r"take_memory took [3-9]\d\d MB of memory .* may take 300 MB"):
            workers.submit(tasks.take_memory, 600_000_000).result()
        assert workers.submit(tasks.divide, 1, 1).result() == 1


def test_what_is_mapped_from_a_file_does_not_count_as_memory(tmp_path: Path) -> None:
    """It can be dropped and read again."""
    path = tmp_path / "values"
    np.ones(25_000_000).tofile(path)
    with open_workers(max_memory_bytes=150_000_000) as workers:
        assert workers.submit(tasks.read_mapped, str(path)).result() == 25_000_000


def test_a_task_is_not_charged_for_what_those_before_it_left() -> None:
    """A worker that keeps more than half of what it may take is replaced."""
    with open_workers(max_memory_bytes=200_000_000) as workers:
        pids = [workers.submit(tasks.keep_memory, 120_000_000).result() for _ in range(3)]
        assert len(set(pids)) == 3
        pids = [workers.submit(tasks.keep_memory, 1_000).result() for _ in range(3)]
        assert len(set(pids)) == 1


def test_what_a_task_started_is_killed_with_it(workers: Workers, tmp_path: Path) -> None:
    """No process of its own is left behind."""
    mark = tmp_path / "mark"
    future = workers.submit(tasks.start_sleeper, str(mark))
    child = pid_in(mark)
    future.cancel()
    until(lambda: is_gone(child))


def test_a_worker_sees_what_its_parent_sees(
    local_workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Folder, environment and import path of now, not of when its server was started; but one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOPILOT_TEST", "seen")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.syspath_prepend("/some/folder")
    folder, seen, threads, path = local_workers.submit(tasks.surroundings).result()
    assert (folder, seen, threads) == (str(tmp_path), "seen", "1")
    assert "/some/folder" in path


@pytest.mark.slow
def test_libraries_with_threads_of_their_own_work_in_a_fork(tmp_path: Path) -> None:
    """LightGBM, scikit-learn, OpenBLAS, Polars and ONNX Runtime, imported before the fork; the server had no thread
    but one of Polars, which sleeps until a query runs out of memory.
    """
    with open_workers(count=2, preload=_LIBRARIES) as workers:
        assert workers.submit(tasks.is_imported, "lightgbm").result()
        assert set(workers.submit(tasks.threads_of_server).result()) <= {"python", "polars-ooc-clea"}
        futures = [workers.submit(tasks.use_libraries, str(tmp_path), limit_s=60) for _ in range(3)]
        for future in futures:
            future.result()


def test_the_server_is_kept_for_the_next_workers() -> None:
    """Also when several are open at once, in threads; a server with other modules is another."""
    servers: list[int] = []

    def open_and_ask() -> None:
        with open_workers() as workers:
            servers.append(workers.submit(tasks.parent).result())

    threads = [threading.Thread(target=open_and_ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert servers == [server_of(()).pid] * 4
    assert server_of(("json",)).pid != servers[0]


def test_a_server_that_was_killed_takes_its_workers_along_and_is_replaced(workers: Workers, tmp_path: Path) -> None:
    """The task that ran is lost and says so."""
    mark = tmp_path / "mark"
    future = workers.submit(tasks.mark_and_sleep, str(mark), 60)
    worker, server = pid_in(mark), server_of(()).pid
    os.kill(server, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="The worker was lost while it did mark_and_sleep"):
        future.result()
    until(lambda: is_gone(worker))
    assert workers.submit(tasks.parent).result() == server_of(()).pid != server


def test_workers_go_when_their_server_is_ended(workers: Workers) -> None:
    """As it is when Python ends."""
    pid = workers.submit(tasks.pid).result()
    end_servers()
    until(lambda: is_gone(pid))


def test_opening_does_not_wait_for_the_imports() -> None:
    """They go on while the caller reads its data; closing does not wait for them either."""
    with open_workers(preload=("tests.autopilot.workers.slow",)) as workers:
        future = workers.submit(tasks.nothing)
        assert not future.done()
    assert future.cancelled()
