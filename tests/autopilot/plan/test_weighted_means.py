"""The means of the target that ops learn are weighted: a row of weight 3 counts as three rows."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopilot.plan.op import Op, Rows, Target
from autopilot.plan.ops import Crosses, TargetMean, WordMeans
from tests.graphs import rows_of, training_features
from tests.strategies import raw_frame, signature_of

KINDS = ("category", "category", "text")
SIGNATURE = signature_of(KINDS)
OPS: tuple[type[Op], ...] = (TargetMean, Crosses, WordMeans)


def training_rows(seed: int, outputs: int) -> Rows:
    """90 rows of few levels and words, so that all are known, in three folds; unweighted."""
    rng = np.random.default_rng(seed)
    words = np.array(["late", "early", "call", "win"])
    cells = [
        (str(rng.choice(["Ulm", "Bonn"])), str(rng.choice(["a", "b"])), " ".join(rng.choice(words, rng.integers(1, 4))))
        for _ in range(90)
    ]
    target = Target(rng.integers(0, max(2, outputs), 90).astype(np.float64), outputs)
    return rows_of(SIGNATURE, raw_frame(KINDS, cells), target, rng.integers(0, 3, 90).tolist())


def fit(op: type[Op], rows: Rows) -> Op:
    """Crosses of all pairs; the others choose nothing."""
    pairs = list(combinations(rows.signature.of_kind("category"), 2))
    found = Crosses.of(rows, pairs) if op is Crosses else op.fit(rows)
    assert found is not None
    return found


def features(op: Op, rows: Rows) -> np.ndarray:
    """Of rows that were not trained on."""
    named = [expr.alias(str(index)) for index, expr in enumerate(op.polars())]
    return rows.frame.with_columns(op.intermediate()).select(named).to_numpy()


def taken(rows: Rows, at: np.ndarray) -> Rows:
    """These rows, with the levels and words of all."""
    target = Target(rows.target.y[at], rows.target.outputs)
    return rows._replace(frame=rows.frame[at], target=target, folds=rows.folds[at])


def weighted(rows: Rows, weights: np.ndarray) -> Rows:
    """The rows with weights."""
    return rows._replace(target=Target(rows.target.y, rows.target.outputs, weights.astype(np.float64)))


@pytest.mark.parametrize("op", OPS)
@given(seed=st.integers(0, 2**32), outputs=st.sampled_from([1, 2, 3]))
@settings(max_examples=10)
def test_whole_weights_are_repeated_rows_and_no_weight_is_no_row(op: type[Op], seed: int, outputs: int) -> None:
    """In what later rows get, and in what training rows get from the other folds."""
    rows = training_rows(seed, outputs)
    weights = np.random.default_rng(seed).integers(0, 4, 90)
    repeated = np.repeat(np.arange(90), weights)
    found, expected = fit(op, weighted(rows, weights)), fit(op, taken(rows, repeated))
    assert features(found, rows) == pytest.approx(features(expected, rows), rel=1e-4, abs=1e-4)
    own = training_features(found, weighted(rows, weights))[repeated]
    assert own == pytest.approx(training_features(expected, taken(rows, repeated)), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("op", OPS)
@given(seed=st.integers(0, 2**32), outputs=st.sampled_from([1, 2, 3]))
@settings(max_examples=10)
def test_weights_of_one_are_no_weights_to_the_bit(op: type[Op], seed: int, outputs: int) -> None:
    """Sums of whole numbers are exact."""
    rows = training_rows(seed, outputs)
    ones = weighted(rows, np.ones(90))
    assert fit(op, ones) == fit(op, rows)
    found, expected = training_features(fit(op, ones), ones), training_features(fit(op, rows), rows)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("op", OPS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_a_weighted_rows_own_target_is_not_in_its_features(op: type[Op], seed: int) -> None:
    """Changing one row's target leaves that row's features of training as they were."""
    rng = np.random.default_rng(seed)
    rows = weighted(training_rows(seed, 1), rng.gamma(1.0, 1.0, 90))
    row, y = int(rng.integers(0, 90)), rows.target.y.copy()
    y[row] += 5.0
    changed = rows._replace(target=Target(y, 1, rows.target.weights))
    before = training_features(fit(op, rows), rows)[row]
    assert training_features(fit(op, changed), changed)[row].tolist() == before.tolist()


def test_a_level_is_its_weighted_mean() -> None:
    """(weight of its ones + 10 * prior) / (its weight + 10); the prior is 3 of 4."""
    train = raw_frame(("category",), [("a",), ("a",), ("b",), ("b",)])
    target = Target(np.array([1.0, 0.0, 1.0, 0.0]), 2, np.array([2.0, 0.5, 1.0, 0.5]))
    signature = signature_of(("category",))
    op = TargetMean.fit(rows_of(signature, train, target))
    assert op is not None
    assert op.means[0][0][:2] == pytest.approx([(2 + 7.5) / 12.5, (1 + 7.5) / 11.5])
