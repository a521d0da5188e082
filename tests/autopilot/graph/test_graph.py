"""The graph writer collects nodes and constants into a model that ONNX's checker accepts."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from autopilot.graph.graph import Graph
from storage import Column, Signature
from storage.predictor import open_session

SIGNATURE = Signature(
    "regression",
    "y",
    (
        Column("age", "number", "Int64"),
        Column("town", "category", "String"),
        Column("fare", "number", "Float64"),
        Column("seen", "time", "Date"),
    ),
)
DOUBLE_OUT = [helper.make_tensor_value_info("out", TensorProto.DOUBLE, ["N", None])]


def feeds(rows: int = 2) -> dict[str, np.ndarray]:
    """Ages 0, 1, ...; fares 10, 11, ..."""
    counting = np.arange(rows, dtype=np.float64).reshape(-1, 1)
    towns = np.array([["Ulm"]] * rows, dtype=object)
    return {"age": counting, "fare": counting + 10, "town": towns, "seen": np.zeros((rows, 1), dtype=np.int64)}


def test_a_model_has_one_input_for_each_column_and_pinned_versions() -> None:
    """Typed by its block, blocks in their order; nothing beyond the standard domains."""
    g = Graph(SIGNATURE)
    g.add_output(g.columns("number", ("age", "fare")), "out")
    model = g.model(DOUBLE_OUT)
    found = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    double, string, int64 = TensorProto.DOUBLE, TensorProto.STRING, TensorProto.INT64
    assert found == {"age": double, "fare": double, "town": string, "seen": int64}
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 21, "ai.onnx.ml": 3}
    assert model.ir_version == 10
    onnx.checker.check_model(model, full_check=True)


def test_columns_are_gathered_once_and_in_the_order_asked() -> None:
    """The whole block needs no gathering."""
    g = Graph(SIGNATURE)
    assert g.columns("number", ("age", "fare")) == "/number"
    swapped = g.columns("number", ("fare", "age"))
    assert g.columns("number", ("fare", "age")) == swapped
    g.add_output(swapped, "out")
    session = open_session(g.model(DOUBLE_OUT).SerializeToString())
    assert session.run(["out"], feeds())[0].tolist() == [[10.0, 0.0], [11.0, 1.0]]


def test_equal_constants_are_kept_once() -> None:
    """Equal to the bit, of the same type and shape."""
    g = Graph(SIGNATURE)
    one = g.const(np.float64(1))
    assert g.const(np.float64(1)) == one
    others = [
        np.float32(1),
        np.int64(1),
        np.array([1.0]),
        np.float64(-0.0),
        np.float64(0.0),
        np.array("1", dtype=object),
    ]
    names = [g.const(value) for value in others]
    assert len({one, *names}) == len(others) + 1


def test_text_constants_may_hold_any_character() -> None:
    """Two arrays that look alike when joined are two constants."""
    g = Graph(SIGNATURE)
    texts = np.array(["", "東京", "a b\n"], dtype=object)
    assert g.const(np.array(["ab", "c"], dtype=object)) != g.const(np.array(["a", "bc"], dtype=object))
    g.add_output(g.op("Gather", g.const(texts), g.columns("time", ("seen",))), "out")
    model = g.model([helper.make_tensor_value_info("out", TensorProto.STRING, ["N", 1])])
    rows = {**feeds(3), "seen": np.array([[0], [1], [2]])}
    assert open_session(model.SerializeToString()).run(["out"], rows)[0].tolist() == [[""], ["東京"], ["a b\n"]]


def test_zeros_have_as_many_rows_as_another_tensor() -> None:
    """And the width asked for."""
    g = Graph(SIGNATURE)
    g.add_output(g.cast(g.zeros("/number", 3), TensorProto.DOUBLE), "out")
    session = open_session(g.model(DOUBLE_OUT).SerializeToString())
    assert session.run(["out"], feeds(2))[0].tolist() == [[0.0] * 3] * 2


def test_tensor_names_begin_as_no_column_may() -> None:
    """With a slash, which `infer` refuses as the beginning of a column's name."""
    g = Graph(SIGNATURE)
    names = [g.const(np.float64(1)), g.columns("number", ("fare",)), g.op("Abs", "/number"), g.zeros("/number", 1)]
    assert all(name.startswith("/") for name in names)
