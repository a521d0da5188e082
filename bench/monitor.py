"""What does a drift report cost, and how often is it wrong? Beside Evidently and NannyML, where they are installed.

    python -m bench.monitor
    python -m bench.monitor --evidently VENV/bin/python --nannyml VENV/bin/python
                                          with: VENV/bin/pip install evidently==0.7.23 (or nannyml==0.13.1) 'pandas<3'
    options: --sizes small,large,wide (wide: ours alone)   --windows 200 (0: none)   --once (caches as they are)

Cost: two Parquet files, read, compared and written as an HTML page by a process of its own: ours is `python -m monitor
compare A B --out PAGE`, the others' their presets with their defaults. A third of the numbers is skewed; in the current
file a fifth of them moves by 0.3 standard deviations and one category has other shares; 1% of each column is missing.
CPU seconds (children too) and peak memory are the kernel's for the process, imports included; each runs once before.
NannyML draws its plots only at `small`: 40 columns of a million rows were not drawn within four minutes.

False alarms: windows (`--windows`, of each size) without drift of 10 numbers and 2 categories, 10 windows to a
reference of 5,000 rows. Reported is the share of windows with an alarm on any column. We promise 5% at most; the others
promise nothing.

Profiles by the hour, rescored without raw rows, and their bytes by column: `python -m bench.profiles`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
WINDOWS = (100, 500, 2000)


class Size(NamedTuple):
    """Rows and columns of a file. levels: of each category."""

    rows: int
    numbers: int
    levels: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.rows:,} x {self.numbers + len(self.levels)}"


_LEVELS = (5, 8, 10, 20, 30, 50, 100, 200, 500, 1000)
SIZES = {
    "small": Size(200_000, 10, (8, 50)),
    "large": Size(1_000_000, 30, _LEVELS),
    "wide": Size(1_000_000, 75, _LEVELS * 2 + _LEVELS[:5]),
}
ALONE = ("wide",)


def draw(rng: np.random.Generator, size: Size, drifted: bool = False) -> dict[str, Any]:
    """Columns with missing values as NaN, and None."""
    columns: dict[str, Any] = {}
    for index in range(size.numbers):
        values = rng.normal(size=size.rows)
        values = np.exp(values) if index % 3 == 1 else values
        values += 0.3 * values.std() * (drifted and index % 5 == 0)
        values[rng.random(size.rows) < 0.01] = np.nan
        columns[f"number {index}"] = values
    for index, count in enumerate(size.levels):
        shares = 1 / np.arange(1, count + 1) ** (0.6 if drifted and index == 0 else 1.0)
        names = np.array([f"level {number}" for number in range(count)], dtype=object)
        values = names[rng.choice(count, size.rows, p=shares / shares.sum())]
        values[rng.random(size.rows) < 0.01] = None
        columns[f"category {index}"] = values
    return columns


def make(size: Size, folder: Path) -> None:
    """Write both files, in a process of its own: what a parent holds counts as its children's peak."""
    import polars as pl

    for seed, name in enumerate(("reference", "current")):
        pl.DataFrame(draw(np.random.default_rng(seed), size, drifted=seed == 1)).write_parquet(folder / name)


def ours(reference: Any, current: Any) -> int:
    """The number of columns that drifted."""
    import polars as pl

    from monitor import compare

    return sum(column.drifted for column in compare(pl.DataFrame(reference), pl.DataFrame(current)).columns)


def evidently(reference: Any, current: Any, page: Path | None = None) -> int:
    """The same by Evidently's DataDriftPreset with its defaults."""
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    frames = [_pandas(side) for side in (current, reference)]
    numbers = list(frames[0].select_dtypes("number"))
    categories = [name for name in frames[0] if name not in numbers]
    told = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    snapshot = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(frame, data_definition=told) for frame in frames))
    if page:
        snapshot.save_html(str(page))
    return int(snapshot.dict()["metrics"][0]["value"]["count"])


def nannyml(reference: Any, current: Any, page: Path | None = None) -> int:
    """The same by NannyML's univariate drift with its defaults: ten chunks of each side, drift where one alarms."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml as nml

    before, after = _pandas(reference), _pandas(current)
    categories = [name for name in before if name not in set(before.select_dtypes("number"))]
    calculator = nml.UnivariateDriftCalculator(column_names=list(before), treat_as_categorical=categories)
    found = calculator.fit(before).calculate(after)
    if page and len(before) < SIZES["large"].rows:
        found.plot(kind="drift").write_html(str(page))
    table = found.filter(period="analysis").to_df()
    return int(table.loc[:, [name for name in table.columns if name[-1] == "alert"]].any().sum())


def _pandas(side: Any) -> Any:
    import pandas as pd

    return pd.read_parquet(side) if isinstance(side, Path) else pd.DataFrame(side)


OTHERS: dict[str, Callable[..., int]] = {"evidently": evidently, "nannyml": nannyml}


class Spent(NamedTuple):
    """What a process said last and took."""

    said: str
    cpu_s: float
    peak_mb: float


def spend(*command: str) -> Spent:
    """Run a command to its end; what it took is the kernel's count. Bytecode is kept, as of an installed package."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    said = process.stdout.read().decode().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} failed"
    return Spent(said[-1] if said else "", usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def child(python: str, *arguments: str) -> tuple[str, ...]:
    """This file as a command of some Python."""
    return (python, "-W", "ignore", "-m", "bench.monitor", *arguments)


def measure_cost(pythons: dict[str, str], sizes: list[str], *, once: bool) -> None:
    """Print the table of CPU seconds, memory and page sizes."""
    print("| rows x columns | who | CPU s | peak MB | page kB | drifted | CPU, times ours | memory, times ours |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in sizes:
        with tempfile.TemporaryDirectory() as folder:
            spend(*child(sys.executable, "--make", name, folder))
            files = [str(Path(folder) / file) for file in ("reference", "current")]
            base = None
            for who, python in pythons.items():
                if who != "ours" and name in ALONE:
                    continue
                page = Path(folder) / f"{who}.html"
                command = child(python, "--child", who, *files, str(page))
                if who == "ours":
                    command = (python, "-m", "monitor", "compare", *files, "--out", str(page))
                if not once:
                    spend(*command)  # fills the caches
                spent = spend(*command)
                base = base or spent
                kilobytes = f"{page.stat().st_size / 1e3:,.0f}" if page.exists() else "none"
                ratios = f"{spent.cpu_s / base.cpu_s:.1f} | {spent.peak_mb / base.peak_mb:.1f}"
                cells = f"{spent.cpu_s:.2f} | {spent.peak_mb:,.0f} | {kilobytes} | {_drifted(spent.said)}"
                print(f"| {SIZES[name]} | {who} | {cells} | {ratios} |", flush=True)


def _drifted(said: str) -> int:
    import json

    told = json.loads(said)
    return sum(column["drifted"] for column in told["columns"]) if isinstance(told, dict) else int(told)


def alarms(who: str, rows: int, windows: int) -> int:
    """Of windows without drift, how many have an alarm on any column."""
    rng, judge = np.random.default_rng(rows), ours if who == "ours" else OTHERS[who]
    alarmed, reference = 0, {}
    for number in range(windows):
        if number % 10 == 0:
            reference = draw(rng, Size(5000, 10, (8, 50)))
        alarmed += judge(reference, draw(rng, Size(rows, 10, (8, 50)))) > 0
    return alarmed


def measure_alarms(pythons: dict[str, str], windows: int) -> None:
    """Print the table of false alarms."""
    print("\n| window rows | who | windows | with an alarm |\n|---|---|---|---|")
    for rows in WINDOWS:
        for who, python in pythons.items():
            alarmed = int(spend(*child(python, "--alarms", who, str(rows), str(windows))).said)
            print(f"| {rows:,} | {who} | {windows} | {alarmed / windows:.1%} |", flush=True)


def main() -> None:
    """Measure, or be the child that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for who in OTHERS:
        parser.add_argument(f"--{who}", help="a Python that has it installed")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--alarms", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        make(SIZES[chosen.make[0]], Path(chosen.make[1]))
    elif chosen.child:
        who, *paths = chosen.child
        print(OTHERS[who](*map(Path, paths)))
    elif chosen.alarms:
        who, rows, windows = chosen.alarms
        print(alarms(who, int(rows), int(windows)))
    else:
        others = {who: getattr(chosen, who) for who in OTHERS if getattr(chosen, who)}
        pythons = {"ours": sys.executable} | others
        measure_cost(pythons, chosen.sizes.split(","), once=chosen.once)
        if chosen.windows:
            measure_alarms(pythons, chosen.windows)


if __name__ == "__main__":
    main()
