"""The smoothed mean target by code, over all rows and over the other folds' rows, each row as often as it weighs."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Rows that the mean of all rows counts for: a level seen 10 times is half its own mean.
_SMOOTHING = 10.0


class FoldedMeans:
    """Sums by code and fold, made once.

    codes: int64 (rows,) below `size`. values: float64 (rows,). folds: int64 (rows,). weights: float64 (rows,) of mean
    1, None where all rows count alike: rows below are sums of weights then.
    """

    def __init__(
        self,
        codes: NDArray[np.int64],
        size: int,
        values: NDArray[np.float64],
        folds: NDArray[np.int64],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._codes, self._folds = codes, folds
        count = int(folds.max()) + 1
        cells = codes * count + folds
        weighted = values if weights is None else values * weights
        self._sums = np.bincount(cells, weighted, size * count).reshape(size, count)
        self._rows = np.bincount(cells, weights, size * count).reshape(size, count).astype(np.float64)

    def overall(self) -> NDArray[np.float64]:
        """(sum + 10 * prior) / (rows + 10) for each code, prior = the mean of all rows: (size,)."""
        prior = self._sums.sum() / self._rows.sum()
        return (self._sums.sum(axis=1) + _SMOOTHING * prior) / (self._rows.sum(axis=1) + _SMOOTHING)

    def of_rows(self) -> NDArray[np.float64]:
        """The same over the rows of the other folds, for each row: (rows,); the prior is theirs too, else 0.

        The other folds are added up, not this one taken away: a difference of sums would keep a trace of it.
        """
        others = 1.0 - np.eye(self._sums.shape[1])
        sums, rows = self._sums @ others, self._rows @ others
        total = rows.sum(axis=0)
        prior = sums.sum(axis=0) / np.where(total > 0, total, 1.0)
        means = (sums + _SMOOTHING * prior) / (rows + _SMOOTHING)
        return means[self._codes, self._folds]

    def feature(self) -> pl.Expr:
        """`of_rows` as a Float32 column."""
        return pl.lit(pl.Series(self.of_rows().astype(np.float32)))
