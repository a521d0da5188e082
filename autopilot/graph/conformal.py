"""How sure an answer is: an interval around a value, a set of classes, that hold the truth as often as they say.

Conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005) measures how far off
predictions of unseen rows were, whatever the model, and takes the quantile of that. Among n rows the one of rank
⌈(n + 1) · coverage⌉ holds for a new row with at least that probability, if the new row is as the others were. The rows
are those of cross-validation, as in CV+ (Barber et al., "Predictive inference with the jackknife+", 2021), but what
answers is one model that was trained again on all of them, so that at prediction time there is one model to ask.

Weights count a row as so many (Tibshirani et al., "Conformal Prediction Under Covariate Shift", 2019): the quantile is
that of the weighted rows, with the new row among them at the mean weight.
"""

import math
from typing import Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: Rows of a range of predictions, or of a class, that has a quantile of its own.
_LEAST_ROWS = 50


class Interval(Struct, frozen=True):
    """prediction ± half-width: holds the true value of at least about the share `coverage` of new rows.

    Each range of predictions has a half-width of its own (Mondrian conformal prediction): large values are often
    further off than small ones. The half-width is the conformal quantile of the absolute residuals in the range (Lei et
    al., "Distribution-Free Predictive Inference for Regression", 2018). Renderings agree to the bit.

    edges: predictions in rising order, where the next range begins just above. half_widths: one more than edges.
    """

    coverage: float
    edges: tuple[float, ...]
    half_widths: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        predicted: Values,
        y: Values,
        coverage: float = 0.9,
        ranges: int = 1,
        weights: Values | None = None,
        copies: float = 1.0,
    ) -> Self:
        """From predictions of unseen rows and the true values, both (rows,).

        ranges: of predictions, each with as many rows, at most; equal predictions are in one range. weights: (rows,).
        copies: how many times each row occurs. Raises ValueError if there are too few rows for the coverage.
        """
        edges = _edges(predicted, ranges, copies)
        range_of = np.searchsorted(edges, predicted)
        residuals = np.abs(y - predicted)
        widths = [
            conformal_quantile(residuals[inside], coverage, None if weights is None else weights[inside], copies)
            for inside in (range_of == number for number in range(len(edges) + 1))
        ]
        return cls(coverage, tuple(edges.tolist()), tuple(widths))

    def apply(self, prediction: Values) -> Values:
        """Lower and upper ends (rows, 2) from (rows,)."""
        half = np.array(self.half_widths)[np.searchsorted(self.edges, prediction)]
        return np.column_stack([prediction - half, prediction + half])

    def margin(self, prediction: Values) -> Values:
        """How far each prediction (rows,) is from another range."""
        return np.abs(prediction[:, None] - np.array(self.edges)).min(axis=1, initial=np.inf)

    def emit(self, g: Graph, prediction: str) -> str:
        """double [N, 2] from double [N, 1]."""
        # Both ends at once: onnxruntime leaves out the addition of a single constant near 0.
        ends = g.const(np.column_stack([-np.array(self.half_widths), self.half_widths]))
        if self.edges:
            is_above = g.cast(g.op("Greater", prediction, g.const(np.array(self.edges))), TensorProto.INT64)
            ends = g.op("Gather", ends, g.op("ReduceSum", is_above, g.const(np.array([1])), keepdims=0), axis=0)
        return g.op("Add", prediction, ends)


class Sets(Struct, frozen=True):
    """The classes that a row may have: those whose probability reaches their cut, and the label.

    A set holds the true class of at least about the share `coverage` of new rows, and of each class's own: the cut is
    the conformal quantile of its rows' probabilities of it. Without that the sets of a rare class would miss it nearly
    always, and still cover nine of ten rows. Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers with
    Bounded Error Levels", 2019. The label is always in the set, so that none is empty: a model whose labels are right
    more often than the coverage asks for has sets that cover more.

    Compared in float32, as the probabilities leave the model; renderings agree wherever those do.

    cuts: one for each class.
    """

    coverage: float
    cuts: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        shares: Values,
        y: Values,
        coverage: float = 0.9,
        weights: Values | None = None,
        copies: float = 1.0,
    ) -> Self:
        """From probabilities of unseen rows (rows, classes) and class numbers (rows,).

        Classes of fewer than 50 rows share a cut, with the next larger ones until they are 50. weights: (rows,).
        copies: how many times each row occurs. Raises ValueError if there are too few rows for the coverage.
        """
        number = y.astype(np.int64)
        missed = -shares.astype(np.float32)[np.arange(len(y)), number].astype(np.float64)
        group_of = _groups(np.bincount(number, minlength=shares.shape[1]) / copies)
        cuts = np.empty(shares.shape[1])
        for group in np.unique(group_of):
            inside = group_of[number] == group
            chosen = None if weights is None else weights[inside]
            cuts[group_of == group] = -conformal_quantile(missed[inside], coverage, chosen, copies)
        return cls(coverage, tuple(cuts.tolist()))

    def apply(self, shares: NDArray[np.float32], label: Numbers) -> NDArray[np.bool_]:
        """Which classes are in each row's set, (rows, classes).

        shares: (rows, classes). label: class numbers (rows,).
        """
        found = shares >= np.array(self.cuts, dtype=np.float32)
        found[np.arange(len(label)), label] = True
        return found

    def margin(self, shares: NDArray[np.float32]) -> Values:
        """How far each class of each row (rows, classes) is from its cut, as a probability."""
        return np.abs(shares.astype(np.float64) - np.array(self.cuts))

    def emit(self, g: Graph, shares: str, label: str) -> str:
        """bool [N, classes] from float [N, classes] and class numbers int64 [N]."""
        reached = g.op("GreaterOrEqual", shares, g.const(np.array(self.cuts, dtype=np.float32)))
        labels = g.op("Unsqueeze", label, g.const(np.array([1])))
        return g.op("Or", reached, g.op("Equal", labels, g.const(np.arange(len(self.cuts)))))


def conformal_quantile(scores: Values, coverage: float, weights: Values | None = None, copies: float = 1.0) -> float:
    """The score that at least the share `coverage` of new rows does not exceed.

    scores: (rows,), how far off each was. weights: (rows,). copies: how many times each row occurs, as in repeated
    cross-validation; it counts once. Raises ValueError if there are too few rows for the coverage.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)  # ⌈20 · 0.9⌉ of 19
    18.0
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(np.ones(len(scores)) if weights is None else weights[order])
    rows = effective_rows(len(scores), weights) / copies
    wanted = reached[-1] * coverage * (1 + 1 / rows) if len(scores) else math.inf
    at = int(np.searchsorted(reached, wanted * (1 - 1e-12))) if len(scores) else 0
    if at >= len(scores):
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise ValueError(
            f"A coverage of {coverage:g} needs {least} rows in each range of predictions or class; one has "
            f"{rows:.0f}. Give more rows, fewer ranges or a lower coverage."
        )
    return float(scores[order[at]])


def effective_rows(rows: int, weights: Values | None) -> float:
    """As many rows of equal weight tell as much (Kish, "Survey Sampling", 1965). weights: (rows,)."""
    return float(rows) if weights is None or not rows else float(weights.sum() ** 2 / (weights**2).sum())


def _edges(predicted: Values, ranges: int, copies: float) -> Values:
    """Where ranges of predictions meet: up to ranges - 1 edges, with enough rows below and above each."""
    kept: list[float] = []
    ordered = np.sort(predicted)
    below = 0
    for edge in np.unique(np.quantile(predicted, np.arange(1, ranges) / ranges)).tolist():
        upto = int(np.searchsorted(ordered, edge, side="right"))
        if min(upto - below, len(ordered) - upto) >= _LEAST_ROWS * copies:
            kept.append(edge)
            below = upto
    return np.array(kept)


def _groups(rows: Values) -> Numbers:
    """A group for each class, each of enough rows. rows: (classes,), how many there are of each."""
    order = np.argsort(rows, kind="stable")
    upto = np.cumsum(rows[order])
    together = 1 + int(np.searchsorted(upto, _LEAST_ROWS))
    group_of = np.empty(len(rows), dtype=np.int64)
    group_of[order] = np.maximum(0, np.arange(len(rows)) - together + 1)
    return group_of
