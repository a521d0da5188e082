"""Two tails of our own are SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, kstwo

from monitor.tails import fisher_tail, kolmogorov_tail


@settings(deadline=None)
@given(st.floats(0.0, 8.0), st.integers(1, 20_000))
def test_the_tail_of_kolmogorovs_distance_is_scipys(z: float, size: int) -> None:
    """By whatever way it is computed; it is a chance, and never NaN."""
    distance = min(z / np.sqrt(size), 1.0)
    assert kolmogorov_tail(distance, size) == pytest.approx(float(kstwo.sf(distance, size)), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("size", [100_001, 1_000_000])
@pytest.mark.parametrize("z", [0.0, 1e-4, 0.05, 0.2, 0.8, 1.4, 1.6, 30.0])
def test_it_is_scipys_of_many_values(z: float, size: int) -> None:
    """From a distance of nothing to one that nobody can doubt."""
    distance = z / np.sqrt(size)
    assert kolmogorov_tail(distance, size) == pytest.approx(float(kstwo.sf(distance, size)), rel=1e-9, abs=1e-300)


_Cells = st.integers(0, 30) | st.integers(0, 5_000)


@settings(deadline=None)
@given(st.lists(_Cells, min_size=4, max_size=4))
def test_fishers_tail_is_scipys(cells: list[int]) -> None:
    """Where a row or a column is empty, too."""
    table = np.array(cells).reshape(2, 2)
    assert fisher_tail(table) == pytest.approx(float(fisher_exact(table).pvalue), rel=1e-6, abs=1e-300)


def test_fishers_tail_of_millions_of_rows_is_scipys() -> None:
    """Missing values of large windows, alike and not."""
    for missing in (10_097, 10_900, 20_000):
        table = np.array([[9_931, 990_069], [missing, 1_000_000 - missing]])
        assert fisher_tail(table) == pytest.approx(float(fisher_exact(table).pvalue), rel=1e-6, abs=1e-300)


def test_tables_as_far_out_on_the_other_side_count() -> None:
    """Of equal samples both sides have the same chance, which rounding must not part."""
    assert fisher_tail(np.array([[5, 5], [0, 10]])) == pytest.approx(2 * 252 / 15_504, rel=1e-12)
