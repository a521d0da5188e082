"""A plan fits a recipe's ops and gives their features side by side."""

import numpy as np
import polars as pl
import pytest

from autopilot.plan import RECIPES, Plan
from autopilot.plan.op import Target
from autopilot.plan.ops import Numbers, OrdinalCodes, TargetMean
from storage import DataError
from tests import tables
from tests.refusals import raises
from tests.strategies import raw_frame, signature_of

KINDS = ("number", "category")
FRAME = raw_frame(KINDS, [(1.0, "a"), (None, "a"), (3.0, "b"), (4.0, "b"), (5.0, "b"), (6.0, None)])
TARGET = Target(np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), 2)


def test_features_stand_side_by_side_in_the_recipes_order() -> None:
    """Six rows by hand: the number, the code, the target mean."""
    plan, _ = Plan.fit(FRAME, signature_of(KINDS), "trees", TARGET, seed=0)
    assert [type(op) for op in plan.ops] == [Numbers, OrdinalCodes, TargetMean]
    assert plan.names() == ("c0", "rank of c1", "target mean of c1")
    a, b, missing = (1 + 5) / 12, (2 + 5) / 13, (0 + 5) / 11
    expected = [[1, 1, a], [np.nan, 1, a], [3, 0, b], [4, 0, b], [5, 0, b], [6, 2, missing]]
    assert np.array_equal(plan.features(FRAME), np.array(expected, dtype=np.float32), equal_nan=True)


def test_training_rows_get_features_that_do_not_know_their_target() -> None:
    """The matrix of `fit` differs from `features` where the target enters, and nowhere else."""
    frame = (
        tables.mixed(200).with_columns(pl.col("town").fill_null("?")).select("age", "town").cast({"age": pl.Float64})
    )
    kinds = ("number", "category")
    typed = frame.rename({"age": "c0", "town": "c1"})
    y = (tables.mixed(200).get_column("paid") == "yes").to_numpy().astype(np.float64)
    plan, X = Plan.fit(typed, signature_of(kinds), "trees", Target(y, 2), seed=0)
    later = plan.features(typed)
    assert np.array_equal(X[:, :-1], later[:, :-1], equal_nan=True)
    assert not np.array_equal(X[:, -1], later[:, -1])
    assert np.abs(X[:, -1] - later[:, -1]).max() < 0.2


def test_the_same_seed_gives_the_same_plan_and_matrix() -> None:
    """Another seed draws other folds, so other features of the training rows, and the same plan."""
    first, X1 = Plan.fit(FRAME, signature_of(KINDS), "trees", TARGET, seed=1)
    again, X2 = Plan.fit(FRAME, signature_of(KINDS), "trees", TARGET, seed=1)
    other, X3 = Plan.fit(FRAME, signature_of(KINDS), "trees", TARGET, seed=2)
    assert first == again == other
    assert np.array_equal(X1, X2, equal_nan=True)
    assert not np.array_equal(X1, X3, equal_nan=True)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_matrix_is_float32_and_row_major(recipe: str) -> None:
    """As the models read it."""
    _, X = Plan.fit(FRAME, signature_of(KINDS), recipe, TARGET, seed=0)  # type: ignore[arg-type]
    assert X.dtype == np.float32
    assert X.flags.c_contiguous


def test_columns_that_teach_nothing_are_an_error() -> None:
    """No op is left."""
    frame = raw_frame(("time",), [(5,)] * 6).cast(pl.Datetime("us"))
    with raises(DataError, "No column varies in the training rows. Add columns, or rows that differ."):
        Plan.fit(frame, signature_of(("time",)), "trees", TARGET, seed=0)


def test_the_target_is_one_column_or_one_for_each_of_up_to_twelve_classes() -> None:
    """Regression and two classes have their value; beyond twelve classes there is none."""
    assert Target(np.array([0.5, 2.0]), 1).values.tolist() == [[0.5], [2.0]]
    assert Target(np.array([0.0, 1.0]), 2).values.tolist() == [[0.0], [1.0]]
    assert Target(np.array([0.0, 2.0]), 3).values.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert Target(np.array([0.0, 2.0]), 13).values.shape == (2, 0)


@pytest.mark.parametrize(("columns", "views"), [(500, 2), (501, 1)])
def test_a_wide_table_of_numbers_is_read_in_one_way(columns: int, views: int) -> None:
    """Beyond 500 numbers linear models get them scaled, and not by rank as well."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"c{index}": rng.uniform(size=40) for index in range(columns)})
    _, X = Plan.fit(frame, signature_of(("number",) * columns), "linear", Target(rng.normal(size=40), 1), seed=0)
    assert X.shape == (40, views * columns)
