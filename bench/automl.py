"""How good is `autopilot fit` in a given time, beside LightGBM with its defaults on the same rows?

    python -m bench.automl                          the demo's flights
    python -m bench.automl --manifest M.json        every table that a manifest lists (name, file, task, target,
                                                    leakage_cols, id_cols; forecasts are passed over)
    options: --budget 30s   --sets a,b   --seed 0

Each set is divided 80/20 by the seed. The command line runs as a user would run it, in a process of its own, timed from
start to end. Its ONNX file is then opened with onnxruntime alone, in its default session: the scores are what that file
gives on the test rows, and the last column is how far `autopilot predict` is from it. Probabilities are float32 sums,
which a session of several threads adds in another order: up to about 1e-6.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import onnxruntime
import polars as pl
from sklearn import metrics

MISSING_TIME = -(2**63)


class Set(NamedTuple):
    """A table to learn."""

    name: str
    path: Path
    task: str
    target: str
    drop: tuple[str, ...]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--budget", default="30s")
    parser.add_argument("--sets", default="")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(
        f"| set | metric | autopilot {chosen.budget} | default LightGBM | loss ratio | command s | LightGBM s | off |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for one in read_sets(chosen.manifest, chosen.sets):
        print(measure(one, chosen.budget, chosen.seed), flush=True)


def read_sets(manifest: Path | None, only: str = "", *, forecasts: bool = False) -> list[Set]:
    """The manifest's tables, with or without those that are forecasts, or the demo's.

    only: names with commas between them, "" for all.
    """
    if manifest is None:
        flights = Path(__file__).parent.parent / "autopilot/demo_data/flights.parquet"
        return [Set("flights", flights, "binary", "late", ())]
    return [
        Set(
            entry["name"],
            manifest.parent / entry["file"],
            "binary" if entry["task"] == "text" else entry["task"],
            entry["target"],
            (*entry["leakage_cols"], *entry["id_cols"]),
        )
        for entry in json.loads(manifest.read_text())
        if (forecasts or entry["task"] != "forecast") and (not only or entry["name"] in only.split(","))
    ]


def measure(one: Set, budget: str, seed: int) -> str:
    """One line of the table."""
    train, test = divided(one, seed)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        summary = fit_by_command(train, one, budget, Path(folder))
        seconds = time.perf_counter() - began
        ours = run_file(summary["onnx_path"], test)
        off = distance(ours, predict_by_command(summary, test, Path(folder)))
    began = time.perf_counter()
    theirs = lightgbm_default(train, test, one)
    theirs_s = time.perf_counter() - began
    name, a, b = scores(one, train, test, ours, theirs)
    ratio = (1 - a) / (1 - b) if name == "roc_auc" else a / b
    return f"| {one.name} | {name} | {a:.5g} | {b:.5g} | {ratio:.3f} | {seconds:.1f} | {theirs_s:.1f} | {off:.2g} |"


def divided(one: Set, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Four fifths to train on, and the rest to test on."""
    frame = pl.read_parquet(one.path).drop(one.drop).drop_nulls(one.target)
    shuffled = frame.with_columns(pl.int_range(pl.len()).shuffle(seed).alias("\0order")).sort("\0order").drop("\0order")
    cut = round(0.8 * frame.height)
    return shuffled[:cut], shuffled[cut:]


def fit_by_command(train: pl.DataFrame, one: Set, budget: str, folder: Path) -> dict[str, Any]:
    """`autopilot fit --json`."""
    data = folder / f"{one.name}.parquet"
    train.write_parquet(data)
    command = [sys.executable, "-m", "autopilot", "fit", str(data), "--target", one.target, "--budget", budget]
    command += ["--task", one.task, "--json", "--store", str(folder / "store")]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{one.name}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def predict_by_command(summary: dict[str, Any], test: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """`autopilot predict`."""
    source, out = folder / "test.parquet", folder / "predicted.parquet"
    test.write_parquet(source)
    command = [sys.executable, "-m", "autopilot", "predict", summary["onnx_path"], str(source), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return pl.read_parquet(out)


def run_file(path: str, test: pl.DataFrame) -> dict[str, Any]:
    """The file's answers, with nothing but onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {spec.name: feed(test.get_column(spec.name), spec.type) for spec in session.get_inputs()}
    names = [spec.name for spec in session.get_outputs()]
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    return {**dict(zip(names, session.run(names, feeds), strict=True)), "classes": classes}


def feed(values: pl.Series, kind: str) -> np.ndarray:
    """One input [N, 1] as the file's documentation says."""
    if kind == "tensor(double)":
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
    if kind == "tensor(string)":
        return np.array(values.cast(pl.String).fill_null("").to_list(), dtype=object).reshape(-1, 1)
    times = values.str.to_datetime(time_unit="us") if values.dtype == pl.String else values.cast(pl.Datetime("us"))
    return times.to_physical().fill_null(MISSING_TIME).to_numpy().reshape(-1, 1)


def distance(ours: dict[str, Any], frame: pl.DataFrame) -> float:
    """Largest difference between the file's numbers and the command's."""
    if "prediction" in ours:
        return float(np.abs(ours["prediction"][:, 0] - frame["prediction"].to_numpy()).max())
    return float(np.abs(ours["probabilities"] - frame.drop("label").to_numpy()).max())


def lightgbm_default(train: pl.DataFrame, test: pl.DataFrame, one: Set) -> np.ndarray:
    """LightGBM as it comes, text as pandas categories."""
    text = [name for name, dtype in train.schema.items() if not dtype.is_numeric() and name != one.target]
    both = pl.concat([train, test]).with_columns(pl.col(name).cast(pl.String).cast(pl.Categorical) for name in text)
    X, y = both.drop(one.target).to_pandas(), both.get_column(one.target)
    rows = train.height
    if one.task == "regression":
        return lightgbm.LGBMRegressor(verbose=-1).fit(X[:rows], y[:rows].to_numpy()).predict(X[rows:])
    model = lightgbm.LGBMClassifier(verbose=-1).fit(X[:rows], y[:rows].cast(pl.String).to_numpy())
    return model.predict_proba(X[rows:])


def scores(
    one: Set, train: pl.DataFrame, test: pl.DataFrame, ours: Any, theirs: np.ndarray
) -> tuple[str, float, float]:
    """The usual metric of the task, of both."""
    y = test.get_column(one.target)
    if one.task == "regression":
        truth = y.cast(pl.Float64).to_numpy()
        ends = (metrics.root_mean_squared_error(truth, found) for found in (ours["prediction"][:, 0], theirs))
        return ("rmse", *ends)
    order = sorted(train.get_column(one.target).cast(pl.String).unique().to_list())
    columns = [[str(name) for name in ours["classes"]].index(name) for name in order]
    truth = y.cast(pl.String).to_numpy()
    shares = ours["probabilities"][:, columns].astype(np.float64)
    if one.task == "binary":
        return ("roc_auc", *(metrics.roc_auc_score(truth == order[1], found[:, 1]) for found in (shares, theirs)))
    normal = shares / shares.sum(axis=1, keepdims=True)
    return ("log_loss", *(metrics.log_loss(truth, found, labels=order) for found in (normal, theirs)))


if __name__ == "__main__":
    main()
