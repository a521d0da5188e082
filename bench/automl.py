"""How good is `autopilot fit` in a given time, beside other systems on the same rows?

    python -m bench.automl                          the demo's flights, beside LightGBM with its defaults
    python -m bench.automl --manifest M.json        every table that a manifest lists (name, file, task, target,
                                                    leakage_cols, id_cols; forecasts are passed over)
    options: --budget 60s   --sets a,b   --folds 0,1,2   --rows FILE   --peers FILE   --predictions FOLDER

Each table is divided into the same five folds at random, by a fixed seed; of each fold that is asked for, the other
four are trained on, told to take the table as it is (`--no-guard`): here the rows to come are no later ones. The
command line runs as a user would run it, in a process of its own, timed from start to end. Its ONNX file is opened
with onnxruntime alone, in its default session: the score is what that file gives on the fold. One row at a time (the
least of five medians, half a second apart: others use the machine too), the whole fold, and the first prediction of a
fresh process are timed through `autopilot.load`; its answers have to be those of the file.

--rows keeps what was measured, and what is there already is not measured again. --peers has such rows of other systems:
bench/peers.jsonl holds those of AutoGluon, FLAML, LightAutoML, MLJAR and H2O on two cores, each in its own environment,
told the same budget. --predictions is a folder of predictions, by which differences are told from chance (see
bench/_ranking.py): ours are written there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import onnxruntime
import polars as pl
from numpy.typing import NDArray

from autopilot.deadline import parse_budget
from bench._ranking import METRICS, OURS, Predictions, Row, print_ranking, read_rows, score_of
from bench._sets import Set, divided, read_sets

MISSING_TIME = -(2**63)
#: Probabilities are float32 sums, which a session of several threads adds in another order.
MOST_OFF = 1e-5

_LOADED = """
import json, sys, time
import polars as pl
import autopilot

model, test, predicted = sys.argv[1:]
frame = pl.read_parquet(test)
rows = frame[:220].to_dicts()
predictor = autopilot.load(model)
predictor.predict_row(rows[0])
first = time.time()
medians = []
for _ in range(5):
    took = []
    for row in rows[1:]:
        began = time.perf_counter()
        predictor.predict_row(row)
        took.append(time.perf_counter() - began)
    took = sorted(took[19:] or took or [0.0])
    medians.append(took[len(took) // 2])
    time.sleep(0.5)
batches = []
for _ in range(3):
    began = time.perf_counter()
    found = predictor.predict(frame)
    batches.append(time.perf_counter() - began)
found.write_parquet(predicted)
batches.sort()
print(json.dumps({"first": first, "row_us": min(medians) * 1e6, "rows_per_s": frame.height / batches[1]}))
"""


def main() -> None:
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--sets", default="")
    parser.add_argument("--folds", default="0")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--predictions", type=Path)
    chosen = parser.parse_args()
    budget_s = parse_budget(chosen.budget)
    predictions = Predictions(chosen.predictions) if chosen.predictions else None
    peers = read_rows(chosen.peers) if chosen.peers else []
    known = read_rows(chosen.rows) if chosen.rows and chosen.rows.exists() else []
    rows: list[Row] = []
    for one in read_sets(chosen.manifest, chosen.sets):
        for fold in map(int, chosen.folds.split(",")):
            rows += [row for row in peers if (row.set, row.fold, row.budget_s) == (one.name, fold, budget_s)]
            for system, measure in ((OURS, measure_ours), ("lightgbm", measure_lightgbm)):
                key = (system, one.name, fold, budget_s)
                row = next((row for row in known if (row.system, row.set, row.fold, row.budget_s) == key), None)
                if row is None:
                    row = measure(one, fold, budget_s, predictions)
                    if chosen.rows:
                        with chosen.rows.open("ab") as file:
                            file.write(msgspec.json.encode(row) + b"\n")
                rows.append(row)
                print(f"{one.name} {fold} {system}: {METRICS[one.task]} {row.score:.5g}, {row.fit_s:.1f} s", flush=True)
    print_ranking(rows, predictions)


def measure_ours(one: Set, fold: int, budget_s: float, predictions: Predictions | None) -> Row:
    """The command line, then its file."""
    train, test = divided(one, fold)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        summary = fit_by_command(train, one, budget_s, folder)
        fit_s = time.perf_counter() - began
        found = run_file(summary["onnx_path"], test)
        loaded = load_and_predict(summary["onnx_path"], test.drop(one.target), found, folder)
        size_mb = Path(summary["onnx_path"]).stat().st_size / 1e6
    truth, answers = truth_of(one, train, test), answers_of(one, train, found)
    measured = {"fit_s": fit_s, "size_mb": size_mb, **loaded}
    row = row_of((OURS, version("autopilot")), one, fold, budget_s, score_of(one.task, truth, answers), measured)
    if predictions is not None:
        predictions.save(row, answers)
        np.save(predictions.path(row, "truth"), truth)
    return row


def row_of(
    system: tuple[str, str], one: Set, fold: int, budget_s: float, score: float, measured: dict[str, float]
) -> Row:
    """system: its name and version. measured: the row's other numbers, by name."""
    name, version = system
    of = {"system": name, "version": version, "set": one.name, "task": one.task, "fold": fold, "budget_s": budget_s}
    return Row(**of, score=score, **measured)


def fit_by_command(train: pl.DataFrame, one: Set, budget_s: float, folder: Path) -> dict[str, Any]:
    """`autopilot fit --json`."""
    data = folder / f"{one.name}.parquet"
    train.write_parquet(data)
    command = [sys.executable, "-m", "autopilot", "fit", str(data), "--target", one.target, "--budget", f"{budget_s}s"]
    command += ["--task", one.task, "--no-guard", "--json", "--store", str(folder / "store")]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{one.name}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def load_and_predict(path: str, test: pl.DataFrame, found: dict[str, Any], folder: Path) -> dict[str, float]:
    """A fresh process that loads the file: seconds to its first prediction, one row, the whole fold."""
    source, predicted = folder / "test.parquet", folder / "predicted.parquet"
    test.write_parquet(source)
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, path, str(source), str(predicted)], capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    told = json.loads(done.stdout)
    off = distance(found, pl.read_parquet(predicted))
    if off > MOST_OFF:
        raise SystemExit(f"{path}: autopilot predict differs from the file alone by {off:.2g}")
    return {"first_s": told["first"] - began, "row_us": told["row_us"], "rows_per_s": told["rows_per_s"]}


def run_file(path: str, test: pl.DataFrame) -> dict[str, Any]:
    """The file's answers, with nothing but onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {spec.name: feed(test.get_column(spec.name), spec.type) for spec in session.get_inputs()}
    names = [spec.name for spec in session.get_outputs()]
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    return {**dict(zip(names, session.run(names, feeds), strict=True)), "classes": classes}


def feed(values: pl.Series, kind: str) -> NDArray[Any]:
    """One input [N, 1] as the file's documentation says."""
    if kind == "tensor(double)":
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
    if kind == "tensor(string)":
        return np.array(values.cast(pl.String).fill_null("").to_list(), dtype=object).reshape(-1, 1)
    times = values.str.to_datetime(time_unit="us") if values.dtype == pl.String else values.cast(pl.Datetime("us"))
    return times.to_physical().fill_null(MISSING_TIME).to_numpy().reshape(-1, 1)


def distance(ours: dict[str, Any], frame: pl.DataFrame) -> float:
    """Largest difference between the file's numbers and those of `autopilot.load`, relative where above 1."""
    if "prediction" in ours:
        values = ours["prediction"][:, 0]
        return float((np.abs(values - frame["prediction"].to_numpy()) / np.maximum(1.0, np.abs(values))).max())
    return float(np.abs(ours["probabilities"] - frame.drop("label").to_numpy()).max())


def measure_lightgbm(one: Set, fold: int, budget_s: float, predictions: Predictions | None) -> Row:
    """LightGBM as it comes, text as pandas categories; it knows no budget."""
    train, test = divided(one, fold)
    text = [name for name, dtype in train.schema.items() if not dtype.is_numeric() and name != one.target]
    both = pl.concat([train, test]).with_columns(pl.col(name).cast(pl.String).cast(pl.Categorical) for name in text)
    X, y = both.drop(one.target).to_pandas(), both.get_column(one.target)
    began, rows = time.perf_counter(), train.height
    if one.task == "regression":
        model = lightgbm.LGBMRegressor(verbose=-1).fit(X[:rows], y[:rows].to_numpy())
        call = model.predict
    else:
        model = lightgbm.LGBMClassifier(verbose=-1).fit(X[:rows], y[:rows].cast(pl.String).to_numpy())
        call = model.predict_proba
    fit_s = time.perf_counter() - began
    singles = [X[at : at + 1] for at in range(rows, min(rows + 50, len(X)))]
    took = [_seconds(call, single) for single in singles]
    batch_s = min(_seconds(call, X[rows:]) for _ in range(3))
    truth, answers = truth_of(one, train, test), call(X[rows:])
    measured = {
        "fit_s": fit_s,
        "row_us": float(np.median(took)) * 1e6,
        "rows_per_s": test.height / batch_s,
        "size_mb": len(model.booster_.model_to_string()) / 1e6,
    }
    system = ("lightgbm", lightgbm.__version__)
    row = row_of(system, one, fold, budget_s, score_of(one.task, truth, answers), measured)
    if predictions is not None:
        predictions.save(row, answers)
    return row


def _seconds(call: Any, X: Any) -> float:
    began = time.perf_counter()
    call(X)
    return time.perf_counter() - began


def truth_of(one: Set, train: pl.DataFrame, test: pl.DataFrame) -> NDArray[np.float64]:
    """Of the test rows: values, or the numbers of their classes sorted by name."""
    y = test.get_column(one.target)
    if one.task == "regression":
        return y.cast(pl.Float64).to_numpy()
    return np.searchsorted(_classes(one, train), y.cast(pl.String).to_numpy()).astype(np.float64)


def answers_of(one: Set, train: pl.DataFrame, found: dict[str, Any]) -> NDArray[np.float64]:
    """The file's values (rows,), or its probabilities (rows, classes), classes sorted by name."""
    if one.task == "regression":
        return found["prediction"][:, 0].astype(np.float64)
    columns = [[str(name) for name in found["classes"]].index(name) for name in _classes(one, train)]
    return found["probabilities"][:, columns].astype(np.float64)


def _classes(one: Set, train: pl.DataFrame) -> list[str]:
    return sorted(train.get_column(one.target).cast(pl.String).unique().to_list())


if __name__ == "__main__":
    main()
