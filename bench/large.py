"""A table of ten million rows on one machine: how much memory does a fit take, and how long?

    python -m bench.large
    options: --rows 10000000   --budget 300s

30 columns: 22 numbers, six categories of 5 to 5,000 levels, a boolean and a time; the target is a number that depends
on eleven of them. The table is written to a Parquet file, and the command line fits it in a process of its own. Memory
is what all of its processes hold together, pages that several share counted once (PSS), looked at twice a second; and
by how much the memory that the machine has available shrank. The last columns are errors on fresh rows, on which the
noise alone makes 1; what the card says about the training stands below.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

import autopilot
from autopilot.deadline import parse_budget

_NUMBERS, _LEVELS = 22, (5, 12, 40, 200, 1000, 5000)
_EVERY_S = 0.5
_TEST_ROWS = 200_000


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--budget", default="300s")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(chosen.rows, folder)
        found = fit(folder, chosen.budget)
        error, guess = score(found["onnx_path"], folder)
        notes = autopilot.load(found["onnx_path"]).card.notes
    late_s = found["seconds"] - parse_budget(chosen.budget)
    print("| rows | columns | budget | wall s | beyond s | PSS GB | shrank GB | model | rmse | of the mean |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    members = " + ".join(member["candidate"] for member in found["members"])
    print(
        f"| {chosen.rows:,} | 30 | {chosen.budget} | {found['seconds']:.1f} | {late_s:+.1f} | {found['pss'] / 1e9:.1f} "
        f"| {found['shrank'] / 1e9:.1f} | {members} | {error:.4f} | {guess:.4f} |"
    )
    print(*notes, sep="\n")


def write_tables(rows: int, folder: Path) -> None:
    """`train.parquet`, in pieces, and `test.parquet`."""
    pieces = [table(min(1_000_000, rows - start), start) for start in range(0, rows, 1_000_000)]
    pl.concat(pieces).write_parquet(folder / "train.parquet")
    table(_TEST_ROWS, 10**9).write_parquet(folder / "test.parquet")


def table(rows: int, seed: int) -> pl.DataFrame:
    """Rows with their target `y`."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, _NUMBERS)).astype(np.float32).astype(np.float64)
    codes = [rng.integers(0, levels, rows) for levels in _LEVELS]
    days = rng.integers(0, 3 * 365, rows)
    flag = rng.random(rows) < 0.3
    y = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(3 * X[:, 3]) + np.abs(X[:, 4]) + 0.5 * (X[:, 5] > 1)
    y += np.sin(codes[1]) + np.cos(codes[4]) + np.sin(codes[5]) * flag + np.sin(days % 7) + rng.normal(size=rows)
    X[rng.random((rows, _NUMBERS)) < 0.02] = np.nan
    return pl.DataFrame(
        {
            **{f"number_{at}": pl.Series(X[:, at]).fill_nan(None) for at in range(_NUMBERS)},
            **{f"category_{at}": pl.Series(code).cast(pl.String) + "c" for at, code in enumerate(codes)},
            "flag": flag,
            "time": pl.Series((18_262 + days) * 86_400_000_000).cast(pl.Datetime("us")),
            "y": y,
        }
    )


def fit(folder: Path, budget: str) -> dict[str, Any]:
    """`autopilot fit --json`, with its wall seconds and its peaks of memory in bytes."""
    command = [sys.executable, "-m", "autopilot", "fit", str(folder / "train.parquet"), "--target", "y"]
    command += ["--task", "regression", "--budget", budget, "--json", "--store", str(folder / "store")]
    available = psutil.virtual_memory().available
    began, pss, shrank = time.monotonic(), 0, 0
    with (folder / "out.json").open("wb") as out, (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        while process.poll() is None:
            pss = max(pss, shared_once(process.pid))
            shrank = max(shrank, available - psutil.virtual_memory().available)
            time.sleep(_EVERY_S)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit((folder / "errors.txt").read_text()[-2000:])
    return {**json.loads((folder / "out.json").read_text()), "seconds": seconds, "pss": pss, "shrank": shrank}


def shared_once(pid: int) -> int:
    """Bytes of a process and all below it; a page of several counts its share in each."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it has just ended
    return total


def score(path: str, folder: Path) -> tuple[float, float]:
    """Root mean squared error on fresh rows, of the file and of the mean."""
    test = pl.read_parquet(folder / "test.parquet")
    y = test["y"].to_numpy()
    found = autopilot.load(path).predict(test.drop("y"))["prediction"].to_numpy()
    return float(np.sqrt(np.mean((y - found) ** 2))), float(y.std())


if __name__ == "__main__":
    main()
