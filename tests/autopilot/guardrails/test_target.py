"""Targets and columns from which little can be learnt."""

import numpy as np
import polars as pl
import pytest

from tests.autopilot.guardrails.tables import KINDS, Kind, N, clean, codes, found, guarded, number

RNG = np.random.default_rng(7)


def test_a_class_of_fewer_rows_than_folds_is_told() -> None:
    """Seven of 1,600."""
    frame = clean("multiclass").with_columns(pl.when(pl.int_range(N) < 7).then(pl.lit("new")).otherwise("y").alias("y"))
    one = found(guarded(frame), "rare_classes")
    assert one.message == "1 of 4 classes have fewer rows than there are folds: 'new'."


@pytest.mark.parametrize(("every", "severity"), [(125, "warning"), (20, "info")])
def test_a_rare_class_of_two_is_told(every: int, severity: str) -> None:
    """Less than 1% of rows is a warning, less than 10% good to know."""
    y = pl.when(pl.int_range(N) % every == 0).then(pl.lit("yes")).otherwise(pl.lit("no"))
    one = found(guarded(clean("binary").with_columns(y=y)), "imbalance")
    assert (one.severity, one.message[:20]) == (severity, "Class 'yes' is rare,")
    assert one.evidence == f"{N // every + (N % every > 0)} of 1,600 rows, {-(-N // every) / N:.2%}"


def test_values_that_are_far_out_are_told() -> None:
    """Two of them decide all squared errors."""
    y = number(clean("regression")).copy()
    y[[3, 700]] = -99999.0
    one = found(guarded(clean("regression").with_columns(y=pl.Series(y))), "outliers")
    assert one.message.startswith("A few values are far out, such as -99999")
    assert one.evidence.startswith("2 of 1,600 rows hold 100% of the squared deviations")


@pytest.mark.parametrize(("sigma", "expected"), [(0.3, set[str]()), (1.0, {"skewed"})])
def test_a_long_tail_is_good_to_know(sigma: float, expected: set[str]) -> None:
    """Skewness of a lognormal is 0.95 for 0.3 and 6.2 for 1."""
    frame = clean("regression").with_columns(y=pl.Series(np.exp(sigma * RNG.normal(size=N))))
    assert {one.code for one in guarded(frame).findings} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_are_told(kind: Kind) -> None:
    """Below a hundred."""
    assert "few_rows" in codes(guarded(clean(kind, 90)))
    assert "few_rows" not in codes(guarded(clean(kind, 120)))


def test_more_columns_than_rows_are_told() -> None:
    """Some fit by chance."""
    wide = pl.DataFrame(RNG.normal(size=(150, 160)), schema=[f"x{at}" for at in range(160)])
    caught = guarded(wide.with_columns(y=pl.Series(RNG.integers(0, 2, 150))))
    assert found(caught, "few_rows").message.startswith("The table has more columns than rows, 160 and 150")


@pytest.mark.parametrize(("share", "code", "severity"), [(0.95, "mostly_missing", "warning"), (0.6, "missing", "info")])
def test_columns_of_holes_are_told(share: float, code: str, severity: str) -> None:
    """With the share of their cells."""
    holes = pl.Series(np.where(np.arange(N) / N < share, np.nan, RNG.normal(size=N))[RNG.permutation(N)])
    one = found(guarded(clean("binary").with_columns(holes=holes)), code)
    assert (one.severity, one.column, one.evidence) == (severity, "holes", f"{share:.1%} of cells")


@pytest.mark.parametrize(("rows", "is_told"), [(1, True), (5, False)])
def test_a_column_that_hardly_varies_is_good_to_know(rows: int, is_told: bool) -> None:
    """One row of 1,600 is nothing; a level of five may be something."""
    frame = clean("binary").with_columns(flag=pl.when(pl.int_range(N) < rows).then(pl.lit("b")).otherwise(pl.lit("a")))
    told = [one.column for one in guarded(frame).findings if one.code == "nearly_constant"]
    assert told == ["flag"] * is_told
