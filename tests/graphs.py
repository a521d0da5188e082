"""Running what a plan, an op or a candidate emits with onnxruntime."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper

from autopilot.graph.graph import Graph
from autopilot.plan import Plan
from autopilot.plan.op import Op, Target
from storage import Column, Signature
from storage.boundary import blocks_of_frame
from storage.predictor import open_session
from storage.signature import BLOCKS


def run(signature: Signature, emit: Callable[[Graph], str], frame: pl.DataFrame, dtype: int = TensorProto.FLOAT) -> Any:
    """What nodes give for a typed frame: (rows, any)."""
    g = Graph(signature)
    g.add_output(emit(g), "out")
    model = g.model([helper.make_tensor_value_info("out", dtype, ["N", None])])
    blocks = blocks_of_frame(signature, frame)
    feeds = {
        name: getattr(blocks, block)[:, [index]]
        for block in BLOCKS
        for index, name in enumerate(signature.block(block))
    }
    return open_session(model.SerializeToString()).run(["out"], feeds)[0]


def features_of_op(op: Op, signature: Signature, frame: pl.DataFrame) -> NDArray[np.float32]:
    """An op's features by its graph."""
    return run(signature, lambda g: op.onnx(g, g.columns(op.block, op.columns)), frame)


def features_by_polars(op: Op, frame: pl.DataFrame, exprs: Sequence[pl.Expr] | None = None) -> NDArray[np.float32]:
    """An op's features by its expressions, or by others of its own."""
    named = [expr.alias(str(index)) for index, expr in enumerate(op.polars() if exprs is None else exprs)]
    return frame.with_columns(op.intermediate()).select(named).to_numpy()


def both(op: Op | None, signature: Signature, frame: pl.DataFrame) -> list[list[float]]:
    """An op's features, which both renderings have to agree on."""
    assert op is not None
    expected, found = features_by_polars(op, frame), features_of_op(op, signature, frame)
    assert bits(found).tolist() == bits(expected).tolist()
    return found.tolist()


def features_of_plan(plan: Plan, signature: Signature, frame: pl.DataFrame) -> NDArray[np.float32]:
    """A plan's features by its graph."""
    return run(signature, plan.emit, frame)


def run_on_matrix(emit: Callable[[Graph, str], str], X: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a fitted candidate emits, fed with a feature matrix as it is."""
    signature = Signature("regression", "y", tuple(Column(f"x{i}", "number", "Float64") for i in range(X.shape[1])))
    frame = pl.DataFrame(X.astype(np.float64), schema=list(signature.names)).fill_nan(None)

    def widen(g: Graph) -> str:
        features = g.cast(g.columns("number", signature.names), TensorProto.FLOAT)
        return emit(g, features)

    return run(signature, widen, frame, TensorProto.DOUBLE)


def known(frame: pl.DataFrame, target: Target, folds: list[int]) -> pl.DataFrame:
    """A frame as ops see it while they are fitted: with the target and the folds beside the raw columns."""
    return frame.with_columns(target.columns(np.array(folds, dtype=np.int64)))


def bits(features: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The bits of float32 features, with one NaN for all."""
    return np.where(np.isnan(features), np.float32(np.nan), features).view(np.uint32)
