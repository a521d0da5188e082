"""Skewed numbers are straightened by the power that makes a normal distribution most likely."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import skew, yeojohnson

from autopilot.plan.ops import Powers
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

NUMBER = signature_of(("number",))
RNG = np.random.default_rng(0)
SKEWED = {
    "lognormal": RNG.lognormal(size=5000),
    "to the left": -RNG.lognormal(size=5000),
    "exponential": 1e6 * RNG.exponential(size=5000),
    "chi-squared": RNG.chisquare(1, size=5000) - 1000,
    "pareto": RNG.pareto(1.5, size=5000),
}


def scipys(values: np.ndarray) -> np.ndarray:
    """SciPy's Yeo-Johnson transformation of the scaled numbers, with the likeliest power, and standardised."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    points = np.quantile(values, np.linspace(0.001, 0.999, 200))
    straight, power = yeojohnson((points - median) / (high - low))
    return (yeojohnson((values - median) / (high - low), power) - straight.mean()) / straight.std()


@pytest.mark.parametrize("name", SKEWED)
def test_powers_agree_with_scipys_yeo_johnson(name: str) -> None:
    """Within 1/63 of the range everywhere, and far nearer where the rows are."""
    values = SKEWED[name]
    rows = rows_of(NUMBER, pl.DataFrame({"c0": values}))
    op = Powers.fit(rows)
    assert op is not None
    found, expected = training_features(op, rows)[:, 0], scipys(values)
    assert np.abs(found - expected).max() < np.ptp(expected) / 63
    assert np.abs(found - expected).mean() < 0.01
    assert abs(skew(found)) < min(1.0, abs(skew(values)) / 4)


def test_a_distribution_that_is_not_skewed_is_left_alone() -> None:
    """Nothing is left of a normal, a uniform and a constant column."""
    frame = pl.DataFrame({"c0": RNG.normal(size=500), "c1": RNG.uniform(size=500), "c2": np.ones(500)})
    assert Powers.fit(rows_of(signature_of(("number",) * 3), frame)) is None


def test_missing_is_the_median_and_what_is_outside_the_nearest_end() -> None:
    """Infinities too."""
    train = pl.DataFrame({"c0": [None, *np.exp(np.arange(101) / 20).tolist()]})
    op = Powers.fit(rows_of(NUMBER, train))
    ends = [(None,), (math.exp(2.5),), (1.0,), (-7.0,), (-math.inf,), (math.exp(5),), (1e9,), (math.inf,)]
    missing, median, low, *below, high, above, infinite = both(op, NUMBER, raw_frame(("number",), ends))
    assert missing == median
    assert below == [low, low]
    assert [above, infinite] == [high, high]


def test_a_column_of_which_most_is_one_number_is_scaled_by_its_mean_distance() -> None:
    """Its quartiles are equal."""
    train = pl.DataFrame({"c0": [0.0] * 90 + [float(value**3) for value in range(1, 11)]})
    found = both(Powers.fit(rows_of(NUMBER, train)), NUMBER, raw_frame(("number",), [(0.0,), (8.0,), (1000.0,)]))
    assert found[0] < found[1] < found[2]
    assert found[2][0] < 5  # a thousand is 9 deviations away
