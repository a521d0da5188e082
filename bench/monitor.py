"""What does a drift report cost, and how often is it wrong? Beside Evidently, if there is one.

    python -m bench.monitor
    python -m bench.monitor --evidently VENV/bin/python     with: python -m venv VENV; VENV/bin/pip install \\
                                                            'evidently==0.7.23' 'pandas<3' pyarrow
    options: --sizes small,large   --windows 200

Speed: two Parquet files of numbers and categories with six of twelve columns drifted, read, compared and written as an
HTML page by a process of its own; CPU seconds and peak memory are the kernel's for it, imports included.
False alarms: windows without drift of 10 numbers and 2 categories, 10 windows to a reference of 5,000 rows. Reported is
the share of windows with an alarm on any column. We promise 5% at most; Evidently promises nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SIZES = {"small": 200_000, "large": 1_000_000}
WINDOWS = (100, 500, 2000)


def draw(rng: np.random.Generator, rows: int, drifted: bool = False) -> dict[str, Any]:
    """Ten numbers and two categories; every second column moves by 0.2 standard deviations, or a tenth of its rows."""
    numbers = {f"number {i}": rng.normal(0.2 * (drifted and i % 2 == 0), size=rows) for i in range(10)}
    levels = [rng.integers(0, size, rows) for size in (8, 50)]
    levels[0] = np.where(rng.random(rows) < 0.1 * drifted, 0, levels[0])
    return numbers | {f"category {i}": np.char.add("level ", column.astype(str)) for i, column in enumerate(levels)}


def ours(reference: Any, current: Any, page: Path | None = None) -> int:
    """Compare, and write the page if one is named; the number of columns that drifted."""
    import polars as pl

    from monitor import compare
    from monitor.page import render

    sides = [pl.read_parquet(side) if isinstance(side, Path) else pl.DataFrame(side) for side in (reference, current)]
    report = compare(*sides)
    if page:
        page.write_text(render(report), encoding="utf-8")
    return sum(column.drifted for column in report.columns)


def evidently(reference: Any, current: Any, page: Path | None = None) -> int:
    """The same by Evidently's DataDriftPreset with its defaults."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    frames = [pd.read_parquet(side) if isinstance(side, Path) else pd.DataFrame(side) for side in (current, reference)]
    numbers = [f"number {i}" for i in range(10)]
    told = DataDefinition(numerical_columns=numbers, categorical_columns=["category 0", "category 1"])
    snapshot = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(frame, data_definition=told) for frame in frames))
    if page:
        snapshot.save_html(str(page))
    return int(snapshot.dict()["metrics"][0]["value"]["count"])


REPORTERS = {"ours": ours, "evidently": evidently}


def alarms(who: str, rows: int, windows: int) -> int:
    """Of windows without drift, how many have an alarm on any column."""
    rng = np.random.default_rng(rows)
    alarmed = 0
    for number in range(windows):
        if number % 10 == 0:
            reference = draw(rng, 5000)
        alarmed += REPORTERS[who](reference, draw(rng, rows)) > 0
    return alarmed


def spend(python: str, *arguments: str) -> tuple[int, float, float]:
    """Run this file as a child of some Python: its answer, CPU seconds, peak memory in MB."""
    command = [python, "-W", "ignore", "-m", "bench.monitor", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "DO_NOT_TRACK": "1"})
    assert process.stdout is not None
    said = process.stdout.read().decode().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} failed"
    return int(said[-1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def measure_speed(pythons: dict[str, str], sizes: list[str]) -> None:
    """Print the table of CPU seconds, memory and page sizes."""
    import polars as pl

    print("| rows x columns | who | CPU s | peak MB | page kB | drifted | CPU ratio |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        reference, current, page = (Path(folder) / name for name in ("reference", "current", "page.html"))
        for size in sizes:
            rng, base_s = np.random.default_rng(0), 0.0
            pl.DataFrame(draw(rng, SIZES[size])).write_parquet(reference)
            pl.DataFrame(draw(rng, SIZES[size], drifted=True)).write_parquet(current)
            for who, python in pythons.items():
                child = (python, "--child", who, str(reference), str(current), str(page))
                spend(*child)  # fills the caches
                drifted, cpu_s, peak_mb = spend(*child)
                base_s = base_s or cpu_s
                sizes_text = f"{peak_mb:,.0f} | {page.stat().st_size / 1e3:,.0f} | {drifted}"
                print(
                    f"| {SIZES[size]:,} x 12 | {who} | {cpu_s:.2f} | {sizes_text} | {cpu_s / base_s:.1f} |", flush=True
                )


def measure_alarms(pythons: dict[str, str], windows: int) -> None:
    """Print the table of false alarms."""
    print("\n| window rows | who | windows | with an alarm |\n|---|---|---|---|")
    for rows in WINDOWS:
        for who, python in pythons.items():
            alarmed, _, _ = spend(python, "--alarms", who, str(rows), str(windows))
            print(f"| {rows:,} | {who} | {windows} | {alarmed / windows:.1%} |", flush=True)


def main() -> None:
    """Measure, or be the child that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidently", help="a Python that has Evidently installed")
    parser.add_argument("--sizes", default="small,large")
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--alarms", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        who, *paths = chosen.child
        print(REPORTERS[who](*map(Path, paths)))
    elif chosen.alarms:
        who, rows, windows = chosen.alarms
        print(alarms(who, int(rows), int(windows)))
    else:
        pythons = {"ours": sys.executable} | ({"evidently": chosen.evidently} if chosen.evidently else {})
        measure_speed(pythons, chosen.sizes.split(","))
        measure_alarms(pythons, chosen.windows)


if __name__ == "__main__":
    main()
