"""How much of a target is explained, and how much of that may be chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from autopilot.guardrails.entities import intraclass
from autopilot.guardrails.power import at_least, explained, gap, held_out, nearest, power

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, rows: int = 60, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and one output."""
    rng = np.random.default_rng(seed)
    output = rng.normal(size=(rows, 1))
    return output + noise * rng.normal(size=(rows, 1)), output


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_power_of_one_output_is_the_squared_correlation(seed: int) -> None:
    """As SciPy has it, but 0 where predictions go the wrong way."""
    predicted, output = drawn(seed)
    r = pearsonr(predicted[:, 0], output[:, 0]).statistic
    assert power(predicted, output) == pytest.approx(max(r, 0) ** 2)
    assert power(-predicted, output) == pytest.approx(max(-r, 0) ** 2)
    assert power(3 - 0.01 * -predicted, output) == pytest.approx(power(predicted, output))


@given(SEEDS, st.floats(0.1, 3.0))
@settings(max_examples=30, deadline=None)
def test_what_is_sure_is_the_lower_bound_of_the_correlation(seed: int, noise: float) -> None:
    """SciPy's one-sided interval of 99%."""
    predicted, output = drawn(seed, noise=noise)
    low = pearsonr(predicted[:, 0], output[:, 0], alternative="greater").confidence_interval(0.99).low
    assert at_least(power(predicted, output), 60) == pytest.approx(max(low, 0) ** 2, abs=1e-9)


def test_chance_takes_more_where_more_columns_are_looked_at() -> None:
    """And all where there are hardly any rows."""
    assert at_least(0.5, 100) > at_least(0.5, 100, tests=1000) > 0
    assert at_least(1.0, 9) == 0.0


@given(SEEDS, st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_what_is_explained_is_the_coefficient_of_determination(seed: int, outputs: int) -> None:
    """As scikit-learn has it, weighted by the variance of each output; never below 0."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(40, outputs)) * np.arange(1, outputs + 1)
    predicted = truth + rng.normal(size=truth.shape)
    expected = r2_score(truth, predicted, multioutput="variance_weighted")
    assert explained(predicted, truth) == pytest.approx(max(expected, 0.0))


def test_a_level_is_predicted_by_the_other_half() -> None:
    """(1 + 3) / (2 + 1) for level 0 of the first half; a level that the other half lacks gets the mean, 0."""
    codes, half = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])
    outputs = np.array([[5.0], [7.0], [1.0], [3.0]])
    assert held_out(codes, outputs, half)[:, 0] == pytest.approx([4 / 3, 0.0, 2.5, 2.5])


def test_the_rows_around_tell_a_border_to_a_row() -> None:
    """Of 400 rows of two classes, those four next to the border on each side may err; NaN gets the mean."""
    rng = np.random.default_rng(0)
    values = rng.random(400)
    outputs = np.where(values > 0.3, 0.5, -0.5)[:, None]
    values[0] = np.nan
    predicted = nearest(values, outputs, rng.permutation(np.arange(400) % 2))
    assert (np.sign(predicted[1:]) != np.sign(outputs[1:])).sum() <= 4
    assert predicted[0, 0] == 0.0


def test_a_gap_is_told_from_chance() -> None:
    """Predictions that are off by 0.5 in a variance of 1 lose a quarter of it; others as good lose nothing."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 1))
    good, as_good = truth + 0.5 * rng.normal(size=(2, 4000, 1))
    unit = np.arange(4000) % 40
    assert gap(good, good + 0.5, truth, unit) == pytest.approx(0.25, abs=0.05)
    assert gap(good, as_good, truth, unit) < 0.02
    assert gap(good, good + 0.5, truth, np.zeros(4000, dtype=np.int64)) == 0.0


def test_the_intraclass_correlation_is_that_of_its_authors() -> None:
    """Shrout and Fleiss (1979), table 2: six targets, four judges, ICC(1, 1) = 0.17."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    outputs = np.array(ratings, dtype=np.float64).reshape(-1, 1)
    assert intraclass(np.repeat(np.arange(6), 4), outputs) == pytest.approx(0.17, abs=0.005)
