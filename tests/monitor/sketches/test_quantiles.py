"""Quantiles of profiles, held against NumPy's of the rows."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from monitor.sketches.baseline import Baseline
from monitor.sketches.quantiles import K, compacted, sketch_of
from monitor.sketches.window import merge, profile, quantiles_of

SHARES = np.linspace(0.01, 0.99, 99)


def rank_error(found: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """How far a quantile's rank is from its share, at most."""
    ascending = np.sort(values)
    at_most = np.searchsorted(ascending, found, "right") / len(values)
    below = np.searchsorted(ascending, found, "left") / len(values)
    return float(np.maximum(below - SHARES, SHARES - at_most).max())


@pytest.mark.parametrize(
    ("shift", "width", "most"),
    [
        pytest.param(0.0, 1.0, 0.015, id="as the reference"),
        pytest.param(1.0, 1.0, 0.04, id="moved"),
        pytest.param(9.0, 1.0, 0.06, id="beyond the reference"),
        pytest.param(0.0, 20.0, 0.06, id="wider"),
    ],
)
def test_ranks_are_right_within_a_few_hundredths(shift: float, width: float, most: float) -> None:
    """Of 24 windows of 1,000 rows merged, where sketches keep less than all; `most` is three times what is usual."""
    rng = np.random.default_rng(1)
    baseline = Baseline.of(pl.DataFrame({"x": rng.normal(size=5000)}))
    values = rng.normal(shift, width, size=24_000)
    window = merge([profile(pl.DataFrame({"x": part}), baseline) for part in np.split(values, 24)])
    found = quantiles_of(window, baseline, "x", SHARES.tolist())
    assert rank_error(np.array(found, float), values) < most
    again = quantiles_of(merge([window]), baseline, "x", SHARES.tolist())
    assert again == found


def test_ranks_are_exact_at_cuts_and_points() -> None:
    """Of whole numbers, which are points."""
    rng = np.random.default_rng(2)
    baseline = Baseline.of(pl.DataFrame({"x": rng.integers(0, 9, 5000)}))
    values = rng.integers(0, 9, 777)
    found = quantiles_of(profile(pl.DataFrame({"x": values}), baseline), baseline, "x", SHARES.tolist())
    assert found == np.quantile(values, SHARES, method="inverted_cdf").tolist()


def test_the_extremes_are_the_ends() -> None:
    """At 0 and 1; a share between two rows goes up."""
    baseline = Baseline.of(pl.DataFrame({"x": np.arange(1000.0)}))
    window = profile(pl.DataFrame({"x": [3.5, 400.25, 2000.0]}), baseline)
    low, middle, high = quantiles_of(window, baseline, "x", [0.0, 0.5, 1.0])
    assert (low, middle, high) == (3.5, 400.25, 2000.0)


def test_sketches_are_those_of_datasketches() -> None:
    """As it reads and merges them itself: all rows are there, within its own error."""
    import datasketches

    parts = np.split(np.random.default_rng(3).normal(size=20_000), 5)
    together = datasketches.kll_doubles_sketch.deserialize(compacted([sketch_of(part) for part in parts]))
    assert (together.n, together.k) == (20_000, K)
    whole = np.sort(np.concatenate(parts))
    error = abs(np.searchsorted(whole, together.get_quantiles(SHARES)) / 20_000 - SHARES).max()
    assert error < 2 * together.normalized_rank_error(False)
    assert (compacted([b"", b""]), sketch_of(np.empty(0))) == (b"", b"")
