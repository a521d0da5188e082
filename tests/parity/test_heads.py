"""A model with a head is exact as a whole, and serves as one without does."""

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from autopilot.candidates.candidate import Job, Problem
from autopilot.candidates.linear import Linear
from autopilot.deadline import Deadline
from autopilot.graph.calibration import Head, Interval, Isotonic, Sigmoid, Temperature, Threshold
from autopilot.graph.parity import measure, passes
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from storage.boundary import blocks_of_frame
from storage.predictor import open_session
from storage.signature import BLOCKS
from tests import tables

BINARY = infer(tables.mixed(400), "paid")
MULTICLASS = infer(tables.multiclass(400), "grade")
REGRESSION = infer(tables.regression(400), "price")


def train(table: Table) -> tuple[TrainedModel, NDArray[np.float64]]:
    """Two members that share a plan, trained on half the rows; and their average for the others."""
    outputs = max(1, len(table.signature.classes))
    unit = Unit() if outputs > 1 else Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    half = table.frame.height // 2
    plan, X = Plan.fit(table.frame[:half], table.signature, "linear", Target(y[:half], outputs), seed=0)
    problem = Problem(table.signature.task, outputs, half)
    members = [
        Linear().fit(Job(X, y[:half], None, None, {"penalty": penalty}, 0, Deadline.after(60), 0, problem))
        for penalty in (1.0, 30.0)
    ]
    trained = tuple(TrainedMember(member, "linear", 0.5) for member in members)
    unseen = plan.features(table.frame[half:])
    average = np.mean([member.predict(unseen) for member in members], axis=0)
    return TrainedModel(table.signature, {"linear": plan}, trained, unit), average


def with_head(table: Table, kind: str) -> TrainedModel:
    """A model with a head fitted on rows that the members had not seen."""
    model, average = train(table)
    y = table.y[len(table.y) // 2 :]
    if kind == "interval":
        predicted = model.unit.unscale(average)[:, 0]
        return model._replace(head=Head(interval=Interval.fit(predicted, y, 0.9, ranges=3)))
    calibration = {"temperature": Temperature, "sigmoid": Sigmoid, "isotonic": Isotonic}.get(kind)
    fitted = None if calibration is None else calibration.fit(average, y)
    threshold = None if calibration is not None else Threshold.fit(average, y, f1_score)
    return model._replace(head=Head(calibration=fitted, threshold=threshold))


@pytest.mark.parametrize("kind", ["temperature", "sigmoid", "isotonic"])
@pytest.mark.parametrize("table", [BINARY, MULTICLASS], ids=["binary", "multiclass"])
def test_calibrated_probabilities_pass_the_gate(table: Table, kind: str) -> None:
    """On real rows and hostile ones; and they differ from the plain ones."""
    model = with_head(table, kind)
    found = measure(model, model.export().SerializeToString(), table.frame, seed=0)
    assert passes(found), found
    plain = model._replace(head=Head()).predict(table.frame)
    assert not np.array_equal(model.predict(table.frame).probabilities, plain.probabilities)


def test_a_threshold_passes_the_gate_and_moves_labels_alone() -> None:
    """The label is the second class exactly where its probability reaches the threshold."""
    model = with_head(BINARY, "threshold")
    assert passes(measure(model, model.export().SerializeToString(), BINARY.frame, seed=0))
    assert model.head.threshold is not None
    assert model.head.threshold.threshold != 0.5
    found, plain = model.predict(BINARY.frame), model._replace(head=Head()).predict(BINARY.frame)
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities, np.asarray(plain.probabilities))
    reached = found.probabilities[:, 1] >= np.float32(model.head.threshold.threshold)
    assert np.array_equal(found.label == "yes", reached)


def test_a_threshold_stands_on_the_calibrated_probability() -> None:
    """Calibration first, decision then, in both renderings."""
    model = with_head(BINARY, "temperature")
    model = model._replace(head=msgspec.structs.replace(model.head, threshold=Threshold(0.6)))
    assert passes(measure(model, model.export().SerializeToString(), BINARY.frame, seed=0))
    found = model.predict(BINARY.frame)
    assert np.array_equal(found.label == "yes", np.asarray(found.probabilities)[:, 1] >= np.float32(0.6))


def run(file: onnx.ModelProto, table: Table, names: list[str]) -> list[NDArray[np.float64]]:
    """Outputs of the portable file for all rows."""
    blocks = blocks_of_frame(table.signature, table.frame)
    feeds = {
        name: getattr(blocks, block)[:, [index]]
        for block in BLOCKS
        for index, name in enumerate(table.signature.block(block))
    }
    return open_session(file.SerializeToString()).run(names, feeds)


def test_an_interval_leaves_beside_the_prediction() -> None:
    """[N, 2], around the prediction, equal to what the head gives; it holds nine of ten values."""
    model = with_head(REGRESSION, "interval")
    file = model.export()
    assert passes(measure(model, file.SerializeToString(), REGRESSION.frame, seed=0))
    prediction, interval = run(file, REGRESSION, ["prediction", "interval"])
    assert model.head.interval is not None
    assert interval.tolist() == model.head.interval.apply(prediction[:, 0]).tolist()
    assert interval.mean(axis=1) == pytest.approx(prediction[:, 0])
    unseen = slice(len(REGRESSION.y) // 2, None)
    inside = (interval[:, 0] <= REGRESSION.y) & (REGRESSION.y <= interval[:, 1])
    assert inside[unseen].mean() == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("table", [BINARY, REGRESSION], ids=["binary", "regression"])
def test_without_a_head_the_file_has_no_more_outputs_than_before(table: Table) -> None:
    """`interval` is there only where there is one."""
    model, _ = train(table)
    outputs = [output.name for output in model.export().graph.output]
    assert outputs == (["prediction"] if table is REGRESSION else ["label", "probabilities"])
    assert isinstance(table.frame, pl.DataFrame)
