"""Numbers are filled, centred and scaled for models that need like scales."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler

from autopilot.plan.ops import Scale
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

NUMBER = signature_of(("number",))


def test_values_are_centred_on_the_median_in_units_of_a_normal_deviation() -> None:
    """Quartiles 5, 10, 15: their distance is 10, as that of a normal distribution of deviation 10 / 1.349."""
    train = raw_frame(("number",), [(0.0,), (10.0,), (None,), (20.0,)])
    op = Scale.fit(rows_of(NUMBER, train))
    assert op == Scale(("c0",), (10.0,), (pytest.approx(0.1349),))
    found = both(op, NUMBER, raw_frame(("number",), [(0.0,), (None,), (25.0,)]))
    assert found == [pytest.approx([value]) for value in (-1.349, 0.0, 2.0235)]


def test_tails_are_drawn_in_beyond_10_and_end_at_50() -> None:
    """2 sqrt(10 z) - 10: 30 for z = 40, 50 for z = 90; the order stays, and so do values up to 10."""
    op = Scale(("c0",), (0.0,), (1.0,))
    values = [9.99, -10.0, 40.0, -40.0, 90.0, 91.0, -1e308, math.inf, -math.inf]
    expected = [9.99, -10.0, 30.0, -30.0, 50.0, 50.0, -50.0, 50.0, -50.0]
    found = both(op, NUMBER, raw_frame(("number",), [(value,) for value in values]))
    assert found == [[np.float32(value)] for value in expected]


def test_one_wild_cell_changes_the_scale_of_the_others_little() -> None:
    """The mean and the deviation would follow it."""
    usual = [(float(value),) for value in range(100)]
    tame = Scale.fit(rows_of(NUMBER, raw_frame(("number",), usual)))
    wild = Scale.fit(rows_of(NUMBER, raw_frame(("number",), [*usual, (1e12,)])))
    assert tame is not None
    assert wild is not None
    assert wild.centre[0] == pytest.approx(tame.centre[0], abs=0.6)
    assert wild.factor[0] == pytest.approx(tame.factor[0], rel=0.03)


def test_a_column_of_which_most_is_one_number_is_scaled_by_its_deviation() -> None:
    """Its quartiles are equal: 9 times 0 and once 10 deviate by sqrt(10)."""
    train = raw_frame(("number",), [(0.0,)] * 9 + [(10.0,)])
    op = Scale.fit(rows_of(NUMBER, train))
    assert op == Scale(("c0",), (0.0,), (pytest.approx(1 / math.sqrt(10)),))


def test_infinities_are_left_out_of_the_statistics() -> None:
    """They end at the limit."""
    train = raw_frame(("number",), [(0.0,), (10.0,), (math.inf,), (20.0,), (-math.inf,)])
    assert Scale.fit(rows_of(NUMBER, train)) == Scale(("c0",), (10.0,), (pytest.approx(0.1349),))


def test_columns_that_do_not_vary_are_left_out() -> None:
    """Constant, all null, one value, or only infinite; None where no column is left."""
    rows = [(1.0, None, 3.0, math.inf, 1.0), (1.0, None, None, math.inf, 2.0), (1.0, None, None, -math.inf, 3.0)]
    kinds = ("number",) * 5
    train = raw_frame(kinds, rows)
    fitted = Scale.fit(rows_of(signature_of(kinds), train))
    assert fitted is not None
    assert fitted.names() == ("c4",)
    assert Scale.fit(rows_of(signature_of(("number",) * 4), train)) is None


@pytest.mark.parametrize("step", [1e-49, 1e-46, 1 + 1e-9, 1 - 1e-9])
def test_a_centre_near_0_and_a_factor_near_1_are_applied_alike(step: float) -> None:
    """onnxruntime takes float64 constants for 0 and 1 that only round to them in float32."""
    train = raw_frame(("number",), [(-step,), (None,), (0.0,), (step + 1e-50,)])
    both(Scale.fit(rows_of(NUMBER, train)), NUMBER, train)


@given(values=st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=30))
def test_scaled_training_rows_agree_with_scikit_learns_robust_scaler(values: list[float]) -> None:
    """Median and interquartile range; up to 10, where the tails begin."""
    rows = rows_of(NUMBER, raw_frame(("number",), [(value,) for value in values]))
    op = Scale.fit(rows)
    scaler = RobustScaler().fit(np.array(values).reshape(-1, 1))
    if op is None or np.quantile(values, 0.75) - np.quantile(values, 0.25) < 1e-6:
        return
    expected = scaler.transform(np.array(values).reshape(-1, 1))[:, 0] * 1.349
    near = np.abs(expected) < 9.9
    assert training_features(op, rows)[near, 0].tolist() == pytest.approx(expected[near].tolist(), rel=1e-4, abs=1e-4)


def test_a_column_of_one_number_is_left_out_although_rounding_gives_it_a_deviation() -> None:
    """The deviation of seven times 0.1 is 1e-17."""
    assert Scale.fit(rows_of(NUMBER, raw_frame(("number",), [(0.1,)] * 7))) is None
