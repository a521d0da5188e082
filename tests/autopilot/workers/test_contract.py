"""What all workers promise, wherever they are."""

import threading
from concurrent.futures import as_completed, wait
from pathlib import Path

import numpy as np
import pytest

from autopilot.workers import SendError, TimeLimitError, WorkerDiedError, Workers
from tests.autopilot.workers import tasks
from tests.autopilot.workers.waiting import until


def test_a_result_comes_back(workers: Workers) -> None:
    """What the function returned."""
    assert workers.submit(tasks.divide, 3, 2).result() == 1.5


def test_they_work_at_once(workers: Workers, tmp_path: Path) -> None:
    """The first task waits for the second, which would never begin."""
    assert workers.count == 2
    futures = [workers.submit(tasks.begin_and_wait, str(tmp_path), "first"), workers.submit(tasks.end, str(tmp_path))]
    assert {future.result() for future in as_completed(futures)} == {"first", "end"}


def test_an_error_keeps_its_type_and_message(workers: Workers) -> None:
    """And the traceback of the worker is its note."""
    with pytest.raises(ZeroDivisionError) as found:
        workers.submit(tasks.divide, 1.0, 0.0).result()
    assert str(found.value) == "float division by zero"
    assert "return number / by" in found.value.__notes__[0]


def test_an_error_that_cannot_be_read_back_keeps_its_words(workers: Workers) -> None:
    """As a RuntimeError that names it."""
    with pytest.raises(RuntimeError, match=r"^OddError: row 3 holds 7\n"):
        workers.submit(tasks.raise_odd).result()


def test_a_task_that_exits_ends_neither_its_worker_nor_us(workers: Workers) -> None:
    """`sys.exit` is an error like others, so that `except Exception` catches it."""
    with pytest.raises(WorkerDiedError, match="SystemExit: 3"):
        workers.submit(tasks.leave, 3).result()
    assert workers.submit(tasks.divide, 1, 1).result() == 1


def test_what_cannot_be_sent_is_named(workers: Workers) -> None:
    """Both ways, and the worker goes on."""
    with pytest.raises(SendError, match=r"sleep and its arguments cannot be sent .* TypeError: cannot pickle"):
        workers.submit(tasks.sleep, threading.Lock()).result()
    with pytest.raises(SendError, match="The result cannot be sent back: TypeError: cannot pickle"):
        workers.submit(tasks.lock).result()
    assert workers.submit(tasks.divide, 1, 1).result() == 1


def test_functions_and_classes_without_a_module_go_along(workers: Workers) -> None:
    """By value, as those of a notebook do; an instance that comes back is of the same class."""

    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

    scale = workers.submit(lambda given: Scale(given.factor * 2), Scale(4)).result()
    assert type(scale) is Scale
    assert scale.factor == 8


def test_large_arrays_go_both_ways(workers: Workers) -> None:
    """50 MB each, and what comes back can be written to."""
    assert workers.submit(tasks.total, np.ones(6_250_000)).result() == 6_250_000
    values = workers.submit(tasks.ones, 6_250_000).result()
    values += 1
    assert values.nbytes == 50_000_000
    assert values[-1] == 2


def test_two_hundred_tasks_all_come_back(workers: Workers) -> None:
    """Each future has its own result."""
    futures = [workers.submit(tasks.divide, number, 1) for number in range(200)]
    assert [future.result() for future in futures] == list(range(200))


def test_a_task_that_takes_too_long_is_given_up(workers: Workers) -> None:
    """The limit counts from when it begins: those that wait for a worker do not lose theirs."""
    assert workers.submit(tasks.sleep, 0, limit_s=30).result() == 0
    with pytest.raises(TimeLimitError, match=r"sleep .* longer than 0\.2 s"):
        workers.submit(tasks.sleep, 1, limit_s=0.2).result()
    futures = [workers.submit(tasks.sleep, 0.1, limit_s=30) for _ in range(4)]
    assert [future.result() for future in futures] == [0.1] * 4


def test_a_cancelled_task_is_told_as_cancelled(workers: Workers, tmp_path: Path) -> None:
    """Those that wait and those that run; the others are done as before."""
    futures = [workers.submit(tasks.begin_and_wait, str(tmp_path), name) for name in "abcd"]
    until((tmp_path / "a began").exists)
    assert futures[0].cancel()
    assert futures[3].cancel()
    assert wait(futures, return_when="FIRST_COMPLETED").done == {futures[0], futures[3]}
    tasks.end(str(tmp_path))
    assert [future.result() for future in futures[1:3]] == ["b", "c"]
    assert not (tmp_path / "d began").exists()


def test_closing_cancels_all(workers: Workers, tmp_path: Path) -> None:
    """What runs and what waits; nothing can be submitted any more, and closing twice is fine."""
    futures = [workers.submit(tasks.begin_and_wait, str(tmp_path), name) for name in "abcd"]
    until((tmp_path / "a began").exists)
    workers.close()
    assert [future.cancelled() for future in futures] == [True] * 4
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(tasks.nothing)
    workers.close()
    tasks.end(str(tmp_path))


def test_a_shared_folder_is_read_by_tasks(workers: Workers, tmp_path: Path) -> None:
    """With all that is in it."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "note.txt").write_text("hello")
    shared = workers.share(tmp_path)
    futures = [workers.submit(tasks.read_shared, shared) for _ in range(3)]
    assert [future.result()[1] for future in futures] == ["hello"] * 3
    assert shared.here() == tmp_path
