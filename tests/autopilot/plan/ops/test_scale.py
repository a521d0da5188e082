"""Numbers are filled, centred and scaled for models that need like scales."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.ops import Scale
from tests.graphs import both, rows_of, training_features
from tests.strategies import raw_frame, signature_of

NUMBER = signature_of(("number",))


def test_values_are_centred_on_the_mean_in_units_of_the_deviation() -> None:
    """Missing is the mean; wild cells end at 10."""
    train = raw_frame(("number",), [(0.0,), (10.0,), (None,), (20.0,)])
    op = Scale.fit(rows_of(NUMBER, train))
    assert op == Scale(("c0",), (10.0,), (0.1,))
    frame = raw_frame(("number",), [(0.0,), (None,), (25.0,), (1e308,), (math.inf,), (-math.inf,)])
    assert both(op, NUMBER, frame) == [[-1.0], [0.0], [1.5], [10.0], [10.0], [-10.0]]


def test_infinities_are_left_out_of_mean_and_deviation() -> None:
    """One of them would make both useless."""
    train = raw_frame(("number",), [(0.0,), (10.0,), (math.inf,), (20.0,), (-math.inf,)])
    assert Scale.fit(rows_of(NUMBER, train)) == Scale(("c0",), (10.0,), (0.1,))


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
def test_a_mean_near_0_and_a_factor_near_1_are_applied_alike(step: float) -> None:
    """onnxruntime takes float64 constants for 0 and 1 that only round to them in float32."""
    train = raw_frame(("number",), [(-step,), (None,), (0.0,), (step + 1e-50,)])
    both(Scale.fit(rows_of(NUMBER, train)), NUMBER, train)


@given(values=st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=30))
def test_scaled_training_rows_agree_with_the_statistics_module(values: list[float]) -> None:
    """Mean and sample deviation of Python's own library."""
    train = raw_frame(("number",), [(value,) for value in values])
    rows = rows_of(NUMBER, train)
    op = Scale.fit(rows)
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    if op is None or deviation < 1e-6:
        return
    expected = [min(max((value - mean) / deviation, -10), 10) for value in values]
    assert training_features(op, rows)[:, 0].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)
