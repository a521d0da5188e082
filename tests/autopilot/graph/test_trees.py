"""Tree ensembles as one node: each row reaches the leaf that it reached in training."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.lightgbm import read_trees
from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree, emit_trees, floor32, leaf
from tests.graphs import run_on_matrix

FLOAT32 = st.floats(width=32, allow_nan=False)


@given(x=FLOAT32, threshold=st.floats(allow_nan=False))
def test_a_float32_is_below_a_threshold_if_it_is_below_its_floor(x: float, threshold: float) -> None:
    """For all float32 x: x <= t if and only if x <= floor32(t)."""
    assert (x <= threshold) == (x <= float(floor32(np.array([threshold]))[0]))


@given(x=FLOAT32, ulps=st.integers(-2, 2))
def test_thresholds_beside_a_float32_too(x: float, ulps: int) -> None:
    """A few float64 steps off, where rounding to nearest fails."""
    threshold = x
    for _ in range(abs(ulps)):
        threshold = float(np.nextafter(threshold, np.inf * ulps))
    test = test_a_float32_is_below_a_threshold_if_it_is_below_its_floor.hypothesis.inner_test
    test(x, threshold)


def by_hand(feature: int, threshold: float, *, missing_left: bool) -> Tree:
    """A tree with one cut: left leaf 1, right leaf 2."""
    return Tree(
        feature=np.array([feature, -1, -1]),
        threshold=np.array([threshold, 0.0, 0.0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        missing_left=np.array([missing_left, False, False]),
        value=np.array([[0.0], [1.0], [2.0]]),
    )


LEAF = leaf(np.array([5.0]))


RunTrees = Callable[..., NDArray[np.float64]]


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def run_trees(request: pytest.FixtureRequest) -> RunTrees:
    """What the node gives for a matrix, comparing and adding in either precision."""

    def run(trees: list[Tree], X: Any, targets: list[int] | None = None) -> NDArray[np.float64]:
        def emit(g: Graph, x: str) -> str:
            return g.cast(emit_trees(g, x, trees, targets, double=request.param), TensorProto.DOUBLE)

        return run_on_matrix(emit, np.asarray(X, dtype=np.float32))

    return run


def test_a_row_goes_left_where_it_is_not_above_the_threshold(run_trees: RunTrees) -> None:
    """0.1 in float64 lies between two float32: the one above it goes right, the one below left."""
    below, above = np.float32(0.09999999403953552), np.float32(0.10000000149011612)
    trees = [by_hand(0, 0.1, missing_left=False)]
    assert run_trees(trees, [[below], [above], [-np.inf], [np.inf]]).tolist() == [[1], [2], [1], [2]]


@pytest.mark.parametrize(("missing_left", "added"), [(True, 1.0), (False, 2.0)])
def test_a_missing_value_follows_the_nodes_own_flag(run_trees: RunTrees, missing_left: bool, added: float) -> None:
    """In each node for itself."""
    trees = [by_hand(1, 0.5, missing_left=missing_left)]
    assert run_trees(trees, [[0.0, np.nan]]).tolist() == [[added]]


def test_trees_of_a_single_leaf_add_it_to_every_row(run_trees: RunTrees) -> None:
    """Alone, and among others."""
    assert run_trees([LEAF], [[0.0], [np.nan]]).tolist() == [[5], [5]]
    assert run_trees([LEAF, by_hand(0, 0.5, missing_left=True), LEAF], [[0.0], [1.0]]).tolist() == [[11], [12]]


def test_trees_may_add_to_outputs_of_their_own(run_trees: RunTrees) -> None:
    """As those of boosted classes do."""
    trees = [LEAF, by_hand(0, 0.5, missing_left=True), LEAF]
    assert run_trees(trees, [[0.0], [1.0]], targets=[0, 1, 1]).tolist() == [[5, 6], [5, 7]]


def test_leaves_may_have_a_value_for_each_output(run_trees: RunTrees) -> None:
    """As those of forests do."""
    cut = by_hand(0, 0.5, missing_left=True)
    wide = cut._replace(value=np.array([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]]))
    assert run_trees([wide, wide], [[0.0], [1.0]]).tolist() == [[2, 20], [4, 40]]


def test_leaves_that_add_nothing_to_an_output_leave_it_as_it_is(run_trees: RunTrees) -> None:
    """Zeros are not written; a leaf of zeros alone is one all the same."""
    cut = by_hand(0, 0.5, missing_left=True)
    pure = cut._replace(value=np.array([[9.0, 9.0], [0.0, 0.0], [0.0, 20.0]]))
    assert run_trees([pure], [[0.0], [1.0]]).tolist() == [[0, 0], [0, 20]]
    assert run_trees([pure, leaf(np.array([3.0, 4.0]))], [[0.0], [1.0]]).tolist() == [[3, 4], [3, 24]]


# ---------------------------------------------------------------------------------------- LightGBM's own trees

RNG = np.random.default_rng(0)
GRID = (RNG.integers(0, 1000, (3000, 3)) / 1000).astype(np.float32)  # dense: thresholds lie between neighbours
WITH_NAN = np.where(RNG.random(GRID.shape) < 0.1, np.float32(np.nan), GRID)
#: Values that training never held: missing, infinite, zeros of both signs, tiny.
STRANGE = np.array(
    [[a, b, c] for a in (np.nan, np.inf, -0.0) for b in (np.nan, -np.inf, 1e-36, 0.5) for c in (np.nan, -1e-36, 0.0)],
    dtype=np.float32,
)


def boosted(X: NDArray[np.float32], rounds: int = 1, **settings: Any) -> lightgbm.Booster:
    """LightGBM on a noisy sum of the columns."""
    y = np.nan_to_num(X).sum(axis=1) + RNG.normal(0, 0.3, len(X))
    if settings.get("objective") == "multiclass":
        y = np.digitize(y, [1.2, 1.8])
    usual = {"verbosity": -1, "num_threads": 1, "num_leaves": 200, "min_data_in_leaf": 1, "max_bin": 2000}
    return lightgbm.train({**usual, "objective": "regression", **settings}, lightgbm.Dataset(X, y), rounds)


@pytest.mark.parametrize(
    "X", [GRID, WITH_NAN, -GRID, WITH_NAN - np.float32(0.5)], ids=["grid", "NaN", "below 0", "around"]
)
def test_each_row_reaches_the_leaf_that_lightgbm_gives_it(run_trees: RunTrees, X: NDArray[np.float32]) -> None:
    """One tree, so that the answer is a leaf's value to the bit; values too that training never held."""
    booster = boosted(X)
    rows = np.vstack([X, GRID, STRANGE])
    expected = booster.predict(rows, raw_score=True).astype(np.float32).astype(np.float64)
    found = run_trees(read_trees(booster.model_to_string()), rows)[:, 0]
    assert np.flatnonzero(found != expected).tolist() == []


def test_many_trees_add_up_as_in_lightgbm(run_trees: RunTrees) -> None:
    """Up to float32's rounding of the sum."""
    booster = boosted(WITH_NAN, rounds=50, num_leaves=31)
    rows = np.vstack([WITH_NAN, STRANGE])
    found = run_trees(read_trees(booster.model_to_string()), rows)[:, 0]
    assert found == pytest.approx(booster.predict(rows, raw_score=True), abs=1e-5)


def test_the_trees_of_classes_take_turns(run_trees: RunTrees) -> None:
    """Round by round, one tree for each class."""
    booster = boosted(GRID, rounds=5, num_leaves=15, objective="multiclass", num_class=3)
    trees = read_trees(booster.model_to_string())
    assert len(trees) == 15
    found = run_trees(trees, GRID, targets=[index % 3 for index in range(15)])
    assert found == pytest.approx(booster.predict(GRID, raw_score=True), abs=1e-5)


def test_lightgbm_that_finds_no_cut_has_trees_of_a_single_leaf(run_trees: RunTrees) -> None:
    """A constant column teaches nothing."""
    X = np.ones((100, 1), dtype=np.float32)
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(X, np.arange(100.0)), 3)
    found = run_trees(read_trees(booster.model_to_string()), X)[:, 0]
    assert found == pytest.approx(booster.predict(X, raw_score=True), abs=1e-5)
