"""What holds for every op: both renderings give the same bits, and a fitted op is plain data."""

from itertools import combinations, product
from typing import NamedTuple, cast

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from autopilot.plan import RECIPES, Plan, Recipe
from autopilot.plan.op import Op, Rows, Target
from autopilot.plan.ops import OPS, AnyOp, Arithmetic, Crosses, GroupAggregates, PrincipalComponents
from autopilot.plan.terms import OPERATIONS, Term
from storage import DataError
from storage.signature import Kind
from tests.graphs import bits, features_of_plan, rows_of, training_features
from tests.strategies import frames, signature_of, training_frames

ALL_KINDS: tuple[Kind, ...] = ("number", "category", "text", "time", "number", "category")

#: Chance frames often have nothing for an op: no skewed column, no word that repeats.
MANY_TEACH_NOTHING = (HealthCheck.filter_too_much,)


def fit(op: type[Op], rows: Rows) -> Op | None:
    """The op fitted; those that choose among pairs of columns take all, since chance frames teach nothing."""
    columns, numbers = rows.signature.of_kind("category"), rows.signature.of_kind("number")
    if op is Arithmetic:
        return Arithmetic.of([Term(a, operation, b) for a, b in product(numbers, numbers) for operation in OPERATIONS])
    if op is PrincipalComponents:
        return PrincipalComponents.fit_some(rows, 2)
    if op is Crosses:
        return Crosses.of(rows, list(combinations(columns, 2)))
    if op is GroupAggregates:
        return GroupAggregates.of(rows, list(product(columns, numbers)))
    return op.fit(rows)


class Case(NamedTuple):
    """A fitted op, what it was fitted on, and a frame of any cells to apply it to."""

    op: Op
    rows: Rows
    later: pl.DataFrame

    @property
    def plan(self) -> Plan:
        return Plan(self.rows.levels, self.rows.tokens, (cast("AnyOp", self.op),))


@st.composite
def cases(draw: st.DrawFn, op: type[Op]) -> Case:
    """An op fitted on a small frame with columns of its kind, and for ops that read others too, of other kinds."""
    kinds = (op.kind,) * draw(st.integers(1, 2)) + tuple(draw(st.lists(st.sampled_from(ALL_KINDS), max_size=2)))
    frame = draw(training_frames(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    outputs = draw(st.sampled_from([1, 2, 3]))
    y = rng.integers(0, max(2, outputs), frame.height).astype(np.float64)
    rows = rows_of(signature_of(kinds), frame, Target(y, outputs), rng.integers(0, 3, frame.height).tolist())
    fitted = fit(op, rows)
    assume(fitted is not None)
    assert fitted is not None
    return Case(fitted, rows, draw(frames(kinds, least_rows=1)))


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=MANY_TEACH_NOTHING)
def test_both_renderings_give_the_same_float32_to_the_bit(op: type[Op], data: st.DataObject) -> None:
    """On rows that were never seen: nulls, infinities, extremes, unseen levels, any text, any time."""
    case = data.draw(cases(op))
    signature = case.rows.signature
    frame = pl.concat([case.rows.frame.select(signature.names), case.later])
    expected = case.plan.features(frame)
    found = features_of_plan(case.plan, signature, frame)
    assert expected.dtype == found.dtype == np.float32
    assert bits(found).tolist() == bits(expected).tolist()


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=MANY_TEACH_NOTHING)
def test_a_fitted_op_is_written_as_json_without_loss(op: type[Op], data: st.DataObject) -> None:
    """Read again, without running code, it is equal and has a name for each feature."""
    case = data.draw(cases(op))
    again = msgspec.json.decode(msgspec.json.encode(case.op), type=AnyOp)
    assert again == case.op
    assert len(again.names()) == len(again.polars()) == len(again.of_training(case.rows))
    assert len(set(again.names())) == len(again.names())
    assert again.about in again.words()


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=MANY_TEACH_NOTHING)
def test_a_rows_own_target_is_not_in_its_features(op: type[Op], data: st.DataObject) -> None:
    """Changing one row's target leaves that row's features of training as they were."""
    case = data.draw(cases(op))
    target = case.rows.target
    row = data.draw(st.integers(0, case.rows.frame.height - 1))
    y = target.y.copy()
    y[row] = (y[row] + 1) % max(2, target.outputs)
    changed = case.rows._replace(target=Target(y, target.outputs))
    refitted = fit(op, changed)
    assume(refitted is not None and refitted.names() == case.op.names())
    assert refitted is not None
    before = training_features(case.op, case.rows)[row]
    after = training_features(refitted, changed)[row]
    assert after.tolist() == pytest.approx(before.tolist(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=MANY_TEACH_NOTHING)
def test_a_narrowed_op_keeps_what_was_asked_for(op: type[Op], data: st.DataObject) -> None:
    """Features under the same names with the same bits."""
    case = data.draw(cases(op))
    names = case.op.names()
    kept = sorted(data.draw(st.sets(st.integers(0, len(names) - 1), min_size=1)))
    narrow = case.op.narrowed(kept)
    whole = dict(zip(names, bits(case.plan.features(case.later)).T.tolist(), strict=True))
    narrow_plan = Plan(case.rows.levels, case.rows.tokens, (cast("AnyOp", narrow),))
    found = dict(zip(narrow.names(), bits(narrow_plan.features(case.later)).T.tolist(), strict=True))
    assert {names[index] for index in kept} <= set(found)
    assert all(whole[name] == values for name, values in found.items())


@pytest.mark.parametrize("recipe", RECIPES)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=MANY_TEACH_NOTHING)
def test_a_whole_plan_gives_the_same_bits_in_both_renderings(recipe: Recipe, data: st.DataObject) -> None:
    """All ops of a recipe together, in their order; read from JSON first."""
    signature = signature_of(ALL_KINDS)
    train = data.draw(training_frames(ALL_KINDS))
    y = np.random.default_rng(data.draw(st.integers(0, 2**32))).normal(size=train.height)
    try:
        plan, X = Plan.fit(train, signature, recipe, Target(y, 1), seed=0)
    except DataError:
        assume(False)
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert X.shape == (train.height, len(plan.names()))
    assert X.dtype == np.float32
    frame = pl.concat([train, data.draw(frames(ALL_KINDS))])
    assert bits(features_of_plan(again, signature, frame)).tolist() == bits(again.features(frame)).tolist()
