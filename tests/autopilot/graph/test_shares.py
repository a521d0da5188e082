"""Scores become probabilities alike in training and in the graph."""

import numpy as np
import pytest
import scipy.special
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autopilot.graph.shares import emit_shares, shares
from tests.graphs import run_on_matrix

SCORES = st.integers(1, 4).flatmap(
    lambda width: arrays(
        np.float32, st.tuples(st.integers(1, 5), st.just(width)), elements=st.floats(-900, 900, width=32)
    )
)


@given(scores=SCORES)
@example(np.array([[800.0], [-800.0], [0.0]], dtype=np.float32))
def test_one_score_is_the_log_odds_of_the_second_class_more_are_softmaxed(scores: np.ndarray) -> None:
    """As SciPy computes them; each row sums to 1."""
    found = shares(scores.astype(np.float64))
    if scores.shape[1] == 1:
        second = scipy.special.expit(scores.astype(np.float64))
        expected = np.hstack([1 - second, second])
    else:
        expected = scipy.special.softmax(scores.astype(np.float64), axis=1)
    assert found == pytest.approx(expected, abs=1e-15)
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-15)


@given(scores=SCORES)
def test_the_graph_gives_the_same_probabilities(scores: np.ndarray) -> None:
    """In float64, far within the gate's tolerance."""
    width = scores.shape[1]
    found = run_on_matrix(lambda g, x: emit_shares(g, g.cast(x, 11), width), scores)
    assert found == pytest.approx(shares(scores.astype(np.float64)), abs=1e-14)
