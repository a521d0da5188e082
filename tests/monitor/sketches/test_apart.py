"""Distances of profiles: SciPy's over the same bins, whatever the rows were parted into."""

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon

from monitor.sketches.apart import bins_of, distances_of
from monitor.sketches.baseline import Baseline
from monitor.sketches.window import merge, profile
from storage import DataError

RNG = np.random.default_rng(0)
REFERENCE = pl.DataFrame(
    {"x": RNG.normal(size=2000), "town": RNG.choice(["Ulm", "Bonn", "Rome"], 2000), "seen": [0] * 2000}
).cast({"seen": pl.Datetime("us")})
BASELINE = Baseline.of(REFERENCE)


def test_distances_are_those_of_the_rows_over_tenths() -> None:
    """By NumPy's counts and SciPy's distance; of parts merged."""
    frame = pl.DataFrame({"x": RNG.normal(0.4, size=700), "town": RNG.choice(["Ulm", "Rome", "Linz"], 700)})
    window = merge([profile(frame[a:b], BASELINE) for a, b in ((0, 100), (100, 650), (650, 700))])
    ascending = np.sort(REFERENCE["x"].to_numpy())
    edges = ascending[np.arange(1, 10) * 200 - 1]
    p, q = (np.bincount(np.digitize(side, edges, right=True), minlength=10) for side in (ascending, frame["x"]))
    assert [side.tolist() for side in bins_of(window, BASELINE, "x")] == [p.tolist(), q.tolist()]
    found = distances_of(window, BASELINE, "x")
    assert found is not None
    assert found.jensen_shannon == pytest.approx(jensenshannon(p, q, base=2))
    assert found.psi == pytest.approx(((q / 700 - p / 2000) * np.log(q / 700 / (p / 2000))).sum())
    towns = distances_of(window, BASELINE, "town")
    assert towns is not None
    shares = [
        [(side["town"] == town).mean() for town in ("Bonn", "Rome", "Ulm", "Linz")] for side in (REFERENCE, frame)
    ]
    assert towns.jensen_shannon == pytest.approx(jensenshannon(*shares, base=2))
    assert towns.l_infinity == pytest.approx(max(abs(a - b) for a, b in zip(*shares, strict=True)))


def test_the_same_rows_have_no_distance() -> None:
    """And no rows none at all."""
    same = distances_of(profile(REFERENCE, BASELINE), BASELINE, "x")
    assert same == pytest.approx((0.0, 0.0, 0.0), abs=1e-7)
    assert distances_of(profile(pl.DataFrame(), BASELINE), BASELINE, "x") is None


def test_columns_without_counts_have_none() -> None:
    """Such as times."""
    with pytest.raises(DataError, match="'seen' has no counted values"):
        distances_of(profile(REFERENCE, BASELINE), BASELINE, "seen")
