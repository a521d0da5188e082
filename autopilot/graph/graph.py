"""The graph writer: nodes, constants and the raw inputs of one model."""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from storage.packed import EXTRA_NODE, PACK_NODE, PACK_TENSOR, Extra
from storage.signature import BLOCKS, Block, Signature

#: Pinned together: every graph of this version of autopilot speaks exactly these.
OPSETS = {"": 21, "ai.onnx.ml": 3}
IR_VERSION = 10
ML = "ai.onnx.ml"

_ELEM: dict[Block, int] = {
    "number": TensorProto.DOUBLE,
    "text": TensorProto.STRING,
    "time": TensorProto.INT64,
}


class Graph:
    """Collects nodes and constants; gives each tensor a name that no column can have (they begin with "/").

    The raw inputs are joined into one tensor for each block first (see `storage/packed.py` for why):

        g = Graph(signature)
        x = g.columns("number", ("age", "fare"))    float64 [N, 2]
        y = g.op("Mul", x, g.const(np.float64(2)))   float64 [N, 2]
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._known: dict[tuple[int, bytes], tuple[str, ...]] = {}
        self._count = 0
        self._extra: Extra | None = None
        for block in BLOCKS:
            if signature.block(block):
                self._join(block)

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The output of a node; "" stands for an absent optional input.

        A node that is there already, with the same inputs and attributes, is not added again: what members and ops
        have in common is in the graph once.
        """
        return self.outputs(1, kind, *inputs, domain=domain, **attributes)[0]

    def outputs(self, count: int, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """The outputs of a node with several of them."""
        node = helper.make_node(kind, list(inputs), [], domain=domain, **attributes)
        key = (count, hashlib.blake2b(node.SerializeToString(deterministic=True)).digest())
        if key not in self._known:
            self._known[key] = tuple(self._name(kind) for _ in range(count))
            node.output.extend(self._known[key])
            self._add(node)
        return self._known[key]

    def const(self, value: Any) -> str:
        """A constant tensor: a NumPy array or scalar, float64, float32, int64 or an object array of str."""
        array = np.asarray(value)
        data = "\0".join(array.ravel().tolist()).encode() if array.dtype == object else array.tobytes()
        key = (array.dtype.str, array.shape, data)
        if key not in self._constants:
            self._constants[key] = self._name("const")
            self._initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def columns(self, block: Block, names: tuple[str, ...]) -> str:
        """The columns of a block: float64, string or int64 [N, len(names)]."""
        whole = self.signature.block(block)
        if names == whole:
            return PACK_TENSOR.format(block)
        return self.take(PACK_TENSOR.format(block), [whole.index(name) for name in names])

    def take(self, x: str, at: Sequence[int]) -> str:
        """These columns of a tensor [N, any], in this order: [N, len(at)]."""
        return self.op("Gather", x, self.const(np.array(at, dtype=np.int64)), axis=1)

    def zeros(self, like: str, width: int) -> str:
        """float32 zeros [N, width], with N taken from `like` [N, any]."""
        rows = self.op("Shape", like, start=0, end=1)
        shape = self.op("Concat", rows, self.const(np.array([width], dtype=np.int64)), axis=0)
        return self.op("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, dtype=np.float32)))

    def cast(self, x: str, to: int) -> str:
        """Cast to an element type of `onnx.TensorProto`."""
        return self.op("Cast", x, to=to)

    def add_output(self, x: str, name: str) -> None:
        """Give a tensor the name under which the model returns it."""
        self._add(helper.make_node("Identity", [x], [name]))

    @contextmanager
    def only_for(self, extra: Extra) -> Generator[None]:
        """What is added meanwhile serves this output alone: `storage/packed.py` can leave it out."""
        self._extra = extra
        yield
        self._extra = None

    def model(self, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The whole model, checked against the ONNX specification."""
        inputs = [
            helper.make_tensor_value_info(name, _ELEM[block], ["N", 1])
            for block in BLOCKS
            for name in self.signature.block(block)
        ]
        graph = helper.make_graph(self._nodes, "autopilot", inputs, outputs, self._initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="autopilot")
        onnx.checker.check_model(model)
        return model

    def _join(self, block: Block) -> None:
        names = list(self.signature.block(block))
        name, output = PACK_NODE.format(block), PACK_TENSOR.format(block)
        self._nodes.append(helper.make_node("Concat", names, [output], name=name, axis=1))

    def _add(self, node: onnx.NodeProto) -> None:
        if self._extra is not None:
            node.name = EXTRA_NODE.format(self._extra, len(self._nodes))
        self._nodes.append(node)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"/{kind}_{self._count}"
