"""Single measures by name, with thresholds and bins as asked."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from monitor.conventions import MEASURES, Column, measured
from monitor.pair import pair_up
from storage.errors import SettingError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=900), RNG.normal(0.4, size=500)


def column(reference: object, current: object) -> Column:
    """A column of two tables."""
    before, after = pl.Series("x", reference, strict=False), pl.Series("x", current, strict=False)
    return Column(pair_up(before, after), before, after)


@pytest.mark.parametrize("bins", [2, 5, 10, 37])
def test_psi_has_the_bins_that_were_asked_for(bins: int) -> None:
    """Each bin holds as many reference rows, as pandas cuts them; values beyond are in the outermost ones."""
    edges = pd.qcut(X, bins, retbins=True)[1]
    edges[0], edges[-1] = -math.inf, math.inf
    p, q = (pd.cut(side, edges).value_counts().to_numpy() / len(side) for side in (X, Y))
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    finding = measured([column(X, Y)], 0.05, "psi", bins=bins)[0]
    assert finding.method == f"PSI in {bins} bins"
    assert finding.statistic == pytest.approx(((p - q) * np.log(p / q)).sum())


@pytest.mark.parametrize("name", [name for name, measure in MEASURES.items() if not measure.is_test])
def test_a_distance_alarms_from_its_threshold_on(name: str) -> None:
    """At exactly the distance it does, above it does not."""
    columns = [column(X, Y)]
    distance = measured(columns, 0.05, name, threshold=1.0)[0].statistic
    assert distance is not None
    assert measured(columns, 0.05, name, threshold=distance)[0].drifted
    assert not measured(columns, 0.05, name, threshold=distance * 1.0001)[0].drifted


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_measure_is_small_without_drift_and_larger_with_it(name: str) -> None:
    """Of numbers, and of categories where the measure takes them."""
    measure = MEASURES[name]
    pairs = [([*X], [*X]), ([*X], [*Y])]
    levels = [(["a", "b"] * 100, ["a", "b"] * 50), (["a", "b"] * 100, ["a", "c"] * 50)]
    for same, moved in (pairs, levels if measure.of_counts else pairs):
        found = [measured([column(*sides)], 0.05, name, threshold=0.01)[0] for sides in (same, moved)]
        assert found[0].statistic is not None
        assert found[1].statistic is not None
        assert found[0].statistic < found[1].statistic
        assert [finding.drifted for finding in found] == [False, True]


def test_tests_share_the_level_out() -> None:
    """Of three columns one holds nothing to test, so each of the others has half of 5%."""
    columns = [column(X, Y), column(X, X[:300]), column([None] * 5, [1.0] * 5)]
    findings = measured(columns, 0.05, "kolmogorov-smirnov")
    assert [finding.threshold for finding in findings] == [0.025, 0.025, None]
    assert [finding.drifted for finding in findings] == [True, False, False]
    assert findings[0].p_value == pytest.approx(stats.ks_2samp(X, Y, method="asymp").pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("reference", "current", "name", "said"),
    [
        ([None, None], [1.0, 2.0], "psi", "no value"),
        ([math.inf, math.inf], [1.0, 2.0], "wasserstein", "no finite value"),
        (["a", "b"], ["a", "b"], "wasserstein", "compares numbers"),
        ([[1], [2]], [[1], [2]], "psi", "not compared"),
    ],
)
def test_what_cannot_be_measured_has_a_note(reference: list, current: list, name: str, said: str) -> None:
    """And the other columns have their verdicts."""
    findings = measured([column(reference, current), column(X, X)], 0.05, name, threshold=0.1)
    assert (findings[0].method, findings[0].drifted) == ("none", False)
    assert said in findings[0].note
    assert findings[1].statistic == pytest.approx(0, abs=1e-9)


def test_infinities_do_not_spoil_a_distance() -> None:
    """Wasserstein leaves them out; PSI counts them in the outermost bins."""
    wild = [*Y, math.inf, -math.inf]
    assert measured([column(X, wild)], 0.05, "wasserstein", 0.1)[0].statistic == pytest.approx(
        stats.wasserstein_distance(X, Y)
    )
    psi = measured([column(X, wild)], 0.05, "psi")[0].statistic
    assert psi is not None
    assert math.isfinite(psi)


def test_a_rough_p_value_says_so() -> None:
    """Where a tenth of the values are equal."""
    finding = measured([column([0.0] * 50 + [*X], [*Y])], 0.05, "anderson-darling")[0]
    assert finding.note == ""
    finding = measured([column([0.0] * 300 + [*X], [*Y])], 0.05, "anderson-darling")[0]
    assert "rough" in finding.note


@pytest.mark.parametrize(
    ("name", "threshold", "bins", "said"),
    [
        ("wasserstein", None, None, "no usual one"),
        ("psi", 0.0, None, "above 0"),
        ("psi", math.nan, None, "above 0"),
        ("psi", math.inf, None, "nothing alarms"),
        ("psi", None, 1, "2 or more"),
        ("psi", None, 10_001, "10,000 at most"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    name: str, threshold: float | None, bins: int | None, said: str
) -> None:
    """With what would be right."""
    with pytest.raises(SettingError, match=said):
        measured([column(X, Y)], 0.05, name, threshold, bins)
