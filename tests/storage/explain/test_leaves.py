"""Trees read back from a model file give what the graph gives, and Shapley values that need no enumeration."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.graph.trees import Tree, emit_trees, leaf
from storage import Column, Signature
from storage.explain.games import Games, Tally, of_coalitions, of_leaves, worth_by_leaves
from storage.explain.leaves import read_leaves
from storage.predictor import open_session
from tests.storage.explain.test_games import blocks

COLUMNS = 4
SIGNATURE = Signature("regression", "y", tuple(Column(f"x{index}", "number", "Float64") for index in range(COLUMNS)))
#: Five features of four columns: two depend on the first.
COLUMN = [0, 0, 1, 2, 3]
INFLUENCE = tuple(frozenset({column}) for column in COLUMN)


def grown(rng: np.random.Generator, targets: int) -> Tree:
    """A random tree of up to four levels, whose cuts may repeat a feature."""
    rows: list[list[float]] = []

    def grow(depth: int) -> int:
        place = len(rows)
        rows.append([-1, 0.0, 0, 0, 0])
        if depth and rng.random() < 0.85:
            cut = [int(rng.integers(5)), float(rng.integers(-1, 2)) + 0.5]
            rows[place] = [*cut, grow(depth - 1), grow(depth - 1), int(rng.random() < 0.5)]
        return place

    grow(4)
    feature, threshold, left, right, missing = (np.array(each) for each in zip(*rows, strict=True))
    value = rng.normal(size=(len(rows), targets))
    return Tree(feature.astype(int), threshold.astype(float), left.astype(int), right.astype(int), missing > 0, value)


def node_of(trees: list[Tree], *, double: bool = True) -> tuple[onnx.ModelProto, onnx.NodeProto]:
    """A graph from five features to the trees' sums, and its node of trees."""
    signature = Signature("regression", "y", tuple(Column(f"f{index}", "number", "Float64") for index in range(5)))
    g = Graph(signature)
    features = g.cast(g.columns("number", signature.names), TensorProto.FLOAT)
    g.add_output(emit_trees(g, features, trees, double=double), "sums")
    model = g.model([onnx.helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["N", None])])
    return model, next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None)
def test_random_trees_are_read_exactly(seed: int, double: bool, targets: int) -> None:
    """Sums as onnxruntime gives them, missing values too; values by leaves as by all coalitions."""
    rng = np.random.default_rng(seed)
    model, node = node_of([leaf(rng.normal(size=targets)), *(grown(rng, targets) for _ in range(6))], double=double)
    leaves = read_leaves(node, INFLUENCE)
    assert leaves is not None
    raw = rng.integers(-1, 3, (8, COLUMNS)).astype(float)
    raw[rng.random(raw.shape) < 0.15] = np.nan
    X = np.column_stack([raw[:, 0], -raw[:, 0], *raw[:, 1:].T])
    feeds = {f"f{index}": X[:, [index]] for index in range(5)}
    sums = open_session(model.SerializeToString()).run(None, feeds)[0]
    bits = leaves.bits(X)
    assert leaves.sums(bits) == pytest.approx(sums, abs=1e-5)

    games = Games.of(SIGNATURE, blocks(raw[:1]), blocks(raw[1:]), tuple(range(COLUMNS)))
    worth = worth_by_leaves(games, leaves, bits[0], bits[1:])
    assert worth[-1] == pytest.approx(leaves.sums(bits[:1])[0], abs=1e-12)
    values = of_leaves(leaves, bits[0], Tally.of(bits[1:]), leaves.value, COLUMNS)
    assert values == pytest.approx(of_coalitions(games, worth), abs=1e-12)
    assert values.sum(axis=0) == pytest.approx(leaves.sums(bits)[0] - leaves.sums(bits[1:]).mean(axis=0), abs=1e-12)


def both() -> Tree:
    """1 where features 0 and 2 are above 0.5, else 0."""
    feature = np.array([0, -1, 2, -1, -1])
    left, right = np.array([1, 0, 3, 0, 0]), np.array([2, 0, 4, 0, 0])
    value = np.array([[0.0], [0.0], [0.0], [0.0], [1.0]])
    return Tree(feature, np.where(feature < 0, 0.0, 0.5), left, right, np.zeros(5, dtype=bool), value)


def test_the_value_of_an_and_is_shared_by_halves() -> None:
    """Against a row that has neither; against one that has the first, all goes to the second."""
    leaves = read_leaves(node_of([both()])[1], INFLUENCE)
    assert leaves is not None
    X = np.array([[1.0, 0, 1, 0, 0], [0.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])
    bits = leaves.bits(X)
    against = [of_leaves(leaves, bits[0], Tally.of(bits[[at]]), leaves.value, COLUMNS)[:, 0].tolist() for at in (1, 2)]
    assert against == [[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_features_of_several_columns_are_not_read() -> None:
    """Where trees cut them; elsewhere they do not matter."""
    _, node = node_of([both()])
    pair = frozenset({1, 2})
    assert read_leaves(node, (*INFLUENCE[:2], pair, *INFLUENCE[3:])) is None
    assert read_leaves(node, (*INFLUENCE[:4], pair)) is not None


def test_trees_of_another_form_are_not_read() -> None:
    """Other comparisons, and sums that begin at a constant."""
    _, node = node_of([grown(np.random.default_rng(0), 1)])
    for name, value in (("nodes_modes", [b"BRANCH_LT"] * 3), ("aggregate_function", b"AVERAGE")):
        other = onnx.NodeProto()
        other.CopyFrom(node)
        kept = [each for each in other.attribute if each.name != name]
        del other.attribute[:]
        other.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])
        assert read_leaves(other, INFLUENCE) is None
