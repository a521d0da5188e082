"""Curves of straight pieces are walked alike, however the pieces lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.curves import Curve
from autopilot.plan.ops import Quantiles
from tests.graphs import both
from tests.strategies import numbers, raw_frame, signature_of

points = st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(-10, 10)), min_size=2, max_size=9)


@given(points=points, others=points, cells=st.lists(st.tuples(numbers, numbers), min_size=1))
def test_a_curve_is_numpys_linear_interpolation(
    points: list[tuple[float, float]],
    others: list[tuple[float, float]],
    cells: list[tuple[float | None, float | None]],
) -> None:
    """In both renderings, beside a curve of another length; at the ends flat, and at `fill` for missing."""
    curves = [_through(points), _through(others)]
    if None in curves:
        return
    curve = curves[0]
    assert curve is not None
    kinds = ("number", "number")
    frame = raw_frame(kinds, cells).fill_nan(None)
    found = both(Quantiles(("c0", "c1"), tuple(curves)), signature_of(kinds), frame)
    x = np.clip([curve.fill if value is None else value for value in frame.get_column("c0")], -1e300, 1e300)
    expected = np.interp(x, curve.knots, curve.values)
    assert [row[0] for row in found] == pytest.approx(expected.tolist(), abs=1e-4)


def _through(points: list[tuple[float, float]]) -> Curve | None:
    knots, values = np.array(sorted(points)).T
    return Curve.through(float(knots[0]), knots, values)


def test_points_at_one_place_are_one_knot() -> None:
    """The first of them; a curve of one knot is none."""
    knots, values = np.array([0.0, 1.0, 1.0 + 1e-15, 2.0]), np.array([0.0, 1.0, 5.0, 2.0])
    assert Curve.through(0.5, knots, values) == Curve(0.5, (0.0, 1.0, 2.0), (0.0, 1.0, 2.0))
    assert Curve.through(0.5, np.array([3.0, 3.0]), np.array([0.0, 1.0])) is None
    assert Curve.through(0.5, np.array([0.0, 1e-300]), np.array([0.0, 1.0])) is None
