"""What does a kill cost? Runs that are killed at random moments, resumed, and replayed.

    python -m bench.crash                 the demo's flights
    options: --kills 30   --budget 12s   --rows 4000   --seed 0

Each run is `autopilot fit` in a process of its own, killed with SIGKILL at a random moment between its first event and
its end, its workers with it; every other one is killed a second time after it was resumed. `autopilot fit --resume`
then takes it to its end, and `autopilot replay --all` trains everything on its tape once more, in a process that
nobody kills. A line says where the run was, how many parts of trials it had trained and how many of these were trained
twice, how long its workers had trained on what was lost, and whether the replay was the same to the bit.

Exits with 1 if a run did not end, trained a part twice, changed a trial that had ended, or was replayed differently.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from autopilot.events import PartTrained, Phase, Working, event_of
from storage.records import RunEvent, Trial
from storage.store import Store

_DATA = Path(__file__).parent.parent / "autopilot/demo_data/flights.parquet"


class Killed(NamedTuple):
    """What a run had when it was killed. lost_s: since its last event, that each worker had spent at most."""

    phase: str
    parts: int
    lost_s: float
    trials: list[Trial]


def main() -> None:
    """Print a line for each kill, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--budget", default="12s")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    print(
        "| run | killed while | parts on disk | trained twice | lost s, each worker at most | the same when replayed |"
    )
    print("|---|---|---|---|---|---|")
    number, kills, wrong, lost = 0, 0, 0, list[float]()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "flights.parquet"
        pl.read_parquet(_DATA).sample(chosen.rows, seed=chosen.seed).write_parquet(data)
        while kills < chosen.kills:
            store = Path(name) / f"store-{number}"
            times = 1 + number % 2 if kills + 1 < chosen.kills else 1
            found = killed_run(data, store, chosen.budget, times, rng)
            kills += len(found)
            number += 1
            lost += [one.lost_s for one in found]
            wrong += not told(store, found)
    print(
        f"\n{kills} kills, {wrong} runs wrong. Lost at each, of each worker: median {np.median(lost):.2f} s, ", end=""
    )
    print(f"most {max(lost):.2f} s.")
    sys.exit(wrong > 0)


def killed_run(data: Path, store: Path, budget: str, times: int, rng: random.Random) -> list[Killed]:
    """Begin a run, kill it so many times, and take it to its end."""
    command = ["fit", str(data), "--target", "late", "--budget", budget]
    found: list[Killed] = []
    for _ in range(times):
        process = start(*command, "--store", str(store))
        run_id = wait_for_run(store, process)
        time.sleep(rng.uniform(0.0, float(budget.removesuffix("s")) - 3.0) / times)
        if process.poll() is not None:
            break  # it was faster
        kill(process)
        found.append(at_kill(store, run_id, time.time()))
        command = ["fit", "--resume", run_id]
    if found and process.poll() != 0:
        start(*command, "--store", str(store)).wait()
    return found


def start(*arguments: str) -> "subprocess.Popen[bytes]":
    """`autopilot` in a session of its own, so that its workers can be killed with it."""
    command = [sys.executable, "-m", "autopilot", *arguments]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_run(store: Path, process: "subprocess.Popen[bytes]") -> str:
    """The run's id, once it has written its first event since the process began."""
    while not (store / "autopilot.db").exists():
        time.sleep(0.02)
    opened = Store.open(store)
    while True:
        for run in opened.runs.list():
            events = map(event_of, opened.runs.events(run.id))
            if any(isinstance(event, Working) and event.process == process.pid for event in events):
                opened.close()
                return run.id
        time.sleep(0.02)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """At once, whatever it does."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def at_kill(store: Path, run_id: str, killed_at: float) -> Killed:
    """What is in the store just then."""
    opened = Store.open(store)
    records = opened.runs.events(run_id)
    phases = [event.name for event in map(event_of, records) if isinstance(event, Phase)]
    trials = opened.runs.trials(run_id)
    opened.close()
    parts = len(set(_parts(records)))
    return Killed(phases[-1] if phases else "beginning", parts, killed_at - records[-1].at.timestamp(), trials)


def told(store: Path, found: list[Killed]) -> bool:
    """Print a run's lines; gives whether all was right."""
    opened = Store.open(store)
    run = opened.runs.list()[0]
    twice = sum(count - 1 for count in Counter(_parts(opened.runs.events(run.id))).values())
    trials = {trial.number: trial for trial in opened.runs.trials(run.id)}
    is_kept = all(trials.get(trial.number) == trial for one in found for trial in one.trials)
    opened.close()
    replayed = subprocess.run(
        [sys.executable, "-m", "autopilot", "replay", run.id, "--all", "--json", "--store", str(store)],
        capture_output=True,
        check=False,
    )
    is_same = (
        replayed.returncode == 0 and json.loads(replayed.stdout)["digest"] == json.loads(replayed.stdout)["expected"]
    )
    is_right = run.status == "completed" and not twice and is_kept and is_same
    for one in found:
        verdict = "yes" if is_same else "NO"
        print(f"| {run.id} | {one.phase} | {one.parts} | {twice} | {one.lost_s:.2f} | {verdict} |", flush=True)
    if not is_right:
        print(f"WRONG: {run.status} {run.reason}, trials kept: {is_kept}. {replayed.stderr.decode()[-500:]}")
    return is_right


def _parts(records: list[RunEvent]) -> list[tuple[int, str]]:
    return [(event.number, event.part) for event in map(event_of, records) if isinstance(event, PartTrained)]


if __name__ == "__main__":
    main()
