"""How long does an explanation take, beside shap's on the same model and background?

    python -m bench.explain                         the demo's flights
    python -m bench.explain --manifest M.json       every table that a manifest lists
    options: --sets a,b   --rows 20   --rounds 200

For each table models are trained on up to 20,000 rows and exported as `fit` does it, and held-out rows are explained
against 100 rows of training:

- `numbers`: LightGBM on the number columns of tables of values. Ours by tree paths, shap's TreeExplainer on the booster
  itself, interventional. Here a feature is a column, so that both give the same: apart is the largest difference, in
  units of the largest value.
- `trees`: LightGBM on all columns. The same, but shap explains the features, as it knows no raw columns, and of two
  classes the probability by bending the values of the log-odds, which are not the Shapley values of the probability.
- `prepared`: LightGBM on features of several columns, which has to be sampled: the time, and the standard error told
  for the largest value of each row, as a share of it (median).

Milliseconds a row, one thread, without reading the model, which is told beside.
"""

import argparse
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnx
import polars as pl
import polars.selectors as cs
import shap

from autopilot.candidates import CANDIDATES
from autopilot.candidates.candidate import Job, Problem
from autopilot.deadline import Deadline
from autopilot.explain import Explainer, Explanation
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import infer
from bench._sets import Set, divided, read_sets
from storage.boundary import typed
from storage.predictor import Predictor
from storage.records import Card, Parity, Scores

_TRAINED_ROWS, _BACKGROUND_ROWS = 20_000, 100


class Trained(NamedTuple):
    """A model as it was trained, and its file opened."""

    model: TrainedModel
    predictor: Predictor


def main() -> None:
    """Print a line for each table and model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--sets", default="")
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=200)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "| table | task | columns | model | how | opened s | ms a row | shap ms a row | ours / shap | apart | error |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for one in read_sets(chosen.manifest, chosen.sets):
        train, test = divided(one, 0)
        for kind in ("numbers", "trees", "prepared"):
            if kind == "numbers" and one.task != "regression":
                continue
            known = train.select(cs.numeric()) if kind == "numbers" else train
            trained = fit(one, known, "lightgbm_prepared" if kind == "prepared" else "lightgbm", chosen.rounds)
            background = train.sample(_BACKGROUND_ROWS, seed=0)
            cells = measured(trained, kind, background, test[: chosen.rows])
            print(f"| {one.name} | {' | '.join(cells)} |", flush=True)


def measured(trained: Trained, kind: str, background: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    """The cells of a line."""
    began = time.perf_counter()
    explainer = Explainer(trained.predictor, background)
    opened_s = time.perf_counter() - began
    explainer.explain(rows[:2])
    began = time.perf_counter()
    found = explainer.explain(rows)
    ours_ms = 1e3 * (time.perf_counter() - began) / rows.height
    signature = trained.predictor.signature
    how = ", ".join(sorted(set(found.methods)))
    cells = [signature.task, str(len(signature.columns)), kind, how, f"{opened_s:.2f}", f"{ours_ms:.1f}"]
    if kind != "prepared":
        theirs_ms, apart = by_shap(trained, background, rows, found)
        return [*cells, f"{theirs_ms:.1f}", f"{ours_ms / theirs_ms:.2f}", apart, ""]
    return [*cells, "", "", "", f"{error_of_largest(found):.1%}"]


def by_shap(trained: Trained, background: pl.DataFrame, rows: pl.DataFrame, found: Explanation) -> tuple[float, str]:
    """Milliseconds a row of shap's TreeExplainer, and how far apart values are, where they mean the same."""
    signature, model = trained.predictor.signature, trained.model
    (plan,), booster = model.plans.values(), model.members[0].fitted._booster
    X = [plan.features(typed(signature, part)).astype(np.float64) for part in (background, rows)]
    output: dict[str, Any] = {} if signature.task != "binary" else {"model_output": "probability"}
    explainer = shap.TreeExplainer(booster, X[0], feature_perturbation="interventional", **output)
    explainer.shap_values(X[1][:2], check_additivity=False)
    began = time.perf_counter()
    values = explainer.shap_values(X[1], check_additivity=False)
    taken_ms = 1e3 * (time.perf_counter() - began) / rows.height
    if signature.task != "regression":
        return taken_ms, ""
    if plan.names() != signature.names:  # several features of one column: its values are not their sum
        return taken_ms, ""
    theirs = values * model.unit.deviation
    return taken_ms, f"{np.abs(theirs - found.values[:, :, 0]).max() / np.abs(theirs).max():.1g}"


def error_of_largest(found: Explanation) -> float:
    """The error of each row's largest value as a share of it, of the likeliest class; the median."""
    row = np.arange(len(found.values))
    likeliest = found.prediction.argmax(axis=1)
    values, errors = np.abs(found.values[row, :, likeliest]), found.error[row, :, likeliest]
    at = row, values.argmax(axis=1)
    return float(np.median(errors[at] / np.maximum(values[at], 1e-12)))


def fit(one: Set, train: pl.DataFrame, name: str, rounds: int) -> Trained:
    """One candidate on a table, exported."""
    table = infer(train.sample(min(_TRAINED_ROWS, train.height), seed=0), one.target, task=one.task)
    outputs = max(1, len(table.signature.classes))
    unit = Unit() if outputs > 1 else Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    candidate = next(each for each in CANDIDATES if each.name == name)
    problem = Problem(table.signature.task, outputs, len(y))
    plan, X = Plan.fit(table.frame, table.signature, candidate.recipe, Target(y, outputs), seed=0)
    job = Job(X, y, None, None, candidate.points(problem)[0], rounds, Deadline.after(600), 0, problem)
    member = TrainedMember(candidate.fit(job), candidate.recipe, 1.0)
    model = TrainedModel(table.signature, {candidate.recipe: plan}, (member,), unit)
    return Trained(model, Predictor(file_of(model)))


def file_of(model: TrainedModel) -> bytes:
    """The model file, with a card that tells nothing."""
    file = model.export()
    card = Card(
        name="bench",
        created_at=datetime.now(UTC),
        rows=0,
        seed=0,
        seconds=0.0,
        digest="",
        scores=Scores("", 0.0, 0.0, 0.0, 0, {}, {}),
        parity=Parity(0, 0.0, 0),
        members=(),
        versions={},
    )
    texts = {"signature": model.signature, "card": card}
    onnx.helper.set_model_props(file, {key: msgspec.json.encode(value).decode() for key, value in texts.items()})
    return file.SerializeToString()


if __name__ == "__main__":
    main()
