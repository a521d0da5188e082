"""The loss of averages of predictions: many choices of weights at once.

Greedy selection asks for the loss of two dozen averages at each of two dozen steps, and again for each point of the
frontier. The metrics that `auto` stands for have a form here that does what they have in common once:

- squared errors (rmse, r2, brier): the mean squared error of an average is a quadratic form in its weights, whose
  matrix is computed once; after that no row is looked at again;
- log_loss: only the share of the class that occurred counts, one number for each row;
- roc_auc of two classes, without weights: one sort of 32-bit numbers.

Any other metric is called as it is, average by average, as long as there is time. All give what `Scoring.loss` gives,
to rounding; of 25 averages of 40,000 rows a step takes 0.2, 15, 20 ms, and 100 to 300 ms for other metrics.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autopilot.deadline import Deadline
from autopilot.metrics import METRICS
from autopilot.search.scoring import Scoring
from storage.errors import InputError

Values = NDArray[np.float64]

#: Shares below this count as this in log_loss, as in the metric itself.
_LEAST_SHARE = float(np.finfo(np.float64).eps)


class Averages(Protocol):
    """Some predictions, of which averages are scored."""

    def losses(self, weights: Values) -> Values:
        """The loss of each average; infinite where the deadline passed before it, or the metric refuses it.

        weights: (averages, predictions), each row sums to 1.
        """
        ...


def averages_of(predictions: Sequence[Values], scoring: Scoring, deadline: Deadline) -> Averages:
    """Of predictions (rows, outputs) as models learn them, stacked as the scoring's rows are."""
    if METRICS.get(scoring.metric.name) == scoring.metric:
        name, is_binary = scoring.metric.name, predictions[0].shape[1] == 2
        if name in ("rmse", "brier") or (name == "r2" and all(_variances(scoring))):
            return _Squares(predictions, scoring)
        if name == "log_loss":
            return _Shares(predictions, scoring)
        if name == "roc_auc" and is_binary and scoring.weights is None:
            return _Ranks(predictions, scoring)
    return _Scored(predictions, scoring, deadline)


class _Squares:
    """Mean squared errors by fold: w' G w, with G the mean products of two predictions' errors."""

    def __init__(self, predictions: Sequence[Values], scoring: Scoring) -> None:
        self._name = scoring.metric.name
        self._fold_shares = _fold_shares(scoring)
        self._products = [_products(predictions, scoring, number) for number in range(len(scoring.slices))]
        self._variances = np.array(_variances(scoring)) if self._name == "r2" else np.ones(len(scoring.slices))

    def losses(self, weights: Values) -> Values:
        squares = np.column_stack([((weights @ products) * weights).sum(axis=1) for products in self._products])
        squares = np.maximum(squares, 0.0) / self._variances  # rounding may take an exact fit below 0
        if self._name == "rmse":
            squares = np.sqrt(squares)
        return squares @ self._fold_shares - float(self._name == "r2")


class _Shares:
    """Mean -log p of the class that occurred."""

    def __init__(self, predictions: Sequence[Values], scoring: Scoring) -> None:
        rows, occurred = np.arange(len(scoring.y)), scoring.y.astype(np.int64)
        self._chosen = np.stack([shares[rows, occurred] / shares.sum(axis=1) for shares in predictions])
        self._row_shares = _row_shares(scoring)

    def losses(self, weights: Values) -> Values:
        chosen = weights @ self._chosen
        np.clip(chosen, _LEAST_SHARE, 1.0, out=chosen)
        return -np.log(chosen, out=chosen) @ self._row_shares


class _Ranks:
    """The area under the ROC curve by fold: the chance that a row of the second class is above one of the first.

    Single precision orders as well as double, but for one pair in millions, and sorts twice as fast.
    """

    def __init__(self, predictions: Sequence[Values], scoring: Scoring) -> None:
        self._shares = np.stack([shares[:, 1] for shares in predictions]).astype(np.float32)
        self._is_second = (scoring.y > 0).astype(np.uint32)
        self._fold_shares, self._slices = _fold_shares(scoring), scoring.slices

    def losses(self, weights: Values) -> Values:
        shares = weights.astype(np.float32) @ self._shares
        return np.array([-self._areas(row) @ self._fold_shares for row in shares])

    def _areas(self, shares: NDArray[np.float32]) -> Values:
        return np.array([_area(shares[rows], self._is_second[rows]) for rows in self._slices])


def _area(shares: NDArray[np.float32], is_second: NDArray[np.uint32]) -> float:
    """Rows are sorted by their shares, and for equal ones by their class, in one number.

    Bits of floats from 0 are in the order of the floats; their sign makes room for the class.
    """
    keys = shares.view(np.uint32) << np.uint32(1) | is_second
    keys.sort()
    places = np.flatnonzero(keys & np.uint32(1))  # of the second class
    pairs = len(places) * (len(keys) - len(places))
    if not pairs:
        return 0.5
    above = int(places.sum()) - len(places) * (len(places) - 1) // 2
    return (above - 0.5 * _tied(keys)) / pairs


def _tied(keys: NDArray[np.uint32]) -> int:
    """Pairs of rows of both classes with equal shares."""
    last = np.flatnonzero(keys[1:] ^ keys[:-1] == 1)  # of the first class among them; those of the second follow
    last = last[keys[last] & 1 == 0]
    first_class = last + 1 - np.searchsorted(keys, keys[last], side="left")
    second_class = np.searchsorted(keys, keys[last + 1], side="right") - last - 1
    return int(first_class @ second_class)


class _Scored:
    """Any metric, called for one average after the other."""

    def __init__(self, predictions: Sequence[Values], scoring: Scoring, deadline: Deadline) -> None:
        self._predictions, self._scoring, self._deadline = predictions, scoring, deadline

    def losses(self, weights: Values) -> Values:
        common = weights.min(axis=0)  # what all averages have is added up once
        shared = self._average(common)
        return np.array([self._loss(shared, row - common) for row in weights])

    def _loss(self, shared: Values, weights: Values) -> float:
        if self._deadline.passed:
            return float("inf")
        try:
            return self._scoring.loss(shared + self._average(weights))
        except InputError:
            return float("inf")

    def _average(self, weights: Values) -> Values:
        total = np.zeros(self._predictions[0].shape)
        for weight, predicted in zip(weights, self._predictions, strict=True):
            if weight:
                total += weight * predicted
        return total


def _products(predictions: Sequence[Values], scoring: Scoring, number: int) -> Values:
    """Mean products of errors on the rows of a fold: (predictions, predictions)."""
    rows = scoring.slices[number]
    errors = np.stack([_errors(predicted[rows], scoring, rows) for predicted in predictions])
    of_rows = _weights(scoring, rows)
    shares = np.full(errors.shape[1], 1 / errors.shape[1]) if of_rows is None else of_rows / of_rows.sum()
    flat = (errors * np.sqrt(shares)[:, None]).reshape(len(predictions), -1)
    return flat @ flat.T


def _errors(predicted: Values, scoring: Scoring, rows: slice) -> Values:
    """(rows, outputs that count)."""
    y = scoring.y[rows]
    if scoring.metric.needs == "value":
        return scoring.unit.unscale(predicted[:, :1]) - y[:, None]
    if predicted.shape[1] == 2:
        return predicted[:, 1:] - y[:, None]
    return predicted - np.eye(predicted.shape[1])[y.astype(np.int64)]


def _variances(scoring: Scoring) -> list[float]:
    """Of the targets, by fold."""
    found: list[float] = []
    for rows in scoring.slices:
        y, weights = scoring.y[rows], _weights(scoring, rows)
        found.append(float(np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)))
    return found


def _weights(scoring: Scoring, rows: slice) -> Values | None:
    """Where all weights of a fold are 0, its rows count alike, as in the metrics."""
    weights = None if scoring.weights is None else scoring.weights[rows]
    return weights if weights is not None and weights.any() else None


def _fold_shares(scoring: Scoring) -> Values:
    sizes = np.array([rows.stop - rows.start for rows in scoring.slices], dtype=np.float64)
    return sizes / sizes.sum()


def _row_shares(scoring: Scoring) -> Values:
    """What each row counts in the mean over folds."""
    shares = np.empty(len(scoring.y))
    for share, rows in zip(_fold_shares(scoring), scoring.slices, strict=True):
        weights = _weights(scoring, rows)
        shares[rows] = share / (rows.stop - rows.start) if weights is None else share * weights / weights.sum()
    return shares
