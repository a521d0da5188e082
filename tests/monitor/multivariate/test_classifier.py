"""The domain classifier: what it finds, what it does not, and how rarely it errs."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats

from monitor.multivariate import classifier, domain_classifier
from monitor.multivariate.columns import LeftOut
from storage import DataError
from tests.monitor.multivariate.tables import KINDS, draw, hourly


def test_columns_that_go_together_no_longer_are_found() -> None:
    """Each for itself is as ever; the two are what told it."""
    found = domain_classifier(draw(0, 1500), draw(1, 300, together=0.3), kinds=KINDS)
    assert found.drifted
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert {told.column for told in found.told[:2]} == {"x", "y"}
    assert sum(told.share for told in found.told[:2]) > 0.7
    assert sum(told.share for told in found.told) == pytest.approx(1)
    assert (found.rows, found.reference_rows, found.left_out) == (300, 1500, ())


def test_without_drift_there_is_none() -> None:
    """Nothing told anything."""
    found = domain_classifier(draw(0, 1500), draw(1, 300), kinds=KINDS)
    assert (found.drifted, found.told) == (False, ())
    assert found.auc == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (pl.col("note").str.replace("late", "never"), "note"),
        (pl.col("note") + " and so on, and so on", "note"),
        (pl.when(pl.int_range(pl.len()) % 4 == 0).then(None).otherwise("x").alias("x"), "x"),
        (pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("new")).otherwise("kind").alias("kind"), "kind"),
        (pl.col("tail").fill_null(-1.0), "tail"),
    ],
)
def test_any_kind_of_column_can_tell(change: pl.Expr, column: str) -> None:
    """Words, lengths, missing values, unseen levels."""
    found = domain_classifier(draw(0, 1500), draw(1, 400).with_columns(change), kinds=KINDS)
    assert found.drifted
    assert found.told[0].column == column


@pytest.mark.parametrize("m", [1, 6, 40])
def test_rank_scores_are_mann_whitneys(m: int) -> None:
    """Without ties and without continuity correction."""
    rng = np.random.default_rng(m)
    scores, y = rng.normal(size=100), np.arange(100) < m
    expected = stats.mannwhitneyu(
        scores[y], scores[~y], alternative="greater", method="asymptotic", use_continuity=False
    )
    found = classifier._rank_score(scores, y.astype(np.int64))
    assert stats.norm.sf(found) == pytest.approx(expected.pvalue, abs=1e-12)


def test_few_rows_that_stand_out_are_no_sign() -> None:
    """A flag of one row in a hundred: two among 24 would be significant for a test that is corrected for ties."""
    scores, y = np.zeros(1000), np.arange(1000) >= 976
    scores[:10], scores[-2:] = 1.0, 1.0
    corrected = stats.mannwhitneyu(
        scores[y], scores[~y], alternative="greater", method="asymptotic", use_continuity=False
    )
    assert corrected.pvalue < 0.001
    exact = stats.fisher_exact([[10, 966], [2, 22]]).pvalue
    assert stats.norm.sf(classifier._rank_score(scores, y.astype(np.int64))) > exact > 0.02


def test_what_cannot_be_looked_at_is_left_out() -> None:
    """Instants, constants, lists, nothing but nulls; the rest is looked at."""
    tables = []
    for seed in (0, 1):
        table = draw(seed, 100)
        odd = {
            "seen": [datetime(2024, 1, 1, tzinfo=UTC)] * 100,
            "same": ["k"] * 100,
            "list": [[1]] * 100,
            "none": [None] * 100,
        }
        tables.append(table.with_columns(**{name: pl.Series(values) for name, values in odd.items()}))
    found = domain_classifier(*tables, kinds=KINDS)
    assert found.left_out == (
        LeftOut("seen", "Instants always move forward."),
        LeftOut("same", "All its rows are alike."),
        LeftOut("list", "Its type is not compared."),
        LeftOut("none", "All its rows are alike."),
    )
    assert found.auc is not None
    nothing = domain_classifier(*(table.select("seen", "same") for table in tables))
    assert (nothing.auc, nothing.drifted, nothing.note) == (None, False, "There is no column to look at.")


def test_few_rows_are_not_judged() -> None:
    """As many as columns need; also where there are more columns than rows."""
    found = domain_classifier(draw(0, 100), draw(1, 29), kinds=KINDS)
    assert (found.auc, found.note) == (None, "A comparison needs 30 rows on either side; there are 100 and 29.")
    rng = np.random.default_rng(0)
    wide = [pl.DataFrame(rng.normal(size=(30, 100)), schema=[f"c{at}" for at in range(100)]) for _ in range(2)]
    assert domain_classifier(*wide).p_value is not None


def test_rows_that_depend_on_their_neighbours_count_as_what_they_are_worth() -> None:
    """Rows dealt out at random would tell such a window from any other, since each is alike in itself."""
    found = domain_classifier(hourly(0, 3000), hourly(1, 500))
    assert not found.drifted
    assert found.note == "Rows depend on their neighbours, and count as what they are worth."
    moved = hourly(1, 500).with_columns(pl.all() + 1.5)
    assert domain_classifier(hourly(0, 3000), moved).drifted


def test_a_sorted_reference_is_no_drift() -> None:
    """Nobody knows how a file was ordered; current rows that are independent say that order means nothing."""
    assert not domain_classifier(draw(0, 1500).sort("x"), draw(1, 300), kinds=KINDS).drifted


def test_types_that_changed_and_infinities_are_looked_at() -> None:
    """Numbers that came as text are numbers, others are missing; infinities are large."""
    reference = draw(0, 300)
    text = draw(1, 300).with_columns(pl.col("x").cast(pl.String), pl.col("kind").cast(pl.Categorical))
    assert not domain_classifier(reference, text, kinds=KINDS).drifted
    endless = draw(1, 300).with_columns(x=pl.when(pl.col("x") > 0.5).then(float("inf")).otherwise("x"))
    assert domain_classifier(reference, endless, kinds=KINDS).told[0].column == "x"


def test_a_column_that_is_absent_is_an_error() -> None:
    """A new one is not looked at."""
    with pytest.raises(DataError, match="lacks 'x'"):
        domain_classifier(draw(0, 100), draw(1, 100).drop("x"))
    with_more = draw(1, 100).with_columns(new=pl.lit(1))
    assert domain_classifier(draw(0, 100), with_more, kinds=KINDS).left_out == ()


def test_large_tables_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same part each time."""
    monkeypatch.setattr(classifier, "_MOST_ROWS", 200)
    tables = draw(0, 500), draw(1, 300)
    found = domain_classifier(*tables, kinds=KINDS)
    assert (found.rows, found.reference_rows) == (200, 200)
    assert found == domain_classifier(*tables, kinds=KINDS)


def p_values(count: int, reference_rows: int, rows: int) -> np.ndarray:
    """Of comparisons without drift."""
    found = [
        domain_classifier(draw(2 * seed, reference_rows), draw(2 * seed + 1, rows), kinds=KINDS).p_value
        for seed in range(count)
    ]
    return np.array(found, dtype=np.float64)


def test_false_alarms_are_rare() -> None:
    """Of 25 comparisons without drift at 10 %, no more than the binomial's 99 % quantile: 6."""
    assert np.count_nonzero(p_values(25, 300, 60) <= 0.1) <= stats.binom.ppf(0.99, 25, 0.1) == 6


@pytest.mark.slow
@pytest.mark.parametrize(("reference_rows", "rows"), [(2000, 30), (1000, 300), (200, 1000)])
def test_false_alarms_are_as_rare_as_promised(reference_rows: int, rows: int) -> None:
    """Of 150 comparisons without drift, at each level; and not much rarer, or the test could be sharper."""
    found = p_values(150, reference_rows, rows)
    for level in (0.01, 0.05, 0.2):
        assert np.count_nonzero(found <= level) <= stats.binom.ppf(0.99, 150, level)
    assert np.count_nonzero(found <= 0.2) >= stats.binom.ppf(0.001, 150, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_false_alarms_are_rare_in_traffic_that_is_alike_by_the_hour(memory: float) -> None:
    """Of 100 comparisons of windows of an autoregression: no more than the binomial's 99 % quantile."""
    found = [
        domain_classifier(hourly(2 * seed, 3000, memory=memory), hourly(2 * seed + 1, 500, memory=memory)).drifted
        for seed in range(100)
    ]
    assert sum(found) <= stats.binom.ppf(0.99, 100, 0.05) == 11
