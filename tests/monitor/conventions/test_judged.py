"""The one door to all rules by name: effects for ranking, verdicts on tables, settings."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.calibrated import Finding
from monitor.conventions import CONVENTIONS, MEASURES, NAMES, Column, judged, table_drifted
from monitor.conventions.column import effect_of
from monitor.pair import pair_up
from storage.errors import SettingError
from tests.monitor.conventions.asked import asked_tables, odd_columns


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_judges_every_column(name: str) -> None:
    """Of all kinds, and odd ones: a verdict with an effect between 0 and 1, or a note."""
    columns = [*asked_tables()[0][1].values(), *odd_columns().values()]
    threshold = None if name in CONVENTIONS else 0.1
    for finding in judged(name, columns, 0.05, threshold):
        if finding.statistic is None:
            assert (finding.method, finding.drifted) == ("none", False)
            assert finding.note
        else:
            assert finding.effect is not None
            assert 0 <= finding.effect <= 1
            assert finding.threshold is not None


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_the_effect_of_numbers_is_their_largest_distance(m: int, n: int, seed: int) -> None:
    """SciPy's D, to two thousandths."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=m), rng.normal(seed / 100, size=n)
    assert effect_of(pair_up(pl.Series(x), pl.Series(y))) == pytest.approx(stats.ks_2samp(x, y).statistic, abs=0.002)


def test_a_told_kind_is_not_guessed() -> None:
    """Whole numbers of eight values are a category to Evidently, unless somebody says that they are numbers."""
    before, after = pl.Series("x", [1, 2, 3, 4, 5, 6, 7, 8] * 20), pl.Series("x", [2, 3, 4, 5, 6, 7, 8, 8] * 20)
    guessed, told = (Column(pair_up(before, after, "number"), before, after, told) for told in (False, True))
    assert [finding.method for finding in judged("evidently", [guessed, told], 0.05)] == [
        "chi-square of fit",
        "Kolmogorov-Smirnov",
    ]


@pytest.mark.parametrize(
    ("drifted", "compared", "verdict"), [(1, 2, True), (1, 3, False), (2, 4, True), (0, 4, False), (0, 0, False)]
)
def test_evidently_calls_a_table_drifted_from_half_of_its_columns_on(
    drifted: int, compared: int, verdict: bool
) -> None:
    """Of those that it compared; any other rule from one on."""
    alarm = Finding("x", 1.0, None, 1.0, 0.1, drifted=True)
    findings = [alarm] * drifted + [alarm._replace(drifted=False)] * (compared - drifted)
    findings.append(Finding("none", None, None, None, None, drifted=False, note="empty"))
    assert table_drifted("evidently", findings) is verdict
    assert table_drifted("psi", findings) is (drifted > 0)


@pytest.mark.parametrize("settings", [{"threshold": 0.2}, {"bins": 10}])
@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_a_products_rule_has_its_own_thresholds(name: str, settings: dict) -> None:
    """Another one would no longer be its verdict; the error says what takes one."""
    with pytest.raises(SettingError, match="psi"):
        judged(name, [], 0.05, **settings)


def test_no_two_rules_have_one_name() -> None:
    """And the calibrated method's is taken."""
    assert len(set(NAMES)) == len(CONVENTIONS) + len(MEASURES)
    assert "calibrated" not in NAMES
