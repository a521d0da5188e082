"""Rows of a column in their order: what a reference says of how much they depend on one another, and a window keeps.

As a report on the rows does it (`monitor.calibrated`), but that the groups are those of the reference alone, and four:
numbers are looked at at its quartiles, levels by groups of about as many of its rows.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.serial import UNKNOWN, Curve, changes_of, curve_of, in_order_of_levels, in_order_of_values, turns_of
from monitor.sketches.blocks import OF_VALUES, both, groups_of, indicators_of, tally
from monitor.sketches.cells import Cells, LevelCounter, NumberCells

#: What a test of missing values averages: whether a value is.
GAP_SCORES = np.ones((1, 1))


class Neighbours(Struct, frozen=True, eq=False):
    """Inflation by block length of a reference's values, and of whether they are missing."""

    values: Curve = UNKNOWN
    gaps: Curve = UNKNOWN


class Grouping(NamedTuple):
    """groups: (cells,) of each cell. scores: (D, `OF_VALUES`), what a test averages, as sums of the indicators."""

    groups: NDArray[np.int64]
    scores: NDArray[np.float64]


class Ordered(NamedTuple):
    """A column's values in the order of the rows. groups: (rows,). changes: as `blocks` has them. as_sorted: whether
    somebody sorted them, so that their order says nothing."""

    groups: NDArray[np.int64]
    changes: int
    as_sorted: bool


NOTHING = Ordered(np.empty(0, np.int64), 0, True)


def grouping_of(cells: Cells | None, rows: NDArray[np.int64]) -> Grouping:
    """The groups of a column's cells, of which the reference has these rows.

    Numbers are scored by whether they are in one of the lower groups, levels by their group over its √share.
    """
    if cells is None:
        return Grouping(np.empty(0, np.int64), np.empty((0, OF_VALUES)))
    is_number = isinstance(cells, NumberCells)
    groups = groups_of(rows, np.arange(len(rows)) if is_number else np.argsort(-rows, kind="stable"))
    held = np.unique(groups)
    shares = np.bincount(groups, weights=rows)[held] / max(int(rows.sum()), 1)
    indicators = np.eye(OF_VALUES + 1)[held][:, :OF_VALUES]
    if is_number or len(held) < 2:
        return Grouping(groups, np.cumsum(indicators, axis=0)[:-1])
    indicators[-1] = -indicators[:-1].sum(axis=0)  # the last one is what the others are not
    return Grouping(groups, indicators / np.sqrt(shares)[:, None])


def numbers_in_order(values: pl.Series, cells: NumberCells, grouping: Grouping) -> Ordered:
    """Of numbers without nulls."""
    numbers = values.to_numpy()
    places = np.searchsorted(np.array(cells.cuts), numbers, "left")
    return Ordered(grouping.groups[places], turns_of(numbers), in_order_of_values(numbers))


def levels_in_order(values: pl.Series, counter: LevelCounter, grouping: Grouping) -> Ordered:
    """Of levels without nulls."""
    names: dict[str, int] = {}  # of 2,000 rows a fifth of the time of a join
    numbers = np.array([names.setdefault(name, len(names)) for name in values.to_list()], np.int64)
    places = counter.places(list(names))
    return Ordered(grouping.groups[places[numbers]], changes_of(numbers), in_order_of_levels(numbers))


def gaps_in_order(values: pl.Series) -> Ordered:
    """Of whether values are missing: the first group if so, else the second."""
    gaps = values.is_null().to_numpy().astype(np.int64)
    return Ordered(1 - gaps, changes_of(gaps), in_order_of_levels(gaps))


def neighbours_of(values: Ordered, gaps: Ordered, grouping: Grouping) -> Neighbours:
    """Of a reference's rows."""
    return Neighbours(_curve(values, grouping.scores), _curve(gaps, GAP_SCORES))


def _curve(rows: Ordered, scores: NDArray[np.float64]) -> Curve:
    if rows.as_sorted or not len(scores):
        return UNKNOWN
    return curve_of(indicators_of(rows.groups)[:, : scores.shape[1]] @ scores.T, len(rows.groups))


def blocks_of(values: Ordered, gaps: Ordered) -> NDArray[np.int64]:
    """What a window keeps, (B, `WIDTH`)."""
    return both(
        tally(indicators_of(values.groups), values.changes), tally(indicators_of(gaps.groups)[:, :1], gaps.changes)
    )
