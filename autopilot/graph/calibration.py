"""What comes after the average of the members: calibrated probabilities, a decision, an interval or a set.

Each of these heads is a small record, fitted on predictions for rows that the models had not seen
(`autopilot/search/head.py` chooses which are worth having). It applies itself with NumPy and emits the nodes that do
the same:

    average ─┬─ calibration ─── probabilities ─┬─ decision ─── label
             │                                 └─ sets ─────── set
             └─ (of values) ─── prediction ────── interval

How far the two renderings may be apart stands with each. A calibration with steep parts enlarges whatever its input is
off by, and sums of float32 trees are off by 1e-7. So there are no step functions here: isotonic regression also lost to
`Beta` on nearly every table that was measured.
"""

import math
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.graph.conformal import Interval, Sets
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares
from autopilot.graph.shares import shares as shares_of

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: What is added to probabilities before their logarithm is taken; the first with which a calibration is not too steep.
_FLOORS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: Most that a calibration may enlarge a difference: 40 · 1e-7, what float32 leaves open, is within the gate's 1e-5.
_MOST_STEEPNESS = 40.0
#: Temperatures lie between 1/30 and 30: beyond, all probabilities are alike or all are 0 and 1.
_MOST_LOG_TEMPERATURE = math.log(30.0)
#: Where between 0 and 1 steepness is looked at: near both ends, where logarithms are steep, most closely.
_ENDS = np.concatenate([[0.0], np.logspace(-9, math.log10(0.5), 200)])
_LOOKED_AT = np.concatenate([_ENDS, 1.0 - _ENDS])

#: Thresholds tried first, and then between the neighbours of the best.
_TRIED, _REFINED = 25, 10
#: Strengths of balancing tried first; then the best one's neighbours, half as far.
_STRENGTHS = tuple(step / 10 for step in range(1, 11))


class Succession(Struct, frozen=True, tag="succession"):
    """(1 - doubt) p + doubt / classes: what has not been wrong on a few rows is not certain yet; no label changes.

    Where rows are too few to fit anything. doubt: 1 / (rows + 2), by Laplace's rule of succession the chance that the
    next row is the first wrong one. Renderings agree within 1e-15.
    """

    doubt: float

    @classmethod
    def of(cls, rows: int) -> Self:
        """After so many rows."""
        return cls(1.0 / (rows + 2))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"Laplace's rule of succession (doubt {self.doubt:.2g})"

    def apply(self, shares: Values) -> Values:
        """(rows, classes) from the same."""
        return shares * (1.0 - self.doubt) + self.doubt / shares.shape[1]

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, classes] from the same."""
        # One factor and one summand for each class: onnxruntime leaves out single constants near 1 and 0.
        scaled = g.op("Mul", shares, g.const(np.full(classes, 1.0 - self.doubt)))
        return g.op("Add", scaled, g.const(np.full(classes, self.doubt / classes)))


class Temperature(Struct, frozen=True, tag="temperature"):
    """softmax(log(p + floor) / T): T above 1 makes probabilities more cautious, below 1 bolder; no label changes.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. The floor bounds how steep it is near 0.
    Renderings agree within 1e-13.
    """

    temperature: float
    floor: float = _FLOORS[0]

    @classmethod
    def fit(cls, shares: Values, y: Values, weights: Values | None = None) -> Self:
        """The T of least log loss. shares: (rows, classes). y: (rows,) class numbers. weights: (rows,)."""
        return _least_floor(lambda floor: cls._fit(shares, y, weights, floor))

    @classmethod
    def _fit(cls, shares: Values, y: Values, weights: Values | None, floor: float) -> Self:
        from scipy.optimize import minimize_scalar

        logs = _logs(shares, floor)
        right = logs[np.arange(len(y)), y.astype(np.int64)]

        def loss(log_temperature: float) -> float:
            coldness = math.exp(-log_temperature)
            each = np.log(np.exp(logs * coldness).sum(axis=1)) - right * coldness
            return float(np.average(each, weights=weights))

        bounds = (-_MOST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE)
        found: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
        return cls(math.exp(found.x), floor)

    @property
    def steepness(self) -> float:
        """By how much it enlarges a difference at most; several classes share what two have between them."""
        return Beta(1 / self.temperature, 1 / self.temperature, 0.0, self.floor).steepness

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"temperature {self.temperature:.3g}"

    def apply(self, shares: Values) -> Values:
        """(rows, classes) from the same."""
        scores = _logs(shares, self.floor) / self.temperature
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, classes] from the same."""
        # One divisor for each class: onnxruntime leaves out a division by a single constant near 1.
        scores = g.op("Div", _emit_logs(g, shares, self.floor), g.const(np.full(classes, self.temperature)))
        return g.op("Softmax", scores, axis=1)


class Beta(Struct, frozen=True, tag="beta"):
    """1 / (1 + exp(-(a · log p - b · log(1 - p) + c))) of the second of two classes; 1, 1 and 0 change nothing.

    Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented improvement on logistic
    calibration for binary classifiers", AISTATS 2017. With a = b it is Platt's sigmoid on the log-odds. It rises
    strictly: the order of rows stays. The floor, added to p and 1 - p, bounds how steep it is. Renderings agree within
    1e-13.
    """

    a: float
    b: float
    c: float
    floor: float = _FLOORS[0]

    @classmethod
    def fit(cls, shares: Values, y: Values, weights: Values | None = None) -> Self:
        """The curve of least log loss. shares: (rows, 2). y: (rows,) class numbers. weights: (rows,)."""
        return _least_floor(lambda floor: cls._fit(shares, y, weights, floor))

    @classmethod
    def _fit(cls, shares: Values, y: Values, weights: Values | None, floor: float) -> Self:
        logs = _logs(shares, floor)
        bounds = ((-20.0, 20.0), (0.05, 20.0), (0.05, 20.0))
        c, a, b = _logistic(np.column_stack([logs[:, 1], -logs[:, 0]]), y, weights, bounds)
        return cls(a, b, c, floor)

    @property
    def steepness(self) -> float:
        """By how much it enlarges a difference at most."""
        new = self.apply(np.column_stack([1.0 - _LOOKED_AT, _LOOKED_AT]))
        slopes = self.a / (_LOOKED_AT + self.floor) + self.b / (1.0 - _LOOKED_AT + self.floor)
        return float(np.max(new[:, 0] * new[:, 1] * slopes))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"beta calibration (a {self.a:.3g}, b {self.b:.3g}, c {self.c:.3g})"

    def apply(self, shares: Values) -> Values:
        """(rows, 2) from the same."""
        logs = _logs(shares, self.floor)
        return shares_of((self.a * logs[:, 1:] + self.c) - self.b * logs[:, :1])

    def emit(self, g: Graph, shares: str, classes: int) -> str:
        """double [N, 2] from the same."""
        parts = g.op("Mul", _emit_logs(g, shares, self.floor), g.const(np.array([-self.b, self.a])))
        # Beside a 0: onnxruntime leaves out the addition of a single constant near 0.
        moved = g.op("Add", parts, g.const(np.array([0.0, self.c])))
        return emit_shares(g, g.op("ReduceSum", moved, g.const(np.array([1])), keepdims=1), classes - 1)


class Threshold(Struct, frozen=True, tag="threshold"):
    """Of two classes the second, if its probability is at least the threshold.

    Compared in float32, as the probabilities leave the model, so that the label follows from what a caller sees.
    Renderings agree wherever the float32 probabilities do.
    """

    threshold: float

    @classmethod
    def fit(cls, shares: Values, y: Values, score: Callable[[Numbers], float]) -> Self:
        """The threshold of greatest `score(class numbers)`; 0.5 if none is better.

        shares: (rows, 2). y: (rows,) class numbers. Tried are 25 that divide the rows of either class evenly, then 10
        around the best; each lies between probabilities that occurred, so that no row that was seen lies on one.
        """
        rounded = shares.astype(np.float32)
        seen = np.unique(rounded[:, 1]).astype(np.float64)
        between = (seen[1:] + seen[:-1]) / 2
        if not len(between):
            return cls(0.5)
        scored = {0.5: score(cls(0.5).apply(rounded))}

        def look(at: Numbers) -> int:
            """Score the thresholds of these places; where the best of all is."""
            for threshold in between[at].tolist():
                scored.setdefault(threshold, score(cls(threshold).apply(rounded)))
            return int(np.searchsorted(between, max(scored, key=scored.__getitem__)))

        last = len(between) - 1
        places = [np.searchsorted(between, _spread(rounded[y == number, 1], _TRIED // 2)) for number in (0, 1)]
        tried = np.unique([0, last, *np.minimum(np.concatenate(places), last)])
        best = look(tried)
        low, high = tried[max(0, np.searchsorted(tried, best) - 1)], tried[tried > best][:1].max(initial=best)
        look(np.linspace(low, high, _REFINED + 2).astype(np.int64))
        return cls(max(scored, key=scored.__getitem__))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"from a probability of {self.threshold:.3g} on"

    def apply(self, shares: NDArray[np.float32]) -> Numbers:
        """Class numbers (rows,) from (rows, 2)."""
        return (shares[:, 1] >= np.float32(self.threshold)).astype(np.int64)

    def margin(self, shares: NDArray[np.float32]) -> Values:
        """How far each row (rows,) is from another label, as a probability."""
        return np.abs(shares[:, 1].astype(np.float64) - self.threshold)

    def emit(self, g: Graph, shares: str) -> str:
        """int64 [N] from float [N, 2]."""
        second = g.op("Gather", shares, g.const(np.int64(1)), axis=1)
        return g.cast(g.op("GreaterOrEqual", second, g.const(np.float32(self.threshold))), TensorProto.INT64)


class Balance(Struct, frozen=True, tag="balance"):
    """The class with the greatest probability times its factor: rare classes get a larger one.

    The factors are the classes' shares of the rows to the power of -strength: with 0 the likeliest class wins, with 1
    the one that is most likelier than usual, which is best for balanced accuracy (Menon et al., "Long-tail learning via
    logit adjustment", ICLR 2021). In float32, as the probabilities leave the model; renderings agree wherever those do.

    factors: one for each class, the largest is 1.
    """

    factors: tuple[float, ...]

    @classmethod
    def fit(cls, shares: Values, y: Values, score: Callable[[Numbers], float], weights: Values | None = None) -> Self:
        """The strength of greatest `score(class numbers)`; factors of 1 if none is better.

        shares: (rows, classes). y: (rows,) class numbers.
        """
        rounded = shares.astype(np.float32)
        usual = np.bincount(y.astype(np.int64), weights, minlength=shares.shape[1])

        def of(strength: float) -> Self:
            factors = np.maximum(usual, usual[usual > 0].min()) ** -strength
            return cls(tuple((factors / factors.max()).tolist()))

        scored = {strength: score(of(strength).apply(rounded)) for strength in (0.0, *_STRENGTHS)}
        best = max(scored, key=scored.__getitem__)
        half = _STRENGTHS[0] / 2
        scored |= {near: score(of(near).apply(rounded)) for near in (best - half, best + half) if near > 0}
        return of(max(scored, key=scored.__getitem__))

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"with rare classes weighing up to {max(self.factors) / min(self.factors):.3g} times as much"

    def apply(self, shares: NDArray[np.float32]) -> Numbers:
        """Class numbers (rows,) from (rows, classes)."""
        return self._weighed(shares).argmax(axis=1)

    def margin(self, shares: NDArray[np.float32]) -> Values:
        """How far each row (rows,) is from another label, as a probability."""
        top = np.sort(self._weighed(shares), axis=1).astype(np.float64)
        return top[:, -1] - top[:, -2]

    def emit(self, g: Graph, shares: str) -> str:
        """int64 [N] from float [N, classes]."""
        weighed = g.op("Mul", shares, g.const(np.array(self.factors, dtype=np.float32)))
        return g.op("ArgMax", weighed, axis=1, keepdims=0)

    def _weighed(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        return shares * np.array(self.factors, dtype=np.float32)


class Head(Struct, frozen=True):
    """All that comes after the average; what is None is left out.

    calibration, threshold (for more than two classes a balance) and sets are for classes, the interval is for values.
    """

    calibration: Succession | Temperature | Beta | None = None
    threshold: Threshold | Balance | None = None
    interval: Interval | None = None
    sets: Sets | None = None

    def shares(self, average: Values) -> Values:
        """Calibrated probabilities (rows, classes) from the members' average."""
        return average if self.calibration is None else self.calibration.apply(average)

    def decide(self, shares: Values) -> Numbers:
        """Class numbers (rows,) from calibrated probabilities (rows, classes)."""
        return shares.argmax(axis=1) if self.threshold is None else self.threshold.apply(shares.astype(np.float32))


#: The average as it is.
NO_HEAD = Head()

Calibration = TypeVar("Calibration", Temperature, Beta)


def fit_platt(scores: Values, is_class: NDArray[np.bool_]) -> tuple[float, float]:
    """a and b of 1 / (1 + exp(-(a · score + b))), by least log loss against Platt's targets.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999. The targets lie a little inside 0 and 1, by how
    many rows there are of each.

    scores: (rows,). is_class: (rows,), whether the row is of the class.
    """
    inside, outside = int(is_class.sum()), int((~is_class).sum())
    target = np.where(is_class, (inside + 1) / (inside + 2), 1 / (outside + 2))
    b, a = _logistic(scores[:, None], target, None, ((None, None), (None, None)))
    return a, b


def _logistic(
    features: Values, target: Values, weights: Values | None, bounds: tuple[tuple[float | None, float | None], ...]
) -> tuple[float, ...]:
    """Intercept and slopes of least log loss; the search begins with 0 and 1.

    features: (rows, slopes). target: (rows,) in 0..1. bounds: of intercept and slopes.
    """
    from scipy.optimize import minimize

    share = np.full(len(target), 1 / len(target)) if weights is None else weights / weights.sum()

    def loss(at: Values) -> tuple[float, Values]:
        odds = at[0] + features @ at[1:]
        error = share * (1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700))) - target)
        return float(share @ (np.logaddexp(0.0, odds) - target * odds)), np.array([error.sum(), *(error @ features)])

    start = np.array([0.0] + [1.0] * features.shape[1])
    options = {"ftol": 0, "gtol": 1e-7}
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return tuple(found.x.tolist())


def _least_floor(fit: Callable[[float], Calibration]) -> Calibration:
    """The fit with the least floor that is not too steep; with the largest, if all are."""
    found = fit(_FLOORS[0])
    for floor in _FLOORS[1:]:
        if found.steepness <= _MOST_STEEPNESS:
            break
        found = fit(floor)
    return found


def _logs(shares: Values, floor: float) -> Values:
    return np.log(np.maximum(shares, 0.0) + floor)


def _emit_logs(g: Graph, shares: str, floor: float) -> str:
    return g.op("Log", g.op("Add", g.op("Max", shares, g.const(np.float64(0))), g.const(np.float64(floor))))


def _spread(values: NDArray[np.float32], count: int) -> Values:
    """So many of the values that divide them evenly."""
    if not len(values):
        return np.zeros(0)
    return np.quantile(values.astype(np.float64), np.linspace(0, 1, count + 1))
