"""Small portable models that you can check by hand, and a store that has one deployed.

They are files exactly as training writes them (`storage/predictor.py`, `storage/packed.py`), made without training:

    classifier   p(yes) = sigmoid(amount / 2 - visits + bonus[town] + late + shift)
    regressor    prediction =     amount / 2 - visits + bonus[town] + late + shift

where bonus is Ulm 1, Bonn -1, any other town 0; late is 1 for `seen` from 2024 on; a missing number counts as 0.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper

from storage import Column, Predictor, Signature, Store
from storage.packed import PACK_NODE, PACK_TENSOR
from storage.records import Card, Member, ModelVersion, Parity, Run, Scores
from storage.signature import BLOCKS, Block, Dropped, Task
from storage.traffic import OUTPUT_PREFIX

COLUMNS = (
    Column("amount", "number", "Float64", nullable=True, minimum=0.0, maximum=10.0),
    Column("town", "category", "String", nullable=True, levels=("Ulm", "Bonn")),
    Column("visits", "number", "Int64", nullable=True, minimum=0.0, maximum=9.0),
    Column("seen", "time", "Datetime(time_unit='us', time_zone=None)", nullable=True),
)
CLASSIFIER = Signature("binary", "paid", COLUMNS, (Dropped("id", "each row has another value"),), ("no", "yes"))
REGRESSOR = Signature("regression", "price", COLUMNS, (Dropped("id", "each row has another value"),))

ROWS: tuple[dict[str, Any], ...] = (
    {"amount": 4.0, "town": "Ulm", "visits": 2, "seen": "2023-05-01"},  # 2 - 2 + 1 + 0 = 1
    {"amount": 1.0, "town": "Bonn", "visits": 0, "seen": "2024-01-01T00:00:00Z"},  # 0.5 - 0 - 1 + 1 = 0.5
    {"amount": None, "town": "Rome", "visits": 3, "seen": None},  # 0 - 3 + 0 + 0 = -3
    {"amount": 9.0, "town": None, "visits": None, "seen": "2025-12-31T23:59:59.5"},  # 4.5 + 0 + 0 + 1 = 5.5
)
SCORES = (1.0, 0.5, -3.0, 5.5)
PROBABILITIES = tuple(1 / (1 + math.exp(-score)) for score in SCORES)

_BONUS = {"Ulm": 1.0, "Bonn": -1.0}
_LATE_FROM_US = 1_704_067_200_000_000  # 2024-01-01 UTC
_ELEM_TYPE: dict[Block, int] = {"number": TensorProto.DOUBLE, "text": TensorProto.STRING, "time": TensorProto.INT64}


def classifier(shift: float = 0.0, signature: Signature = CLASSIFIER) -> bytes:
    """The model file of a classifier; `shift` tells versions apart."""
    nodes = [
        helper.make_node("Sigmoid", ["score"], ["exact"]),
        helper.make_node("Cast", ["exact"], ["yes"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("GreaterOrEqual", ["yes", "half"], ["is_yes"]),
        helper.make_node("Where", ["is_yes", "yes_name", "no_name"], ["label_column"]),
        helper.make_node("Reshape", ["label_column", "flat"], ["label"]),
    ]
    constants = {
        "one": np.array([1], np.float32),
        "half": np.array([0.5], np.float32),
        "yes_name": np.array(["yes"], object),
        "no_name": np.array(["no"], object),
        "flat": np.array([-1], np.int64),
    }
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.STRING, ["N"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2]),
    ]
    return _model(signature, shift, nodes, constants, outputs)


def regressor(shift: float = 0.0, signature: Signature = REGRESSOR) -> bytes:
    """The model file of a regressor; `shift` tells versions apart."""
    outputs = [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["N", 1])]
    return _model(signature, shift, [helper.make_node("Identity", ["score"], ["prediction"])], {}, outputs)


def with_interval() -> bytes:
    """The regressor, with prediction - 1 and prediction + 2 beside it."""
    return _with(
        regressor(),
        helper.make_node("Add", ["prediction", "ends"], ["interval"], name="interval/1"),
        numpy_helper.from_array(np.array([-1.0, 2.0]), "ends"),
        TensorProto.DOUBLE,
    )


def with_sets() -> bytes:
    """The classifier, with the classes whose probability is 0.3 or more."""
    return _with(
        classifier(),
        helper.make_node("GreaterOrEqual", ["probabilities", "cuts"], ["set"], name="set/1"),
        numpy_helper.from_array(np.array([0.3, 0.3], np.float32), "cuts"),
        TensorProto.BOOL,
    )


def _with(file: bytes, node: onnx.NodeProto, constant: onnx.TensorProto, dtype: int) -> bytes:
    """A model with one more output, [N, 2], of one node."""
    model = onnx.load_model_from_string(file)
    model.graph.node.append(node)
    model.graph.initializer.append(constant)
    model.graph.output.append(helper.make_tensor_value_info(node.output[0], dtype, ["N", 2]))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def publish(
    store: Store, model: bytes, *, name: str = "demo", endpoint: str | None = None, now: datetime | None = None
) -> ModelVersion:
    """Store a model file as the next version of `name`, as a run would, and deploy it if an endpoint is named."""
    now = now or datetime.now(UTC)
    predictor = Predictor(model)
    signature = predictor.signature
    run_id = f"{name}-{now.timestamp()}-{len(store.runs.list())}"
    store.runs.start(
        Run(run_id, "tests", "running", "portable.py", "0" * 64, 4, signature.target, signature.task, "auto", 1, 0, now)
    )
    version = store.models.publish(
        ModelVersion(
            name=name,
            version=0,
            run_id=run_id,
            digest=store.blobs.put(model),
            size_bytes=len(model),
            reference_digest=store.blobs.put(reference(predictor, ROWS)),
            signature=signature,
            card=predictor.card,
            created_at=now,
        )
    )
    store.runs.complete(run_id, now, version.name, version.version)
    if endpoint is not None:
        store.endpoints.deploy(endpoint, version, now)
    return version


def served(root: Path, endpoint: str) -> Iterator[Store]:
    """A new store in a folder, of which an endpoint serves the classifier; closed when a fixture is done with it."""
    with closing(Store.open(root)) as store:
        publish(store, classifier(), endpoint=endpoint)
        yield store


def reference(predictor: Predictor, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The Parquet file of a reference sample: the rows as inputs, and what the model makes of them."""
    from storage.boundary import typed

    strings = {"amount": pl.Float64, "town": pl.String, "visits": pl.Int64, "seen": pl.String}
    inputs = typed(predictor.signature, pl.DataFrame(list(rows), schema=strings))
    outputs = predictor.predict(inputs).rename(lambda column: OUTPUT_PREFIX + column)
    file = io.BytesIO()
    pl.concat([inputs, outputs], how="horizontal").write_parquet(file)
    return file.getvalue()


def card(task: Task) -> Card:
    """A card with made-up figures."""
    metric = "rmse" if task == "regression" else "roc_auc"
    return Card(
        name="demo",
        created_at=datetime(2024, 5, 1, tzinfo=UTC),
        rows=len(ROWS),
        seed=0,
        seconds=0.1,
        digest="0" * 64,
        scores=Scores(metric, 0.9, 0.9, 0.5, len(ROWS), {metric: 0.9}, {metric: 0.5}),
        parity=Parity(len(ROWS), 0.0, 0),
        members=(Member(0, "by hand", 1.0),),
        versions={"onnx": onnx.__version__},
    )


def _model(
    signature: Signature,
    shift: float,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Any],
    outputs: Sequence[onnx.ValueInfoProto],
) -> bytes:
    score, own = _score(signature, shift)
    graph = helper.make_graph(
        [*_joins(signature), *score, *nodes],
        "portable",
        [
            helper.make_tensor_value_info(name, _ELEM_TYPE[block], ["N", 1])
            for block in BLOCKS
            for name in signature.block(block)
        ],
        list(outputs),
        [numpy_helper.from_array(array, name) for name, array in {**own, **constants}.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    texts = {"signature": signature, "classes": signature.classes, "card": card(signature.task)}
    helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in texts.items()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _joins(signature: Signature) -> list[onnx.NodeProto]:
    """One Concat for each block that has columns: what `packed.pack` takes out again."""
    return [
        helper.make_node(
            "Concat",
            list(signature.block(block)),
            [PACK_TENSOR.format(block)],
            name=PACK_NODE.format(block),
            axis=1,
        )
        for block in BLOCKS
        if signature.block(block)
    ]


def _score(signature: Signature, shift: float) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Nodes for the tensor `score` [N,1], and their constants."""
    assert signature.block("number") == ("amount", "visits"), "the weights below belong to these columns"
    nodes = [
        helper.make_node("IsNaN", ["/number"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "/number"], ["number"]),
        helper.make_node("MatMul", ["number", "weights"], ["linear"]),
        helper.make_node(
            "LabelEncoder",
            ["/text"],
            ["bonus32"],
            domain="ai.onnx.ml",
            keys_strings=list(_BONUS),
            values_floats=list(_BONUS.values()),
            default_float=0.0,
        ),
        helper.make_node("Cast", ["bonus32"], ["bonus"], to=TensorProto.DOUBLE),
        helper.make_node("GreaterOrEqual", ["/time", "late_from"], ["is_late"]),
        helper.make_node("Cast", ["is_late"], ["late"], to=TensorProto.DOUBLE),
        helper.make_node("Sum", ["linear", "bonus", "late", "shift"], ["score"]),
    ]
    constants = {
        "zero": np.array([0.0]),
        "weights": np.array([[0.5], [-1.0]]),
        "late_from": np.array([_LATE_FROM_US], np.int64),
        "shift": np.array([shift], np.float64),
    }
    return nodes, constants
