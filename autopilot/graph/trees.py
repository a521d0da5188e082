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
from onnx import TensorProto, numpy_helper

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


def leaf(value: NDArray[np.float64]) -> Tree:
    """A tree that adds the same to every row. value: (targets,)."""
    nothing = np.zeros(1, dtype=np.int64)
    return Tree(nothing - 1, np.zeros(1), nothing, nothing, np.zeros(1, dtype=bool), value.reshape(1, -1))


def read_sklearn_tree(tree: Any, value: NDArray[np.float64]) -> Tree:
    """A tree of scikit-learn's forests or gradient boosting (`estimator.tree_`), with the values given for its nodes.

    scikit-learn compares float32 features with float64 thresholds, and stores for each node where a missing value
    goes, also where training saw none: there, to the child with more rows.
    """
    is_leaf = tree.children_left < 0
    return Tree(
        feature=np.where(is_leaf, -1, tree.feature),
        threshold=np.where(is_leaf, 0.0, tree.threshold),
        left=np.where(is_leaf, 0, tree.children_left),
        right=np.where(is_leaf, 0, tree.children_right),
        missing_left=tree.missing_go_to_left.astype(bool),
        value=value,
    )


def emit_trees(
    g: Graph,
    features: str,
    trees: list[Tree],
    targets: list[int] | None = None,
    *,
    double: bool = False,
) -> str:
    """Sum of the trees' leaves: float32 [N, targets] from float32 [N, features].

    targets: for trees with one value a leaf, the output that each tree adds to; None if leaves have one value for
    each output. There is no start: onnxruntime leaves an output to which no leaf of a row adds at 0, whatever
    `base_values` says. A tree of a single leaf starts a sum.
    double: compare and add in float64 and round the sum once. For boosting, whose float32 sums over 3,000 trees were
    off by 9e-5 (2e-6 in probability), and for all values. It costs nothing to an eighth for single rows, up to a third
    in batches; shares of 100 trees do without.
    """
    sizes = [len(tree.feature) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    feature = np.concatenate([tree.feature for tree in trees])
    is_leaf = feature < 0
    threshold = np.where(is_leaf, 0.0, np.concatenate([tree.threshold for tree in trees]))
    value = np.concatenate([tree.value for tree in trees])[is_leaf]
    told = _told(value)
    return g.op(
        "TreeEnsembleRegressor",
        g.cast(features, TensorProto.DOUBLE) if double else features,
        domain=ML,
        aggregate_function="SUM",
        n_targets=value.shape[1] if targets is None else max(targets) + 1,
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=np.where(is_leaf, 0, feature).tolist(),
        nodes_truenodeids=_blanked(is_leaf, [tree.left for tree in trees]),
        nodes_falsenodeids=_blanked(is_leaf, [tree.right for tree in trees]),
        nodes_missing_value_tracks_true=_blanked(is_leaf, [tree.missing_left for tree in trees]),
        **_leaf_ids(tree_ids[is_leaf], node_ids[is_leaf], told, targets),
        **(_as_double if double else _as_float)(threshold, value[told]),
    )


def _told(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values (leaves, width) are written: of several, those that are not 0, but one for each leaf.

    Leaves of forests are nearly pure, so that it takes a quarter off the file of a forest of three classes.
    """
    told = value != 0.0
    told[:, 0] |= ~told.any(axis=1)
    return told


def _blanked(is_leaf: NDArray[np.bool_], parts: "list[NDArray[np.int64]] | list[NDArray[np.bool_]]") -> list[int]:
    """One list of whole numbers over all trees' nodes, 0 at leaves."""
    return np.where(is_leaf, 0, np.concatenate(parts).astype(np.int64)).tolist()


def _leaf_ids(
    tree_ids: NDArray[np.int64], node_ids: NDArray[np.int64], told: NDArray[np.bool_], targets: list[int] | None
) -> dict[str, list[int]]:
    """Which leaf adds to which output, for each value that is told."""
    leaf, column = np.nonzero(told)
    ids = column if targets is None else np.array(targets)[tree_ids[leaf]]
    return {
        "target_treeids": tree_ids[leaf].tolist(),
        "target_nodeids": node_ids[leaf].tolist(),
        "target_ids": ids.tolist(),
    }


def _as_float(threshold: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "nodes_values": floor32(threshold).tolist(),
        "target_weights": value.astype(np.float32).tolist(),
    }


def _as_double(threshold: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "nodes_values_as_tensor": numpy_helper.from_array(threshold),
        "target_weights_as_tensor": numpy_helper.from_array(value),
    }
