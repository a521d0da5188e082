"""The distances, against SciPy and by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import jensenshannon

from monitor import distances
from monitor.two_sample import contingency

samples = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)).map(np.sort)
tied = hnp.arrays(np.float64, st.integers(4, 60), elements=st.sampled_from([-1.0, 0.0, 0.5, 3.0])).map(np.sort)
tables = st.integers(2, 12).flatmap(
    lambda cells: hnp.arrays(np.int64, (2, cells), elements=st.integers(0, 500)).filter(lambda t: t.sum(axis=1).all())
)


@given(samples, samples)
@settings(deadline=None)
def test_wasserstein_is_scipys(x: np.ndarray, y: np.ndarray) -> None:
    """Of samples of any two sizes, with ties."""
    expected = stats.wasserstein_distance(x, y)
    assert distances.wasserstein(x, y) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert distances.wasserstein(y, x) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_wasserstein_of_many_rows_is_scipys() -> None:
    """A million steps lose no digits."""
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.normal(size=300_000)), np.sort(rng.normal(0.01, size=200_003))
    assert distances.wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-9)


def test_a_constant_reference_counts_as_deviating_by_a_thousandth() -> None:
    """So that a move of 1 is 1,000 of it, and not infinite."""
    assert distances.wasserstein_normalised(np.zeros(5), np.ones(4)) == pytest.approx(1000)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 10_000))
@settings(deadline=None)
def test_cramer_von_mises_is_scipys(m: int, n: int, seed: int) -> None:
    """Statistic and p-value, of samples without ties."""
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.normal(size=m)), np.sort(rng.normal(rng.integers(0, 3), size=n))
    outcome, expected = distances.cramer_von_mises(x, y), stats.cramervonmises_2samp(x, y, method="asymptotic")
    assert outcome.statistic == pytest.approx(expected.statistic)
    assert outcome.p_value == pytest.approx(expected.pvalue, abs=1e-5)


@pytest.mark.filterwarnings("ignore:p-value (capped|floored):UserWarning")
@given(tied, samples.filter(lambda values: len(values) >= 4))
@settings(deadline=None)
def test_anderson_darling_is_scipys(x: np.ndarray, y: np.ndarray) -> None:
    """The standardised statistic, with ties too."""
    if len(np.unique(np.concatenate([x, y]))) < 2:
        return
    expected = stats.anderson_ksamp([x, y], variant="midrank")
    assert distances.anderson_darling(x, y).statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("test", [distances.cramer_von_mises, distances.anderson_darling])
def test_one_value_on_either_side_counts_as_alike(test: Callable) -> None:
    """Nothing can be told of two rows, however far apart they are."""
    outcome = test(np.array([1.0]), np.array([2.0]))
    assert (outcome.statistic, outcome.p_value, outcome.effect) == (0, 1, 0)


def test_the_p_values_of_anderson_darling_are_those_of_published_tables() -> None:
    """The limit's points of Scholz & Stephens 1987 for two samples: 1.226, 1.960, 3.752 standard deviations."""
    rng = np.random.default_rng(3)
    y = np.sort(rng.normal(size=4000))
    found = [distances.anderson_darling(np.sort(rng.normal(s, size=4000)), y) for s in np.linspace(0, 0.12, 40)]
    statistics, p_values = np.array([[one.statistic, math.log(one.p_value)] for one in found]).T
    order = np.argsort(statistics)
    at = np.exp(np.interp([1.226, 1.960, 3.752], statistics[order], p_values[order]))
    assert at == pytest.approx([0.1, 0.05, 0.01], rel=0.05)


@pytest.mark.parametrize("test", [distances.cramer_von_mises, distances.anderson_darling])
@pytest.mark.parametrize("rows", [10, 100])
def test_p_values_keep_their_promise(test: Callable, rows: int) -> None:
    """Of 2,000 small windows without drift against 200 rows, about one in twenty is below 0.05."""
    rng = np.random.default_rng(rows)
    called = sum(
        test(np.sort(rng.normal(size=200)), np.sort(rng.normal(size=rows))).p_value <= 0.05 for _ in range(2000)
    )
    assert 70 <= called <= 134  # a binomial's 99.9% interval


@given(tables)
@settings(deadline=None)
def test_the_four_jensen_shannons_are_one_number_in_four_units(table: np.ndarray) -> None:
    """SciPy's distance, its square, and both in bits."""
    p, q = table[0], table[1]
    nats, bits = jensenshannon(p, q), jensenshannon(p, q, base=2)
    if math.isnan(nats):  # SciPy's root of -1e-17
        nats = bits = 0.0
    assert distances.jensen_shannon_distance(p, q) == pytest.approx(nats, abs=1e-7)
    assert distances.jensen_shannon_distance_2(p, q) == pytest.approx(bits, abs=1e-7)
    assert distances.jensen_shannon_divergence(p, q) == pytest.approx(nats**2, abs=1e-12)
    assert distances.jensen_shannon_divergence_2(p, q) == pytest.approx(bits**2, abs=1e-12)


@given(tables)
@settings(deadline=None)
def test_information_distances_are_scipys(table: np.ndarray) -> None:
    """Kullback-Leibler is the relative entropy, and PSI without a floor that of both directions."""
    p, q = table[0] / table[0].sum(), table[1] / table[1].sum()
    one, other = stats.entropy(p, q), stats.entropy(q, p)
    assert distances.kullback_leibler(table[0], table[1]) == pytest.approx(one, abs=1e-12)
    assert distances.psi(table[0], table[1], smallest=0) == pytest.approx(one + other, abs=1e-12)


@given(tables)
@settings(deadline=None)
def test_distances_of_shares_are_their_formulas(table: np.ndarray) -> None:
    """And symmetric, and within 0..1."""
    p, q = table[0] / table[0].sum(), table[1] / table[1].sum()
    expected = {
        distances.hellinger: math.sqrt(max(1 - np.sqrt(p * q).sum(), 0)),  # the Bhattacharyya coefficient's
        distances.total_variation: np.maximum(p - q, 0).sum(),
        distances.l_infinity: np.linalg.norm(p - q, np.inf),
    }
    for distance, value in expected.items():
        assert distance(table[0], table[1]) == pytest.approx(value, abs=1e-7)
        assert distance(table[1], table[0]) == pytest.approx(value, abs=1e-7)
        assert 0 <= distance(table[0], table[1]) <= 1 + 1e-12


@given(tables)
@settings(deadline=None)
def test_cramers_v_is_scipys(table: np.ndarray) -> None:
    """Of the table without its empty columns; the corrected one is zero in expectation without drift."""
    seen = table[:, table.sum(axis=0) > 0]
    if seen.shape[1] < 2:
        assert distances.cramers_v(table[0], table[1]) == 0
        return
    expected = stats.contingency.association(seen, method="cramer")
    assert distances.cramers_v(table[0], table[1]) == pytest.approx(expected, abs=1e-7)
    assert distances.cramers_v_corrected(table[0], table[1]) <= 1 + 1e-12


def test_the_corrected_v_takes_off_what_chance_gives() -> None:
    """By hand: X² = 500/3 = 166.67 of 1,000 rows and 2 cells: √((1/6 - 1/999) / min(2 - 1/999 - 1, 1 - 1/999))."""
    table = np.array([[400, 100], [200, 300]])
    phi2 = 1000 * 400**2 * 300**2 * (1 - 100 * 200 / (400 * 300)) ** 2 / (600 * 400 * 500 * 500) / 1000
    expected = math.sqrt((phi2 - 1 / 999) / (1 - 1 / 999))
    assert distances.cramers_v_corrected(table[0], table[1]) == pytest.approx(expected)
    assert contingency(table[0], table[1]).statistic == pytest.approx(1000 * phi2)


def test_an_empty_cell_counts_as_one_row_in_ten_thousand() -> None:
    """(0.5 - 0.0001) ln(0.5 / 0.0001) + (0.5 - 1) ln(0.5 / 1)."""
    assert distances.psi(np.array([10, 10]), np.array([0, 20])) == pytest.approx(4.604318, abs=1e-6)


@given(samples, st.integers(2, 20))
@settings(deadline=None)
def test_quantile_bins_hold_as_many_reference_rows_each(x: np.ndarray, bins: int) -> None:
    """As near as whole rows and ties let them: no bin of distinct values holds more than its part and one row."""
    cuts = distances.quantile_cuts(x, bins)
    counts = distances.counts_between(x, cuts)
    assert counts.sum() == len(x)
    assert len(counts) <= bins
    if len(np.unique(x)) == len(x) and len(cuts) == bins - 1:
        assert counts.max() <= math.ceil(len(x) / bins) + 1


@pytest.mark.parametrize("now", [0.0, 2.0])
def test_a_constant_has_a_bin_of_its_own(now: float) -> None:
    """What lies below it is as far from it as what lies above."""
    cuts = distances.quantile_cuts(np.ones(50), 10)
    counts = [distances.counts_between(side, cuts) for side in (np.ones(50), np.full(50, now))]
    assert distances.total_variation(counts[0], counts[1]) == 1.0


def test_quantiles_of_infinities_are_numbers() -> None:
    """A third of either kind: the cuts between them are ascending, and each kind is on its side of all."""
    x = np.repeat([-np.inf, 0.0, np.inf], 30)
    cuts = distances.quantile_cuts(x, 10)
    assert np.isfinite(cuts).all()
    assert np.isfinite(np.diff(cuts)).all()
    counts = distances.counts_between(x, cuts)
    assert (counts[0], counts[-1], counts.sum()) == (30, 30, 90)


def test_values_beyond_the_reference_are_in_the_outermost_bins() -> None:
    """Infinities too."""
    cuts = distances.quantile_cuts(np.arange(100.0), 4)
    assert distances.counts_between(np.array([-np.inf, -5.0, 50.0, 200.0, np.inf]), cuts).tolist() == [2, 0, 1, 2]
