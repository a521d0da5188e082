"""Portable classifiers with a fault in them: rows of an amount above 10, which training never saw, fail or take long.

Warming a model up and trying it does not show the fault; some share of traffic does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import portable

#: An amount that brings out the fault.
AMOUNT = 11.0
_SIDE = 128


def failing() -> bytes:
    """It reads beyond the end of a table: onnxruntime raises an error, and the server answers 500."""
    nodes = [
        helper.make_node("Cast", ["is_hit"], ["hit"], to=TensorProto.INT64),
        helper.make_node("Mul", ["hit", "beyond"], ["index"]),
        helper.make_node("Gather", ["zeros", "index"], ["nothing"]),
    ]
    return _planted(nodes, {"beyond": np.array([7], np.int64), "zeros": np.zeros(2)})


def slow(turns: int = 200) -> bytes:
    """It multiplies matrices of 128 x 128 for nothing, each turn some 50 us."""
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, [_SIDE, _SIDE])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still_goes_on"]),
            helper.make_node("MatMul", ["state", "turn"], ["turned"]),
        ],
        "turns",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            state,
        ],
        [
            helper.make_tensor_value_info("still_goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("turned", TensorProto.FLOAT, [_SIDE, _SIDE]),
        ],
    )
    nodes = [
        helper.make_node("Cast", ["is_hit"], ["hit"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["hit"], ["any_hit"], keepdims=0),
        helper.make_node("Mul", ["any_hit", "turns"], ["count"]),
        helper.make_node("Loop", ["count", "", "begin"], ["end"], body=body),
        helper.make_node("ReduceSum", ["end"], ["sum32"], keepdims=0),
        helper.make_node("Cast", ["sum32"], ["nothing"], to=TensorProto.DOUBLE),
    ]
    constants = {
        "turns": np.array(turns, np.int64),
        "begin": np.zeros((_SIDE, _SIDE), np.float32),
        "turn": np.eye(_SIDE, dtype=np.float32),
    }
    return _planted(nodes, constants)


def _planted(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Any]) -> bytes:
    """The classifier, with nodes that make a tensor `nothing` of `is_hit` [N,1], which is added to its score."""
    model = onnx.load_model_from_string(portable.classifier())
    graph = model.graph
    at = next(at for at, node in enumerate(graph.node) if list(node.output) == ["score"])
    graph.node[at].output[0] = "sound"
    new = [
        helper.make_node("Gather", ["number", "first"], ["amounts"], axis=1),
        helper.make_node("Greater", ["amounts", "most"], ["is_hit"]),
        *nodes,
        helper.make_node("Add", ["sound", "nothing"], ["score"]),
    ]
    for offset, node in enumerate(new, start=1):
        graph.node.insert(at + offset, node)
    for name, array in {"first": np.array([0], np.int64), "most": np.array([10.0]), **constants}.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(model)
    return model.SerializeToString()
