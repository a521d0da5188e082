"""What the rows of windows are worth that depend on their neighbours, from the blocks of their profiles.

The rule is that of a report on the rows (`monitor.serial.worth_of`); only what it asks of the window comes from sums.
Three things a report on the rows knows and a profile does not: blocks that lie across parts, which are hours mostly, so
that dependence is seen up to the length of an hour's rows; where within an hour drift began, which looks like
dependence; and, of hours that were kept before there were blocks, anything of neighbours: such windows count as the
reference says.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.serial import (
    BLOCKS,
    MINIMUM_WORTH,
    Curve,
    Worth,
    beyond,
    chance_deviations,
    means_by_changes,
    unless_explained,
    worth_of,
)
from monitor.sketches.blocks import BETWEEN, COUNTERS, lengths_of

#: The lugsail estimate of an inflation is at most so many times the largest that was measured.
_MOST_OF_MEASURED = 2

#: Of shares of rows: what is left of a constant by rounding.
_NO_VARIANCE = 1e-12


class Tallied(NamedTuple):
    """What windows, or the hours of one, have of a test's rows.

    tallies: (W, B, T), as `blocks` has them, of I indicators. rows: (W,). totals: (W, I), rows of each indicator.
    sorted_changes: (W,), changes that rows have at most if somebody sorted them.
    """

    tallies: NDArray[np.int64]
    rows: NDArray[np.int64]
    totals: NDArray[np.int64]
    sorted_changes: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """(W, I), of the rows."""
        return self.totals / np.maximum(self.rows, 1)[:, None]


class Curves(NamedTuple):
    """As `Curve` has it, of W windows: (W, B). asked: lengths that a window has blocks enough of. spreads_of: of one
    window, (B,): only a few windows are asked for them."""

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    factors: NDArray[np.float64]
    deviations: NDArray[np.float64]
    asked: NDArray[np.bool_]
    spreads_of: Callable[[int], NDArray[np.float64]]

    @property
    def dependent(self) -> NDArray[np.bool_]:
        """(W,), whether blocks of some length vary more than independent rows would let them."""
        return np.logical_or.reduce(beyond(self.factors, self.deviations) & self.asked, axis=1)

    def at(self, window: int) -> Curve:
        """That of one window."""
        asked = self.asked[window]
        factors, deviations = self.factors[window][asked], self.deviations[window][asked]
        spreads = self.spreads_of(window)[asked]
        return Curve(int(self.rows[window]), self.lengths[asked], factors, deviations, spreads)


class Worths:
    """What the rows of a test are worth in W windows.

    before, reference_rows: of the reference. scores: (D, I), of which sums of indicators a test averages. hours_of: a
    window's parts in the order of time, which tell where drift began. dependent: (W,), where anything speaks against
    independent rows. starved: (W,), where they are worth too few for a test.
    """

    def __init__(
        self,
        before: Curve,
        reference_rows: int,
        windows: Tallied,
        scores: NDArray[np.float64],
        hours_of: Callable[[int], Tallied],
    ) -> None:
        self._before, self._reference_rows = before, reference_rows
        self._scores, self._hours_of = scores, hours_of
        self._windows = curves_of(windows, scores)
        self._known: dict[int, Worth | None] = {}
        there = (windows.rows > 0) & (reference_rows > 0)
        self.dependent = there & (self._windows.dependent | before.dependent)
        self.starved = np.zeros(len(there), bool)
        for at in np.flatnonzero(self.dependent & self._may_starve()).tolist():
            worth = self.at(at)
            self.starved[at] = worth is not None and not worth.enough

    def at(self, window: int) -> Worth | None:
        """In one window; None for independent rows."""
        if not self.dependent[window]:
            return None
        if window not in self._known:
            after = unless_explained(
                self._windows.at(window), lambda: without_changes(self._hours_of(window), self._scores)
            )
            rows = self._reference_rows, int(self._windows.rows[window])
            self._known[window] = worth_of(self._before, after, rows)
        return self._known[window]

    def of_part(self, window: int, reference_rows: int) -> Worth | None:
        """Where a test asks only so many of the reference's rows."""
        worth = self.at(window)
        return worth and worth._replace(reference=worth.reference * reference_rows / self._reference_rows)

    def _may_starve(self) -> NDArray[np.bool_]:
        """(W,), where the largest inflation that was measured does not rule it out."""
        largest = np.where(self._windows.asked, self._windows.factors, 1.0).max(axis=1, initial=1.0)
        largest = np.maximum(largest, self._before.factors.max(initial=1.0))
        fewest = np.minimum(self._windows.rows, self._reference_rows)
        return fewest < MINIMUM_WORTH * _MOST_OF_MEASURED * largest


def curves_of(windows: Tallied, scores: NDArray[np.float64]) -> Curves:
    """The inflation of each window's blocks, as `monitor.serial.measure` has it of rows; scores: (D, I)."""
    shares = windows.shares

    def spreads_of(window: int) -> NDArray[np.float64]:
        return _spreads(_products(windows.tallies[window], shares[window]), scores)

    return _curves(windows, _totals(windows.tallies, shares, scores), _of_one_row(shares), scores, spreads_of)


def without_changes(hours: Tallied, scores: NDArray[np.float64]) -> Curve:
    """The inflation of a window of these hours around the means of the parts into which changes divide it.

    So drift that began with one of its hours is no dependence.
    """
    there = Tallied(*(values[hours.rows > 0] for values in hours))
    means = means_by_changes(there.totals.astype(np.float64), there.rows.astype(np.float64))
    whole = Tallied(*(values.sum(axis=0)[None] for values in there))
    away = means - whole.shares
    between = np.einsum("h,hi,hj->ij", there.rows, away, away) / max(int(whole.rows[0]), 1)
    totals = _totals(there.tallies, means, scores).sum(axis=0)[None]

    def spreads_of(_: int) -> NDArray[np.float64]:
        return np.ones(totals.shape[1])  # which nobody asks for: what is left tells only whether to believe the rest

    return _curves(whole, totals, _of_one_row(whole.shares) - between, scores, spreads_of).at(0)


def _curves(
    windows: Tallied,
    totals: NDArray[np.float64],
    of_one_row: NDArray[np.float64],
    scores: NDArray[np.float64],
    spreads_of: Callable[[int], NDArray[np.float64]],
) -> Curves:
    """totals: (W, B) of blocks; of_one_row: (W, I, I).

    Of a length, blocks must cover half of the rows at least, and be as many as eight side by side.
    """
    tallies, rows = windows.tallies, np.maximum(windows.rows, 1)
    lengths = lengths_of(tallies)
    blocks, parts = tallies[..., 0], tallies[..., 1]
    covered = (blocks - parts) * np.maximum(lengths // 4, 1) + parts * lengths
    of_rows = scores @ of_one_row @ scores.T
    variance = np.maximum(np.trace(of_rows, axis1=-2, axis2=-1), _NO_VARIANCE)
    enough = (covered >= BLOCKS * lengths) & (2 * covered >= rows[:, None]) & (variance > _NO_VARIANCE)[:, None]
    enough &= (tallies[..., 2].sum(axis=1) > windows.sorted_changes)[:, None]
    held = np.logical_and.accumulate(enough, axis=1)
    factors = totals / np.maximum(blocks * lengths, 1) / variance[:, None]
    dimension = variance**2 / np.maximum((of_rows**2).sum(axis=(-2, -1)), _NO_VARIANCE**2)
    return Curves(
        rows=windows.rows,
        lengths=lengths,
        factors=np.maximum(factors, 0.0) / np.maximum(1 - lengths / rows[:, None], 0.5),
        deviations=chance_deviations(lengths, np.maximum(covered * dimension[:, None], 1.0)),
        asked=held & (~np.isin(lengths, BETWEEN) | (np.arange(len(lengths)) == held.sum(axis=1)[:, None] - 1)),
        spreads_of=spreads_of,
    )


def _of_one_row(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariance of a row's indicators, of which one is 1 at most: (W, I, I)."""
    return np.eye(shares.shape[1]) * shares[:, None] - shares[:, :, None] * shares[:, None]


def _totals(tallies: NDArray[np.int64], means: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squares of blocks' scores around what means (W, I) let expect, added up: (W, B).

    The traces of what `_products` gives, without it: of 90 days of hours it took a tenth of the time.
    """
    count = means.shape[1]
    lengths = lengths_of(tallies)
    first, second = np.triu_indices(count)
    weights = scores.T @ scores
    weighed = means @ weights
    squares = tallies[..., COUNTERS + count :] @ (weights[first, second] * (1 + (first < second)))
    mixed = np.einsum("wbi,wi->wb", tallies[..., COUNTERS : COUNTERS + count], weighed)
    expected = tallies[..., 0] * (weighed * means).sum(axis=1)[:, None]
    return squares - 2 * lengths * mixed + lengths**2 * expected


def _products(tallies: NDArray[np.int64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one window's blocks around what means (I,) let expect, added up: (B, I, I)."""
    lengths, count = lengths_of(tallies), len(means)
    first, second = np.triu_indices(count)
    products = np.zeros((len(lengths), count, count))
    products[:, first, second] = products[:, second, first] = tallies[:, COUNTERS + count :]
    mixed = tallies[:, COUNTERS : COUNTERS + count, None] * means * lengths[:, None, None]
    expected = np.outer(means, means) * (tallies[:, 0] * lengths**2)[:, None, None]
    return products - mixed - mixed.swapaxes(-2, -1) + expected


def _spreads(products: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `Inflation.spread`, (B,); scores of cells have one direction less than there are."""
    covariance = scores @ products @ scores.T
    total = np.trace(covariance, axis1=-2, axis2=-1)
    squares = (covariance**2).sum(axis=(-2, -1)) / np.where(total > 0, total, np.inf) ** 2
    return np.maximum(max(len(scores) - 1, 1) * squares, 1.0)
