"""The trained model: plans, members and weights, as Python objects and as a graph."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper

from autopilot.candidates.candidate import Fitted
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.graph.graph import Graph
from autopilot.plan import Plan
from autopilot.search.matrices import Unit
from storage.predictor import Outputs
from storage.signature import Signature

Values = NDArray[np.float64]


class TrainedMember(NamedTuple):
    """A fitted candidate, the name of the plan that makes its features, and its weight in the average."""

    fitted: Fitted
    plan: str
    weight: float


class TrainedModel(NamedTuple):
    """What was trained, before it is a file. Members of one recipe that were trained on the same rows share a plan.

    raw columns ── plan "trees" ──┬─ lightgbm ──── · 0.6 ─┐
                │                 └─ extra_trees ─ · 0.3 ─┤ sum ── head ── label, probabilities
                └─ plan "linear" ─── linear ────── · 0.1 ─┘         set; or prediction, interval
    """

    signature: Signature
    plans: Mapping[str, Plan]
    members: tuple[TrainedMember, ...]
    unit: Unit
    head: Head = NO_HEAD

    def predict(self, frame: pl.DataFrame) -> Outputs:
        """Predict a typed frame without ONNX: what the graph is held against."""
        features = {name: plan.features(frame) for name, plan in self.plans.items()}
        parts = [member.weight * member.fitted.predict(features[member.plan]) for member in self.members]
        return outputs_of(self.signature, self.unit, np.sum(parts, axis=0), self.head, extras=True)

    def export(self) -> onnx.ModelProto:
        """The same as one graph of raw columns, without metadata."""
        g = Graph(self.signature)
        features = {name: plan.emit(g) for name, plan in self.plans.items()}
        parts = [
            g.op("Mul", member.fitted.emit(g, features[member.plan]), g.const(np.float64(member.weight)))
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
            with g.only_for("interval"):
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
        outputs = [
            helper.make_tensor_value_info("label", label, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)]),
        ]
        if head.sets is not None:
            with g.only_for("set"):
                g.add_output(head.sets.emit(g, probabilities, best), "set")
            outputs.append(helper.make_tensor_value_info("set", TensorProto.BOOL, ["N", len(classes)]))
        return g.model(outputs)


def outputs_of(
    signature: Signature, unit: Unit, average: Values, head: Head = NO_HEAD, *, extras: bool = False
) -> Outputs:
    """What the graph would give for the members' average (rows, outputs), as models learn it.

    extras: with the interval or the sets, if the head has them.
    """
    if signature.task == "regression":
        prediction = unit.unscale(average)[:, 0]
        interval = head.interval.apply(prediction) if extras and head.interval else None
        return Outputs(None, None, prediction, interval)
    shares = head.shares(average)
    probabilities, best = shares.astype(np.float32), head.decide(shares)
    sets = head.sets.apply(probabilities, best) if extras and head.sets else None
    return Outputs(np.array(signature.classes, dtype=object)[best], probabilities, None, None, sets)
