"""Balanced weights are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from autopilot.weights import balanced_weights


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 7.0]), min_size=1, max_size=30))
def test_balanced_weights_are_scikit_learns(y: list[float]) -> None:
    """Also for numbers that leave out a class; their mean is 1."""
    found = balanced_weights(np.array(y))
    assert found == pytest.approx(compute_sample_weight("balanced", y))
    assert found.mean() == pytest.approx(1.0)
