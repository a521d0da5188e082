"""The trained model: plans, members and weights, as Python objects and as a graph."""

from typing import NamedTuple

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper

from autopilot.candidates.candidate import Fitted
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
                │                 └─ extra_trees ─ · 0.3 ─┤ sum ── label, probabilities
                └─ plan "linear" ─── linear ────── · 0.1 ─┘        or prediction
    """

    signature: Signature
    plans: dict[Recipe, Plan]
    members: tuple[TrainedMember, ...]
    unit: Unit

    def predict(self, frame: pl.DataFrame) -> Outputs:
        """Predict a typed frame without ONNX: what the graph is held against."""
        features = {recipe: plan.features(frame) for recipe, plan in self.plans.items()}
        parts = [member.weight * member.fitted.predict(features[member.recipe]) for member in self.members]
        return outputs_of(self.signature, self.unit, np.sum(parts, axis=0))

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
        g.add_output(g.op("Add", scaled, g.const(np.float64(self.unit.mean))), "prediction")
        return g.model([helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["N", 1])])

    def _export_classes(self, g: Graph, average: str) -> onnx.ModelProto:
        classes = self.signature.classes
        is_text = isinstance(classes[0], str)
        names = np.array(classes, dtype=object if is_text else np.int64)
        best = g.op("ArgMax", average, axis=1, keepdims=0)
        g.add_output(g.op("Gather", g.const(names), best, axis=0), "label")
        g.add_output(g.cast(average, TensorProto.FLOAT), "probabilities")
        label = TensorProto.STRING if is_text else TensorProto.INT64
        return g.model(
            [
                helper.make_tensor_value_info("label", label, ["N"]),
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)]),
            ]
        )


def outputs_of(signature: Signature, unit: Unit, average: Values) -> Outputs:
    """What the graph would give for the members' average (rows, outputs), as models learn it."""
    if signature.task == "regression":
        return Outputs(None, None, unit.unscale(average)[:, 0])
    labels = np.array(signature.classes, dtype=object)[average.argmax(axis=1)]
    return Outputs(labels, average.astype(np.float32), None)
