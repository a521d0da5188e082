"""Which raw columns each tensor of a model's graph depends on, feature by feature where the graph tells.

    /number [N, 3] ── Gather 0, 2 ─┐
       {age} {fare} {size}         ├─ Concat ── features [N, 3] ── trees that cut features 0 and 2 ── {age} {town}
    /text [N, 1] ── LabelEncoder ──┘              {age} {size} {town}
       {town}

What is not understood counts as depending on all that its inputs depend on: a tensor may be said to depend on a column
that does not matter to it, and never the other way round.
"""

from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper

from storage.packed import PACK_TENSOR
from storage.signature import BLOCKS, Signature

#: Places of columns in `signature.columns`: a set for each feature of a tensor [N, features], one set for any other.
Influence = tuple[frozenset[int], ...]
Shapes = Mapping[str, tuple[int, ...]]

TREES = "TreeEnsembleRegressor"
#: Operators that make each cell of what stands in the same place of their inputs:
#: https://onnx.ai/onnx/operators/index.html.
_CELLWISE = frozenset(
    {
        *("Abs", "Add", "Clip", "Cos", "Div", "Elu", "Exp", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Reciprocal"),
        *("Round", "Sigmoid", "Sqrt", "Sub", "Sum"),
        *("Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Or", "Where"),
        *("Cast", "Identity", "LabelEncoder", "RegexFullMatch", "StringConcat"),
    }
)
_NOTHING: frozenset[int] = frozenset()


def trace(model: onnx.ModelProto, shapes: Shapes, signature: Signature) -> dict[str, Influence]:
    """The influence on each tensor of a packed graph. shapes: of all tensors, as they were for some rows."""
    names = signature.names
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, Influence] = dict.fromkeys(constants, (_NOTHING,))
    for block in BLOCKS:
        found[PACK_TENSOR.format(block)] = tuple(frozenset({names.index(name)}) for name in signature.block(block))
    for node in model.graph.node:
        tracing = _Node(node, found, shapes, constants)
        for output in node.output:
            found[output] = tracing.influence(output)
    return found


class _Node:
    """One node while its outputs are traced."""

    def __init__(
        self,
        node: onnx.NodeProto,
        known: Mapping[str, Influence],
        shapes: Shapes,
        constants: Mapping[str, onnx.TensorProto],
    ) -> None:
        self._node, self._known, self._shapes, self._constants = node, known, shapes, constants
        self._inputs = [name for name in node.input if name]

    def influence(self, output: str) -> Influence:
        """Of one output."""
        shape = self._shapes.get(output, ())
        width = shape[1] if len(shape) == 2 else 1
        kind = self._node.op_type
        if kind == TREES:
            return (self._of_trees(),) * width
        if len(shape) == 2:
            if kind == "Concat" and self._axis() == 1 and self._are_matrices():
                return tuple(part for name in self._inputs for part in self._known[name])
            if kind == "Gather" and self._axis() == 1 and self._inputs[1] in self._constants:
                return self._taken(self._inputs[0], numpy_helper.to_array(self._constants[self._inputs[1]]).tolist())
            if kind in _CELLWISE or self._is_look_up():
                return tuple(self._cell(place, shape) for place in range(width))
        return (self._all(),) * width

    def _of_trees(self) -> frozenset[int]:
        """What the features that the trees cut depend on."""
        attributes = {each.name: helper.get_attribute_value(each) for each in self._node.attribute}
        cuts = zip(attributes["nodes_featureids"], attributes["nodes_modes"], strict=True)
        parts = self._known[self._inputs[0]]
        return _NOTHING.union(*(parts[feature] for feature in {feature for feature, mode in cuts if mode != b"LEAF"}))

    def _cell(self, place: int, shape: tuple[int, ...]) -> frozenset[int]:
        """What a cell in this place depends on, by the rules of broadcasting; of an odd shape, all of the input."""
        parts: list[frozenset[int]] = []
        for name in self._inputs:
            own, known = self._shapes.get(name, ()), self._known[name]
            if own == shape:
                parts.append(known[place])
            else:
                parts.append(_NOTHING.union(*known))
        return _NOTHING.union(*parts)

    def _taken(self, name: str, places: object) -> Influence:
        known = self._known[name]
        return tuple(known[place] for place in places) if isinstance(places, list) else (self._all(),)

    def _is_look_up(self) -> bool:
        """Whether the values of a constant vector are looked up, each cell's by the cell."""
        data = self._constants.get(self._inputs[0]) if self._node.op_type == "Gather" else None
        return data is not None and len(data.dims) == 1

    def _are_matrices(self) -> bool:
        return all(name not in self._constants and len(self._shapes.get(name, ())) == 2 for name in self._inputs)

    def _all(self) -> frozenset[int]:
        return _NOTHING.union(*(part for name in self._inputs for part in self._known[name]))

    def _axis(self) -> int:
        return next((each.i for each in self._node.attribute if each.name == "axis"), 0)
