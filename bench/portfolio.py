"""In which order should the search try its good points? What `autopilot/search/portfolio.py` holds is learnt here.

    python -m bench.portfolio --manifest M.json     tables that a manifest lists (see bench.automl)
    options: --rows 1000,4000   --sets a,b   --seed 0      (eight tables take a quarter of an hour of one core)

Of each table that has so many rows, so many are drawn, and each entry of the pool is trained on three folds of them
once, or once out of bag; seconds are of one core, and do not count the features, which entries of one recipe share.
Then entries are taken one after the other, beginning with the constant guess, each time the one that lowers the loss of
the average of all that are taken most for each second: by how much, is the mean over tables of the logarithm of the
ratio of losses before and after; seconds are multiples of those of the usual LightGBM. As TabRepo learns portfolios
(Salinas and Erickson, arXiv 2311.02971).
"""

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in workers; NumPy reads it when it is imported

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.candidates import CANDIDATES, Candidate
from autopilot.candidates.candidate import Job, OutOfBag, Problem
from autopilot.deadline import Deadline
from autopilot.metrics import metric_named
from autopilot.plan import Plan, Recipe
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.search.portfolio import SHAPES, Source, entry_of
from autopilot.table.infer import Table, infer
from bench._sets import Set, read_sets

Values = NDArray[np.float64]

FOLDS = 3
BUDGET_S = 60.0
#: Of one training; beyond it an entry is too slow for a search of a minute anyway.
MOST_S = 20.0
#: What an entry may count for when it joins the average.
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
#: Entries that gain less are not listed.
LEAST_GAIN = 1e-4
#: What any trial costs beside its training, as a multiple of the usual LightGBM's seconds.
OVERHEAD = 0.2
PREPARED_SHAPES = ("usual", "r13", "r41", "r31", "r163")
#: Of the others' points, those that are tried: fewer where training takes long.
POINTS: dict[str, tuple[int, ...]] = {"catboost": (0, 2), "gradient_boosting": (0,), "histogram_boosting": (0,)}


class Tried(NamedTuple):
    """An entry on a table: its seconds on one core, and predictions for each row, by models that had not seen it."""

    seconds: float
    predicted: Values


class Subset(NamedTuple):
    """Some rows of a table, and what each entry of the pool gave on them; an entry that does not apply is absent."""

    name: str
    table: Table
    tried: dict[Source, Tried]

    def loss(self, predicted: Values) -> float:
        """The usual metric's, 0 at best."""
        metric = metric_named("auto", self.table.signature.task)
        score = metric.score(self.table.y, predicted)
        return max(1.0 - score if metric.greater_is_better else score, 1e-4)


def main() -> None:
    """Print an order for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--rows", default="1000,4000")
    parser.add_argument("--sets", default="")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sets = read_sets(chosen.manifest, chosen.sets)
    for rows in map(int, chosen.rows.split(",")):
        print(f"\n{rows} rows\n", flush=True)
        subsets = [try_all(one, rows, chosen.seed) for one in sets if count(one) >= rows]
        print_losses(subsets)
        print_order(subsets)


def count(one: Set) -> int:
    """Rows of a table."""
    return int(pl.scan_parquet(one.path).select(pl.len()).collect().item())


def pool() -> list[tuple[Candidate, Source]]:
    """All that could be in the portfolio: LightGBM's shapes, and the others' first points."""
    found: list[tuple[Candidate, Source]] = []
    problem = Problem("binary", 2, 1000)
    for candidate in CANDIDATES:
        if candidate.name == "lightgbm":
            sources: list[str | int] = list(SHAPES)
        elif candidate.name == "lightgbm_prepared":
            sources = list(PREPARED_SHAPES)
        else:
            sources = list(POINTS.get(candidate.name, range(min(3, len(candidate.points(problem))))))
        found += [(candidate, (candidate.name, source)) for source in sources]
    return found


def try_all(one: Set, rows: int, seed: int) -> Subset:
    """Train the pool on some of a table's rows."""
    frame = one.read()
    drawn = frame.sample(min(rows, frame.height), shuffle=True, seed=seed)
    table = infer(drawn, one.target, task=one.task)
    subset = Subset(one.name, table, {})
    fold = fold_numbers(table.y, seed)
    matrices: dict[tuple[Recipe, int], tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    began = time.process_time()
    for candidate, source in pool():
        problem = Problem(table.signature.task, max(1, len(table.signature.classes)), rows)
        if candidate.applies(problem):
            subset.tried[source] = try_one(table, candidate, source, problem, fold, matrices, seed)
    print(f"{one.name}: {time.process_time() - began:.0f} s", flush=True)
    return subset


def try_one(
    table: Table,
    candidate: Candidate,
    source: Source,
    problem: Problem,
    fold: NDArray[np.int64],
    matrices: dict[tuple[Recipe, int], tuple[NDArray[np.float32], NDArray[np.float32]]],
    seed: int,
) -> Tried:
    """On three folds, each time stopped on the rows that are then predicted, as the search does it; or out of bag."""
    unit = Unit() if table.signature.classes else Unit(float(table.y.mean()), float(table.y.std()))
    y, params = unit.scale(table.y), entry_of(candidate, source[1], problem, BUDGET_S).params
    predicted, seconds = np.zeros((len(y), problem.outputs)), 0.0
    is_out_of_bag = isinstance(candidate, OutOfBag)
    for number in (FOLDS,) if is_out_of_bag else range(FOLDS):
        train, valid = fold != number, fold == number
        if (candidate.recipe, number) not in matrices:
            plan, X = Plan.fit(
                table.frame.filter(train), table.signature, candidate.recipe, Target(y[train], problem.outputs), seed
            )
            matrices[candidate.recipe, number] = X, plan.features(table.frame.filter(valid))
        X, X_valid = matrices[candidate.recipe, number]
        began = time.process_time()
        held = (None, None) if is_out_of_bag else (X_valid, y[valid])
        job = Job(X, y[train], *held, params, 0, Deadline.after(MOST_S), seed, problem)
        if isinstance(candidate, OutOfBag):
            predicted = candidate.fit_out_of_bag(job)[1]
        else:
            predicted[valid] = candidate.fit(job).predict(X_valid)
        seconds += time.process_time() - began
    return Tried(seconds, unit.unscale(predicted))


def fold_numbers(y: Values, seed: int) -> NDArray[np.int64]:
    """Each class, or range of values, has its share of each fold."""
    rng = np.random.default_rng(seed)
    numbers = np.empty(len(y), dtype=np.int64)
    numbers[np.lexsort((rng.random(len(y)), y))] = np.arange(len(y)) % FOLDS
    return numbers


def print_losses(subsets: list[Subset]) -> None:
    """Each entry alone, as a multiple of the usual LightGBM: its loss on each table, and the mean of its seconds."""
    print("\n| entry | seconds | " + " | ".join(subset.name for subset in subsets) + " |")
    print("|---|---|" + "---|" * len(subsets))
    usual = [subset.tried["lightgbm", "usual"] for subset in subsets]
    for _, source in pool():
        cells = [
            f"{subset.loss(subset.tried[source].predicted) / subset.loss(one.predicted):.3f}"
            if source in subset.tried
            else ""
            for subset, one in zip(subsets, usual, strict=True)
        ]
        print(f"| {source[0]} {source[1]} | {mean_cost(subsets, source):.2f} | " + " | ".join(cells) + " |")


def print_order(subsets: list[Subset]) -> None:
    """Greedily by gain for each second."""
    print("\n| entry | gain % | seconds | all seconds | loss of the average |\n|---|---|---|---|---|")
    averages = [subset.tried["baseline", 0].predicted for subset in subsets]
    rest = [source for _, source in pool() if source[0] != "baseline"]
    rest = [source for source in rest if any(source in subset.tried for subset in subsets)]
    usual = [subset.loss(subset.tried["lightgbm", "usual"].predicted) for subset in subsets]
    spent = 0.0
    while rest:
        gains = {source: mean_gain(subsets, averages, source) for source in rest}
        best = max(rest, key=lambda source: gains[source] / (mean_cost(subsets, source) + OVERHEAD))
        if gains[best] < LEAST_GAIN:
            break
        averages = [joined(*pair, best)[0] for pair in zip(subsets, averages, strict=True)]
        rest.remove(best)
        spent += mean_cost(subsets, best)
        losses = [subset.loss(average) for subset, average in zip(subsets, averages, strict=True)]
        ratio = float(np.exp(np.mean(np.log(np.array(losses) / usual))))
        cells = [f"{100 * gains[best]:.2f}", f"{mean_cost(subsets, best):.2f}", f"{spent:.1f}", f"{ratio:.4f}"]
        print(f"| {best} | " + " | ".join(cells) + " |", flush=True)


def mean_cost(subsets: list[Subset], source: Source) -> float:
    """Seconds as a multiple of the usual LightGBM's, over the tables to which the entry applies."""
    ratios = [
        subset.tried[source].seconds / subset.tried["lightgbm", "usual"].seconds
        for subset in subsets
        if source in subset.tried
    ]
    return float(np.mean(ratios)) if ratios else 0.0


def mean_gain(subsets: list[Subset], averages: list[Values], source: Source) -> float:
    """The mean logarithm of the losses' ratio, when this entry joins the averages."""
    gains = [joined(subset, average, source)[1] for subset, average in zip(subsets, averages, strict=True)]
    return float(np.mean(gains))


def joined(subset: Subset, average: Values, source: Source) -> tuple[Values, float]:
    """The average with an entry in it at its best weight, and the logarithm of the losses' ratio."""
    if source not in subset.tried:
        return average, 0.0
    before, predicted = subset.loss(average), subset.tried[source].predicted
    found = [average, *((1 - weight) * average + weight * predicted for weight in WEIGHTS)]
    losses = [before, *(subset.loss(one) for one in found[1:])]
    best = int(np.argmin(losses))
    return found[best], float(np.log(before / losses[best]))


if __name__ == "__main__":
    main()
