"""What comes after the average of the members: calibrated probabilities, a threshold of decision, an interval.

Each of these heads is a small record, fitted on predictions for rows that the models had not seen. It applies itself
with NumPy and emits the nodes that do the same, all in float64:

    average ─┬─ calibration ─── probabilities ─── threshold ─── label
             └─ (of values) ─── prediction ────── interval

How far the two renderings may be apart stands with each. A calibration with steep parts enlarges whatever its input is
off by: float32 sums of trees are off by 1e-6, and a step of 0.2 within 0.0001 makes 2e-3 of it. The parity gate decides
on the whole file.
"""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_sigmoids, sigmoids
from autopilot.graph.trees import Tree, emit_trees

Values = NDArray[np.float64]

#: Probabilities are at least this before their logarithm is taken.
_LEAST_SHARE = 1e-12
#: Temperatures lie between 1/30 and 30: beyond, all probabilities are alike or all are 0 and 1.
_MOST_LOG_TEMPERATURE = math.log(30.0)
_MOST_THRESHOLDS = 200


class Temperature(Struct, frozen=True, tag="temperature"):
    """softmax(log p / T): T above 1 makes probabilities more cautious, below 1 bolder; no label changes.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Renderings agree within 1e-13.
    """

    temperature: float

    @classmethod
    def fit(cls, shares: Values, y: Values) -> Self:
        """The T of least log loss. shares: (rows, classes). y: (rows,) class numbers."""
        from scipy.optimize import minimize_scalar

        logs = np.log(np.maximum(shares, _LEAST_SHARE))
        right = logs[np.arange(len(y)), y.astype(np.int64)]

        def loss(log_temperature: float) -> float:
            coldness = math.exp(-log_temperature)
            return float(np.mean(np.log(np.exp(logs * coldness).sum(axis=1)) - right * coldness))

        bounds = (-_MOST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE)
        found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
        return cls(math.exp(found.x))

    def apply(self, shares: Values) -> Values:
        """(rows, classes) from the same."""
        scores = np.log(np.maximum(shares, _LEAST_SHARE)) / self.temperature
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, classes] from the same."""
        # One divisor for each class: onnxruntime leaves out a division by a single constant near 1.
        scores = g.op("Div", _emit_log(g, shares), g.const(np.full(classes, self.temperature)))
        return g.op("Softmax", scores, axis=1)


class Sigmoid(Struct, frozen=True, tag="sigmoid"):
    """1 / (1 + exp(-(a · log(p / (1 - p)) + b))) for each class, then divided by their sum.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, on the log-odds; a = 1 and b = 0 change nothing.
    Two classes have one curve, the second seen from the first. Renderings agree within 1e-13.

    a, b: one for each class.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]

    @classmethod
    def fit(cls, shares: Values, y: Values) -> Self:
        """Curves of least log loss against Platt's targets, each class against the rest.

        shares: (rows, classes). y: (rows,) class numbers.
        """
        odds = _log_odds(shares)
        if shares.shape[1] == 2:
            a, b = fit_platt(odds[:, 1], y == 1)
            return cls((a, a), (-b, b))
        curves = [fit_platt(odds[:, index], y == index) for index in range(shares.shape[1])]
        return cls(tuple(a for a, _ in curves), tuple(b for _, b in curves))

    def apply(self, shares: Values) -> Values:
        """(rows, classes) from the same."""
        return sigmoids(_log_odds(shares) * np.array(self.a) + np.array(self.b))

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, classes] from the same."""
        rest = g.op("Sub", g.const(np.ones(classes)), shares)
        odds = g.op("Sub", _emit_log(g, shares), _emit_log(g, rest))
        scores = g.op("Add", g.op("Mul", odds, g.const(np.array(self.a))), g.const(np.array(self.b)))
        return emit_sigmoids(g, scores, classes)


class Isotonic(Struct, frozen=True, tag="isotonic"):
    """A rising line through knots for each class, level beyond the outer ones, then divided by their sum.

    Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002;
    between knots it interpolates as scikit-learn does. If all classes get 0, all are equally likely. Renderings agree
    to the bit for two classes, and within 1e-15 for more.

    knots, levels: for each class, probabilities in rising order and what they become.
    """

    knots: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, shares: Values, y: Values) -> Self:
        """Lines of least squared error, each class against the rest.

        shares: (rows, classes). y: (rows,) class numbers.
        """
        from sklearn.isotonic import IsotonicRegression

        knots: list[tuple[float, ...]] = []
        levels: list[tuple[float, ...]] = []
        for index, share in enumerate(shares.T):
            found: Any = IsotonicRegression().fit(share, y == index)
            knots.append(tuple(found.X_thresholds_.tolist()))
            levels.append(tuple(found.y_thresholds_.tolist()))
        return cls(tuple(knots), tuple(levels))

    def apply(self, shares: Values) -> Values:
        """(rows, classes) from the same."""
        x = np.clip(shares, *self._ends())
        index = np.column_stack([np.searchsorted(knots[1:-1], x[:, k]) for k, knots in enumerate(self.knots)])
        begins, widths, levels, rises = (table[index + self._first_segments()] for table in self._segments())
        return _normalized(levels + rises * ((x - begins) / widths))

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, classes] from the same."""
        low, high = (g.const(end) for end in self._ends())
        x = g.op("Min", g.op("Max", shares, low), high)
        index = _emit_search(g, x, [knots[1:-1] for knots in self.knots], self._first_segments().tolist())
        begins, widths, levels, rises = (g.op("Gather", g.const(table), index) for table in self._segments())
        risen = g.op("Mul", rises, g.op("Div", g.op("Sub", x, begins), widths))
        return _emit_normalized(g, g.op("Add", levels, risen), classes)

    def _ends(self) -> tuple[Values, Values]:
        """First and last knot of each class."""
        return np.array([knots[0] for knots in self.knots]), np.array([knots[-1] for knots in self.knots])

    def _first_segments(self) -> NDArray[np.int64]:
        """Where each class begins in the tables of segments."""
        counts = [max(1, len(knots) - 1) for knots in self.knots]
        return np.cumsum([0, *counts[:-1]])

    def _segments(self) -> list[Values]:
        """Where each segment begins, its width, its level there, and its rise; the classes' one after the other."""
        parts = [_segments(np.array(x), np.array(y)) for x, y in zip(self.knots, self.levels, strict=True)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


class Threshold(Struct, frozen=True):
    """Of two classes the second, if its probability is at least the threshold.

    Compared in float32, as the probabilities leave the model, so that the label follows from what a caller sees.
    Renderings agree wherever the float32 probabilities do.
    """

    threshold: float

    @classmethod
    def fit(cls, shares: Values, y: Values, score: Callable[[Values, Values], float]) -> Self:
        """The threshold of greatest `score(y, class numbers)`; 0.5 if none is better.

        shares: (rows, 2). y: (rows,) class numbers. Tried are at most 200 midpoints between probabilities that
        occurred: no row that was seen lies on the threshold.
        """
        rounded = shares.astype(np.float32)
        second = np.unique(rounded[:, 1]).astype(np.float64)
        between = (second[1:] + second[:-1]) / 2
        spread = np.linspace(0, len(between) - 1, min(_MOST_THRESHOLDS, len(between))).astype(np.int64)
        heads = [cls(0.5), *(cls(threshold) for threshold in between[spread].tolist())]
        return max(heads, key=lambda head: score(y, head.apply(rounded).astype(np.float64)))

    def apply(self, shares: NDArray[np.float32]) -> NDArray[np.int64]:
        """Class numbers (rows,) from (rows, 2)."""
        return (shares[:, 1] >= np.float32(self.threshold)).astype(np.int64)

    def emit(self, g: Graph, shares: str) -> str:
        """int64 [N] from float [N, 2]."""
        second = g.op("Gather", shares, g.const(np.int64(1)), axis=1)
        return g.cast(g.op("GreaterOrEqual", second, g.const(np.float32(self.threshold))), TensorProto.INT64)


class Interval(Struct, frozen=True):
    """prediction ± half-width: holds the true value of about the share `coverage` of new rows, whatever the model.

    Conformal prediction (Vovk et al., 2005; Lei et al., "Distribution-Free Predictive Inference for Regression", 2018):
    the half-width is the residual of rank ⌈(n + 1) · coverage⌉ among n sorted absolute ones of rows that the model had
    not seen. With edges, each range of predictions has a half-width of its own (Mondrian conformal prediction).
    Renderings agree to the bit.

    edges: predictions in rising order, where the next range begins just above. half_widths: one more than edges.
    """

    coverage: float
    edges: tuple[float, ...]
    half_widths: tuple[float, ...]

    @classmethod
    def fit(cls, predicted: Values, y: Values, coverage: float = 0.9, ranges: int = 1) -> Self:
        """From predictions of unseen rows and the true values, both (rows,).

        ranges: of predictions, each with as many rows. Raises ValueError if a range has too few rows for the coverage.
        """
        edges = np.unique(np.quantile(predicted, np.arange(1, ranges) / ranges))
        range_of = np.searchsorted(edges, predicted)
        residuals = np.abs(y - predicted)
        widths = [_conformal(residuals[range_of == number], coverage) for number in range(len(edges) + 1)]
        return cls(coverage, tuple(edges.tolist()), tuple(widths))

    def apply(self, prediction: Values) -> Values:
        """Lower and upper ends (rows, 2) from (rows,)."""
        half = np.array(self.half_widths)[np.searchsorted(self.edges, prediction)]
        return np.column_stack([prediction - half, prediction + half])

    def emit(self, g: Graph, prediction: str) -> str:
        """double [N, 2] from double [N, 1]."""
        half = g.op("Gather", g.const(np.array(self.half_widths)), _emit_search(g, prediction, [self.edges], [0]))
        return g.op("Concat", g.op("Sub", prediction, half), g.op("Add", prediction, half), axis=1)


class Head(Struct, frozen=True):
    """All that comes after the average; what is None is left out.

    calibration and threshold are for classes (the threshold for two), the interval is for values.
    """

    calibration: Temperature | Sigmoid | Isotonic | None = None
    threshold: Threshold | None = None
    interval: Interval | None = None


#: The average as it is.
NO_HEAD = Head()


def fit_platt(scores: Values, is_class: NDArray[np.bool_]) -> tuple[float, float]:
    """a and b of 1 / (1 + exp(-(a · score + b))), by least log loss against Platt's targets.

    scores: (rows,). is_class: (rows,), whether the row is of the class. The targets lie a little inside 0 and 1, by how
    many rows there are of each.
    """
    from scipy.optimize import minimize

    inside, outside = int(is_class.sum()), int((~is_class).sum())
    target = np.where(is_class, (inside + 1) / (inside + 2), 1 / (outside + 2))

    def loss(ab: Values) -> tuple[float, Values]:
        curve = ab[0] * scores + ab[1]
        error = 1.0 / (1.0 + np.exp(-np.clip(curve, -700, 700))) - target
        value = float(np.mean(np.logaddexp(0.0, curve) - target * curve))
        return value, np.array([np.mean(error * scores), np.mean(error)])

    found: Any = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-9})
    return float(found.x[0]), float(found.x[1])


def _log_odds(shares: Values) -> Values:
    return np.log(np.maximum(shares, _LEAST_SHARE)) - np.log(np.maximum(1.0 - shares, _LEAST_SHARE))


def _emit_log(g: Graph, shares: str) -> str:
    return g.op("Log", g.op("Max", shares, g.const(np.float64(_LEAST_SHARE))))


def _normalized(found: Values) -> Values:
    """Each row divided by its sum; equal shares where that is 0."""
    total = found.sum(axis=1, keepdims=True)
    is_any = total > 0
    return np.where(is_any, found / np.where(is_any, total, 1.0), 1.0 / found.shape[1])


def _emit_normalized(g: Graph, found: str, classes: int) -> str:
    total = g.op("ReduceSum", found, g.const(np.array([1])), keepdims=1)
    is_any = g.op("Greater", total, g.const(np.float64(0)))
    divisor = g.op("Where", is_any, total, g.const(np.float64(1)))
    return g.op("Where", is_any, g.op("Div", found, divisor), g.const(np.float64(1 / classes)))


def _segments(knots: Values, levels: Values) -> tuple[Values, Values, Values, Values]:
    """Begin, width, level and rise of the segments between knots; a single knot makes one level segment.

    Not their slope: between knots that lie as near as float64 can tell, it would be infinite.
    """
    if len(knots) == 1:
        return knots, np.ones(1), levels, np.zeros(1)
    return knots[:-1], np.diff(knots), levels[:-1], np.diff(levels)


def _emit_search(g: Graph, x: str, edges: "list[tuple[float, ...]]", first: list[int]) -> str:
    """int64 [N, columns] from double [N, columns]: first[k] + how many of edges[k] are below column k.

    One tree ensemble: a leaf that gives first[k], and a stump for each edge, x <= edge ? 0 : 1. It compares in float64
    and adds small whole numbers, so it is exact; a matrix of comparisons would take rows × columns × edges of memory.
    """
    trees = [_leaf(begin) for begin in first]
    targets = list(range(len(first)))
    for column, column_edges in enumerate(edges):
        trees += [_stump(column, edge) for edge in column_edges]
        targets += [column] * len(column_edges)
    return g.cast(emit_trees(g, x, trees, targets, double=True), TensorProto.INT64)


def _leaf(value: int) -> Tree:
    none = np.zeros(1, dtype=np.int64)
    return Tree(none - 1, np.zeros(1), none, none, none.astype(bool), np.array([[float(value)]]))


def _stump(feature: int, edge: float) -> Tree:
    """0 where the feature is at most the edge, else 1."""
    return Tree(
        feature=np.array([feature, -1, -1]),
        threshold=np.array([edge, 0.0, 0.0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        missing_left=np.zeros(3, dtype=bool),
        value=np.array([[0.0], [0.0], [1.0]]),
    )


def _conformal(residuals: Values, coverage: float) -> float:
    """The half-width from absolute residuals (rows,)."""
    rank = math.ceil((len(residuals) + 1) * coverage)
    if rank > len(residuals):
        least = math.ceil(coverage / (1 - coverage))
        raise ValueError(
            f"An interval of coverage {coverage:g} needs {least} rows in each range of predictions; one has "
            f"{len(residuals)}. Give more rows, fewer ranges or a lower coverage."
        )
    return float(np.sort(residuals)[rank - 1])
