"""What a model costs decides whether the event loop runs it."""

from datetime import UTC, datetime

import onnx
import pytest
from onnx import helper

from serving.cost import Cost, cost_of
from serving.endpoints import LiveVariant
from serving.likely_rows import likely_rows
from storage import Predictor
from tests.portable import REGRESSOR, regressor
from tests.records import endpoint_record

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def heavy() -> bytes:
    """The regressor behind some milliseconds of detours for each row."""
    model = onnx.load_model_from_string(regressor())
    last = model.graph.node[-1]
    count, wide = "detour_count", helper.make_node("Tile", ["score", "detour_count"], ["detour_0"])
    model.graph.initializer.append(helper.make_tensor(count, onnx.TensorProto.INT64, [2], [1, 100_000]))
    detours = [helper.make_node("Sin", [f"detour_{at}"], [f"detour_{at + 1}"]) for at in range(5)]
    mean = helper.make_node("ReduceMean", ["detour_5", "detour_axes"], ["detour"])
    model.graph.initializer.append(helper.make_tensor("detour_axes", onnx.TensorProto.INT64, [1], [1]))
    last.CopyFrom(helper.make_node("Add", ["score", "detour"], ["prediction"]))
    for node in (wide, *detours, mean):
        model.graph.node.insert(len(model.graph.node) - 1, node)
    return model.SerializeToString()


@pytest.mark.parametrize(("seconds", "rows"), [(0.0005, 0), (0.001, 0), (0.0015, 5), (0.002, 10)])
def test_rows_of_a_run_of_some_length(seconds: float, rows: int) -> None:
    """What is fixed comes first."""
    assert Cost(fixed_s=0.001, row_s=0.0001).rows_within(seconds) == rows


def test_a_heavy_model_is_not_run_in_the_event_loop() -> None:
    """However few rows are asked for; a light one is."""
    record = endpoint_record("demo")
    assert LiveVariant(record, Predictor(heavy())).inline_rows <= 1
    assert LiveVariant(record, Predictor(regressor())).inline_rows > 20


def test_rows_cost_what_they_cost_alone_and_together() -> None:
    """By runs of one row and of fifty."""
    cost = cost_of(Predictor(heavy()), likely_rows(REGRESSOR, 50))
    assert cost.row_s > 1e-4
