"""Tree ensembles as one ONNX node.

Formula: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html. A row goes to the true child where
`x <= threshold`; a missing value follows the node's own flag; the leaves reached are added up.

Exactness: features are float32 and thresholds were found in float64. `x <= t` for a float32 `x` is the same as
`x <= t32` with t rounded *down* to float32. Rounded to nearest, as the common converter does it, 199,905 of 200,000
predictions on dense grids moved.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autopilot.graph.graph import ML, Graph


class Tree(NamedTuple):
    """One tree in arrays over its nodes, the root first.

    feature: int (nodes,); -1 marks a leaf. threshold: float64 (nodes,). left, right: int (nodes,), index of the true
    and false child. missing_left: bool (nodes,), whether a missing value goes left. value: float64 (nodes, targets),
    what a leaf adds; rows of inner nodes are not read.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]


def floor32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each value.

    >>> floor32(np.array([0.1, 0.5])).astype(float).tolist()
    [0.09999999403953552, 0.5]
    """
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest)


def emit_trees(g: Graph, features: str, trees: list[Tree], targets: list[int] | None = None) -> str:
    """Sum of the trees' leaves: float32 [N, targets] from float32 [N, features].

    targets: for trees with one value a leaf, the output that each tree adds to; None if leaves have one value for
    each output.
    """
    sizes = [len(tree.feature) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    feature = np.concatenate([tree.feature for tree in trees])
    is_leaf = feature < 0
    return g.op(
        "TreeEnsembleRegressor",
        features,
        domain=ML,
        aggregate_function="SUM",
        n_targets=trees[0].value.shape[1] if targets is None else max(targets) + 1,
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=np.where(is_leaf, 0, feature).tolist(),
        nodes_values=_joined(is_leaf, [floor32(tree.threshold) for tree in trees], 0.0),
        nodes_truenodeids=_joined(is_leaf, [tree.left for tree in trees], 0),
        nodes_falsenodeids=_joined(is_leaf, [tree.right for tree in trees], 0),
        nodes_missing_value_tracks_true=_joined(is_leaf, [tree.missing_left.astype(np.int64) for tree in trees], 0),
        **_leaves(trees, targets, tree_ids[is_leaf], node_ids[is_leaf], is_leaf),
    )


def _joined(
    is_leaf: NDArray[np.bool_], parts: "list[NDArray[np.float32]] | list[NDArray[np.int64]]", at_leaf: float
) -> list[float]:
    """One list over all trees' nodes, leaves blanked."""
    return np.where(is_leaf, np.array(at_leaf, dtype=parts[0].dtype), np.concatenate(parts)).tolist()


def _leaves(
    trees: list[Tree],
    targets: list[int] | None,
    tree_ids: NDArray[np.int64],
    node_ids: NDArray[np.int64],
    is_leaf: NDArray[np.bool_],
) -> dict[str, Any]:
    """The attributes that give each leaf its weights."""
    value = np.concatenate([tree.value for tree in trees])[is_leaf]
    width = value.shape[1]
    ids = np.tile(np.arange(width), len(value)) if targets is None else np.array(targets)[tree_ids]
    return {
        "target_treeids": np.repeat(tree_ids, width).tolist(),
        "target_nodeids": np.repeat(node_ids, width).tolist(),
        "target_ids": ids.tolist(),
        "target_weights": value.ravel().astype(np.float32).tolist(),
    }
