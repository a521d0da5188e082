"""The trained model: plans, members and weights, as Python objects and as a graph."""

from typing import NamedTuple

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper

from autopilot.candidates.candidate import Fitted
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.graph.graph import Graph
from autopilot.plan import Plan, Recipe
from autopilot.search.matrices import Unit
from storage.predictor import Outputs
from storage.signature import Signature

Values = NDArray[np.float64]


class TrainedMember(NamedTuple):
    """A fitted candidate, the recipe of its features, and its weight in the average."""

    fitted: Fitted
    recipe: Recipe
    weight: float


class TrainedModel(NamedTuple):
    """What was trained, before it is a file. Members of one recipe share a plan.

    raw columns ── plan "trees" ──┬─ lightgbm ──── · 0.6 ─┐
                │                 └─ extra_trees ─ · 0.3 ─┤ sum ── head ── label, probabilities
                └─ plan "linear" ─── linear ────── · 0.1 ─┘                or prediction, interval
    """

    signature: Signature
    plans: dict[Recipe, Plan]
    members: tuple[TrainedMember, ...]
    unit: Unit
    head: Head = NO_HEAD

    def predict(self, frame: pl.DataFrame) -> Outputs:
        """Predict a typed frame without ONNX: what the graph is held against."""
        features = {recipe: plan.features(frame) for recipe, plan in self.plans.items()}
        parts = [member.weight * member.fitted.predict(features[member.recipe]) for member in self.members]
        return outputs_of(self.signature, self.unit, np.sum(parts, axis=0), self.head)

    def export(self) -> onnx.ModelProto:
        """The same as one graph of raw columns, without metadata."""
        g = Graph(self.signature)
        features = {recipe: plan.emit(g) for recipe, plan in self.plans.items()}
        parts = [
            g.op("Mul", member.fitted.emit(g, features[member.recipe]), g.const(np.float64(member.weight)))
            for member in self.members
        ]
        average = parts[0] if len(parts) == 1 else g.op("Sum", *parts)
        if self.signature.task == "regression":
            return self._export_values(g, average)
        return self._export_classes(g, average)

    def _export_values(self, g: Graph, average: str) -> onnx.ModelProto:
        scaled = g.op("Mul", average, g.const(np.float64(self.unit.deviation)))
        prediction = g.op("Add", scaled, g.const(np.float64(self.unit.mean)))
        g.add_output(prediction, "prediction")
        outputs = [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["N", 1])]
        if self.head.interval is not None:
            g.add_output(self.head.interval.emit(g, prediction), "interval")
            outputs.append(helper.make_tensor_value_info("interval", TensorProto.DOUBLE, ["N", 2]))
        return g.model(outputs)

    def _export_classes(self, g: Graph, average: str) -> onnx.ModelProto:
        classes, head = self.signature.classes, self.head
        is_text = isinstance(classes[0], str)
        names = np.array(classes, dtype=object if is_text else np.int64)
        shares = average if head.calibration is None else head.calibration.emit(g, average, len(classes))
        probabilities = g.cast(shares, TensorProto.FLOAT)
        if head.threshold is None:
            best = g.op("ArgMax", shares, axis=1, keepdims=0)
        else:
            best = head.threshold.emit(g, probabilities)
        g.add_output(g.op("Gather", g.const(names), best, axis=0), "label")
        g.add_output(probabilities, "probabilities")
        label = TensorProto.STRING if is_text else TensorProto.INT64
        return g.model(
            [
                helper.make_tensor_value_info("label", label, ["N"]),
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)]),
            ]
        )


def outputs_of(signature: Signature, unit: Unit, average: Values, head: Head = NO_HEAD) -> Outputs:
    """What the graph would give for the members' average (rows, outputs), as models learn it.

    A head's interval is no part of it: `head.interval.apply` gives it from the prediction.
    """
    if signature.task == "regression":
        return Outputs(None, None, unit.unscale(average)[:, 0])
    shares = average if head.calibration is None else head.calibration.apply(average)
    probabilities = shares.astype(np.float32)
    best = shares.argmax(axis=1) if head.threshold is None else head.threshold.apply(probabilities)
    return Outputs(np.array(signature.classes, dtype=object)[best], probabilities, None)
