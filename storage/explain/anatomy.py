"""A model file taken apart: from raw columns to features, the trees, and what is made of their sums.

    raw columns ── features ── trees ── sums ── averages, calibration ── prediction, or probabilities
    └──── a graph of its own ────┘      └──────── a graph of its own ────────┘

Where all that the outputs depend on passes through trees, the trees can be read and the rest be run for itself; that is
how Shapley values are found without asking the whole graph for each coalition. The rest is run, not read: whatever
follows the trees is as it is served.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from storage.boundary import Blocks
from storage.explain.influence import TREES, Influence, trace
from storage.packed import PACK_TENSOR, pack, read_extra
from storage.predictor import Predictor, open_session
from storage.signature import BLOCKS, Block

Values = NDArray[np.float64]

#: Operators of which a chain is affine, as long as a product has a constant beside one other input.
_AFFINE = frozenset({"Add", "Cast", "Concat", "Identity", "Mul", "Sub", "Sum"})
#: Rows that tensors are looked at with: neither 1, which broadcasts, nor a usual number of features.
_PROBED_ROWS = 7


class Anatomy(NamedTuple):
    """The parts of a model whose outputs are made of trees alone.

    nodes: the trees. influences: for each of the nodes, the columns that its features depend on. features: session from
    packed blocks to the nodes' inputs. rest: session from the nodes' outputs to the model's. is_affine: whether the
    rest adds up the sums with weights, and does nothing else.
    """

    nodes: tuple[onnx.NodeProto, ...]
    influences: tuple[Influence, ...]
    features: Any
    rest: Any
    is_affine: bool

    def read_features(self, blocks: Blocks) -> list[NDArray[Any]]:
        """The matrix that each of the nodes reads: float (rows, features)."""
        names = [each.name for each in self.features.get_outputs()]
        found = dict(zip(names, self.features.run(names, feeds(blocks)), strict=True))
        return [found[node.input[0]] for node in self.nodes]

    def finish(self, sums: Sequence[Values]) -> Values:
        """The outputs, float64 (rows, outputs), of the sums of each node's trees, (rows, targets)."""
        fed = {node.output[0]: each.astype(np.float32) for node, each in zip(self.nodes, sums, strict=True)}
        return self.rest.run(None, fed)[0].astype(np.float64)


def output_of(predictor: Predictor) -> str:
    """The output that is explained."""
    return "prediction" if predictor.signature.task == "regression" else "probabilities"


def feeds(blocks: Blocks) -> dict[str, NDArray[Any]]:
    """The inputs of a packed graph."""
    return {PACK_TENSOR.format(block): each for block, each in zip(BLOCKS, blocks, strict=True) if each.shape[1]}


def used_columns(predictor: Predictor, blocks: Blocks) -> tuple[int, ...]:
    """Places in `signature.columns` of those that the explained output depends on. blocks: any rows, at least one."""
    return tuple(sorted(frozenset().union(*_Graph(predictor, blocks).influence[output_of(predictor)])))


def dissect(predictor: Predictor, blocks: Blocks) -> Anatomy | None:
    """The parts of a model; None where its outputs are not made of trees alone. blocks: any rows, at least one."""
    graph = _Graph(predictor, blocks)
    nodes = [node for node in graph.model.graph.node if node.op_type == TREES]
    features = graph.between(graph.inputs, list(dict.fromkeys(node.input[0] for node in nodes)))
    rest = graph.between([node.output[0] for node in nodes], [output_of(predictor)])
    if features is None or rest is None or any(node.op_type == TREES for node in features.graph.node):
        return None
    return Anatomy(
        tuple(nodes),
        tuple(graph.influence[node.input[0]] for node in nodes),
        open_session(features.SerializeToString()),
        open_session(rest.SerializeToString()),
        _is_affine(rest),
    )


class _Graph:
    """The packed graph of a model, with the shapes that its tensors have for some rows, and what influences them."""

    def __init__(self, predictor: Predictor, blocks: Blocks) -> None:
        signature = predictor.signature
        widths: dict[Block, int] = {block: len(signature.block(block)) for block in BLOCKS}
        packed = pack(predictor.model_bytes, widths, without=read_extra(predictor.model_bytes))
        self.model = onnx.load_from_string(packed)
        self._makers = {output: node for node in self.model.graph.node for output in node.output}
        self._constants = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self._shapes = self._look(blocks)
        self.influence = trace(self.model, self._shapes, signature)

    @property
    def inputs(self) -> list[str]:
        """Of the packed graph."""
        return [each.name for each in self.model.graph.input]

    def between(self, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto | None:
        """The part that makes these outputs of these inputs; None where it takes more than them."""
        needed, open_ends = self._needed(set(inputs), outputs)
        if not inputs or not open_ends <= self._constants.keys():
            return None
        graph = helper.make_graph(
            [node for node in self.model.graph.node if set(node.output) & needed],
            "part",
            [self._told(name) for name in inputs],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [self._constants[name] for name in sorted(open_ends)],
        )
        opsets = self.model.opset_import
        return helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)

    def _needed(self, inputs: set[str], outputs: Iterable[str]) -> tuple[set[str], set[str]]:
        """Tensors that have to be made, and those that nothing makes."""
        made: set[str] = set()
        unmade: set[str] = set()
        waiting = [name for name in outputs if name not in inputs]
        while waiting:
            name = waiting.pop()
            if name not in self._makers:
                unmade.add(name)
            elif name not in made:
                node = self._makers[name]
                made.update(node.output)
                waiting += [each for each in node.input if each and each not in inputs]
        return made, unmade

    def _told(self, name: str) -> onnx.ValueInfoProto:
        """An input of a part: one of the whole graph's, or the sums of trees, which are float32."""
        known = next((each for each in self.model.graph.input if each.name == name), None)
        return known or helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", self._shapes[name][1]])

    def _look(self, blocks: Blocks) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, with a few of the rows, repeated where there are fewer."""
        rows = np.arange(_PROBED_ROWS) % blocks.rows
        looked = onnx.ModelProto()
        looked.CopyFrom(self.model)
        names = list(self._makers)
        del looked.graph.output[:]
        looked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        session = open_session(looked.SerializeToString())
        tensors = session.run(names, feeds(Blocks(blocks.number[rows], blocks.text[rows], blocks.time[rows])))
        shapes = {name: tuple(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}
        fed = {name: each.shape for name, each in feeds(blocks).items()}
        packed = {name: (_PROBED_ROWS, width) for name, (_, width) in fed.items()}
        return shapes | packed | {name: tuple(tensor.dims) for name, tensor in self._constants.items()}


def _is_affine(part: onnx.ModelProto) -> bool:
    """Whether it gives sums and multiples of its inputs, and constants beside them."""
    constants = {tensor.name for tensor in part.graph.initializer}
    for node in part.graph.node:
        varying = [name for name in node.input if name not in constants]
        is_product = node.op_type == "Mul" and len(varying) > 1
        is_rounded = node.op_type == "Cast" and node.attribute[0].i not in (TensorProto.FLOAT, TensorProto.DOUBLE)
        if node.op_type not in _AFFINE or is_product or is_rounded:
            return False
    return True
