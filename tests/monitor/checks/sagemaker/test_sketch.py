"""Sketches made of sorted values, and read back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.checks.sagemaker.distance import value_distance
from monitor.checks.sagemaker.files import Sketch
from monitor.checks.sagemaker.sketch import KEPT, sketched, values_of


@given(st.lists(st.floats(-1e9, 1e9), max_size=50))
@settings(max_examples=60, deadline=None)
def test_few_values_are_kept_as_they_are(values: list[float]) -> None:
    """Each with the rows that it had."""
    found, rows = values_of(sketched(np.sort(np.array(values, dtype=np.float64))))
    expected, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    assert found.tolist() == expected.tolist()
    assert rows.tolist() == counts.tolist()


@pytest.mark.parametrize("rows", [KEPT, KEPT + 1, 4099, 100_000, 1_000_003])
def test_rows_add_up_and_ranks_are_near(rows: int) -> None:
    """A rank is off by less than one row in 2,000, and as many values are kept as one level has."""
    values = np.sort(np.random.default_rng(1).normal(size=rows))
    sketch = sketched(values)
    found, weights = values_of(sketch)
    assert weights.sum() == rows
    assert sum(len(level) for level in sketch.data) <= KEPT + len(sketch.data)
    rank = np.searchsorted(values, found, side="right")
    assert abs(np.cumsum(weights) - rank).max() / rows < 1 / 2000


def test_the_distance_of_sketches_is_that_of_the_values() -> None:
    """SciPy's Kolmogorov-Smirnov statistic of 100,000 and 30,000 values, but for what a sketch is off by."""
    rng = np.random.default_rng(2)
    x, y = np.sort(rng.normal(size=100_000)), np.sort(rng.normal(0.2, 1.1, size=30_000))
    found = value_distance(*values_of(sketched(x)), *values_of(sketched(y)))
    assert found == pytest.approx(stats.ks_2samp(x, y).statistic, abs=1e-3)


def test_an_empty_sketch_has_no_values() -> None:
    """As one of no rows, or one without levels."""
    for sketch in (sketched(np.array([])), Sketch()):
        values, rows = values_of(sketch)
        assert (len(values), len(rows)) == (0, 0)
