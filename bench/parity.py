"""Does the file give what was trained? Ours on every set and on twelve kinds of dirty rows, and the usual converters.

    python -m bench.parity                          the demo's flights
    python -m bench.parity --manifest M.json        every table that a manifest lists
    options: --sets a,b   --rows 20000   --candidates lightgbm,linear   --converters

Ours: LightGBM on prepared features, LightGBM, extra trees and a linear model are trained and averaged, as `fit` would
do it, and exported as one graph. The held-out rows, clean and in twelve mutations (`_mutations.py`), go through the
portable file in onnxruntime's default session and through the trained Python objects. Printed: the largest difference
of a probability (of a prediction in standard deviations of the target), labels that differ, mutations that are refused
with row and column named (text that is no time in a column of times), crashes, microseconds of one row through the
packed sister graph (rows rotate), and the file's bytes.

--converters: scikit-learn pipelines of the usual kind (impute, scale, one-hot or ordinal, TF-IDF; logistic regression,
forests, boosting, LightGBM) on the same rows, converted by skl2onnx and onnxmltools, against the pipelines themselves.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import polars as pl

from autopilot.candidates import CANDIDATES, Candidate
from autopilot.candidates.candidate import Job, Problem
from autopilot.deadline import Deadline
from autopilot.graph.parity import portable_feeds
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from bench._mutations import MUTATIONS
from bench._sets import Set, read_sets
from storage.boundary import blocks_of_frame, typed
from storage.errors import DataError
from storage.packed import PACK_TENSOR, pack
from storage.predictor import Outputs, open_session
from storage.signature import BLOCKS

_TIE = 1e-5
_CHECKED_ROWS = 1500
_DEFAULT = "lightgbm_prepared,lightgbm,extra_trees,linear"


class Verdict(NamedTuple):
    """What a comparison over clean and dirty rows found. worst: the mutation with the largest difference."""

    rows: int
    apart: float
    worst: str
    flips: int
    refused: int
    crashes: int


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--sets", default="")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--candidates", default=_DEFAULT)
    parser.add_argument("--converters", action="store_true")
    chosen = parser.parse_args()
    sets = read_sets(chosen.manifest, chosen.sets, forecasts=True)
    print("| set | columns | rows checked | max Δ | where | label flips | refused | crashes | one row µs | bytes |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for one in sets:
        print(measure(one, chosen.rows, chosen.candidates.split(",")), flush=True)
    if chosen.converters:
        from bench._converters import compare

        print(
            "\n| set | pipeline | converter | exported | max Δ | where | label flips | crashes | one row µs | bytes |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for one in sets:
            for line in compare(one, chosen.rows):
                print(line, flush=True)


def measure(one: Set, rows: int, candidates: list[str]) -> str:
    """One line of the table."""
    train, later = divided(one, rows)
    task = "regression" if one.task == "forecast" else one.task
    table = infer(train, one.target, task=task)  # type: ignore[arg-type]
    named = {candidate.name: candidate for candidate in CANDIDATES}
    model = trained(table, [named[name] for name in candidates])
    file = model.export().SerializeToString()
    found = judged(model, file, later)
    return (
        f"| {one.name} | {len(table.signature.columns)} | {found.rows:,} | {found.apart:.1e} | {found.worst} "
        f"| {found.flips} | {found.refused} | {found.crashes} | {one_row_us(model, file, later):.0f} | {len(file):,} |"
    )


def divided(one: Set, rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training rows, at most so many, and held-out ones."""
    frame = pl.read_parquet(one.path).drop(one.drop, strict=False).drop_nulls(one.target)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=0)
    held = min(_CHECKED_ROWS, shuffled.height // 4)
    return shuffled[held : held + rows], shuffled[:held].drop(one.target)


def trained(table: Table, candidates: list[Candidate]) -> TrainedModel:
    """The candidates' first points, trained on the table and averaged."""
    outputs = max(1, len(table.signature.classes))
    unit = Unit() if outputs > 1 else Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    plans: dict[Any, tuple[Plan, Any]] = {}
    members: list[TrainedMember] = []
    for candidate in candidates:
        if candidate.recipe not in plans:
            plans[candidate.recipe] = Plan.fit(table.frame, table.signature, candidate.recipe, Target(y, outputs), 0)
        X = plans[candidate.recipe][1]
        problem = Problem(table.signature.task, outputs, len(X))
        if candidate.applies(problem):
            job = Job(X, y, None, None, candidate.points(problem)[0], 100, Deadline.after(60), 0, problem)
            members.append(TrainedMember(candidate.fit(job), candidate.recipe, 1 / len(candidates)))
    used = {member.recipe for member in members}
    known = {recipe: plan for recipe, (plan, _) in plans.items() if recipe in used}
    return TrainedModel(table.signature, known, tuple(members), unit)


def judged(model: TrainedModel, file: bytes, clean: pl.DataFrame) -> Verdict:
    """The file against the trained objects, on clean rows and on each kind of dirty ones."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = Verdict(0, 0.0, "", 0, 0, 0)
    for name, mutate in {"clean": lambda frame: frame, **MUTATIONS}.items():
        try:
            known = typed(model.signature, mutate(clean))
        except DataError:
            found = found._replace(refused=found.refused + 1)
            continue
        try:
            apart, flips = difference(model, model.predict(known), run(session, model, known))
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is counted
            found = found._replace(crashes=found.crashes + 1, worst=f"{name}: {type(error).__name__} {error}"[:100])
            continue
        worst = name if apart > found.apart else found.worst
        found = found._replace(
            rows=found.rows + known.height, apart=max(apart, found.apart), worst=worst, flips=found.flips + flips
        )
    return found


def run(session: Any, model: TrainedModel, known: pl.DataFrame) -> Outputs:
    """The portable file on typed rows, one named input for each column."""
    feeds = portable_feeds(model.signature, blocks_of_frame(model.signature, known))
    if model.signature.task == "regression":
        return Outputs(None, None, session.run(["prediction"], feeds)[0].reshape(-1))
    label, shares = session.run(["label", "probabilities"], feeds)
    return Outputs(label, shares, None)


def difference(model: TrainedModel, expected: Outputs, found: Outputs) -> tuple[float, int]:
    """The largest difference, and how many labels differ where there is no tie."""
    if expected.probabilities is None or found.probabilities is None:
        truth = model.unit.scale(np.asarray(expected.prediction))
        apart = np.abs(model.unit.scale(np.asarray(found.prediction)) - truth)
        return float((apart / np.maximum(1.0, np.abs(truth))).max()), 0
    apart = float(np.abs(expected.probabilities.astype(np.float64) - found.probabilities).max())
    top = np.sort(expected.probabilities, axis=1)
    decided = top[:, -1] - top[:, -2] > _TIE
    return apart, int(np.sum(decided & (np.asarray(expected.label) != np.asarray(found.label))))


def one_row_us(model: TrainedModel, file: bytes, clean: pl.DataFrame) -> float:
    """Microseconds of one row through the packed sister graph, median of 2,000 calls over 200 different rows."""
    signature = model.signature
    session = open_session(pack(file, {block: len(signature.block(block)) for block in BLOCKS}))
    blocks = blocks_of_frame(signature, typed(signature, clean[:200]))
    outputs = ["prediction"] if signature.task == "regression" else ["label", "probabilities"]
    feeds = [
        {
            PACK_TENSOR.format(block): getattr(blocks.slice(row, row + 1), block)
            for block in BLOCKS
            if signature.block(block)
        }
        for row in range(blocks.rows)
    ]
    return median_us(lambda index: session.run(outputs, feeds[index % len(feeds)]))


def median_us(call: Any) -> float:
    """The median over 2,000 calls, after 200 to warm up."""
    taken: list[float] = []
    for index in range(2200):
        begin = time.perf_counter()
        call(index)
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken[200:])) * 1e6


if __name__ == "__main__":
    main()
