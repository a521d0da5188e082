"""What fitting and applying a feature plan cost, beside scikit-learn's ColumnTransformer on the same work.

    python -m bench.plan                1,000,000 rows x 40 columns
    options: --rows 100000   --repeats 3

The work: 28 numbers with 5% missing are filled and scaled by robust statistics, 10 categories of 5 to 1,000 levels
become mean targets with 5-fold cross-fitting, 2 times become parts of the calendar. Both sides start from a table in
memory, of their own kind, and end with a matrix. Each measurement is a process of its own; the two sides take turns,
and the median is printed. Peak memory is the process's, less what it held before. Ratios below 1 are in our favour.

Below them stand two shapes that are hard on a plan: 3,000 columns, and a category of 100,000 levels.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import polars as pl

_NUMBERS, _CATEGORIES, _TIMES = 28, 10, 2


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", default="")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(CHILDREN[chosen.child](chosen.rows)))
        return
    print(f"{chosen.rows:,} rows x 40 columns, median of {chosen.repeats}\n")
    print("| step | autopilot s | scikit-learn s | ratio | CPU ratio |")
    print("|---|---|---|---|---|")
    turns = [(measure("plan", chosen.rows), measure("sklearn", chosen.rows)) for _ in range(chosen.repeats)]
    for step in ("fit", "transform"):
        ours, theirs, ratio = (_medians(turns, f"{step}_s", index) for index in (0, 1, 2))
        print(f"| {step} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} | {_medians(turns, f'{step}_cpu_s', 2):.2f} |")
    ours, theirs, ratio = (_medians(turns, "peak_bytes", index) / (1e6 if index < 2 else 1) for index in (0, 1, 2))
    print(f"| peak memory, MB | {ours:.0f} | {theirs:.0f} | {ratio:.2f} | |")
    print("\n| shape | fit s | transform s | features | peak MB |")
    print("|---|---|---|---|---|")
    for name in ("wide", "levels"):
        found = measure(name, chosen.rows)
        print(
            f"| {found['shape']} | {found['fit_s']:.2f} | {found['transform_s']:.2f} | {found['features']} "
            f"| {found['peak_bytes'] / 1e6:.0f} |"
        )


def measure(child: str, rows: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "bench.plan", "--child", child, "--rows", str(rows)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _medians(turns: list[tuple[dict[str, Any], dict[str, Any]]], key: str, index: int) -> float:
    """Of ours (0), theirs (1), or the ratio of each turn (2)."""
    if index == 2:
        return median(ours[key] / theirs[key] for ours, theirs in turns)
    return median(turn[index][key] for turn in turns)


def run_plan(rows: int) -> dict[str, Any]:
    """Our side."""
    from autopilot.plan.ops import CalendarParts, Scale, TargetMean

    frame, y = table(rows)
    return run_ops(frame, y, (Scale, TargetMean, CalendarParts))


def run_recipe(shape: str, frame: pl.DataFrame, y: "np.typing.NDArray[np.float64]") -> dict[str, Any]:
    """All that trees read."""
    from autopilot.plan import RECIPES

    return {"shape": shape, **run_ops(frame, y, RECIPES["trees"])}


def run_ops(frame: pl.DataFrame, y: Any, ops: Any) -> dict[str, Any]:
    """Fit ops on a table and apply them to it."""
    from autopilot.plan import Plan
    from autopilot.plan.op import Target
    from autopilot.table.infer import infer

    known = infer(frame.with_columns(y=pl.Series(y)), "y", task="regression")
    plans: list[Plan] = []

    def fit() -> Any:
        plan, X = Plan.fit_ops(known.frame, known.signature, ops, Target(known.y, 1), seed=0)
        plans.append(plan)
        return X

    return timed(fit, lambda: plans[0].features(known.frame))


def run_sklearn(rows: int) -> dict[str, Any]:
    """Their side, on pandas frames, which it was made for."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler, TargetEncoder

    frame, y = table(rows)
    known = frame.to_pandas()
    del frame
    parts = ("year", "month", "day", "dayofweek", "hour", "minute")

    def calendar(times: "pd.DataFrame") -> "pd.DataFrame":
        return pd.DataFrame({f"{part} of {name}": getattr(times[name].dt, part) for name in times for part in parts})

    numbers, categories, times = (
        [name for name in known.columns if name.startswith(prefix)] for prefix in ("number", "category", "time")
    )
    transformer = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), RobustScaler()), numbers),
            ("categories", TargetEncoder(cv=5, target_type="continuous"), categories),
            ("times", FunctionTransformer(calendar), times),
        ]
    )
    return timed(
        lambda: np.asarray(transformer.fit_transform(known, y), dtype=np.float32),
        lambda: np.asarray(transformer.transform(known), dtype=np.float32),
    )


def run_wide(rows: int) -> dict[str, Any]:
    """3,000 columns: 2,700 numbers, 270 categories, 30 times."""
    rng = np.random.default_rng(0)
    height = 5000
    frame = pl.DataFrame(
        {
            **{f"number {i}": rng.normal(size=height) for i in range(2700)},
            **{f"category {i}": rng.integers(0, 20, height).astype(str) for i in range(270)},
            **{f"time {i}": _times(rng, height) for i in range(30)},
        }
    )
    return run_recipe("5,000 rows x 3,000 columns", frame, rng.normal(size=height))


def run_levels(rows: int) -> dict[str, Any]:
    """100,000 levels in one category."""
    rng = np.random.default_rng(0)
    levels = pl.Series([f"level {i}" for i in range(100_000)])
    frame = pl.DataFrame({"category": levels[rng.integers(0, 100_000, rows)], "number": rng.normal(size=rows)})
    return run_recipe(f"{rows:,} rows, 100,000 levels", frame, rng.normal(size=rows))


def timed(fit: Callable[[], Any], transform: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of both steps, and how far memory rose."""
    before = _peak_bytes()
    marks = [(time.perf_counter(), time.process_time())]
    shape = (0, 0)
    for step in (fit, transform):
        shape = step().shape
        marks.append((time.perf_counter(), time.process_time()))
    (begin, begin_cpu), (fitted, fitted_cpu), (done, done_cpu) = marks
    return {
        "fit_s": fitted - begin,
        "fit_cpu_s": fitted_cpu - begin_cpu,
        "transform_s": done - fitted,
        "transform_cpu_s": done_cpu - fitted_cpu,
        "features": shape[1],
        "peak_bytes": _peak_bytes() - before,
    }


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def table(rows: int) -> tuple[pl.DataFrame, "np.typing.NDArray[np.float64]"]:
    """The table, and a target that depends on it."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for index in range(_NUMBERS):
        values = rng.lognormal(size=rows) if index % 4 == 0 else rng.normal(100, 20, size=rows)
        columns[f"number {index}"] = pl.Series(np.where(rng.random(rows) < 0.05, np.nan, values)).fill_nan(None)
    for index, levels in enumerate(np.geomspace(5, 1000, _CATEGORIES).astype(int)):
        names = pl.Series([f"level {number}" for number in range(levels)])
        columns[f"category {index}"] = names[rng.integers(0, levels, rows)]
    for index in range(_TIMES):
        columns[f"time {index}"] = _times(rng, rows)
    y = rng.normal(size=rows) + columns["number 1"].fill_null(100.0).to_numpy() / 20
    return pl.DataFrame(columns), y


def _times(rng: np.random.Generator, rows: int) -> pl.Series:
    return pl.Series(rng.integers(1_500_000_000, 1_700_000_000, rows) * 1_000_000).cast(pl.Datetime("us"))


CHILDREN: dict[str, Callable[[int], dict[str, Any]]] = {
    "plan": run_plan,
    "sklearn": run_sklearn,
    "wide": run_wide,
    "levels": run_levels,
}

if __name__ == "__main__":
    main()
