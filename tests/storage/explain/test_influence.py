"""Which raw columns a tensor depends on: never fewer than in truth, and no more where the graph tells."""

import numpy as np
import polars as pl
import pytest

from storage import Predictor
from storage.boundary import blocks_of_frame, typed
from storage.explain.anatomy import dissect, used_columns
from storage.explain.leaves import read_leaves
from storage.explain.shapley import Explainer
from tests import portable, tables
from tests.trained import train_model

MIXED = tables.mixed(300)


def read(predictor: Predictor, frame: pl.DataFrame):
    """Ten rows as the graph takes them."""
    return blocks_of_frame(predictor.signature, typed(predictor.signature, frame[:10]))


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm_prepared"])
def test_features_depend_on_what_their_names_say(name: str, crossed: pl.DataFrame) -> None:
    """Each feature's columns are among those that its name tells; one for trees, up to two for prepared ones."""
    predictor, model = train_model(crossed, "y", name)
    found = dissect(predictor, read(predictor, crossed))
    assert found is not None
    (plan,) = model.plans.values()
    names = predictor.signature.names
    for feature, columns in zip(plan.names(), found.influences[0], strict=True):
        assert columns
        assert all(names[column] in feature for column in columns), (feature, columns)
    sizes = {len(columns) for columns in found.influences[0]}
    assert sizes == ({1} if name == "lightgbm" else {1, 2})


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm_prepared"])
@pytest.mark.parametrize("table", ["mixed", "crossed"])
def test_a_changed_column_changes_only_what_is_said_to_depend_on_it(
    name: str, table: str, crossed: pl.DataFrame
) -> None:
    """Every column of the tables, changed to another row's cells."""
    frame = {"mixed": MIXED, "crossed": crossed}[table]
    predictor, _ = train_model(frame, frame.columns[-1], name)
    rows = frame[:60]
    found = dissect(predictor, read(predictor, frame))
    assert found is not None
    before = found.read_features(blocks_of_frame(predictor.signature, typed(predictor.signature, rows)))[0]
    for place, name in enumerate(predictor.signature.names):
        moved = rows.with_columns(rows.get_column(name).shuffle(seed=1))
        after = found.read_features(blocks_of_frame(predictor.signature, typed(predictor.signature, moved)))[0]
        changed = np.flatnonzero(~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=0))
        assert len(changed) or name == "lightgbm_prepared"
        assert all(place in found.influences[0][feature] for feature in changed)


def test_columns_that_no_tree_cuts_are_not_used(numbers: pl.DataFrame) -> None:
    """A stump on the first of four columns; a formula of all."""
    frame = numbers.with_columns(y=(pl.col("a").fill_null(0) > 0).cast(pl.Float64) + pl.int_range(400) * 1e-9)
    predictor, _ = train_model(frame, "y", "lightgbm", rounds=1)
    assert used_columns(predictor, read(predictor, frame)) == (0,)
    formula = Predictor(portable.regressor())
    assert used_columns(formula, read(formula, pl.DataFrame(portable.ROWS, infer_schema_length=None))) == (0, 1, 2, 3)


def test_what_is_not_made_of_trees_alone_is_not_taken_apart() -> None:
    """A linear member beside trees, and no trees at all."""
    for names in (("lightgbm", "linear"), ("linear",)):
        predictor, _ = train_model(MIXED, "paid", *names, rounds=5)
        assert dissect(predictor, read(predictor, MIXED)) is None


def test_sums_with_weights_are_told_from_bent_ones(numbers: pl.DataFrame) -> None:
    """Values and shares of forests are sums; boosting of classes ends in a logistic function."""
    for frame, target, name, is_affine in (
        (numbers, "y", "lightgbm", True),
        (MIXED, "paid", "extra_trees", True),
        (MIXED, "paid", "lightgbm", False),
    ):
        predictor, _ = train_model(frame, target, name, rounds=5)
        found = dissect(predictor, read(predictor, frame))
        assert found is not None
        assert found.is_affine is is_affine


def test_trees_that_do_not_give_what_the_graph_gives_are_not_trusted(
    numbers: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a rule of the trees was read wrongly: the whole graph is asked instead, and is right."""
    predictor, _ = train_model(numbers, "y", "lightgbm", rounds=5)
    right = Explainer(predictor, numbers[:10]).explain(numbers[10:12])

    def misread(*arguments: object) -> object:
        found = read_leaves(*arguments)
        return found._replace(value=found.value * 1.001)

    monkeypatch.setattr("storage.explain.shapley.read_leaves", misread)
    found = Explainer(predictor, numbers[:10]).explain(numbers[10:12])
    assert set(found.methods) == {"all coalitions"}
    assert found.values == pytest.approx(right.values, abs=1e-6)
