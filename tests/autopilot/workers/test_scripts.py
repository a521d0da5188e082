"""Workers of scripts: run as users run theirs, interrupted, killed, with no guard and no standard input."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.autopilot.workers.cluster import Cluster
from tests.autopilot.workers.waiting import is_gone, until
from tests.processes import ROOT, run

OWN_CLASSES = """
import enum, sys, time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple
from autopilot.workers import open_workers

print("began", flush=True)

class Own(NamedTuple):
    value: int

@dataclass(frozen=True)
class Candidate:
    factor: int
    def fit(self, own):
        return Own(self.factor * own.value)

class OwnError(Exception):
    pass

def train(candidate, own):
    if own.value < 0:
        raise OwnError(f"{own.value} is negative")
    return candidate.fit(own)

executor = eval(sys.argv[1])
with open_workers(executor, 2) as workers:
    result = workers.submit(train, Candidate(3), Own(4)).result()
    try:
        workers.submit(train, Candidate(3), Own(-1)).result()
    except OwnError as error:
        print(error)
print(result, type(result) is Own)
"""

SLEEPING = """
import os, time
from autopilot.workers import open_workers
from autopilot.workers.forking import server_of

def task():
    print("said by the worker", flush=True)
    with open(MARK, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)

MARK = {mark!r}
with open_workers() as workers:
    future = workers.submit(task)
    while not (os.path.exists(MARK) and open(MARK).read()):
        assert not future.done()
        time.sleep(0.01)
    print(open(MARK).read(), server_of(()).pid, flush=True)
    future.result()
"""


def start(script: Path, *arguments: str) -> "subprocess.Popen[str]":
    """In a group of its own, as a terminal does it."""
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.fixture
def sleeping(tmp_path: Path) -> Path:
    """A script that prints the numbers of its worker and of its server, and waits for its task."""
    script = tmp_path / "script.py"
    script.write_text(SLEEPING.format(mark=str(tmp_path / "mark")))
    return script


@pytest.mark.parametrize("executor", ["None", "ThreadPoolExecutor(2)"])
def test_a_script_without_a_guard_is_run_once(executor: str, tmp_path: Path) -> None:
    """And its own functions, classes and errors go to the workers and back."""
    script = tmp_path / "script.py"
    script.write_text(OWN_CLASSES)
    out, errors = start(script, executor).communicate(timeout=60)
    assert (out, errors) == ("began\n-1 is negative\nOwn(value=12) True\n", "")


def test_what_a_script_defines_goes_to_dask(cluster: Cluster, tmp_path: Path) -> None:
    """The same, over the network."""
    script = tmp_path / "script.py"
    script.write_text(OWN_CLASSES)
    out, errors = start(script, repr(cluster.address)).communicate(timeout=60)
    assert (out, errors) == ("began\n-1 is negative\nOwn(value=12) True\n", "")


def test_one_line_of_python_has_workers_too() -> None:
    """`python -c`, with warnings as errors, so that nothing is left open."""
    script = "from autopilot.workers import open_workers\nwith open_workers() as w: print(w.submit(lambda: 5).result())"
    assert run(script) == "5\n"


def test_workers_do_not_need_standard_streams(tmp_path: Path) -> None:
    """As under a service that closes them: the files of the workers take their numbers."""
    script = tmp_path / "script.py"
    done = tmp_path / "done"
    script.write_text(
        "from autopilot.workers import open_workers\n"
        "with open_workers(count=2) as workers:\n"
        "    results = [workers.submit(pow, 2, power) for power in range(5)]\n"
        f"    open({str(done)!r}, 'w').write(str([result.result() for result in results]))\n"
    )
    command = ["sh", "-c", 'exec "$0" "$1" <&- >&- 2>&-', sys.executable, str(script)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    assert done.read_text() == "[1, 2, 4, 8, 16]"


@pytest.mark.parametrize(("number", "group"), [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, True)])
def test_no_process_outlives_the_script(sleeping: Path, number: int, group: bool) -> None:
    """However it ends; Ctrl-C interrupts the script alone, and the workers say nothing to it."""
    process = start(sleeping)
    assert process.stdout is not None
    worker, server = map(int, process.stdout.readline().split())
    (os.killpg if group else os.kill)(process.pid, number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == -number
    assert (out, errors.count("Traceback"), errors.count("KeyboardInterrupt")) == ("", int(group), int(group))
    assert "said by the worker" not in errors
    until(lambda: is_gone(worker) and is_gone(server))


def test_a_fork_of_a_script_has_workers_of_its_own() -> None:
    """It cannot give orders to its parent's server, whose child it is not."""
    out = run(
        "import os, sys\n"
        "from autopilot.workers import open_workers\n"
        "def ask():\n"
        "    with open_workers() as workers:\n"
        "        return workers.submit(os.getppid).result()\n"
        "ours = ask()\n"
        "if os.fork() == 0:\n"
        "    print(ask() != ours, flush=True)\n"
        "    os._exit(0)\n"
        "print(os.wait()[1], ask() == ours)\n"
    )
    assert out == "True\n0 True\n"


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run with a task that was killed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = run(
        "import time\n"
        "from autopilot.workers import TimeLimitError, open_workers\n"
        "with open_workers() as workers:\n"
        "    print(type(workers.submit(time.sleep, 9, limit_s=0.1).exception()).__name__)\n"
    )
    assert out == "TimeLimitError\n"
    assert list(tmp_path.iterdir()) == []
