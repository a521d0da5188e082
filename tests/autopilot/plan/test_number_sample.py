"""Statistics come from a sample that the seed draws, whose size follows the number of columns."""

import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.number_sample import numbers_of, ordered_sample, quantiles, sample_rows
from tests.graphs import rows_of
from tests.strategies import raw_frame, signature_of


def test_few_rows_are_all_taken_and_of_many_a_sample_in_their_order() -> None:
    """The same for the same seed."""
    rows = rows_of(signature_of(("number",)), pl.DataFrame({"c0": np.arange(1000.0)}))
    assert sample_rows(rows, 1000).tolist() == list(range(1000))
    drawn = sample_rows(rows, 100).tolist()
    assert drawn == sorted(set(drawn)) == sample_rows(rows, 100).tolist()
    assert drawn != sample_rows(rows._replace(seed=1), 100).tolist()


def test_missing_and_infinite_numbers_are_nan_and_others_end_at_1e300() -> None:
    """In the order of the rows that were asked for."""
    kinds = ("number", "number")
    rows = rows_of(signature_of(kinds), raw_frame(kinds, [(1.0, None), (math.inf, -1e308), (3.0, 2.0)]))
    found = numbers_of(rows, ("c0", "c1"), np.array([2, 1, 0]))
    assert np.array_equal(found, [[3, np.nan, 1], [2, -1e300, np.nan]], equal_nan=True)


@given(columns=st.lists(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=5, max_size=5), min_size=1, max_size=3))
def test_quantiles_are_numpys(columns: list[list[float | None]]) -> None:
    """Column for column, without the missing; NaN where there is no number."""
    kinds = ("number",) * len(columns)
    rows = rows_of(signature_of(kinds), raw_frame(kinds, list(zip(*columns, strict=True))))
    levels = np.array([0.0, 0.1, 0.25, 0.5, 1.0])
    found = quantiles(ordered_sample(rows, rows.signature.names), levels)
    for values, row in zip(columns, found, strict=True):
        known = [value for value in values if value is not None]
        expected = np.quantile(known, levels) if known else np.full(5, np.nan)
        assert np.allclose(row, expected, equal_nan=True, atol=1e-9)
