"""Several monitors on one store, killed again and again while the clock runs fast and steps: nothing is lost."""

import collections
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.schedule import Checked, Watch
from storage import Store
from storage.records import Execution, Missed, Schedule
from tests import portable
from tests.monitor import till

ROOT = Path(__file__).parents[3]
START = datetime(2024, 3, 31, 0, 30, tzinfo=UTC)  # half an hour before clocks in Berlin went from 2:00 to 3:00
MINUTE = timedelta(minutes=1)
SPEED = 120.0  # two minutes a second: a lease of 60 s ends after half a second

#: Schedules by what becomes of their missed due times: how, where, and each how many minutes.
SCHEDULES: tuple[tuple[str, Missed, str, str, int], ...] = (
    ("all", "catch-up", "* * * * *", "Europe/Berlin", 1),
    ("last", "latest", "every 2 minutes", "UTC", 2),
    ("none", "record", "*/5 * * * *", "America/New_York", 5),
)

WORKER = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from monitor.schedule import Checked, Watch
from storage import Store, StoreError

folder, began_s, start, speed = Path(sys.argv[1]), float(sys.argv[2]), datetime.fromisoformat(sys.argv[3]), 120.0
log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def clock():
    step_s = float((folder / "step").read_text())
    return start + timedelta(seconds=(time.time() - began_s) * speed + step_s)

def check(store, schedule, window, now):
    os.write(log, f"{schedule.name} {window.end.isoformat()}\\n".encode())
    time.sleep(0.01)
    return Checked("no drift", False)

with ThreadPoolExecutor(2) as pool:
    watch = Watch(Store.open(folder / "store"), pool.submit, clock, make=check)
    print("ready", flush=True)
    while True:
        watch.look()
        watch.renew()
        time.sleep(0.01)
"""


class Herd:
    """Monitors that are killed and replaced."""

    def __init__(self, folder: Path, began_s: float) -> None:
        self._command = [sys.executable, "-c", WORKER, str(folder), str(began_s), START.isoformat()]
        self._processes: list[subprocess.Popen[str]] = []
        self.killed = 0

    def grow(self) -> None:
        """One more."""
        process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)

    def ready(self) -> None:
        """When the newest follows the store."""
        assert self._processes[-1].stdout is not None
        assert self._processes[-1].stdout.readline() == "ready\n"

    def kill(self, number: int) -> None:
        """One less, without a word."""
        process = self._processes.pop(number)
        assert process.poll() is None, "it ended by itself"
        process.kill()
        process.communicate()
        self.killed += 1


def fuzz(store: Store, folder: Path, *, processes: int, seconds: float, seed: int) -> tuple[int, datetime]:
    """Let monitors be killed for some seconds, one at least while others go on; how many were, and the time then."""
    rng = random.Random(seed)
    set_step(folder, 0.0)
    began_s = time.time()
    herd = Herd(folder, began_s)
    for _ in range(processes):
        herd.grow()
        herd.ready()
    latest_step_s = 0.0
    while not herd.killed or time.time() - began_s < seconds:
        herd.grow()
        time.sleep(rng.uniform(0.05, 0.4))
        herd.kill(rng.randrange(processes))  # never the one that has only just begun to start
        herd.ready()
        step_s = rng.choice([-150.0, -20.0, 0.0, 0.0, 15.0, 200.0])
        set_step(folder, step_s)
        latest_step_s = max(latest_step_s, step_s)
    for _ in range(processes):
        herd.kill(0)
    end = START + timedelta(seconds=(time.time() - began_s) * SPEED + latest_step_s)
    drain(store, end + 10 * MINUTE)
    return herd.killed, end + 10 * MINUTE


def set_step(folder: Path, step_s: float) -> None:
    """Have the clock of all monitors step: it is so many seconds ahead from now on."""
    (folder / "next").write_text(str(step_s))
    (folder / "next").replace(folder / "step")


def drain(store: Store, now: datetime) -> None:
    """A monitor that nobody kills does what is left."""

    def made(*_: object) -> Checked:
        return Checked("no drift", False)

    Watch(store, lambda work: work(), lambda: now, make=made).look()


def check_outcomes(store: Store, folder: Path, now: datetime) -> collections.Counter[str]:
    """Each due time has one outcome; what was completed was begun, and no more often than was counted."""
    begun = collections.Counter((folder / "log").read_text().splitlines())
    statuses: collections.Counter[str] = collections.Counter()
    for name, _, _, _, every in SCHEDULES:
        found = store.schedules.executions(name, 100_000)
        minutes = int((now - timedelta(seconds=3) - START) / MINUTE)
        expected = [START + minute * MINUTE for minute in range(minutes + 1) if minute % every == 0]
        assert sorted(execution.scheduled_at for execution in found) == expected, name
        statuses.update(execution.status for execution in found)
        for execution in found:
            runs = begun[f"{name} {execution.scheduled_at.isoformat()}"]
            assert runs <= execution.attempts <= 3, execution
            assert execution.status in ("completed", "missed", "failed"), execution
            assert (execution.ended_at is None, execution.lease_until) == (False, None), execution
    return statuses


def check_windows(executions: list[Execution]) -> None:
    """The windows of what was completed join: no row of traffic is in none of them, or in two."""
    done = [execution for execution in reversed(executions) if execution.status == "completed"]
    for before, after in pairwise(done):
        assert after.window_start == before.window_end, after


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [pytest.param(2, 2.5, id="small"), pytest.param(4, 60.0, id="large", marks=pytest.mark.slow)],
)
def test_each_due_time_has_one_outcome(store: Store, tmp_path: Path, processes: int, seconds: float) -> None:
    """Over kill -9, clocks that step back and ahead, and a day when clocks change."""
    till.deploy(store, portable.classifier(), START - 60 * MINUTE)
    for name, missed, cron, zone, _ in SCHEDULES:
        store.schedules.put(Schedule(name, till.ENDPOINT, cron, 0.05, START, zone=zone, missed=missed))
    killed, now = fuzz(store, tmp_path, processes=processes, seconds=seconds, seed=int(seconds))
    statuses = check_outcomes(store, tmp_path, now)
    for name in ("all", "last"):
        check_windows(store.schedules.executions(name, 100_000))
    assert killed > processes
    assert statuses["completed"] > seconds
    print(f"{killed} killed; {dict(statuses)}; {os.cpu_count()} cores")
