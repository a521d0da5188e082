"""Running what a plan, an op or a candidate emits with onnxruntime."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper

from autopilot.graph.graph import Graph
from autopilot.graph.parity import portable_feeds
from autopilot.plan import Plan
from autopilot.plan.levels import Levels
from autopilot.plan.op import Op, Rows, Target
from autopilot.plan.tokens import Tokens
from storage import Column, Signature
from storage.boundary import blocks_of_frame
from storage.predictor import open_session

if TYPE_CHECKING:
    from autopilot.plan.ops import AnyOp


def run(signature: Signature, emit: Callable[[Graph], str], frame: pl.DataFrame, dtype: int = TensorProto.FLOAT) -> Any:
    """What nodes give for a typed frame: (rows, any)."""
    g = Graph(signature)
    g.add_output(emit(g), "out")
    model = g.model([helper.make_tensor_value_info("out", dtype, ["N", None])])
    feeds = portable_feeds(signature, blocks_of_frame(signature, frame))
    return open_session(model.SerializeToString()).run(["out"], feeds)[0]


def rows_of(
    signature: Signature, frame: pl.DataFrame, target: Target | None = None, folds: Sequence[int] | None = None
) -> Rows:
    """Training rows as ops see them; without a target, zeros to regress on; without folds, one for all rows."""
    return Rows.of(
        frame,
        signature,
        Target(np.zeros(frame.height), 1) if target is None else target,
        np.zeros(frame.height, dtype=np.int64) if folds is None else np.array(folds, dtype=np.int64),
        0,
    )


def training_features(op: Op, rows: Rows) -> NDArray[np.float32]:
    """The features of the training rows themselves."""
    named = [expr.alias(str(index)) for index, expr in enumerate(op.of_training(rows))]
    return rows.frame.with_columns(op.intermediate()).select(named).to_numpy()


def both(
    op: Op | None,
    signature: Signature,
    frame: pl.DataFrame,
    levels: Levels | None = None,
    tokens: Tokens | None = None,
) -> list[list[float]]:
    """An op's features, which both renderings have to agree on to the bit."""
    assert op is not None
    plan = Plan(levels or Levels(), tokens or Tokens(), (cast("AnyOp", op),))
    expected, found = plan.features(frame), features_of_plan(plan, signature, frame)
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


def bits(features: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The bits of float32 features, with one NaN for all."""
    return np.where(np.isnan(features), np.float32(np.nan), features).view(np.uint32)
