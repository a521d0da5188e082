"""From scores to probabilities, in training and in the graph: float64 both times."""

import numpy as np
from numpy.typing import NDArray

from autopilot.graph.graph import Graph


def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (rows, classes) from log-odds (rows, 1) of the second class, or from scores (rows, classes)."""
    if scores.shape[1] == 1:
        second = 1.0 / (1.0 + np.exp(-np.clip(scores, -700, 700)))
        return np.hstack([1.0 - second, second])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def emit_shares(g: Graph, scores: str, width: int) -> str:
    """The same nodes: double [N, classes] from double [N, width]."""
    if width > 1:
        return g.op("Softmax", scores, axis=1)
    second = g.op("Sigmoid", scores)
    return emit_pair(g, second)


def sigmoids(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (rows, classes) from each class's log-odds against the rest: their sigmoids over their sum."""
    found = 1.0 / (1.0 + np.exp(-np.clip(scores, -700, 700)))
    return found / found.sum(axis=1, keepdims=True)


def emit_sigmoids(g: Graph, scores: str, classes: int) -> str:
    """The same nodes: double [N, classes] from the same.

    Not by "Sigmoid": below 0 onnxruntime gives 1 - 1 / (1 + exp(x)), whose last digits a small sum would enlarge.
    """
    limited = g.op("Clip", scores, g.const(np.float64(-700)), g.const(np.float64(700)))
    powers = g.op("Exp", g.op("Neg", limited))
    found = g.op("Reciprocal", g.op("Add", powers, g.const(np.ones(classes))))
    return g.op("Div", found, g.op("ReduceSum", found, g.const(np.array([1])), keepdims=1))


def emit_pair(g: Graph, second: str) -> str:
    """double [N, 2] from the second class's probability [N, 1]."""
    return g.op("Concat", g.op("Sub", g.const(np.float64(1)), second), second, axis=1)
