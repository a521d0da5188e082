"""Power: the share of the target's variance that predictions explain, on rows that they were not learnt from.

The target is a few columns of numbers, its outputs: 0 and 1 for each class (one column for two classes), the ranks of a
quantity. Ranks, so that a transformed copy counts as a copy and a few large values do not decide. The power is

    sum over outputs of var(y) max(0, r)^2 / sum over outputs of var(y)

r being the correlation of the predictions with the output. What may be chance is taken off by Fisher's transform:
atanh(r) of n rows has a standard error of 1 / sqrt(n - 3) (Fisher, "On the probable error of a coefficient of
correlation", 1921).
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

#: Rows of the mean of all that each level's mean counts in.
_SMOOTHING = 1.0
#: How often chance may pass for more, over all columns that are looked at.
_CHANCE = 0.01
_LEAST_ROWS = 10.0
#: Rows that are around a row.
_AROUND = 4


def held_out(codes: Codes, outputs: Values, half: Codes) -> Values:
    """Each row's prediction, (rows, outputs): the mean of its level in the other half; of an unseen level, of all.

    codes: (rows,) levels from 0. outputs: (rows, outputs), each of mean 0. half: (rows,) 0 or 1.

    >>> held_out(np.array([0, 0, 1, 1]), np.array([[-1.0], [-1.0], [1.0], [1.0]]), np.array([0, 1, 0, 1])).ravel()
    array([-0.5, -0.5,  0.5,  0.5])
    """
    size = int(codes.max()) + 1
    cells = codes * 2 + half
    rows = np.bincount(cells, minlength=2 * size).reshape(size, 2)[:, ::-1] + _SMOOTHING
    sums = [np.bincount(cells, output, 2 * size).reshape(size, 2)[:, ::-1] for output in outputs.T]
    return np.stack([(total / rows)[codes, half] for total in sums], axis=1)


def nearest(values: Values, outputs: Values, half: Codes) -> Values:
    """Each row's prediction, (rows, outputs): the mean of the four rows of the other half around it; of NaN, of all.

    Finer than levels, and noisier: it tells a border between classes to a row, and says little of a weak column.
    values: (rows,).

    >>> nearest(np.arange(16.0), np.repeat([[-1.0], [1.0]], 8, axis=0), np.arange(16) % 2).ravel().round(1).tolist()
    [-1.0, -1.0, -1.0, -1.0, -1.0, -0.5, -0.5, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    found = np.zeros_like(outputs)
    for number in (0, 1):
        known = np.flatnonzero((half != number) & ~np.isnan(values))
        asked = np.flatnonzero((half == number) & ~np.isnan(values))
        if len(known) < _AROUND:
            continue
        known = known[np.argsort(values[known], kind="stable")]
        sums = np.concatenate([np.zeros((1, outputs.shape[1])), np.cumsum(outputs[known], axis=0)])
        place = np.searchsorted(values[known], values[asked])
        start = np.clip(place - _AROUND // 2, 0, len(known) - _AROUND)
        found[asked] = (sums[start + _AROUND] - sums[start]) / _AROUND
    return found


def power(predicted: Values, outputs: Values) -> float:
    """The share of the outputs' variance that is explained, 0 to 1. Both (rows, outputs).

    >>> outputs = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> power(3 * outputs, outputs), power(-outputs, outputs), power(np.ones_like(outputs), outputs)
    (1.0, 0.0, 0.0)
    """
    apart = outputs - outputs.mean(axis=0)
    guess = predicted - predicted.mean(axis=0)
    spread = (apart**2).sum(axis=0)
    bottom = np.sqrt(spread * (guess**2).sum(axis=0))
    r = np.clip((apart * guess).sum(axis=0) / np.where(bottom > 0, bottom, np.inf), 0.0, 1.0)
    total = spread.sum()
    return float((spread * r**2).sum() / total) if total > 0 else 0.0


def at_least(found: float, rows: float, tests: int = 1) -> float:
    """The power that is left when what chance may have added is taken off.

    rows: that count, see `Sample.effective_rows`. tests: how many columns this is one of.

    >>> [round(at_least(0.5, rows), 2) for rows in (20, 200, 20_000)]
    [0.09, 0.38, 0.49]
    """
    if rows < _LEAST_ROWS:
        return 0.0
    sure = math.atanh(min(math.sqrt(found), 1 - 1e-12)) - _standard_errors(tests) / math.sqrt(rows - 3)
    return math.tanh(max(sure, 0.0)) ** 2


def gap(better: Values, worse: Values, outputs: Values, unit: Codes) -> float:
    """By how much one kind of prediction explains more than another, as a share of the variance, less chance.

    Squared errors are compared row by row, so that a level that moved counts, too. better, worse, outputs: (rows,
    outputs). unit: (rows,) numbers from 0; rows of one unit are not independent. 0 where chance may explain it.
    """
    saved = ((outputs - worse) ** 2 - (outputs - better) ** 2).sum(axis=1)
    sums = np.bincount(unit, saved)
    sums = sums[np.bincount(unit) > 0]
    if len(sums) < _LEAST_ROWS:
        return 0.0
    error = math.sqrt(float(((sums - sums.mean()) ** 2).sum()) * len(sums) / (len(sums) - 1))
    spread = float(((outputs - outputs.mean(axis=0)) ** 2).sum())
    return max(0.0, float(saved.sum()) - _standard_errors(1) * error) / spread if spread > 0 else 0.0


def explained(predicted: Values, outputs: Values) -> float:
    """1 - squared errors / variance, 0 at least: unlike `power`, a wrong level or scale of predictions counts."""
    spread = float(((outputs - outputs.mean(axis=0)) ** 2).sum())
    return max(0.0, 1 - float(((outputs - predicted) ** 2).sum()) / spread) if spread > 0 else 0.0


def _standard_errors(tests: int) -> float:
    return NormalDist().inv_cdf(1 - _CHANCE / max(tests, 1))
