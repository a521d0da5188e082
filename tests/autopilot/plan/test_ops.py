"""What holds for every op: both renderings give the same bits, and a fitted op is plain data."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autopilot.plan import RECIPES, Plan, Recipe
from autopilot.plan.op import Op, Target
from autopilot.plan.ops import OPS, AnyOp
from storage import DataError
from storage.signature import Kind
from tests.graphs import bits, features_by_polars, features_of_op, features_of_plan, known
from tests.strategies import frames, signature_of

#: The kinds of columns that each op is fed with, by the recipes.
KINDS_OF: dict[type[Op], set[Kind]] = {
    op: {kind for recipe in RECIPES.values() for kind, ops in recipe.items() if op in ops} for op in OPS
}
ALL_KINDS: tuple[Kind, ...] = ("number", "category", "text", "time", "number", "category")


@st.composite
def fitted_ops(draw: st.DrawFn, op: type[Op]) -> tuple[Op, tuple[Kind, ...], pl.DataFrame, list[int]]:
    """An op fitted on a small frame of one or two columns, with the frame and the folds."""
    kind = draw(st.sampled_from(sorted(KINDS_OF[op])))
    kinds = (kind,) * draw(st.integers(1, 2))
    frame = draw(frames(kinds, least_rows=6))
    folds = draw(st.lists(st.integers(0, 2), min_size=frame.height, max_size=frame.height))
    outputs = draw(st.sampled_from([1, 2, 3]))
    y = np.array(draw(st.lists(st.integers(0, max(1, outputs - 1)), min_size=frame.height, max_size=frame.height)))
    target = Target.of(y.astype(np.float64), outputs)
    whole = known(frame, target, folds)
    fitted = op.fit(whole, signature_of(kinds).names, target)
    assume(fitted is not None)
    assert fitted is not None
    return fitted, kinds, whole, folds


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=60)
def test_both_renderings_give_the_same_float32_to_the_bit(op: type[Op], data: st.DataObject) -> None:
    """On rows that were never seen: nulls, infinities, extremes, unseen levels, any text, any time."""
    fitted, kinds, whole, _ = data.draw(fitted_ops(op))
    frame = pl.concat([whole.select(signature_of(kinds).names), data.draw(frames(kinds, least_rows=1))])
    expected = features_by_polars(fitted, frame)
    found = features_of_op(fitted, signature_of(kinds), frame)
    assert expected.dtype == found.dtype == np.float32
    assert bits(found).tolist() == bits(expected).tolist()


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=30)
def test_a_fitted_op_is_written_as_json_without_loss(op: type[Op], data: st.DataObject) -> None:
    """Read again, without running code, it is equal and has a name for each feature."""
    fitted, *_ = data.draw(fitted_ops(op))
    again = msgspec.json.decode(msgspec.json.encode(fitted), type=AnyOp)
    assert again == fitted
    assert len(again.names()) == len(again.polars()) == len(again.out_of_fold())
    assert len(set(again.names())) == len(again.names())


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_rows_own_target_is_not_in_its_features(op: type[Op], data: st.DataObject) -> None:
    """Changing one row's target leaves that row's features of training as they were."""
    fitted, _, whole, _ = data.draw(fitted_ops(op))
    row = data.draw(st.integers(0, whole.height - 1))
    targets = [name for name in whole.columns if name.startswith("\0target")]
    assume(targets)
    changed = whole.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(1 - pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in targets
    )
    target = Target(changed.select(targets).to_numpy())
    refitted = op.fit(changed, fitted.columns, target)
    assert refitted is not None
    before = features_by_polars(fitted, whole, fitted.out_of_fold())[row]
    after = features_by_polars(refitted, changed, refitted.out_of_fold())[row]
    assert after.tolist() == pytest.approx(before.tolist(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("recipe", RECIPES)
@given(data=st.data())
@settings(max_examples=30)
def test_a_whole_plan_gives_the_same_bits_in_both_renderings(recipe: Recipe, data: st.DataObject) -> None:
    """All ops of a recipe together, in their order; read from JSON first."""
    signature = signature_of(ALL_KINDS)
    train = data.draw(frames(ALL_KINDS, least_rows=6))
    y = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=train.height, max_size=train.height)))
    try:
        plan, X = Plan.fit(train, signature, recipe, Target.of(y, 1), seed=0)
    except DataError:
        assume(False)
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert X.shape == (train.height, len(plan.names()))
    assert X.dtype == np.float32
    frame = pl.concat([train, data.draw(frames(ALL_KINDS))])
    assert bits(features_of_plan(again, signature, frame)).tolist() == bits(again.features(frame)).tolist()
