"""What one row costs in each part of a graph, measured on this machine.

A part is timed alone, as serving will run it: in a graph of its own with packed inputs, on one thread. What a graph
with nothing in it takes is measured beside it, round by round, and subtracted, so that parts can be added up:

    one row = base + plan "trees" + lightgbm + extra_trees + plan "linear" + linear

Others use the machine too, so a time is the least of the medians of some rounds: what the part takes when it is left
alone. The sum is a price to choose by; what a finished file takes is measured by `model_us`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from autopilot.candidates.candidate import Fitted, Matrix
from autopilot.graph.graph import Graph
from autopilot.plan import Plan, Recipe
from storage.boundary import RowReader, blocks_of_frame
from storage.packed import PACK_TENSOR, pack, read_extra
from storage.predictor import open_session
from storage.signature import BLOCKS, Block, Column, Signature

Feed = dict[str, NDArray[Any]]

_OUTPUT = "out"
#: Rows of a round, and different ones in all. The processor learns by heart which way 16 rows go through 100 trees:
#: they took a sixth of what fresh rows take.
_ROWS, _MOST_ROWS = 64, 256
#: A part is timed for so long, beside the time that it takes to open its session.
_LIMIT_S = 0.04
_LEAST_ROUNDS, _MOST_ROUNDS = 4, 20
#: Rounds end after this even if there were fewer: a row of 2,000 columns takes milliseconds, and is timed well enough.
_MOST_S = 0.2
#: Nodes of a tree ensemble that are timed. Writing 300,000 nodes and opening them takes 0.7 s, a fifth of them 0.2 s.
_MOST_TREE_NODES = 60_000


class Latency(Struct, frozen=True):
    """Predicts what one row costs in a blend, in microseconds.

    base_us: of the whole model of a constant guess. plans_us: of each recipe's features; one that is absent counts
    nothing. models: that each member, and each recipe's plan, is in the graph with: one, or one for each fold.

    >>> latency = Latency(12.0, {"trees": 5.0, "linear": 8.0})
    >>> latency.of(["trees", "trees"], [20.0, 30.0]), latency.of(["linear"], [2.0])
    (67.0, 22.0)
    """

    base_us: float
    plans_us: Mapping[Recipe, float]
    models: int = 1

    def of(self, recipes: Iterable[Recipe], members_us: Iterable[float]) -> float:
        """Of members with these recipes; features that several read are computed once."""
        features_us = sum(self.plans_us.get(recipe, 0.0) for recipe in sorted(set(recipes)))
        return self.base_us + self.models * (features_us + sum(members_us))


def model_us(model: bytes, signature: Signature, frame: pl.DataFrame) -> float:
    """A whole portable file: a row as a dictionary in, its usual outputs as Python values out.

    Of a constant guess it is the base. frame: typed rows, of which some are used.
    """
    reader = RowReader(signature)
    run = open_session(pack(model, _widths(signature), without=read_extra(model))).run

    def call(row: dict[str, Any]) -> list[Any]:
        return [output.tolist() for output in run(None, _feed(signature, reader.read([row])))]

    return _least_us([call], _few(frame).to_dicts())[0]


def plan_us(plan: Plan, signature: Signature, frame: pl.DataFrame) -> float:
    """The feature nodes of a plan: raw columns in, the matrix out. frame: typed rows, of which some are used."""
    some = _few(frame)
    feeds = [_feed(signature, blocks_of_frame(signature, some[row : row + 1])) for row in range(some.height)]
    whole = _packed(Graph(signature), plan.emit, TensorProto.FLOAT)
    return _net_us(whole, _packed(Graph(signature), _nothing, TensorProto.INT64), feeds)


def member_us(fitted: Fitted, X: Matrix) -> float:
    """The nodes of a trained model: its features in, its outputs out.

    X: real rows, of which some are used: which way a row takes through a tree decides what it costs. Of tree ensembles
    with more than 60,000 nodes only some trees are timed, and the time is scaled up; that gave 0.5 to 1.1 of what the
    whole took, least where all trees together are too large for the processor's cache.
    """
    width = X.shape[1]
    signature = Signature("regression", "", tuple(Column(str(number), "number", "Float32") for number in range(width)))
    feeds = [{PACK_TENSOR.format("number"): row[None].astype(np.float64)} for row in X[_some(len(X))]]
    g = _FewTrees(signature)
    whole = _packed(g, lambda g: fitted.emit(g, _features(g)), TensorProto.DOUBLE)
    return g.scale * _net_us(whole, _packed(Graph(signature), _features, TensorProto.FLOAT), feeds)


class _FewTrees(Graph):
    """A graph that takes on only some trees of a large ensemble, evenly drawn."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(signature)
        self._nodes_given = self._nodes_taken = 0

    @property
    def scale(self) -> float:
        """Nodes that there were for each that was taken."""
        return self._nodes_given / self._nodes_taken if self._nodes_taken else 1.0

    def outputs(self, count: int, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """As the graph's own."""
        if kind == "TreeEnsembleRegressor":
            given = len(attributes["nodes_treeids"])
            attributes = _every(-(-given // _MOST_TREE_NODES), attributes)
            self._nodes_given += given
            self._nodes_taken += len(attributes["nodes_treeids"])
        return super().outputs(count, kind, *inputs, domain=domain, **attributes)


def _every(step: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a tree ensemble with only every so many-th tree."""
    if step == 1:
        return attributes
    chosen = {part: np.array(attributes[f"{part}_treeids"]) % step == 0 for part in ("nodes", "target")}
    return {name: _chosen(value, chosen.get(name.split("_")[0])) for name, value in attributes.items()}


def _chosen(value: Any, chosen: NDArray[np.bool_] | None) -> Any:
    if chosen is None:
        return value
    if isinstance(value, list):
        return list(compress(value, chosen.tolist()))
    return numpy_helper.from_array(numpy_helper.to_array(value)[chosen])


def _features(g: Graph) -> str:
    return g.cast(PACK_TENSOR.format("number"), TensorProto.FLOAT)


def _nothing(g: Graph) -> str:
    """The shape of an input: a graph has to give something."""
    return g.op("Shape", next(PACK_TENSOR.format(block) for block in BLOCKS if g.signature.block(block)))


def _packed(g: Graph, emit: Callable[[Graph], str], kind: int) -> bytes:
    """A graph that gives what `emit` says, of this element type, with packed inputs."""
    g.add_output(emit(g), _OUTPUT)
    shape = ["N"] if kind == TensorProto.INT64 else ["N", "M"]
    model = g.model([helper.make_tensor_value_info(_OUTPUT, kind, shape)])
    return pack(model.SerializeToString(), _widths(g.signature))


def _widths(signature: Signature) -> dict[Block, int]:
    return {block: len(signature.block(block)) for block in BLOCKS}


def _feed(signature: Signature, blocks: tuple[NDArray[Any], ...]) -> Feed:
    named = zip(BLOCKS, blocks, strict=True)
    return {PACK_TENSOR.format(block): values for block, values in named if signature.block(block)}


def _few(frame: pl.DataFrame) -> pl.DataFrame:
    return frame[_some(frame.height)]


def _some(rows: int) -> NDArray[np.int64]:
    """Numbers of a few rows, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _MOST_ROWS)).astype(np.int64))


def _net_us(whole: bytes, empty: bytes, feeds: list[Feed]) -> float:
    """Microseconds that a row takes longer in one graph than in the other, at least 0."""
    calls = [open_session(model).run for model in (whole, empty)]
    whole_us, empty_us = _least_us([partial(call, [_OUTPUT]) for call in calls], feeds)
    return max(0.0, whole_us - empty_us)


def _least_us(calls: list[Callable[[Any], object]], rows: list[Any]) -> list[float]:
    """What a row takes in each call: the least over some rounds, in which the calls take turns with the same rows."""
    began = time.perf_counter()
    chunks = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
    found: list[list[float]] = []
    while len(found) < _MOST_ROUNDS:
        found.append([_median_us(call, chunks[len(found) % len(chunks)]) for call in calls])
        if time.perf_counter() - began > (_LIMIT_S if len(found) >= _LEAST_ROUNDS else _MOST_S):
            break
    return np.min(found, axis=0).tolist()


def _median_us(call: Callable[[Any], object], rows: list[Any]) -> float:
    times: list[int] = []
    for row in rows:
        began = time.perf_counter_ns()
        call(row)
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times)) / 1000
