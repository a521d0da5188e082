"""Numbers become what a normal distribution has at their rank."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import QuantileTransformer

from autopilot.plan.curves import Curve
from autopilot.plan.ops import Quantiles
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

NUMBER = signature_of(("number",))


def test_three_numbers_are_the_middle_and_the_ends() -> None:
    """1, 2 and 3: 3.25 deviations apart; halfway to the median is halfway of the score."""
    train = raw_frame(("number",), [(1.0,), (2.0,), (3.0,)])
    op = Quantiles.fit(rows_of(NUMBER, train))
    frame = raw_frame(("number",), [(2.0,), (None,), (-5.0,), (math.inf,), (-math.inf,), (1.0,), (3.0,)])
    found = [row[0] for row in both(op, NUMBER, frame)]
    assert found == pytest.approx([0.0, 0.0, -3.25, 3.25, -3.25, -3.25, 3.25], abs=0.03)


def test_a_number_that_many_rows_share_gets_the_middle_of_their_ranks() -> None:
    """60 % zeros and 40 % ones: the scores of ranks 0.3 and 0.8."""
    train = raw_frame(("number",), [(0.0,)] * 60 + [(1.0,)] * 40)
    op = Quantiles.fit(rows_of(NUMBER, train))
    found = both(op, NUMBER, raw_frame(("number",), [(0.0,), (1.0,), (0.5,)]))
    zero, one = -0.524, 0.842  # of the standard normal distribution
    assert [row[0] for row in found] == pytest.approx([zero, one, (zero + one) / 2], abs=0.1)


def test_a_single_row_that_differs_is_kept() -> None:
    """The ends are the smallest and the largest number, however rare."""
    train = raw_frame(("number",), [(0.0,)] * 5000 + [(1.0,)])
    found = both(Quantiles.fit(rows_of(NUMBER, train)), NUMBER, raw_frame(("number",), [(0.0,), (1.0,)]))
    assert found == [[pytest.approx(0.0, abs=0.01)], [3.25]]


@pytest.mark.parametrize("draw", ["lognormal", "uniform", "standard_normal", "standard_cauchy"])
def test_scores_agree_with_scikit_learns_quantile_transformer(draw: str) -> None:
    """With 1,000 quantiles there and 64 here; the last row of each tail apart."""
    values = getattr(np.random.default_rng(0), draw)(size=3000)
    rows = rows_of(NUMBER, pl.DataFrame({"c0": values}))
    op = Quantiles.fit(rows)
    assert op is not None
    other = QuantileTransformer(n_quantiles=1000, output_distribution="normal").fit_transform(values.reshape(-1, 1))
    near = np.abs(other[:, 0]) < 2.9
    assert np.abs(training_features(op, rows)[:, 0] - other[:, 0])[near].max() < 0.1


def test_columns_that_do_not_vary_are_left_out() -> None:
    """Constant, all null, only infinite."""
    kinds = ("number",) * 4
    train = raw_frame(kinds, [(1.0, None, math.inf, 1.0), (1.0, None, -math.inf, 2.0)])
    op = Quantiles.fit(rows_of(signature_of(kinds), train))
    assert op is not None
    assert op.columns == ("c3",)
    assert Quantiles.fit(rows_of(signature_of(kinds[:3]), train)) is None


def test_only_the_columns_that_are_asked_for_stay() -> None:
    """With their curves."""
    line, other = Curve(0.0, (0.0, 1.0), (0.0, 1.0)), Curve(0.0, (0.0, 2.0), (0.0, 1.0))
    assert Quantiles(("a", "b"), (line, other)).narrowed([1]) == Quantiles(("b",), (other,))
