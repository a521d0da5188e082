"""Trees in the formats of the libraries: each file says where a row goes."""

from typing import Any

import msgspec
import numpy as np

from autopilot.candidates import catboost, histogram_boosting, xgboost


def test_catboosts_levels_become_a_tree() -> None:
    """Two splits: the first is bit 0 of the leaf's number, the second bit 1; features are numbered as columns."""
    feature = {"flat_feature_index": 0, "nan_value_treatment": "AsFalse"}
    file = {
        "oblivious_trees": [
            {
                "splits": [{"border": 0.5, "float_feature_index": 0}, {"border": 7.0, "float_feature_index": 1}],
                "leaf_values": [10.0, 11.0, 12.0, 13.0],
            },
            {"leaf_values": [3.0]},
        ],
        "features_info": {
            "float_features": [feature, {"flat_feature_index": 4, "nan_value_treatment": "AsTrue"}],
        },
        "scale_and_bias": [2.0, [0.25]],
    }
    (tree, single), start = catboost.read_trees(msgspec.json.encode(file))
    assert start.tolist() == [0.25]
    assert tree.feature.tolist() == [4, 0, 0, -1, -1, -1, -1]
    assert tree.threshold.tolist() == [7.0, 0.5, 0.5, 0, 0, 0, 0]
    assert tree.left.tolist()[:3] == [1, 3, 5]
    assert tree.right.tolist()[:3] == [2, 4, 6]
    assert tree.missing_left.tolist()[:3] == [False, True, True]
    assert tree.value[3:, 0].tolist() == [20.0, 22.0, 24.0, 26.0]
    assert single.feature.tolist() == [-1]
    assert single.value.tolist() == [[6.0]]


def test_xgboosts_less_than_becomes_at_most_the_number_before() -> None:
    """x < 1 is x <= the float32 before 1; a leaf's field holds its value."""
    tree: dict[str, Any] = {
        "left_children": [1, -1, -1],
        "right_children": [2, -1, -1],
        "split_indices": [3, 0, 0],
        "split_conditions": [1.0, -0.5, 0.25],
        "default_left": [1, 0, 0],
    }
    file = {"learner": {"gradient_booster": {"model": {"trees": [tree]}}}}
    (read,) = xgboost.read_trees(msgspec.json.encode(file))
    assert read.feature.tolist() == [3, -1, -1]
    assert read.threshold.tolist() == [0.9999999403953552, 0, 0]
    assert read.missing_left.tolist() == [True, False, False]
    assert read.value[1:].tolist() == [[-0.5], [0.25]]


def test_histogram_boostings_nodes_become_a_tree() -> None:
    """An infinite threshold sends all numbers left; whole numbers are unsigned there, where -1 does not exist."""
    kinds: Any = [
        ("value", np.float64),
        ("feature_idx", np.int64),
        ("num_threshold", np.float64),
        ("missing_go_to_left", np.uint8),
        ("left", np.uint32),
        ("right", np.uint32),
        ("is_leaf", np.uint8),
    ]
    nodes = np.array(
        [(0.0, 2, np.inf, 0, 1, 2, 0), (1.5, 0, 0.0, 0, 0, 0, 1), (2.5, 0, 0.0, 0, 0, 0, 1)],
        dtype=kinds,
    )
    tree = histogram_boosting.read_tree(nodes)
    assert tree.feature.tolist() == [2, -1, -1]
    assert tree.threshold.tolist() == [np.inf, 0, 0]
    assert (tree.left.tolist()[0], tree.right.tolist()[0]) == (1, 2)
    assert tree.missing_left.tolist()[0] is False
    assert tree.value[:, 0].tolist() == [0.0, 1.5, 2.5]
