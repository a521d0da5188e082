"""Each fold's features are fitted on its training rows alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from autopilot.plan import RECIPES
from autopilot.search.folds import divide
from autopilot.search.matrices import Matrices, Unit
from autopilot.table.infer import Table, infer
from tests import tables

TABLE = infer(tables.regression(200), "price")


def matrices_of(table: Table, seed: int = 0) -> Matrices:
    """With five folds."""
    return Matrices(table, divide(table.y, 1, 600, seed), seed)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_fold_has_matrices_of_its_rows(recipe: str) -> None:
    """As many rows as the fold says, as many features in each, values in units of the search's rows."""
    matrices = matrices_of(TABLE)
    fold, found = matrices.folds.folds[1], matrices.of_fold(1, recipe)  # type: ignore[arg-type]
    assert [len(X) for X in (found.X_train, found.X_valid, found.X_test)] == [
        len(fold.train),
        len(fold.valid),
        len(matrices.folds.test),
    ]
    assert len({X.shape[1] for X in (found.X_train, found.X_valid, found.X_test)}) == 1
    assert matrices.unit.unscale(found.y_valid) == pytest.approx(TABLE.y[fold.valid])


def test_values_are_learnt_with_mean_zero_and_deviation_one() -> None:
    """Over the rows of the search; classes keep their numbers."""
    matrices = matrices_of(TABLE)
    scaled = matrices.unit.scale(TABLE.y[matrices.folds.search])
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    assert matrices_of(infer(tables.mixed(100), "paid")).unit == Unit(0.0, 1.0)


def test_validation_rows_do_not_change_what_is_learnt() -> None:
    """Other cells in a fold's validation and test rows leave its training matrix as it was."""
    matrices = matrices_of(TABLE)
    fold = matrices.folds.folds[0]
    others = np.setdiff1d(np.arange(200), fold.train)
    wild = TABLE.frame.with_columns(
        pl.when(pl.int_range(pl.len()).is_in(others.tolist())).then(1e9).otherwise(pl.col("income")).alias("income"),
        pl.when(pl.int_range(pl.len()).is_in(others.tolist()))
        .then(pl.lit("?"))
        .otherwise(pl.col("town"))
        .alias("town"),
    )
    changed = Matrices(Table(TABLE.signature, wild, TABLE.y, ()), matrices.folds, 0)
    for recipe in RECIPES:
        before, after = matrices.of_fold(0, recipe), changed.of_fold(0, recipe)
        assert np.array_equal(before.X_train, after.X_train, equal_nan=True)


def test_threads_that_ask_for_the_same_fold_get_the_same_matrices() -> None:
    """Made once."""
    matrices = matrices_of(TABLE)
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: matrices.of_fold(0, "trees"), range(8)))
    assert all(each is found[0] for each in found)


def test_a_refit_has_all_rows() -> None:
    """Test rows included, with the plan that goes into the file."""
    plan, X, y = matrices_of(TABLE).of_all("trees")
    assert X.shape == (200, len(plan.names()))
    assert len(y) == 200
