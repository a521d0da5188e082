"""The formulas of the metrics, in NumPy: what scikit-learn gives, to 1e-12, at a fraction of the cost of a call.

The search scores thousands of blends, and scikit-learn's checks of its arguments take longer than the arithmetic.

Each function takes y (rows,), what was predicted, and weights (rows,) above 0, or None where all rows count alike.
Classes are numbers 0, 1, ...; of two classes 1 is the positive one. Where a formula divides 0 by 0, the docstring says
what it gives, so that every score is finite.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Average = Literal["second", "macro", "weighted"]

#: The least probability that log_loss takes, and the least |y| that mape divides by: as scikit-learn has them.
_LEAST = float(np.finfo(np.float64).eps)

# --------------------------------------------------------------------------------------------------- probabilities


def roc_auc(y: Values, shares: Values, weights: Values | None = None) -> float:
    """The area under the ROC curve: the chance that a row of the class has a higher share than one of the others.

    More than two classes: the mean of each against the rest, over those of which there are rows and others. 0.5 where
    all rows are of one class. shares: (rows, classes).
    """
    areas = [_area(is_class, share, weights) for is_class, share in _against_rest(y, shares)]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else 0.5


def average_precision(y: Values, shares: Values, weights: Values | None = None) -> float:
    """The mean precision over the rows of the class, each at its own share as the threshold.

    More than two classes: the mean of each against the rest, over those that occur. 0 for two classes where no row is
    of the second. shares: (rows, classes).
    """
    found: list[float] = []
    for is_class, share in _against_rest(y, shares):
        hits, misses = ranked(is_class, share, weights)
        if hits[-1] > 0:
            found.append(float(np.diff(hits, prepend=0) @ _ratio(hits, hits + misses)) / float(hits[-1]))
    return float(np.mean(found)) if found else 0.0


def log_loss(y: Values, shares: Values, weights: Values | None = None) -> float:
    """Mean of -log p of the class that occurred, p at least 2.2e-16. shares: (rows, classes), made to sum to 1."""
    whole = shares @ np.ones(shares.shape[1])  # a product takes a fifth of the time of a sum over so short an axis
    chosen = shares[np.arange(len(y)), y.astype(np.int64)] / whole
    return _mean(-np.log(np.clip(chosen, _LEAST, 1.0)), weights)


def brier(y: Values, shares: Values, weights: Values | None = None) -> float:
    """Two classes: mean (p - y)². More: the mean over rows of the sum over classes (Brier, 1950).

    shares: (rows, classes).
    """
    if shares.shape[1] == 2:
        return _mean((shares[:, 1] - y) ** 2, weights)
    truth = np.eye(shares.shape[1])[y.astype(np.int64)]
    return _mean(((shares - truth) ** 2).sum(axis=1), weights)


# ---------------------------------------------------------------------------------------------------------- labels


def accuracy(y: Values, label: Values, weights: Values | None = None) -> float:
    """The share of right labels."""
    return _mean(y == label, weights)


def balanced_accuracy(y: Values, label: Values, weights: Values | None = None) -> float:
    """The mean recall of the classes that occur."""
    counts = _confusion(y, label, weights)
    return float(recalls(counts)[counts.sum(axis=1) > 0].mean())


def over_classes(
    y: Values,
    label: Values,
    weights: Values | None = None,
    *,
    of: Callable[[Values], Values],
    average: Average,
) -> float:
    """A figure of the classes: that of the second one, the mean of those that occur, or the mean by their rows.

    of: from the confusion matrix to a number for each class. For "macro" a class occurs where y or the labels have it.
    """
    counts = _confusion(y, label, weights)
    each, rows = of(counts), counts.sum(axis=1)
    if average == "second":
        return float(each[1])
    if average == "weighted":
        return float(each @ rows / rows.sum())
    return float(each[rows + counts.sum(axis=0) > 0].mean())


def precisions(counts: Values) -> Values:
    """The share of a class's labels that are right; 0 where no row is labelled so.

    counts: the confusion matrix, (classes, classes), true by labelled.
    """
    return _ratio(counts.diagonal(), counts.sum(axis=0))


def recalls(counts: Values) -> Values:
    """The share of a class's rows that are found; 0 where it has none. counts: as of `precisions`."""
    return _ratio(counts.diagonal(), counts.sum(axis=1))


def f1s(counts: Values) -> Values:
    """The harmonic mean of precision and recall; 0 where both are 0. counts: as of `precisions`."""
    return _ratio(2 * counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1))


def mcc(y: Values, label: Values, weights: Values | None = None) -> float:
    """The correlation of labels and classes (Matthews, 1975; Gorodkin, 2004, for more than two).

    0 where all rows are of one class, or have one label.
    """
    counts = _confusion(y, label, weights)
    true, labelled, rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    if (true > 0).sum() < 2 or (labelled > 0).sum() < 2:
        return 0.0
    spread = (rows**2 - true @ true) * (rows**2 - labelled @ labelled)
    return float((counts.trace() * rows - true @ labelled) / np.sqrt(spread))


def kappa(y: Values, label: Values, weights: Values | None = None) -> float:
    """How much of the agreement beyond chance there is (Cohen, 1960); 0 where y and labels are all of one class."""
    counts = _confusion(y, label, weights)
    true, labelled, rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    by_chance = rows - true @ labelled / rows
    return float(1 - (rows - counts.trace()) / by_chance) if counts.max() < rows else 0.0


# ---------------------------------------------------------------------------------------------------------- values


def rmse(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(_mean((predicted - y) ** 2, weights)))


def mae(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Mean absolute error."""
    return _mean(np.abs(predicted - y), weights)


def median_ae(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Median absolute error: half of the weight is on either side; of two in the middle the mean."""
    errors = np.abs(predicted - y)
    if weights is None:
        return float(np.median(errors))
    order = np.argsort(errors)
    reached = np.cumsum(weights[order])
    half = 0.5 * reached[-1]
    at = int(np.searchsorted(reached, half))
    further = int(np.searchsorted(reached, reached[at], side="right"))
    is_between = reached[at] - half <= _LEAST and further < len(errors)
    return float(errors[order[[at, further if is_between else at]]].mean())


def r2(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """The share of the variance that is explained. Of targets that are all equal: 1 if all are met, else 0."""
    error = _mean((predicted - y) ** 2, weights)
    variance = 0.0 if y.min() == y.max() else _mean((y - np.average(y, weights=weights)) ** 2, weights)
    if variance == 0:
        return float(error == 0)
    return 1 - error / variance


def rmsle(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Root of the mean squared difference of log(1 + x); y from 0, negative predictions count as 0."""
    return rmse(np.log1p(y), np.log1p(np.clip(predicted, 0, None)), weights)


def mape(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Mean of |error| / |y|, as a share; |y| at least 2.2e-16, so that one error at a target of 0 drowns the others."""
    return _mean(np.abs(predicted - y) / np.maximum(np.abs(y), _LEAST), weights)


def smape(y: Values, predicted: Values, weights: Values | None = None) -> float:
    """Mean of 2 · |error| / (|y| + |predicted|), from 0 to 2 (Makridakis, 1993); 0 for a row where both are 0."""
    return _mean(_ratio(2 * np.abs(predicted - y), np.abs(y) + np.abs(predicted)), weights)


def pinball(y: Values, predicted: Values, weights: Values | None = None, *, quantile: float) -> float:
    """The loss whose best constant is the quantile (Koenker and Bassett, 1978).

    Mean of quantile · error where y lies above what was predicted, (1 - quantile) · |error| where below.
    """
    error = y - predicted
    return _mean(np.maximum(quantile * error, (quantile - 1) * error), weights)


# ----------------------------------------------------------------------------------------------------------- parts


def _mean(values: NDArray[np.float64 | np.bool_], weights: Values | None) -> float:
    return float(values.mean()) if weights is None else float(values @ weights / weights.sum())


def _ratio(part: Values, whole: Values) -> Values:
    """0 where the whole is."""
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)


def _confusion(y: Values, label: Values, weights: Values | None) -> Values:
    """Weight of the rows by class and label: (classes, classes)."""
    size = max(2, int(max(y.max(), label.max())) + 1)
    cells = np.bincount((y * size + label).astype(np.int64), weights, size * size)
    return cells.reshape(size, size).astype(np.float64)


def _against_rest(y: Values, shares: Values) -> list[tuple[NDArray[np.bool_], Values]]:
    """Which rows are of a class, and its shares: for the second of two classes, for each of more."""
    classes = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    return [(y == index, shares[:, index]) for index in classes]


def _area(is_class: NDArray[np.bool_], share: Values, weights: Values | None) -> float | None:
    """Under the ROC curve, ties by the trapezoid; None where all rows are of the class, or none."""
    hits, misses = ranked(is_class, share, weights)
    whole = float(hits[-1]) * float(misses[-1])
    if whole == 0:
        return None
    between = hits - 0.5 * np.diff(hits, prepend=0)
    return float(np.diff(misses, prepend=0) @ between) / whole


def ranked(is_class: NDArray[np.bool_], share: Values, weights: Values | None) -> tuple[Values, Values]:
    """Weight of the rows of the class, and of the others, with at least each share that occurs, greatest first."""
    order = np.argsort(share)[::-1]
    ordered, is_hit = share[order], is_class[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(share) - 1)
    if weights is None:
        hits = np.cumsum(is_hit, dtype=np.float64)[ends]
        return hits, ends + 1.0 - hits
    ranked = weights[order]
    return np.cumsum(ranked * is_hit)[ends], np.cumsum(ranked * ~is_hit)[ends]
