"""How many faults do the guardrails find, how many alarms are false, and what is that worth?

    python -m bench.guardrails --manifest M.json     tables that a manifest lists (see bench.automl); else the demo's
    options: --sets a,b   --rows 10000   --seeds 3   --kinds pair,twins   --effects adult,california_housing

Clean tables are rows of each set drawn at random and shuffled, without rows that are equal and without columns that the
manifest calls leaks or identifiers. Into each, one fault at a time is put, with some seeds. The first table says, for
each kind, in how many of the tables it was found: by a finding of that kind that names the column, if one was added.
The second says what was raised in clean tables, as a warning or an error; a time that the manifest names is no false
alarm. The third is what it is worth: LightGBM is trained on four fifths of the rows with the fault, and scored on the
others as the future would be, without the column that leaks, with new identifiers, new groups, later times. `told` is
the score of validation, `true` that of the future: roc_auc or r2.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from autopilot.guardrails import Guarded, guard
from autopilot.guardrails.quick import features
from autopilot.metric_formulas import r2, roc_auc
from autopilot.search.folds import choose_scheme, divide
from autopilot.table.infer import Table, infer
from bench._sets import Set, read_sets
from storage.boundary import typed

Values = NDArray[np.float64]
#: Checks take what they need: here a recall is measured, not a time.
_LIMIT_S = 600.0
_TEST_PARTS = 5
#: How far a target has moved in each sixth of the time.
_MOVED = (0.0, 0.1, 0.2, 0.6, 0.8, 1.0)


class Rows(NamedTuple):
    """A table with a fault, and rows as they will come."""

    train: pl.DataFrame
    test: pl.DataFrame


class Fault(NamedTuple):
    """How a fault is put into rows (target, random numbers), and which findings tell it. column: that was added.

    tasks: that it can be put into.
    """

    inject: Callable[[Rows, str, np.random.Generator], Rows]
    codes: tuple[str, ...]
    column: str | None = None
    tasks: tuple[str, ...] = ("binary", "multiclass", "regression")


# --------------------------------------------------------------------------------------------------------- faults


def number_of(frame: pl.DataFrame, target: str) -> Values:
    """The target as numbers: of classes, their place in order."""
    values = frame.get_column(target)
    return (values if is_quantity(frame, target) else values.rank("dense")).cast(pl.Float64).to_numpy()


def is_quantity(frame: pl.DataFrame, target: str) -> bool:
    """Whether the target is a number of many values."""
    values = frame.get_column(target)
    return values.dtype.is_numeric() and values.n_unique() > 30


def _unknown(rows: Rows, name: str, values: "Values | list[str | None]") -> Rows:
    """A column that nobody knows when it is asked for."""
    column = pl.Series(name, values)
    return Rows(
        rows.train.with_columns(column.fill_nan(None) if column.dtype.is_float() else column),
        rows.test.with_columns(pl.lit(None, dtype=column.dtype).alias(name)),
    )


def _copy(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    if is_quantity(rows.train, target):
        return _unknown(rows, "copy", y + 0.02 * y.std() * rng.normal(size=len(y)))
    return _unknown(rows, "copy", y + 0.15 * rng.normal(size=len(y)))


def _transform(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    return _unknown(rows, "transform", 7.0 - np.cbrt(y - y.min() + 0.1))


def _category(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    if is_quantity(rows.train, target):
        place = np.argsort(np.argsort(y)) * 40 // len(y)
    else:
        place = y.astype(np.int64) * 3 + rng.integers(0, 3, len(y))
    names = rng.permutation(np.arange(1000))
    return _unknown(rows, "category", [f"code {names[at]}" for at in place])


def _missing(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    is_there = y > np.median(y) if is_quantity(rows.train, target) else y != _most_frequent(y)
    is_there ^= rng.random(len(y)) < 0.005
    return _unknown(rows, "missing", np.where(is_there, rng.normal(size=len(y)), np.nan))


def _least_frequent(y: Values) -> float:
    levels, counts = np.unique(y, return_counts=True)
    return float(levels[counts.argmin()])


def _most_frequent(y: Values) -> float:
    levels, counts = np.unique(y, return_counts=True)
    return float(levels[counts.argmax()])


def _sum(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    part = y.std() * rng.normal(size=len(y))
    rest = y - part if is_quantity(rows.train, target) else y + 0.3 * rng.random(len(y)) - part
    return _unknown(_unknown(rows, "part", part), "rest", rest)


def _product(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    factor = np.exp(rng.normal(size=len(y)))
    whole = y if is_quantity(rows.train, target) else np.exp(y + 0.3 * rng.random(len(y)))
    return _unknown(_unknown(rows, "factor", factor), "per", whole / factor)


def _mean(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    y = y if is_quantity(rows.train, target) else (y == _most_frequent(y)).astype(np.float64)
    group = rng.integers(0, max(2, len(y) // 5), len(y))
    return _unknown(rows, "mean", (np.bincount(group, y) / np.maximum(np.bincount(group), 1))[group])


def _mean_of_others(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    y = y if is_quantity(rows.train, target) else (y == _most_frequent(y)).astype(np.float64)
    group = rng.integers(0, max(2, len(y) // 12), len(y))
    count, total = np.bincount(group)[group], np.bincount(group, y)[group]
    others = np.where(count > 1, (total - y) / np.maximum(count - 1, 1), np.nan)
    found = _unknown(rows, "others", others)
    fresh = rng.integers(0, int(group.max()) + 1, found.test.height)
    return Rows(
        found.train.with_columns(cell=pl.Series([f"cell {at}" for at in group])),
        found.test.with_columns(cell=pl.Series([f"cell {at}" for at in fresh])),
    )


def _identifier(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    return _numbered(rows, rng.permutation(rows.train.height))


def _identifier_in_order(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    return _numbered(rows, np.argsort(np.argsort(y + 0.7 * y.std() * rng.normal(size=len(y)))))


def _numbered(rows: Rows, places: NDArray[np.int64]) -> Rows:
    """New rows go on counting."""
    start = rows.train.height
    fresh = 10_000 + 3 * np.arange(start, start + rows.test.height)
    return Rows(
        rows.train.with_columns(record=pl.Series(10_000 + 3 * places)),
        rows.test.with_columns(record=pl.Series(fresh)),
    )


def _row_order(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    return Rows(rows.train[np.argsort(y + y.std() * rng.normal(size=len(y)))], rows.test)


def _twins(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    again = rng.choice(rows.train.height, rows.train.height // 2)
    both = pl.concat([rows.train, rows.train[again]])
    return Rows(both[rng.permutation(both.height)], rows.test)


def _entities(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    """Each of an eighth of the rows eight times, its numbers a little off, as visits of a patient."""
    count = max(25, rows.train.height // 8)
    entity = np.repeat(np.arange(count), 8)
    drawn = rng.choice(rows.train.height, count, replace=False)[entity]
    many = rows.train[drawn].with_columns(
        (pl.col(name) + pl.Series(0.05 * _spread(rows.train, name) * rng.normal(size=len(drawn)))).alias(name)
        for name in rows.train.columns
        if rows.train.schema[name].is_float() and name != target
    )
    many = many.with_columns(patient=pl.Series([f"P{at}" for at in entity]))[rng.permutation(len(drawn))]
    fresh = [f"P{count + at}" for at in range(rows.test.height)]
    return Rows(many, rows.test.with_columns(patient=pl.Series(fresh)))


def _spread(frame: pl.DataFrame, name: str) -> float:
    return float(np.nanstd(frame.get_column(name).to_numpy()))


def _time(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    """Rows of a log whose target moves, whatever the columns say: the latest fifth is the future."""
    both = pl.concat(rows)
    y, moved = number_of(both, target), np.array(_MOVED)[np.arange(both.height) * len(_MOVED) // both.height]
    if is_quantity(both, target):
        both = both.with_columns(pl.Series(target, y + 3 * y.std() * moved))
    else:
        turned = pl.lit(both.get_column(target)[int((y == _least_frequent(y)).argmax())])
        is_turned = pl.Series(rng.random(both.height) < 0.8 * moved)
        both = both.with_columns(pl.when(is_turned).then(turned).otherwise(target).alias(target))
    minutes = np.cumsum(rng.integers(1, 60, both.height))
    seen = pl.Series(1_600_000_000_000_000 + 60_000_000 * minutes).cast(pl.Datetime("us"))
    both = both.with_columns(recorded=seen)
    return Rows(both[: rows.train.height], both[rows.train.height :])


def _rare(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target)
    of_class = np.flatnonzero(y == _least_frequent(y))
    kept = np.sort(np.concatenate([np.flatnonzero(y != _least_frequent(y)), rng.permutation(of_class)[:5]]))
    return Rows(rows.train[kept], rows.test)


def _outliers(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    y = number_of(rows.train, target).copy()
    y[rng.choice(len(y), max(3, len(y) // 2000), replace=False)] = 1000 * np.abs(y).max()
    test = rows.test.with_columns(pl.col(target).cast(pl.Float64))
    return Rows(rows.train.with_columns(pl.Series(target, y)), test)


def _holes(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    values = np.where(rng.random(rows.train.height) < 0.03, rng.normal(size=rows.train.height), np.nan)
    return _unknown(rows, "holes", values)


def _constant(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    values = np.zeros(rows.train.height)
    values[rng.integers(len(values))] = rng.integers(0, 2)  # one row differs, or none does
    return Rows(rows.train.with_columns(constant=pl.Series(values)), rows.test.with_columns(constant=pl.lit(0.0)))


def _few(rows: Rows, target: str, rng: np.random.Generator) -> Rows:
    return Rows(rows.train[:80], rows.test)


_CLASSES = ("binary", "multiclass")
FAULTS: dict[str, Fault] = {
    "a copy with noise": Fault(_copy, ("leak",), "copy"),
    "a monotone transform": Fault(_transform, ("leak",), "transform"),
    "a category that maps to it": Fault(_category, ("leak",), "category"),
    "missing cells that tell": Fault(_missing, ("leak", "leak_missing", "missing_tells"), "missing"),
    "a sum of two columns": Fault(_sum, ("leak_pair",)),
    "a product of two columns": Fault(_product, ("leak_pair",)),
    "its mean by group": Fault(_mean, ("leak_mean", "leak"), "mean"),
    "its mean over the others": Fault(_mean_of_others, ("leak_within",), "others"),
    "an identifier": Fault(_identifier, ("identifier",), "record"),
    "an identifier in order": Fault(_identifier_in_order, ("identifier",), "record"),
    "rows in order": Fault(_row_order, ("row_order",)),
    "copied rows": Fault(_twins, ("twins",)),
    "groups": Fault(_entities, ("entities",), "patient"),
    "a target that moves in time": Fault(_time, ("time_order",), "recorded"),
    "a rare class": Fault(_rare, ("rare_classes", "imbalance"), tasks=_CLASSES),
    "outliers of the target": Fault(_outliers, ("outliers",), tasks=("regression",)),
    "a column of holes": Fault(_holes, ("mostly_missing",), "holes"),
    "a constant column": Fault(_constant, ("nearly_constant", "dropped"), "constant"),
    "few rows": Fault(_few, ("few_rows",)),
}
#: What a future without the fault can be made for.
EFFECTS = tuple(FAULTS)[:14]


# --------------------------------------------------------------------------------------------------------- recall


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--sets", default="")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--effects", default="adult,california_housing,flights")
    chosen = parser.parse_args()
    sets = read_sets(chosen.manifest, chosen.sets)
    kinds = [kind for kind in FAULTS if not chosen.kinds or kind in chosen.kinds.split(",")]
    print_recall(sets, kinds, chosen.rows, chosen.seeds)
    print_false(sets, times_of(chosen.manifest), chosen.rows, chosen.seeds)
    print_effects([one for one in sets if one.name in chosen.effects.split(",")], chosen.rows)


def clean(one: Set, most: int, seed: int) -> Rows:
    """Rows of a set without what the manifest calls faults, in any order: four fifths, and the rest."""
    frame = one.read()
    frame = frame.unique(subset=[name for name in frame.columns if name != one.target], maintain_order=True)
    frame = frame.sample(min(most, frame.height), shuffle=True, seed=seed)
    test = frame.height // _TEST_PARTS
    return Rows(frame[test:], frame[:test])


def guarded(one: Set, frame: pl.DataFrame) -> tuple[Table, Guarded]:
    """A table, and what is caught in it."""
    table = infer(frame, one.target, task=one.task)  # pyright: ignore[reportArgumentType]
    return table, guard(table, limit_s=_LIMIT_S)


def print_recall(sets: list[Set], kinds: list[str], rows: int, seeds: int) -> None:
    """A line for each kind."""
    print("| fault | tables | found | recall | not found in |")
    print("|---|---|---|---|---|")
    total: list[bool] = []
    for kind in kinds:
        fault = FAULTS[kind]
        found: list[bool] = []
        lost: dict[str, int] = defaultdict(int)
        for one in sets:
            for seed in range(seeds) if one.task in fault.tasks else ():
                rng = np.random.default_rng(seed)
                train = fault.inject(clean(one, rows, seed), one.target, rng).train
                found.append(is_found(fault, *guarded(one, train)))
                lost[one.name] += not found[-1]
        if not found:
            continue
        names = ", ".join(f"{name} ({count})" for name, count in lost.items() if count)
        print(f"| {kind} | {len(found)} | {sum(found)} | {np.mean(found):.2f} | {names} |", flush=True)
        total += found
    print(f"| all | {len(total)} | {sum(total)} | {np.mean(total):.3f} | |\n", flush=True)


def is_found(fault: Fault, table: Table, caught: Guarded) -> bool:
    """Whether a finding tells the fault, and names the column that was added, alone or among others."""
    told = [one for one in (*caught.findings, *table.findings) if one.code in fault.codes]
    return any(fault.column in (None, one.column) or f"'{fault.column}'" in one.message for one in told)


def times_of(manifest: Path | None) -> dict[str, str]:
    """Columns that the manifest names as the rows' times, by set."""
    entries = json.loads(manifest.read_text()) if manifest else []
    return {entry["name"]: entry["time_col"] for entry in entries if entry.get("time_col")}


def print_false(sets: list[Set], times: dict[str, str], rows: int, seeds: int) -> None:
    """What is raised in clean tables."""
    codes = sorted({code for fault in FAULTS.values() for code in fault.codes} - {"dropped", "nearly_constant"})
    codes.append("check_failed")
    raised: list[str] = []
    tables = 0
    for one in sets:
        for seed in range(seeds):
            _, caught = guarded(one, clean(one, rows, seed).train)
            tables += 1
            raised += [
                f"{one.name}: {code}"
                for code in codes
                if any(
                    found.code == code and found.severity != "info" and not _is_known(found.column, one, times)
                    for found in caught.findings
                )
            ]
    pairs = tables * len(codes)
    print(f"False alarms: {len(raised)} of {pairs} (table, kind) pairs of {tables} clean tables,", end=" ")
    print(f"{len(raised) / pairs:.1%}. {'; '.join(sorted(raised))}\n", flush=True)


def _is_known(column: str | None, one: Set, times: dict[str, str]) -> bool:
    return column is not None and column == times.get(one.name)


# --------------------------------------------------------------------------------------------------------- effect


def print_effects(sets: list[Set], rows: int) -> None:
    """A line for each fault of each set."""
    if not sets:
        return
    print("| set | fault | told | true | told, guarded | true, guarded | true without the fault |")
    print("|---|---|---|---|---|---|---|")
    for one in sets:
        for kind in EFFECTS:
            start = clean(one, rows, 0)
            faulty = FAULTS[kind].inject(start, one.target, np.random.default_rng(0))
            table, caught = guarded(one, faulty.train)
            after = caught.applied(table)
            best = infer(start.train, one.target, task=one.task)  # pyright: ignore[reportArgumentType]
            scores = [told(table), true(table, faulty.test), told(after), true(after, faulty.test)]
            without = "" if kind == "a target that moves in time" else f"{true(best, start.test):.3f}"
            print(f"| {one.name} | {kind} | " + " | ".join(f"{score:.3f}" for score in scores) + f" | {without} |")


def told(table: Table) -> float:
    """The mean score over the folds that the table's groups or times ask for."""
    scheme = choose_scheme(table, fold_s=0.1, budget_s=60.0, workers=2)
    folds = divide(table.y, scheme, 0, table.groups, table.times).folds[:5]
    X = features(table.frame, table.signature.names)
    return float(
        np.mean(
            [_score(table, X[fold.train], table.y[fold.train], X[fold.valid], table.y[fold.valid]) for fold in folds]
        )
    )


def true(table: Table, test: pl.DataFrame) -> float:
    """The score on rows as they will come."""
    again = infer_like(table, test)
    both = pl.concat([table.frame, again.frame])
    X = features(both, table.signature.names)
    height = table.frame.height
    return _score(table, X[:height], table.y, X[height:], again.y)


def infer_like(table: Table, test: pl.DataFrame) -> Table:
    """Test rows with the columns of a table."""
    target = test.get_column(table.signature.target)
    if table.signature.classes:
        order = {str(name): number for number, name in enumerate(table.signature.classes)}
        y = np.array([order[str(value)] for value in target.to_list()], dtype=np.float64)
    else:
        y = target.cast(pl.Float64).to_numpy()
    return replace(table, frame=typed(table.signature, test), y=y)


def _score(table: Table, X: Values, y: Values, X_valid: Values, y_valid: Values) -> float:
    """Roc_auc of two classes, r2 of a quantity."""
    is_binary = table.signature.task == "binary"
    settings = {
        "objective": "binary" if is_binary else "regression",
        "learning_rate": 0.1,
        "num_leaves": 31,
        "num_threads": 1,
        "deterministic": True,
        "verbosity": -1,
    }
    predicted = np.asarray(lightgbm.train(settings, lightgbm.Dataset(X, y), 80).predict(X_valid))
    if is_binary:
        return roc_auc(y_valid, np.stack([1 - predicted, predicted], axis=1))
    return r2(y_valid, predicted)


if __name__ == "__main__":
    main()
