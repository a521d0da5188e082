"""Does a run end when it was told to? Wall time beyond the budget, over many tables and budgets.

    python -m bench.budget                         hostile tables made here: many columns, many classes, many rows,
                                                   a slow metric of the user's own
    python -m bench.budget --manifest M.json       and every table that a manifest lists (see bench.automl)
    options: --budgets 5,10,20   --only wide,adult

Each run is a process of its own, timed from its start to its end, so that imports and writing the store count. The
promise is the budget and 2 seconds or 2% more, whichever is longer. Exits with 1 if any run broke it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from bench._sets import read_sets

_SCRIPT = """
import sys, time
import polars as pl
import autopilot

def slow(y, predicted):
    time.sleep(0.7)
    return float(abs(y - predicted).mean())

data, target, task, budget, store, metric = sys.argv[1:]
own = autopilot.Metric("slow", slow, needs="value", greater_is_better=False)
autopilot.fit(data, target, task=task, budget=budget, store=store, metric=own if metric == "slow" else "auto")
"""


class Case(NamedTuple):
    """A table and how it is learnt."""

    name: str
    frame: pl.DataFrame
    target: str
    task: str
    metric: str = "auto"


def main() -> None:
    """Print a line for each run, and the distribution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--budgets", default="10,20")
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    print("| table | rows x columns | budget s | wall s | beyond s | promise kept |")
    print("|---|---|---|---|---|---|")
    beyond: list[float] = []
    broken = 0
    for case in cases(chosen.manifest):
        if chosen.only and case.name not in chosen.only.split(","):
            continue
        for budget_s in map(float, chosen.budgets.split(",")):
            wall_s = run(case, budget_s)
            late_s = wall_s - budget_s
            is_kept = late_s <= max(2.0, 0.02 * budget_s)
            beyond.append(late_s)
            broken += not is_kept
            size = f"{case.frame.height:,} x {case.frame.width - 1:,}"
            kept = "yes" if is_kept else "NO"
            print(f"| {case.name} | {size} | {budget_s:g} | {wall_s:.1f} | {late_s:+.1f} | {kept} |", flush=True)
    p50, p90, most = np.quantile(beyond, [0.5, 0.9, 1.0])
    print(f"\n{len(beyond)} runs, {broken} beyond the promise. Beyond the budget: median {p50:+.1f} s, ", end="")
    print(f"90% below {p90:+.1f} s, most {most:+.1f} s.")
    sys.exit(broken > 0)


def run(case: Case, budget_s: float) -> float:
    """Wall seconds of a process that fits."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / f"{case.name}.parquet"
        case.frame.write_parquet(data)
        arguments = [str(data), case.target, case.task, str(budget_s), str(Path(folder) / "store"), case.metric]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _SCRIPT, *arguments], capture_output=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{case.name}: {done.stderr.decode()[-2000:]}")
    return seconds


def cases(manifest: Path | None) -> "list[Case]":
    """Hostile tables, then the manifest's."""
    found = [wide(), many_classes(), many_rows(), slow_metric()]
    if manifest is not None:
        for one in read_sets(manifest):
            frame = one.read()
            found.append(Case(one.name, frame, one.target, one.task))
    return found


def wide() -> Case:
    """2,000 columns."""
    X = np.random.default_rng(0).normal(size=(3000, 2000))
    y = X[:, :20].sum(axis=1) + np.random.default_rng(1).normal(size=3000) > 0
    return Case("wide", _frame(X, y), "y", "binary")


def many_classes() -> Case:
    """200 classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20))
    y = (X[:, 0] * 20 + X[:, 1] * 20).astype(int) % 200
    return Case("many_classes", _frame(X, y), "y", "multiclass")


def many_rows() -> Case:
    """A million rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000_000, 20))
    return Case("many_rows", _frame(X, X[:, :5].sum(axis=1) + rng.normal(size=len(X))), "y", "regression")


def slow_metric() -> Case:
    """An own metric that takes 0.7 s a call."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 10))
    return Case("slow_metric", _frame(X, X[:, 0] + rng.normal(size=len(X))), "y", "regression", "slow")


def _frame(X: np.ndarray, y: np.ndarray) -> pl.DataFrame:
    columns = {f"x{index}": X[:, index] for index in range(X.shape[1])}
    return pl.DataFrame({**columns, "y": y})


if __name__ == "__main__":
    main()
