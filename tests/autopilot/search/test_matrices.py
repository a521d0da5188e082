"""Each part's features are fitted on its training rows alone, once for all processes that share a folder."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from autopilot.metrics import METRICS
from autopilot.plan import RECIPES, Recipe
from autopilot.search.folds import Fold, Folds, Scheme
from autopilot.search.matrices import ALL, SEARCH, Matrices, Part, Unit
from autopilot.search.study import Study, opened
from autopilot.table.infer import Table, infer
from autopilot.workers import Shared
from tests import tables

TABLE = infer(tables.regression(200), "price")
ROWS = np.random.default_rng(0).permutation(200)


def _fold(number: int) -> Fold:
    """A fifth of 160 rows validates."""
    valid = range(40 + 32 * number, 72 + 32 * number)
    return Fold(np.sort(np.delete(ROWS, [*range(40), *valid])), np.sort(ROWS[valid]))


#: Five folds over 160 rows; 40 rows test.
FOLDS = Folds(np.sort(ROWS[40:]), np.sort(ROWS[:40]), tuple(_fold(number) for number in range(5)), Scheme("k-fold", 5))


def matrices_of(table: Table = TABLE, folder: Path | None = None) -> Matrices:
    """With these five folds."""
    return Matrices(table, FOLDS, Unit.of(table, FOLDS), 0, folder)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_fold_has_matrices_of_its_rows(recipe: Recipe) -> None:
    """As many rows as the fold says, as many features in each, values in units of the search's rows."""
    matrices = matrices_of()
    found = matrices.of(Part("fold", 1), recipe)
    assert [len(X) for X in (found.X_train, found.X_valid, found.X_test)] == [128, 32, 40]
    assert len({X.shape[1] for X in (found.X_train, found.X_valid, found.X_test)}) == 1
    assert matrices.unit.unscale(found.y_valid) == pytest.approx(TABLE.y[FOLDS.folds[1].valid])


def test_parts_train_on_more_or_fewer_rows() -> None:
    """All rows, or those of the search; what does not validate or test has no rows."""
    matrices = matrices_of()
    sizes = {
        part.kind: tuple(len(X) for X in (found.X_train, found.X_valid, found.X_test))
        for part in (ALL, SEARCH)
        for found in [matrices.of(part, "trees")]
    }
    assert sizes == {"all": (200, 0, 0), "search": (160, 0, 40)}
    assert len(matrices.plan(ALL, "trees").names()) == matrices.of(ALL, "trees").X_train.shape[1]


def test_values_are_learnt_with_mean_zero_and_deviation_one() -> None:
    """Over the rows of the search; classes keep their numbers."""
    scaled = Unit.of(TABLE, FOLDS).scale(TABLE.y[FOLDS.search])
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    assert Unit.of(infer(tables.mixed(200), "paid"), FOLDS) == Unit(0.0, 1.0)


def test_validation_rows_do_not_change_what_is_learnt() -> None:
    """Other cells in a fold's validation and test rows leave its training matrix as it was."""
    others = np.setdiff1d(np.arange(200), FOLDS.folds[0].train)
    is_other = pl.int_range(pl.len()).is_in(others.tolist())
    wild = TABLE.frame.with_columns(
        pl.when(is_other).then(1e9).otherwise(pl.col("income")).alias("income"),
        pl.when(is_other).then(pl.lit("?")).otherwise(pl.col("town")).alias("town"),
    )
    for recipe in RECIPES:
        before = matrices_of().of(Part("fold", 0), recipe)
        after = matrices_of(replace(TABLE, frame=wild)).of(Part("fold", 0), recipe)
        assert np.array_equal(before.X_train, after.X_train, equal_nan=True)


def test_weights_come_along_with_mean_one() -> None:
    """Of training and of validation rows, each by itself; None where a table has none."""
    weights = np.arange(200, dtype=np.float64)
    found = matrices_of(replace(TABLE, weights=weights / weights.mean())).of(Part("fold", 2), "trees")
    rows = FOLDS.folds[2]
    assert found.weights_train == pytest.approx(weights[rows.train] / weights[rows.train].mean())
    assert found.weights_valid == pytest.approx(weights[rows.valid] / weights[rows.valid].mean())
    assert matrices_of().of(Part("fold", 2), "trees").weights_train is None


def test_those_that_share_a_folder_make_each_matrix_once(tmp_path: Path) -> None:
    """Also when they ask at the same time; what is read back is what was made."""
    made = matrices_of().of(Part("fold", 0), "trees")
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: matrices_of(folder=tmp_path).of(Part("fold", 0), "trees"), range(4)))
    for one in found:
        assert np.array_equal(one.X_train, made.X_train, equal_nan=True)
        assert np.array_equal(one.X_test, made.X_test, equal_nan=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trees-fold-0", "trees-fold-0.lock"]


def test_a_full_disk_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices are kept in memory then."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autopilot.search.matrices.np.save", full)
    found = matrices_of(folder=tmp_path).of(Part("fold", 0), "trees")
    assert len(found.X_train) == 128
    assert [path.name for path in tmp_path.iterdir()] == ["trees-fold-0.lock"]


def test_a_study_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    """Table, folds, unit and metric; a worker that asks again gets what it has open."""
    study = Study.of(TABLE, FOLDS, METRICS["mae"], 7)
    study.save(tmp_path)
    shared = Shared(str(tmp_path))
    again = opened(shared)
    assert again is opened(shared)
    assert again.study.table.frame.equals(TABLE.frame)
    assert again.study.table.signature == TABLE.signature
    assert np.array_equal(again.study.table.y, TABLE.y)
    assert np.array_equal(again.study.folds.validated, FOLDS.validated)
    assert (again.study.unit, again.study.seed, again.study.metric.name) == (study.unit, 7, "mae")
