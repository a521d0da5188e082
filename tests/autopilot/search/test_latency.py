"""What one row costs: more work costs more, and parts add up to the whole."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree, emit_trees
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.latency import Latency, member_us, model_us, plan_us
from autopilot.search.matrices import Unit
from tests.strategies import raw_frame, signature_of

ROWS = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)


class Trees(NamedTuple):
    """Random trees, complete down to a depth."""

    count: int
    depth: int
    rounds: int = 0

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        raise NotImplementedError

    def emit(self, g: Graph, features: str) -> str:
        rng = np.random.default_rng(self.count)
        return g.cast(emit_trees(g, features, [self._tree(rng) for _ in range(self.count)]), TensorProto.DOUBLE)

    def _tree(self, rng: np.random.Generator) -> Tree:
        inner, nodes = 2**self.depth - 1, 2 ** (self.depth + 1) - 1
        numbers = np.arange(nodes)
        is_inner = numbers < inner
        return Tree(
            feature=np.where(is_inner, rng.integers(0, 4, nodes), -1),
            threshold=np.where(is_inner, rng.normal(size=nodes), 0.0),
            left=np.where(is_inner, 2 * numbers + 1, 0),
            right=np.where(is_inner, 2 * numbers + 2, 0),
            missing_left=np.zeros(nodes, dtype=bool),
            value=rng.normal(size=(nodes, 1)),
        )


class Constant(NamedTuple):
    """The same for each row."""

    rounds: int = 0

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        raise NotImplementedError

    def emit(self, g: Graph, features: str) -> str:
        return g.cast(g.zeros(features, 1), TensorProto.DOUBLE)


def test_ten_times_as_many_trees_cost_more_than_twice_as_much() -> None:
    """30 trees of 128 leaves, and 300."""
    assert member_us(Trees(300, 7), ROWS) > 2 * member_us(Trees(30, 7), ROWS) > 0


def test_a_large_ensemble_is_timed_by_some_of_its_trees() -> None:
    """240 trees of 512 leaves are 245,520 nodes, of which a fifth is timed: about four times what 60 trees take."""
    ratio = member_us(Trees(240, 9), ROWS) / member_us(Trees(60, 9), ROWS)
    assert 1 < ratio < 16


def test_a_constant_costs_next_to_nothing() -> None:
    """Never less than nothing, and less than 200 trees do."""
    assert 0 <= member_us(Constant(), ROWS) < member_us(Trees(200, 7), ROWS)


def test_a_single_row_is_enough_to_measure_by() -> None:
    """There may be no more than a few validation rows."""
    assert member_us(Trees(10, 3), ROWS[:1]) >= 0


def _table(numbers: int, categories: int) -> Any:
    kinds = ("number",) * numbers + ("category",) * categories
    rng = np.random.default_rng(0)
    rows = [
        (*rng.normal(size=numbers).tolist(), *(f"level {n}" for n in rng.integers(0, 20, categories)))
        for _ in range(300)
    ]
    return raw_frame(kinds, rows), signature_of(kinds)


def test_a_plan_of_many_columns_costs_more() -> None:
    """Two numbers as they are; and 5 numbers with 10 categories, of which each becomes several features."""
    y = np.tile([0.0, 1.0], 150)
    found: list[float] = []
    for numbers, categories in ((2, 0), (5, 10)):
        frame, signature = _table(numbers, categories)
        plan, _ = Plan.fit(frame, signature, "trees", Target(y, 2), seed=0)
        found.append(plan_us(plan, signature, frame))
    assert 0 <= found[0] < found[1]


def test_a_model_of_many_trees_costs_more_than_one_of_a_constant() -> None:
    """Rows are read, features made and outputs turned into Python values alike."""
    frame, signature = _table(4, 0)
    plan, _ = Plan.fit(frame, signature, "trees", Target(np.tile([0.0, 1.0], 150), 2), seed=0)
    found: list[float] = []
    for fitted in (Constant(), Trees(200, 7)):
        model = TrainedModel(signature, {"trees": plan}, (TrainedMember(fitted, "trees", 1.0),), Unit())
        found.append(model_us(model.export().SerializeToString(), signature, frame))
    assert 0 < found[0] < found[1]


@pytest.mark.parametrize(
    ("recipes", "members_us", "models", "expected"),
    [
        ([], [], 1, 10.0),
        (["trees"], [20.0], 1, 35.0),
        (["trees", "trees"], [20.0, 30.0], 1, 65.0),
        (["linear", "trees"], [2.0, 20.0], 1, 45.0),
        (["prepared"], [20.0], 1, 30.0),
        (["linear", "trees"], [2.0, 20.0], 5, 185.0),
    ],
)
def test_the_parts_add_up_and_a_recipes_features_are_computed_once(
    recipes: list[Any], members_us: list[float], models: int, expected: float
) -> None:
    """Base 10; features of trees 5, of linear 8, of prepared unknown; each fold's model has features of its own."""
    assert Latency(10.0, {"trees": 5.0, "linear": 8.0}, models).of(recipes, members_us) == expected
