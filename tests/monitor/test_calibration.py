"""The promise: without drift, the chance of any alarm in a report is at most `level`; with drift, it is found.

Ten columns of everything that makes tests go wrong: a heavy tail, columns that depend on one another, ties, zeros, a
rare flag, a few skewed levels, thousands of levels, missing values, text. Seeds are fixed, so a failure is a change.
"""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from monitor import compare

LEVEL = 0.05
REPORTS = 200
ZIPF = 1 / np.arange(1, 3001) ** 1.1
NEW_LEVEL = pl.format("new {}", pl.int_range(pl.len()))
TEXTS = np.array(["x" * length for length in range(100)])


def draw(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """A table without drift."""
    common = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "normal": common,
            "dependent": common + 0.3 * rng.normal(size=rows),
            "heavy tail": gaps(rng, pl.Series(rng.standard_t(2, size=rows)), 0.1),
            "count": rng.poisson(2, size=rows),
            "zeros": np.where(rng.random(rows) < 0.07, rng.exponential(size=rows), 0),
            "flag": rng.random(rows) < 0.05,
            "skewed": rng.choice(["a", "b", "c"], p=[0.8, 0.1, 0.1], size=rows),
            "three thousand": rng.choice(3000, p=ZIPF / ZIPF.sum(), size=rows).astype(str),
            "twenty": gaps(rng, pl.Series(rng.integers(0, 20, rows).astype(str)), 0.01),
            "text": TEXTS[rng.poisson(40, rows)],
        }
    )


def gaps(rng: np.random.Generator, series: pl.Series, share: float) -> pl.Series:
    """The column with a share of its values missing."""
    return series.set(pl.Series(rng.random(len(series)) < share), None)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [50, 500])
def test_false_alarms_are_as_rare_as_promised(rows: int) -> None:
    """Of 200 reports without drift, no more alarm than the binomial's 99% quantile at the level allows: 18."""
    rng = np.random.default_rng(rows)
    alarms = 0
    for number in range(REPORTS):
        if number % 10 == 0:
            reference = draw(rng, 2000)
        alarms += compare(reference, draw(rng, rows), level=LEVEL, kinds={"text": "text"}).drifted
    assert alarms <= stats.binom.ppf(0.99, REPORTS, LEVEL) == 18
    # And not for lack of power: the bound is nearly used up, or the tests could be sharper.
    assert alarms >= 2


@pytest.mark.parametrize(
    ("column", "drift"),
    [
        ("normal", pl.col("normal") + 0.3),
        ("heavy tail", pl.col("heavy tail") + 0.5),
        ("count", pl.col("count") + (pl.int_range(pl.len()) % 3 == 0).cast(pl.Int64)),
        ("flag", pl.col("flag") | (pl.int_range(pl.len()) % 20 == 0)),
        ("skewed", pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("d")).otherwise("skewed")),
        ("three thousand", pl.when(pl.int_range(pl.len()) % 5 == 0).then(NEW_LEVEL).otherwise("three thousand")),
        ("twenty", pl.when(pl.int_range(pl.len()) % 15 == 0).then(None).otherwise("twenty")),
        ("text", pl.col("text") + pl.lit("xx")),
    ],
)
def test_drift_in_one_of_ten_columns_is_found(column: str, drift: pl.Expr) -> None:
    """A shift by 0.3 standard deviations, or a like change, in 1,000 rows: found in twenty windows of twenty."""
    rng = np.random.default_rng(1)
    reference = draw(rng, 5000)
    for _ in range(20):
        current = draw(rng, 1000).with_columns(drift.alias(column))
        report = compare(reference, current, kinds={"text": "text"})
        assert column in [found.name for found in report.columns if found.drifted]
