"""What do profiles of hours cost, and how fast is a past period judged from them?

    python -m bench.profiles
    options: --days 90   --columns 100   --rows 2000   --drift 0.0   --drawn 240   --raw-hours 10

Hours of traffic of numbers (normal, heavy tail, whole, many zeros) and categories (2 to 5,000 levels), some with
missing values, are written as Parquet, an hour a file, as captured traffic is, and profiled into a store. Ten days are
drawn and repeated; each hour has a blob of its own. Then:

- `profile`: CPU time an hour, and bytes a column and hour, in parts; the KLL sketch's rank error beside its bytes.
- `rescore`: an hourly schedule over all days from the profiles: reading them, and judging each column of each hour.
- `raw`: the same from the rows, of so many hours as take a while, times the number of hours.

CPU seconds are of one thread, unless Polars takes more for the rows.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from monitor import compare
from monitor.sketches import Baseline, Profile, Subject, load, merge, profile, replay, windows_of
from monitor.sketches.quantiles import K
from monitor.sketches.stored import dump
from storage import Store
from storage.records import Schedule, StoredProfile

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
REFERENCE_ROWS = 10_000
LEVELS = (2, 8, 50, 500, 5000)


class Version(NamedTuple):
    """Of a model that answers nothing: only its name is needed."""

    name: str = "demo"
    version: int = 1


def draw(rng: np.random.Generator, rows: int, columns: int, shift: float = 0.0) -> pl.DataFrame:
    """Rows; each fifth column moves by `shift` standard deviations, or as large a share of its rows."""
    made: dict[str, Any] = {}
    for number in range(columns):
        moved = shift if number % 5 == 0 else 0.0
        values = rng.normal(moved, size=rows)
        kind = number % 8
        if kind == 1:
            values = np.exp(values)
        elif kind == 2:
            values = np.floor(values * 10)
        elif kind == 3:
            values = np.maximum(values, 0)
        name = f"column {number}"
        if kind < 4:
            made[name] = values
        else:
            levels = LEVELS[number % len(LEVELS)]
            share = np.where(rng.random(rows) < moved / 3, 0.0, rng.random(rows) ** 2)
            made[name] = np.char.add("level ", np.floor(share * levels).astype(int).astype(str))
        if number % 3 == 0:
            made[name] = pl.Series(made[name]).set(pl.Series(rng.random(rows) < 0.05), None)
    return pl.DataFrame(made)


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, CPU seconds and seconds."""
    cpu_s, clock_s = time.process_time(), time.perf_counter()
    made = work()
    return made, time.process_time() - cpu_s, time.perf_counter() - clock_s


def fill(store: Store, folder: Path, subject: Subject, chosen: argparse.Namespace) -> tuple[float, list[int]]:
    """Draw, write and profile all hours: CPU seconds an hour that profiles took, and the bytes of each."""
    rng = np.random.default_rng(1)
    kept = store.profiles
    sizes: list[int] = []
    spent_s = 0.0
    for hour in range(min(chosen.days * 24, chosen.drawn)):
        frame = draw(rng, chosen.rows, chosen.columns, chosen.drift)
        if hour < chosen.raw_hours:
            frame.write_parquet(folder / f"{hour}.parquet")
        window, cpu_s, _ = timed(lambda frame=frame: profile(frame, subject.baseline))
        spent_s += cpu_s
        for again in range(hour, chosen.days * 24, chosen.drawn):
            data = dump(window._replace(extra=(str(again),)))  # so that each has a blob of its own
            sizes.append(len(data))
            at = START + again * HOUR
            row = StoredProfile("demo", "main", "demo", 1, subject.baseline.digest, at, frame.height, 1, "", 0, at)
            assert kept.put(row, data)
    return spent_s / min(chosen.days * 24, chosen.drawn), sizes


def parts_of(data: bytes, columns: int) -> str:
    """Bytes a column of each part of a profile."""
    stored = msgspec.msgpack.decode(data)
    parts = {
        "counts": len(stored["counts"]),
        "KLL": sum(map(len, stored["quantiles"])),
        "distinct": sum(map(len, stored["distinct"])),
    }
    parts["the rest"] = len(data) - sum(parts.values())
    return ", ".join(f"{name} {size / columns:,.0f}" for name, size in parts.items())


def judge_rows(folder: Path, reference: pl.DataFrame, hours: int) -> int:
    """How many columns of hours drift, from the rows."""
    return sum(
        column.drifted
        for hour in range(hours)
        for column in compare(reference, pl.read_parquet(folder / f"{hour}.parquet")).columns
    )


def measure_sketches(rows: int) -> None:
    """Print the KLL sketch's error for sizes of it."""
    import datasketches

    print("\n| KLL k | bytes | largest rank error of 99 quantiles, mean of 20 | datasketches' own bound (99%) |")
    print("|---|---|---|---|")
    shares = np.linspace(0.01, 0.99, 99)
    for k in (16, 32, K, 128, 200):
        errors: list[float] = []
        for seed in range(20):
            values = np.random.default_rng(seed).normal(size=rows)
            sketch = datasketches.kll_doubles_sketch(k)
            sketch.update(values)
            found = np.sort(values).searchsorted(sketch.get_quantiles(shares)) / rows
            errors.append(float(abs(found - shares).max()))
        print(
            f"| {k} | {len(sketch.serialize()):,} | {np.mean(errors):.4f} | {sketch.normalized_rank_error(False):.4f} |"
        )


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--drift", type=float, default=0.0)
    parser.add_argument("--drawn", type=int, default=240)
    parser.add_argument("--raw-hours", type=int, default=10)
    chosen = parser.parse_args()
    hours = chosen.days * 24
    reference = draw(np.random.default_rng(0), REFERENCE_ROWS, chosen.columns)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store.open(folder / "store")
        baseline, cpu_s, _ = timed(lambda: Baseline.of(reference))
        subject = Subject("demo", Version(), baseline)  # type: ignore[arg-type]
        print(
            f"baseline of {REFERENCE_ROWS:,} x {chosen.columns}: {cpu_s:.2f} CPU s, {len(baseline.data) / 1e3:,.0f} kB"
        )
        spent_s, sizes = fill(store, folder, subject, chosen)
        profiles_bytes = np.array(sizes)
        print(
            f"profile: {hours:,} hours of {chosen.rows:,} rows: {spent_s * 1e3:.1f} CPU ms an hour, "
            f"{profiles_bytes.mean() / chosen.columns:,.0f} bytes a column and hour (at most "
            f"{profiles_bytes.max() / chosen.columns:,.0f}), {profiles_bytes.sum() / 1e6:,.0f} MB in all"
        )
        last: Profile = profile(draw(np.random.default_rng(2), chosen.rows, chosen.columns), baseline)
        print(f"of which a column: {parts_of(dump(last), chosen.columns)}")
        schedule = Schedule("hourly", "demo", "0 * * * *", 0.05, START)
        end = START + hours * HOUR
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        history, read_cpu_s, read_s = timed(lambda: load(store, subject, START, end))
        windows = windows_of(schedule, START, end)
        told, judge_cpu_s, judge_s = timed(lambda: replay(history, subject, schedule, windows, (START, end)))
        again, again_cpu_s, _ = timed(lambda: replay(history, subject, schedule, windows, (START, end)))
        assert again == told
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = sum(len(outcome.drifted) for outcome in told.outcomes)
        print(
            f"rescore: {len(told.outcomes):,} windows x {chosen.columns} columns: read {read_cpu_s:.2f} CPU s "
            f"({read_s:.2f} s), judge {judge_cpu_s:.2f} CPU s ({judge_s:.2f} s), again {again_cpu_s:.2f}; "
            f"{told.alarms} windows alarm, {found} columns of them; memory +{peak_mb - before_mb:,.0f} MB"
        )
        raw, raw_cpu_s, raw_s = timed(lambda: judge_rows(folder, reference, chosen.raw_hours))
        of_all = hours / chosen.raw_hours
        kept_bytes = sum((folder / f"{hour}.parquet").stat().st_size for hour in range(chosen.raw_hours)) * of_all
        print(
            f"raw: {chosen.raw_hours} hours {raw_cpu_s:.2f} CPU s ({raw_s:.2f} s), {raw} columns; all would take "
            f"{raw_cpu_s * of_all:,.0f} CPU s, {raw_cpu_s * of_all / (read_cpu_s + judge_cpu_s):,.0f} times as many, "
            f"and the rows take {kept_bytes / 1e6:,.0f} MB, {kept_bytes / profiles_bytes.sum():,.1f} times as many"
        )
        merged, merge_cpu_s, _ = timed(lambda: merge([last] * 24))
        print(f"merge: 24 profiles into one: {merge_cpu_s * 1e3:.1f} CPU ms, {merged.rows:,} rows")
        store.close()
    measure_sketches(100_000)


if __name__ == "__main__":
    main()
