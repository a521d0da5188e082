"""Cells: where numbers and levels fall, and that the rule looks at no sample that it is tested on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.sketches.cells import (
    BINS,
    FREQUENT,
    QUANTILES,
    TAIL,
    LevelCells,
    LevelCounter,
    level_cells,
    number_cells,
)

values = st.lists(st.floats(allow_nan=False) | st.integers(-3, 3).map(float), min_size=1, max_size=300)


@given(values, values)
def test_each_value_falls_into_the_cell_whose_ends_hold_it(reference: list[float], window: list[float]) -> None:
    """Infinities too, into the outermost ones."""
    cells = number_cells(np.sort(reference))
    counts = cells.count(np.sort(window))
    expected = [0] * cells.size
    for value in window:
        (cell,) = [i for i in range(cells.size) if cells.ends(i)[0] < value <= cells.ends(i)[1] or _lowest(value, i)]
        expected[cell] += 1
    assert counts.tolist() == expected


def _lowest(value: float, cell: int) -> bool:
    return cell == 0 and value == -np.inf


@given(values)
def test_the_outermost_cells_hold_what_the_reference_has_not(reference: list[float]) -> None:
    """So they are empty in itself, and the cells between hold a 120th of it at most, but for points."""
    ascending = np.sort(reference)
    cells = number_cells(ascending)
    counts = cells.count(ascending)
    if np.isfinite(ascending[0]):
        assert counts[0] == 0
    assert counts[-1] == 0
    assert cells.error <= 1 / QUANTILES
    for point in cells.points:
        low, high = cells.ends(point)
        assert (ascending[(ascending > low) & (ascending <= high)] == high).all()


def test_ten_bins_are_tenths_of_the_reference() -> None:
    """Of 1,200 values, 120 each; where one value is most of them, there are fewer bins."""
    cells = number_cells(np.arange(1200.0))
    counts = np.add.reduceat(cells.count(np.arange(1200.0)), cells.bins)
    assert counts.tolist() == [120] * BINS
    few = number_cells(np.sort(np.r_[np.zeros(900), np.arange(1, 101.0)]))
    assert np.add.reduceat(few.count(np.zeros(5)), few.bins).tolist() == [5, 0]


def test_frequent_levels_get_cells_in_their_order() -> None:
    """All of them, if each has many rows; what is new falls beside."""
    found = level_cells(["a", "b", "c"], np.array([50, 900, 50]))
    assert (found.cells, found.tested) == (LevelCells(("a", "b", "c"), 1), (50, 900, 50, 0))
    counted = LevelCounter(found.cells).count(["c", "new"], np.array([3, 4]))
    assert (counted.cells.tolist(), counted.unseen) == ([0, 0, 3, 4], 4)


def test_rare_levels_share_the_tail() -> None:
    """10,000 levels of one or two rows, and one that is frequent: half of the reference chooses, half is tested."""
    names = ["often", *(f"id {i}" for i in range(10_000))]
    rows = np.array([5000] + [1, 2] * 5000)
    found = level_cells(names, rows)
    assert found.cells.frequent == ("often",)
    assert (sum(found.whole), found.whole[0]) == (20_000, 5000)
    assert sum(found.tested) == 10_000
    assert found.tested[0] == pytest.approx(2500, abs=150)
    assert found.cells.size == 1 + TAIL
    counter = LevelCounter(found.cells)
    again = counter.count(names, rows)
    assert (again.cells.tolist(), again.unseen) == (list(found.whole), 0)
    # The chance that the other half has a row's level: none of those of one row, every second of those of two.
    assert again.unknown / 15_000 == pytest.approx((1 / 3) / 2 + (2 / 3) / 4, abs=0.02)
    assert counter.count(["new"], np.array([7])).unseen == 7


def test_no_more_levels_than_fit_get_cells() -> None:
    """Of 500 with 100 rows each."""
    found = level_cells([str(i) for i in range(500)], np.full(500, 100))
    assert len(found.cells.frequent) == FREQUENT
    assert sum(found.whole) == 50_000


def test_an_empty_column_has_cells_for_what_may_come() -> None:
    """All of it unseen."""
    found = level_cells([], np.zeros(0, np.int64))
    assert LevelCounter(found.cells).count(["a"], np.array([2])).unseen == 2
