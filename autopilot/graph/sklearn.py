"""The door for a candidate of your own that wraps an estimator of scikit-learn: skl2onnx, for what it converts exactly.

No candidate of autopilot comes through here: skl2onnx computes in float32, and several of its conversions are silently
wrong (isotonic calibration, forests trained with missing values, linear discriminants of two classes, ...). What comes
through is judged as everything else is: a file that differs from the estimator by more than 1e-5 does not pass the
parity gate, and is not published.
"""

from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from autopilot.graph.graph import OPSETS, Graph


def emit_converted(g: Graph, estimator: Any, features: str) -> str:
    """double [N, outputs] from float32 [N, features]: what a fitted estimator predicts.

    For a classifier the probabilities, one for each of its own `classes_`, else the values. Raises ValueError if
    skl2onnx has no conversion for it, or one that our versions of ONNX do not have.

        class Discriminant:                                 # what a candidate's `fit` returns
            rounds = 0

            def __init__(self, model): self._model = model  # a fitted QuadraticDiscriminantAnalysis
            def predict(self, X): return self._model.predict_proba(X)
            def emit(self, g, features): return emit_converted(g, self._model, features)
    """
    converted = _convert(estimator)
    known = {converted.input[0].name: features, "": ""}
    for tensor in converted.initializer:
        known[tensor.name] = g.const(numpy_helper.to_array(tensor))
    for node in converted.node:
        inputs = [known[name] for name in node.input]
        outputs = g.outputs(len(node.output), node.op_type, *inputs, domain=node.domain, **_attributes(node))
        known.update(zip(node.output, outputs, strict=True))
    return g.cast(known[converted.output[-1].name], TensorProto.DOUBLE)


def _convert(estimator: Any) -> onnx.GraphProto:
    """The estimator's own graph; its last output is the probabilities or the values."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    name = type(estimator).__name__
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    types: Any = [("X", FloatTensorType([None, estimator.n_features_in_]))]
    try:
        model: Any = to_onnx(estimator, initial_types=types, target_opset=OPSETS, options=options)
    except Exception as error:  # skl2onnx's own exceptions share no base class
        raise ValueError(f"skl2onnx cannot convert {name}: {error}. Emit the nodes with `Graph.op`.") from error
    for opset in model.opset_import:
        ours = OPSETS.get(opset.domain, 0)
        if opset.version > ours:
            raise ValueError(
                f"skl2onnx needs version {opset.version} of {opset.domain or 'ai.onnx'} for {name}; our files have "
                f"{ours or 'none of it'}. Emit the nodes with `Graph.op`."
            )
    return model.graph


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """As `helper.make_node` takes them, which finds no type for an empty list."""
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if any(isinstance(value, onnx.GraphProto) for value in found.values()):
        raise ValueError(f"skl2onnx wrote a {node.op_type} with a graph inside. Emit the nodes with `Graph.op`.")
    return {name: value for name, value in found.items() if not isinstance(value, list) or value}
