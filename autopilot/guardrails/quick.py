"""A small LightGBM: what many columns tell together, in a few tenths of a second."""

from collections.abc import Sequence

import lightgbm
import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.guardrails.power import Codes, Values

#: Rows and columns that are learnt from at most: together 0.1 s on one core for each half.
MOST_ROWS, MOST_COLUMNS = 4000, 100
#: By the number of outputs, one or several: each of them costs as much.
_ONE, _SEVERAL = {"learning_rate": 0.15, "rounds": 40}, {"learning_rate": 0.3, "rounds": 15}
_FEWEST_IN_LEAF, _LEAVES = 5, 15
_MOST = 1e100


def features(frame: pl.DataFrame, names: Sequence[str]) -> Values:
    """Columns as numbers, (rows, names): numbers and times as they are, text by its order; NaN is missing."""
    return np.stack([_ordered(frame.get_column(name)) for name in names], axis=1)


def _ordered(values: pl.Series) -> Values:
    return as_numbers(values.rank("dense") if values.dtype == pl.String else values)


def as_numbers(values: pl.Series) -> Values:
    """Numbers or times as float64, missing and infinite NaN, others within 1e100, so that squares are finite."""
    numbers = values.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.clip(np.where(np.isfinite(numbers), numbers, np.nan), -_MOST, _MOST)


def learnt(X: Values, outputs: Values, train: NDArray[np.int64], valid: NDArray[np.int64]) -> Values:
    """What trees that were trained on some rows predict for others, (valid, outputs). X: (rows, features)."""
    return np.stack([_boosted(X, output, train, valid, outputs.shape[1]) for output in outputs.T], axis=1)


def crossed(X: Values, outputs: Values, half: Codes) -> Values:
    """Each row's prediction by trees that were trained on the other half, (rows, outputs)."""
    parts = [np.flatnonzero(half == number) for number in (0, 1)]
    found = np.empty_like(outputs)
    for train, valid in (parts, parts[::-1]):
        found[valid] = learnt(X, outputs, train, valid)
    return found


def _boosted(
    X: Values, output: Values, train: NDArray[np.int64], valid: NDArray[np.int64], outputs: int
) -> NDArray[np.float64]:
    shape = _ONE if outputs == 1 else _SEVERAL
    settings = {
        "objective": "regression",
        "learning_rate": shape["learning_rate"],
        "num_leaves": _LEAVES,
        "min_data_in_leaf": _FEWEST_IN_LEAF,
        "max_bin": 127,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(X[train], output[train]), int(shape["rounds"]))
    return np.asarray(booster.predict(X[valid]), dtype=np.float64)
