"""How good answers were, once it is known what happened: of one model, or of two side by side on the same rows.

    classes      accuracy, log_loss, and of two classes roc_auc
    regression   rmse, mae

Side by side, the difference has an interval: both answered the same rows, so that what made a row hard cancels out, and
small differences are told from luck with far fewer rows than two intervals would need.

- A mean: the normal interval of the differences of the rows; of a root of a mean by the delta method. Of one model
  alone, a share has Wilson's, and no interval goes beyond what its metric can be.
- The area under the ROC curve: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), by the ranks of Sun and Xu,
  IEEE Signal Processing Letters 21 (2014).

Rows count as independent. Those of one request, or of one customer, may not be: then the interval is too narrow.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from storage.predictor import Outputs
from storage.signature import Signature

if TYPE_CHECKING:
    import polars as pl

#: Half the width of a 95 % interval, in standard errors.
_WIDTH = 1.959963984540054
_MOST_RANKED = 1_000_000
_LEAST_SHARE = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss has it


class MetricValue(Struct, frozen=True):
    """A metric of one model, with the ends of its 95 % interval."""

    metric: str
    value: float
    low: float
    high: float


class MetricPair(Struct, frozen=True):
    """A metric of two models on the same rows. difference: new - old; low, high: the ends of its 95 % interval.

    greater_is_better: the metric's direction.
    """

    metric: str
    old: float
    new: float
    difference: float
    low: float
    high: float
    greater_is_better: bool


class Quality:
    """Gathers rows of which it is known what happened, in bounded memory. sides: how many models answered them, 1 or 2.

    roc_auc is of a sample of a million rows if there are more, and so is its interval.
    """

    def __init__(self, signature: Signature, sides: int = 1) -> None:
        self._places = {name: at for at, name in enumerate(signature.classes)}
        names = ("accuracy", "log_loss") if self._places else ("rmse", "mae")
        self._means = {name: _Means(sides) for name in names}
        self._areas = _Areas(sides) if len(self._places) == 2 else None

    @property
    def rows(self) -> int:
        """How many rows there were."""
        return next(iter(self._means.values())).rows

    def add(self, truth: "pl.Series", *answers: Outputs) -> None:
        """Rows: what happened, without nulls, and what each model had answered. What is no class counts for nothing."""
        if not self._places:
            y = truth.to_numpy().astype(np.float64)[:, None]
            apart = np.abs(np.column_stack([np.asarray(one.prediction) for one in answers]) - y)
            known = np.isfinite(apart).all(axis=1)
            self._means["mae"].add(apart[known])
            self._means["rmse"].add(apart[known] ** 2)
            return
        y = np.array([self._places.get(name, -1) for name in truth.to_list()], dtype=np.int64)
        rows = np.flatnonzero(y >= 0)
        right = np.column_stack([_right(one, truth, rows) for one in answers])
        shares = [np.asarray(one.probabilities)[rows] for one in answers]
        chosen = np.column_stack([share[np.arange(len(rows)), y[rows]] for share in shares]).astype(np.float64)
        self._means["accuracy"].add(right)
        self._means["log_loss"].add(-np.log(np.clip(chosen, _LEAST_SHARE, 1.0)))
        if self._areas is not None:
            self._areas.add(y[rows] == 1, np.column_stack([share[:, 1] for share in shares]))

    def values(self) -> tuple[MetricValue, ...]:
        """Metrics of the first model; empty without rows."""
        found: list[MetricValue] = []
        for metric, (values, covariance) in self._all():
            value, half = float(values[0]), _WIDTH * math.sqrt(covariance[0, 0])
            most = 1.0 if metric == "roc_auc" else math.inf
            ends = max(value - half, 0.0), min(value + half, most)
            found.append(MetricValue(metric, value, *(_share_ends(value, self.rows) if metric == "accuracy" else ends)))
        return tuple(found)

    def pairs(self) -> tuple[MetricPair, ...]:
        """Metrics of both models; empty without rows."""
        found: list[MetricPair] = []
        for metric, (values, covariance) in self._all():
            old, new = map(float, values)
            half = _WIDTH * math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
            apart, is_better = new - old, metric in ("accuracy", "roc_auc")
            found.append(MetricPair(metric, old, new, apart, apart - half, apart + half, is_better))
        return tuple(found)

    def _all(self) -> "list[tuple[str, _Estimate]]":
        if not self.rows:
            return []
        found = [(name, means.estimate(is_root=name == "rmse")) for name, means in self._means.items()]
        area = self._areas.estimate() if self._areas is not None else None
        return [("roc_auc", area), *found] if area is not None else found


def _share_ends(share: float, rows: int) -> tuple[float, float]:
    """The ends of a share's interval (Wilson 1927): of few rows that are all right, others are still plausible.

    >>> [round(end, 3) for end in _share_ends(1.0, 2)], [round(end, 3) for end in _share_ends(0.5, 100)]
    ([0.342, 1.0], [0.404, 0.596])
    """
    more = _WIDTH**2 / rows
    half = _WIDTH * math.sqrt((share * (1 - share) + more / 4) / rows)
    low, high = ((share + more / 2 + sign * half) / (1 + more) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


#: Values of a metric, one for each side, and their covariance.
_Estimate = tuple[NDArray[np.float64], NDArray[np.float64]]


def _right(answer: Outputs, truth: "pl.Series", rows: NDArray[np.int64]) -> NDArray[np.float64]:
    labels: Any = answer.label
    return (labels == np.array(truth.to_list(), dtype=object))[rows].astype(np.float64)


class _Means:
    """Means over rows, and how they vary together."""

    def __init__(self, sides: int) -> None:
        self.rows = 0
        self._mean = np.zeros(sides)
        self._products = np.zeros((sides, sides))  # of deviations from the mean

    def add(self, values: NDArray[np.float64]) -> None:
        """Rows: (rows, sides). Chan, Golub and LeVeque's merging of means, so that no digits are lost."""
        count = len(values)
        if not count:
            return
        mean = values.mean(axis=0)
        moved, rows = mean - self._mean, self.rows + count
        around = values - mean
        self._products += around.T @ around + np.outer(moved, moved) * (self.rows * count / rows)
        self._mean += moved * (count / rows)
        self.rows = rows

    def estimate(self, *, is_root: bool) -> _Estimate:
        """The means with their covariance, or the roots of the means."""
        covariance = self._products / max(self.rows - 1, 1) / self.rows
        if not is_root:
            return self._mean, covariance
        roots = np.sqrt(self._mean)
        slopes = np.divide(0.5, roots, out=np.zeros_like(roots), where=roots > 0)
        return roots, covariance * np.outer(slopes, slopes)


class _Areas:
    """Areas under ROC curves, of a sample of a million rows if there are more: their ranks need all at once."""

    def __init__(self, sides: int) -> None:
        self._random = np.random.default_rng(0)
        self._keys = np.empty(0)
        self._y = np.empty(0, dtype=np.bool_)
        self._scores = np.empty((0, sides), dtype=np.float32)
        self._new: list[tuple[NDArray[np.bool_], NDArray[np.float32]]] = []
        self._sides, self._new_rows = sides, 0

    def add(self, y: NDArray[np.bool_], scores: NDArray[np.float32]) -> None:
        """Rows: whether they are of the second class, and its probabilities, (rows, sides)."""
        self._new.append((y, scores))
        self._new_rows += len(y)
        if self._new_rows > _MOST_RANKED:
            self._settle()

    def _settle(self) -> None:
        """Keep the rows with the smallest random keys: each is as likely to be kept as any other."""
        self._keys = np.concatenate([self._keys, self._random.random(self._new_rows)])
        self._y = np.concatenate([self._y, *(y for y, _ in self._new)])
        self._scores = np.concatenate([self._scores, *(scores for _, scores in self._new)])
        self._new, self._new_rows = [], 0
        if len(self._keys) > _MOST_RANKED:
            kept = np.argpartition(self._keys, _MOST_RANKED)[:_MOST_RANKED]
            self._keys, self._y, self._scores = self._keys[kept], self._y[kept], self._scores[kept]

    def estimate(self) -> _Estimate | None:
        """The areas with their covariance; None where all rows are of one class."""
        self._settle()
        y, scores = self._y, self._scores
        yes, no = int(y.sum()), int((~y).sum())
        if not (yes and no):
            return None
        above, below = np.empty((yes, self._sides)), np.empty((no, self._sides))
        for side in range(self._sides):
            score = scores[:, side]
            ranks = _ranks(score)
            above[:, side] = (ranks[y] - _ranks(score[y])) / no  # share of the others that a row of the class is above
            below[:, side] = 1.0 - (ranks[~y] - _ranks(score[~y])) / yes
        return above.mean(axis=0), _covariance(above) / yes + _covariance(below) / no


def _covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    around = values - values.mean(axis=0)
    return around.T @ around / max(len(values) - 1, 1)


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs.

    >>> _ranks(np.array([0.5, 0.1, 0.5], np.float32)).tolist()
    [2.5, 1.0, 2.5]
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]
