"""Trees as their leaves: for each leaf, the raw columns that decide on it, and whether a row satisfies each of them.

A leaf is reached where all conditions on its path hold. Conditions on one feature are one interval, and features that
depend on the same raw column hold or fail together, whatever other columns are. So for a row, a leaf is a small set of
bits, one for each column on its path:

    path of the leaf               column   bit   row x            row b
    rank of town   <= 2            town      0    holds            fails
    mean of town    > 0.4          town      0    holds            holds
    age       in (30, 60]          age       1    fails            holds
                                                  bits = 01        bits = 10

With town from x and age from b the leaf is reached: `x | b` has all bits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from storage.explain.influence import Influence

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]
Bits = NDArray[np.unsignedinteger[Any]]

#: Columns on one path: as many as an unsigned number has bits.
_MOST_COLUMNS = 64
#: Cells that are compared at once.
_CHUNK_CELLS = 4_000_000


class Conditions(NamedTuple):
    """The intervals on the paths of leaves, those of a leaf together, and within it those of a column.

    feature: int (conditions,). low, high: float64, a value must not be at or below low, and must be at or below high;
    NaN for no bound, infinity for none above. takes_missing: whether a missing value satisfies it.
    of_column: where those of the next column of a leaf begin. of_leaf: where, among these, the next leaf begins.
    bit: for each column of a leaf, its bit.
    """

    feature: Numbers
    low: Values
    high: Values
    takes_missing: NDArray[np.bool_]
    of_column: Numbers
    of_leaf: Numbers
    bit: Bits


class Leaves(NamedTuple):
    """The leaves of one ensemble.

    value: float64 (leaves, targets). whole: unsigned (leaves,), the bits of all columns on the path. columns: int
    (leaves, bits), the column that each bit stands for; 0 beyond. constant: (targets,), what trees without a cut add.
    """

    value: Values
    whole: Bits
    columns: Numbers
    constant: Values
    conditions: Conditions

    def bits(self, X: NDArray[Any]) -> Bits:
        """Which columns satisfy which leaf: unsigned (rows, leaves) from features (rows, features)."""
        conditions = self.conditions
        chunk_rows = max(1, _CHUNK_CELLS // max(1, len(conditions.feature)))
        parts = [_bits(conditions, X[start : start + chunk_rows]) for start in range(0, len(X), chunk_rows)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.whole)), dtype=self.whole.dtype)

    def sums(self, bits: Bits) -> Values:
        """What the trees give for rows: (rows, targets)."""
        return (bits == self.whole) @ self.value + self.constant


class _Path(NamedTuple):
    """The edges on the paths to leaves, an edge to a leaf each: which leaf, which inner node, by which side."""

    leaf: Numbers
    node: Numbers
    is_true: NDArray[np.bool_]


class _Nodes(NamedTuple):
    """A node's attributes as arrays over all nodes of all trees, with children by their places in these arrays."""

    is_leaf: NDArray[np.bool_]
    feature: Numbers
    threshold: Values
    true: Numbers
    false: Numbers
    missing_true: NDArray[np.bool_]

    def paths(self) -> _Path:
        """From all leaves up to the roots."""
        parent, is_true = self._parents()
        edges: list[_Path] = []
        leaf = np.flatnonzero(self.is_leaf)
        below = leaf
        while len(below):
            has_parent = parent[below] >= 0
            leaf, below = leaf[has_parent], below[has_parent]
            edges.append(_Path(leaf, parent[below], is_true[below]))
            below = parent[below]
        return _Path(*(np.concatenate(each) for each in zip(*edges, strict=True)))

    def _parents(self) -> tuple[Numbers, NDArray[np.bool_]]:
        parent = np.full(len(self.feature), -1)
        is_true = np.zeros(len(self.feature), dtype=bool)
        inner = np.flatnonzero(~self.is_leaf)
        parent[self.false[inner]] = inner
        parent[self.true[inner]] = inner
        is_true[self.true[inner]] = True
        return parent, is_true


def read_leaves(node: onnx.NodeProto, influence: Influence) -> Leaves | None:
    """The leaves of a TreeEnsembleRegressor; None where that cannot be done.

    That is where trees cut a feature of several raw columns, which no one of them satisfies alone, where a path has
    more than 64 columns, or where the node is of another form than `autopilot/graph/trees.py` writes.
    """
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    nodes = _read_nodes(attributes)
    if nodes is None:
        return None
    cut = np.unique(nodes.feature[~nodes.is_leaf]).tolist()
    if any(len(influence[feature]) > 1 for feature in cut):
        return None
    column = np.array([min(each, default=0) for each in influence], dtype=np.int64)
    return _leaves(nodes, column, _values(nodes, attributes))


def _read_nodes(attributes: Mapping[str, Any]) -> _Nodes | None:
    """None if the trees are not as we write them: each tree's nodes together, numbered from 0, adding up."""
    modes = np.array(attributes["nodes_modes"])
    starts = _starts(attributes["nodes_treeids"], attributes["nodes_nodeids"])
    is_known = bool(np.isin(modes, [b"BRANCH_LEQ", b"LEAF"]).all()) and "base_values" not in attributes
    is_sum = attributes.get("aggregate_function", b"SUM") == b"SUM"
    is_plain = attributes.get("post_transform", b"NONE") == b"NONE"
    if starts is None or not (is_known and is_sum and is_plain):
        return None
    return _Nodes(
        modes == b"LEAF",
        np.array(attributes["nodes_featureids"]),
        _floats(attributes, "nodes_values"),
        starts + np.array(attributes["nodes_truenodeids"]),
        starts + np.array(attributes["nodes_falsenodeids"]),
        np.array(attributes.get("nodes_missing_value_tracks_true", np.zeros(len(modes)))).astype(bool),
    )


def _starts(trees: Sequence[int], nodes: Sequence[int]) -> Numbers | None:
    """For each node the place where its tree begins; None if it does not follow from the place of the node."""
    places = np.arange(len(trees))
    starts = places - np.array(nodes)
    begins = np.diff(np.array(trees), prepend=-1) != 0
    is_ours = (starts[begins] == places[begins]).all() and (np.diff(starts)[~begins[1:]] == 0).all()
    return starts if is_ours else None


def _floats(attributes: Mapping[str, Any], name: str) -> Values:
    """An attribute that is given as floats, or as a tensor of doubles."""
    tensor = attributes.get(f"{name}_as_tensor")
    found = attributes[name] if tensor is None else numpy_helper.to_array(tensor)
    return np.array(found, dtype=np.float64)


def _values(nodes: _Nodes, attributes: Mapping[str, Any]) -> Values:
    """What each node adds to each target: (nodes, targets)."""
    trees, places = np.array(attributes["nodes_treeids"]), np.arange(len(nodes.feature))
    first = places - np.array(attributes["nodes_nodeids"])
    numbers, at = np.unique(trees, return_index=True)
    start = first[at][np.searchsorted(numbers, attributes["target_treeids"])]
    value = np.zeros((len(places), attributes["n_targets"]))
    of_node = start + np.array(attributes["target_nodeids"])
    np.add.at(value, (of_node, np.array(attributes["target_ids"])), _floats(attributes, "target_weights"))
    return value


def _leaves(nodes: _Nodes, column: Numbers, value: Values) -> Leaves | None:
    """From nodes to leaves. column: the raw column of each feature. value: (nodes, targets)."""
    path = nodes.paths()
    order = np.lexsort([nodes.feature[path.node], column[nodes.feature[path.node]], path.leaf])
    path = _Path(path.leaf[order], path.node[order], path.is_true[order])
    feature = nodes.feature[path.node]
    of_condition = _begins(path.leaf, feature)
    leaf, feature = path.leaf[of_condition], feature[of_condition]
    of_column = _begins(leaf, column[feature])
    of_leaf = _begins(leaf[of_column])
    count = np.diff(of_leaf, append=len(of_column))
    most = int(count.max(initial=1))
    if most > _MOST_COLUMNS:
        return None
    dtype = np.min_scalar_type(2**most - 1)
    bit = np.arange(len(of_column)) - np.repeat(of_leaf, count)
    columns = np.zeros((len(of_leaf), most), dtype=np.int64)
    columns[np.repeat(np.arange(len(of_leaf)), count), bit] = column[feature[of_column]]
    reached = leaf[of_column][of_leaf]
    alone = nodes.is_leaf.copy()
    alone[reached] = False
    conditions = Conditions(feature, *_intervals(nodes, path, of_condition), of_column, of_leaf, bit.astype(dtype))
    whole = np.array([2**each - 1 for each in range(most + 1)], dtype=dtype)[count]
    return Leaves(value[reached], whole, columns, value[alone].sum(axis=0), conditions)


def _intervals(nodes: _Nodes, path: _Path, begins: Numbers) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Of the edges of one feature on a leaf's path: the interval that satisfies all, and whether a missing value does.

    A row goes to the true side where `x <= threshold`.
    """
    if not len(begins):
        return np.empty(0), np.empty(0), np.empty(0, dtype=bool)
    threshold = nodes.threshold[path.node]
    low = np.fmax.reduceat(np.where(path.is_true, np.nan, threshold), begins)
    high = np.minimum.reduceat(np.where(path.is_true, threshold, np.inf), begins)
    takes = np.logical_and.reduceat(nodes.missing_true[path.node] == path.is_true, begins)
    return low, high, takes


def _begins(*keys: Numbers) -> Numbers:
    """Where one of the keys, which are sorted, changes."""
    if not len(keys[0]):
        return np.empty(0, dtype=np.int64)
    changes = np.logical_or.reduce([np.diff(key) != 0 for key in keys])
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def _bits(conditions: Conditions, X: NDArray[Any]) -> Bits:
    if not len(conditions.feature):
        return np.empty((len(X), 0), dtype=conditions.bit.dtype)
    x = X[:, conditions.feature].astype(np.float64)
    holds = np.where(np.isnan(x), conditions.takes_missing, ~(x <= conditions.low) & (x <= conditions.high))
    satisfied = np.logical_and.reduceat(holds, conditions.of_column, axis=1)
    shifted = satisfied.astype(conditions.bit.dtype) << conditions.bit
    return np.bitwise_or.reduceat(shifted, conditions.of_leaf, axis=1)
