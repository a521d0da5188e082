"""How far are estimates of quality from what labels say later, and do their intervals hold it? Beside NannyML.

    python -m bench.estimates --data FOLDER                           the folder nannyml/datasets/data of its wheel:
                                                                      pip download --no-deps nannyml==0.13.1, unpacked
    python -m bench.estimates --data FOLDER --nannyml VENV/bin/python its own estimates too
    options: --sets employment,loan   --reference ROWS (a sample of the reference, as a store has: 10,000)

Sets: real employment records of Massachusetts by year, Californian house prices by place, and made car loans, credit
cards of three kinds, and car prices. Each window's estimate is made without its labels and held against them. Of a
window that we do not estimate (outside the support) nothing is counted for us; "all" counts all windows for NannyML,
"same" those that we estimate too. An interval of ours should hold what labels say in 95% of windows; NannyML's is of 3
standard errors, 99.7% if they were right.

Without --data it tells where to get them, and measures nothing. Abstention is measured on made rows without files.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

START = datetime(2024, 1, 1, tzinfo=UTC)


class Set(NamedTuple):
    """Where a set is and what its columns are. window_rows: rows of a window."""

    reference: str
    analysis: str
    target: str
    task: str
    truth: str
    label: str
    scores: dict[str, str]  # by class, the column of its probability; of two classes the second's
    classes: tuple[Any, ...]
    dropped: tuple[str, ...]
    window_rows: int
    metrics: tuple[str, ...]


CARDS = ("highstreet_card", "prepaid_card", "upmarket_card")
TWO = ("roc_auc", "accuracy", "f1", "precision", "recall")
SETS = {
    "employment": Set(
        "employment_MA_reference.pq", "employment_MA_analysis.pq", "employment_MA_analysis_target.pq",
        "binary", "employed", "prediction", {"1": "predicted_probability"}, (0, 1), ("id", "year"), 5000, TWO,
    ),
    "loan": Set(
        "synthetic_car_loan_reference.csv", "synthetic_car_loan_analysis.csv", "synthetic_car_loan_analysis_target.csv",
        "binary", "repaid", "y_pred", {"1": "y_pred_proba"}, (0, 1), ("id", "timestamp"), 5000, TWO,
    ),
    "california": Set(
        "california_housing_reference.csv", "california_housing_analysis.csv", "california_housing_analysis_gt.csv",
        "binary", "clf_target", "y_pred", {"1": "y_pred_proba"}, (0, 1), ("id", "timestamp"), 824, TWO,
    ),
    "cards": Set(
        "mc_reference.csv", "mc_analysis.csv", "mc_analysis_gt.csv", "multiclass", "y_true", "y_pred",
        {name: f"y_pred_proba_{name}" for name in CARDS}, CARDS, ("id", "timestamp"), 5000,
        ("roc_auc", "accuracy", "f1_macro", "precision_macro", "recall_macro"),
    ),
    "price": Set(
        "regression_synthetic_reference.csv", "regression_synthetic_analysis.csv",
        "regression_synthetic_analysis_targets.csv", "regression", "y_true", "y_pred", {}, (), ("id", "timestamp"),
        5000, ("rmse", "mae"),
    ),
}  # fmt: skip


def read(path: Path) -> Any:
    """A file as a frame; categories as text, numbers as float64."""
    import polars as pl
    import polars.selectors as cs

    frame = pl.read_parquet(path) if path.suffix == ".pq" else pl.read_csv(path)
    return frame.with_columns(
        pl.col(pl.Categorical, pl.Boolean).cast(pl.String), (cs.numeric() - cs.by_name("id")).cast(pl.Float64)
    )


def load(folder: Path, name: str) -> tuple[Any, Any, Any]:
    """The signature, the reference and the traffic with its truths, a row a second, named as captured traffic is."""
    import polars as pl

    from storage.signature import Column, Signature

    one = SETS[name]
    analysis = read(folder / one.analysis).join(read(folder / one.target), on="id", maintain_order="left")
    frames = [_named(one, read(folder / one.reference)), _named(one, analysis)]
    inputs = [column for column in frames[0].columns if not column.startswith("autopilot.")]
    columns = tuple(
        Column(column, "category" if frames[0].schema[column] == pl.String else "number", "") for column in inputs
    )
    signature = Signature(one.task, one.truth, columns, classes=one.classes)  # type: ignore[arg-type]
    return signature, frames[0], frames[1].select(frames[0].columns)


def _named(one: Set, frame: Any) -> Any:
    import polars as pl

    scores = {column: f"autopilot.p_{name}" for name, column in one.scores.items()}
    label = "autopilot.prediction" if one.task == "regression" else "autopilot.label"
    frame = frame.drop(name for name in one.dropped if name in frame.columns)
    frame = frame.rename({one.truth: "autopilot.truth", one.label: label, **scores})
    if one.task == "binary":
        frame = frame.with_columns((1 - pl.col("autopilot.p_1")).alias("autopilot.p_0"))
        frame = frame.with_columns(pl.col("autopilot.truth", label).cast(pl.Int64))
    seconds = pl.int_range(pl.len()) * 1_000_000
    return frame.with_columns(
        (pl.lit(START).cast(pl.Datetime("us", "UTC")) + seconds.cast(pl.Duration("us"))).alias("autopilot.time")
    )


def ours(folder: Path, name: str, reference_rows: int | None) -> list[dict[str, Any]]:
    """By window: of each metric the estimate, its interval and what labels say; None where we do not estimate."""
    from monitor.performance.answers import read_answers
    from monitor.performance.estimated import estimated_of
    from monitor.performance.metrics import measure, metrics_of
    from monitor.performance.realised import within
    from monitor.performance.windows import windows_of

    signature, reference, traffic = load(folder, name)
    if reference_rows is not None and reference.height > reference_rows:
        reference = reference.sample(reference_rows, seed=0).drop("autopilot.time")  # a store's sample has no order
    rows = SETS[name].window_rows
    windows = windows_of(START, START + timedelta(seconds=traffic.height), timedelta(seconds=rows))
    if traffic.height % rows:
        windows = windows[:-1]
    began = time.process_time()
    report = estimated_of(signature, reference, traffic.drop("autopilot.truth"), windows)
    spent = time.process_time() - began
    print(f"{name}: {report.likelihoods or report.method}, {spent / len(windows):.2f} CPU s a window", flush=True)
    found: list[dict[str, Any]] = []
    for window, told in zip(windows, report.windows, strict=True):
        answers = read_answers(signature, within(traffic, window)).answers
        actual = {m.name: measure(m, answers).value for m in metrics_of(signature.task)}
        figures = {figure.metric: figure for figure in told.figures}
        row: dict[str, Any] = {"verdict": told.verdict, "outside": told.outside}
        for metric in SETS[name].metrics:
            figure = figures.get(metric)
            value = None if figure is None else (figure.value, figure.low, figure.high)
            row[metric] = {"actual": actual[metric], "estimate": value}
        found.append(row)
    return found


def nannyml(folder: Path, name: str) -> list[dict[str, Any]]:
    """The same by NannyML, run by a Python that has it."""
    import os

    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml as nml
    import pandas as pd

    one = SETS[name]

    def table(file: str) -> Any:
        return pd.read_parquet(folder / file) if file.endswith(".pq") else pd.read_csv(folder / file)

    reference, analysis = table(one.reference), table(one.analysis)
    names = {"f1_macro": "f1", "precision_macro": "precision", "recall_macro": "recall"}
    asked = [names.get(metric, metric) for metric in one.metrics]
    features = [c for c in reference.columns if c not in (*one.dropped, one.truth, one.label, *one.scores.values())]
    if one.task == "regression":
        estimator = nml.DLE(
            feature_column_names=features, y_pred=one.label, y_true=one.truth, metrics=asked, chunk_size=one.window_rows
        )
    else:
        score = one.scores if one.task == "multiclass" else one.scores["1"]
        problem = "classification_" + one.task
        estimator = nml.CBPE(
            y_pred_proba=score,
            y_pred=one.label,
            y_true=one.truth,
            metrics=asked,
            problem_type=problem,
            chunk_size=one.window_rows,
        )
    frame = estimator.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    found = []
    for number in range(len(frame)):
        row: dict[str, Any] = {}
        for metric, theirs in zip(one.metrics, asked, strict=True):
            cell = frame.iloc[number][theirs]
            row[metric] = [
                float(cell[key]) for key in ("value", "lower_confidence_boundary", "upper_confidence_boundary")
            ]
        found.append(row)
    return found


def compare(rows: list[dict[str, Any]], theirs: list[dict[str, Any]] | None, metric: str) -> str:
    """A line of the table: how far off, and in how many windows intervals held what labels said."""
    told = [number for number, row in enumerate(rows) if row[metric]["estimate"] is not None]

    def measured(estimates: list[Any], numbers: list[int]) -> str:
        off = [abs(estimates[n][0] - rows[n][metric]["actual"]) for n in numbers]
        held = [estimates[n][1] <= rows[n][metric]["actual"] <= estimates[n][2] for n in numbers]
        return f"{sum(off) / len(off):10.4g} {sum(held) / len(held):6.0%}" if numbers else " " * 17

    line = f"{metric:<16} {len(told):3}/{len(rows):<3} {measured([row[metric]['estimate'] for row in rows], told)}"
    if theirs is not None:
        values = [row[metric] for row in theirs[: len(rows)]]
        line += f"   same {measured(values, told)}   all {measured(values, list(range(len(rows))))}"
    return line


def abstention() -> None:
    """Rows of a region that the reference lacks are put into windows: how many of them are told, and of the others?"""
    import numpy as np

    from monitor.performance.overlap import overlap_of

    print("\nabstention: rows of an unseen region told as outside, and others; windows of 1,000, reference of 10,000")
    rng = np.random.default_rng(0)
    for columns in (3, 10, 30):
        for share in (0.0, 0.05, 0.2, 0.5):
            X = rng.normal(size=(40_000, columns))
            is_far = (X[:, 0] > 1) & (X[:, 1] > 0)  # a corner, within the range of each column
            reference, near, far = X[~is_far][:10_000], X[~is_far][10_000:], X[is_far]
            count = round(1000 * share)
            window = np.concatenate([far[:count], near[: 1000 - count]])
            found = overlap_of(reference, window, []).outside
            told = found[:count].mean() if count else float("nan")
            print(
                f"  {columns:2} columns, {share:4.0%} unseen: {told:6.1%} of them, {found[count:].mean():6.2%} others"
            )


def main() -> None:
    """Print a line for each set and metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--nannyml")
    parser.add_argument("--theirs", help=argparse.SUPPRESS)  # what the child is asked for: a set's name
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--reference", type=int)
    chosen = parser.parse_args()
    if chosen.theirs:
        print(json.dumps(nannyml(chosen.data, chosen.theirs)))
        return
    for name in chosen.sets.split(",") if chosen.data else ():
        rows, theirs = ours(chosen.data, name, chosen.reference), None
        if chosen.nannyml:
            command = [chosen.nannyml, __file__, "--data", str(chosen.data), "--theirs", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            theirs = json.loads(done.stdout.strip().splitlines()[-1])
        outside = sum(row["verdict"] == "outside the support" for row in rows)
        print(f"  {len(rows)} windows of {SETS[name].window_rows:,} rows, {outside} outside the support")
        for metric in SETS[name].metrics:
            print("  " + compare(rows, theirs, metric), flush=True)
    if not chosen.data:
        print("No --data: estimates are not measured. See the top of the file.", file=sys.stderr)
    abstention()


if __name__ == "__main__":
    main()
