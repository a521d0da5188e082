"""What charts show, counted by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.drift import Bars, Counts, Histogram, Kind
from monitor.pair import pair_up
from monitor.profile import BINS, LEVELS, chart_of


def chart(reference: Any, current: Any, kind: Kind | None = None) -> Histogram | Bars | None:
    """The chart of a column."""
    return chart_of(pair_up(pl.Series(reference), pl.Series(current), kind))


def test_whole_numbers_get_a_bin_each() -> None:
    """1 to 3, counted."""
    assert chart([1, 2, 2], [3, None]) == Histogram(
        "value", (0.5, 1.5, 2.5, 3.5), (1, 2, 0), (0, 0, 1), Counts(0, 0), Counts(0, 0)
    )


def test_an_outlier_does_not_squeeze_the_others() -> None:
    """1,000 values between 0 and 1 and one at a million: it is in the last bin, and told."""
    values = np.linspace(0, 1, 1000)
    found = chart(np.r_[values, 1e6], values)
    assert isinstance(found, Histogram)
    assert found.edges[-1] <= 1.0
    assert found.above.reference >= 1
    assert (sum(found.reference), sum(found.current)) == (1001, 1000)


def test_a_window_that_moved_away_is_on_the_chart() -> None:
    """Bins span both samples."""
    found = chart(np.linspace(0, 1, 500), np.linspace(10, 11, 50))
    assert isinstance(found, Histogram)
    assert (found.edges[0], found.edges[-1], len(found.reference)) == (0.0, 11.0, BINS)


@given(
    st.lists(st.floats(allow_nan=False) | st.integers(-50, 50).map(float), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False), max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_each_value_is_in_one_bin(reference: list[float], current: list[float]) -> None:
    """Whatever the numbers: edges are finite and ascend, and nothing is lost."""
    found = chart(pl.Series(reference, dtype=pl.Float64), pl.Series(current, dtype=pl.Float64))
    if found is None:
        assert not np.isfinite(reference + current).any()
        return
    assert isinstance(found, Histogram)
    assert np.isfinite(found.edges).all()
    assert (np.diff(found.edges) > 0).all()
    assert len(found.edges) == len(found.reference) + 1 <= BINS + 2
    assert (sum(found.reference), sum(found.current)) == (len(reference), len(current))


@pytest.mark.parametrize("value", [0.25, 3.0, -1e17, 5e-324, 1.7e308])
def test_a_constant_has_one_bin(value: float) -> None:
    """However large or small it is."""
    found = chart([value] * 5, [value])
    assert isinstance(found, Histogram)
    assert (found.reference, found.current) == ((5,), (1,))


def test_levels_are_bars_commonest_first() -> None:
    """Each level, and no rest."""
    assert chart(["a", "b", "b"], ["b", "c"]) == Bars(("b", "a", "c"), (2, 1, 0), (1, 0, 1), 0, Counts(0, 0))


def test_many_levels_are_summed_up() -> None:
    """30 levels of 40 rows, and a new one: the new one has a bar although others are commoner."""
    levels = [f"level {number:02}" for number in range(30)] * 40
    found = chart(levels, [*levels[:300], *["new"] * 30])
    assert isinstance(found, Bars)
    assert (len(found.levels), found.others) == (LEVELS, 21)
    assert "new" in found.levels
    assert sum(found.reference) + found.rest.reference == 1200
    assert sum(found.current) + found.rest.current == 330


def test_a_single_level_more_gets_its_own_bar() -> None:
    """ "1 other level" would take the same space and tell less."""
    found = chart([str(number) for number in range(LEVELS + 1)], ["0"])
    assert isinstance(found, Bars)
    assert (len(found.levels), found.others) == (LEVELS + 1, 0)


def test_nothing_is_drawn_of_nothing() -> None:
    """No value, or no order and no levels."""
    assert chart([None], [None]) is None
    assert chart([[1]], [[2]]) is None
    assert chart([float("inf")], [float("inf")]) is None
