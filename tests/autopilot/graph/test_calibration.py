"""Heads do what scikit-learn does, and the graph does what they do."""

from collections.abc import Callable
from typing import Any, Self

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from autopilot.graph.calibration import Balance, Beta, Head, Succession, Temperature, Threshold, fit_platt
from autopilot.graph.conformal import Interval, Sets
from autopilot.graph.graph import Graph
from storage import Column, Signature
from tests.graphs import run

Values = NDArray[np.float64]
Calibration = type[Temperature] | type[Beta]
each_calibration = pytest.mark.parametrize(
    ("kind", "classes"),
    [(Temperature, 2), (Temperature, 4), (Beta, 2)],
    ids=["temperature", "temperature of 4", "beta"],
)


def run_on_doubles(emit: Callable[[Graph, str], str], X: Values, dtype: int = TensorProto.DOUBLE) -> Any:
    """What nodes give for a float64 matrix."""
    names = tuple(f"x{index}" for index in range(X.shape[1]))
    signature = Signature("regression", "y", tuple(Column(name, "number", "Float64") for name in names))
    return run(signature, lambda g: emit(g, g.columns("number", names)), pl.DataFrame(X, schema=list(names)), dtype)


def predictions(classes: int, rows: int = 400, *, seed: int = 0, boldness: float = 2.5) -> tuple[Values, Values]:
    """Overconfident probabilities on a grid, and the classes that came."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-8, 9, (rows, classes)) / 4
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(classes, p=p) for p in true], dtype=np.float64)
    bold = np.exp(boldness * scores + 0.3)
    return bold / bold.sum(axis=1, keepdims=True), y


class KnownShares(ClassifierMixin, BaseEstimator):
    """A classifier whose features are its probabilities already."""

    def fit(self, X: Any, y: Any) -> Self:
        """Nothing to learn."""
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict_proba(self, X: Any) -> Any:
        """As they are."""
        return X

    def predict(self, X: Any) -> Any:
        """Asked for by no calibration, but each classifier has to have it."""
        return X.argmax(axis=1)


class KnownScores(ClassifierMixin, BaseEstimator):
    """A classifier whose only feature is its score of the second class already."""

    def fit(self, X: Any, y: Any) -> Self:
        """Nothing to learn."""
        self.classes_ = np.arange(2)
        return self

    def decision_function(self, X: Any) -> Any:
        """As it is."""
        return X[:, 0]

    def predict(self, X: Any) -> Any:
        """Asked for by no calibration, but each classifier has to have it."""
        return X[:, 0] > 0


def by_sklearn(X: Values, y: Values) -> Values:
    """What scikit-learn's own temperature gives."""
    frozen = FrozenEstimator(KnownShares().fit(X, y))
    return CalibratedClassifierCV(frozen, method="temperature").fit(X, y).predict_proba(X)


def repeated(rows: int) -> tuple[NDArray[np.int64], Values]:
    """Row numbers of which some come several times, and the weights 0 to 3 that say the same."""
    weights = np.arange(rows) % 4
    return np.repeat(np.arange(rows), weights), weights.astype(np.float64)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_temperature_is_scikit_learns(classes: int) -> None:
    """Fitted and applied; the labels stay."""
    shares, y = predictions(classes, boldness=1.3)
    found = Temperature.fit(shares, y)
    assert found.temperature > 1.1
    assert found.apply(shares) == pytest.approx(by_sklearn(shares, y), abs=2e-4)  # scikit-learn's search stops earlier
    assert np.array_equal(found.apply(shares).argmax(axis=1), shares.argmax(axis=1))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_beta_curve_is_the_logistic_regression_on_both_logarithms(weighted: bool) -> None:
    """As Kull et al. define it; scikit-learn fits the same without a penalty."""
    shares, y = predictions(2)
    weights = repeated(len(y))[1] if weighted else None
    found = Beta.fit(shares, y, weights)
    logs = np.log(shares + found.floor)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(np.column_stack([logs[:, 1], -logs[:, 0]]), y, weights)
    expected = oracle.predict_proba(np.column_stack([logs[:, 1], -logs[:, 0]]))
    assert found.apply(shares) == pytest.approx(expected, abs=1e-4)


@each_calibration
def test_a_weight_counts_as_so_many_rows(kind: Calibration, classes: int) -> None:
    """A row of weight 3 is three rows, one of weight 0 none."""
    shares, y = predictions(classes)
    rows, weights = repeated(len(y))
    found, expected = kind.fit(shares, y, weights), kind.fit(shares[rows], y[rows])
    assert found.apply(shares) == pytest.approx(expected.apply(shares), abs=1e-4)


def test_platts_curve_is_scikit_learns() -> None:
    """With Platt's targets, on log-odds."""
    shares, y = predictions(2)
    odds = np.log(shares[:, 1] / shares[:, 0])
    a, b = fit_platt(odds, y == 1)
    frozen = FrozenEstimator(KnownScores().fit(odds[:, None], y))
    oracle = CalibratedClassifierCV(frozen, method="sigmoid").fit(odds[:, None], y)
    assert 1 / (1 + np.exp(-(a * odds + b))) == pytest.approx(oracle.predict_proba(odds[:, None])[:, 1], abs=1e-4)


@each_calibration
def test_calibrating_lowers_the_log_loss_of_new_rows(kind: Calibration, classes: int) -> None:
    """Overconfident probabilities gain most."""
    shares, y = predictions(classes, 4000)
    new, truth = predictions(classes, 4000, seed=1)
    assert log_loss(truth, kind.fit(shares, y).apply(new)) < log_loss(truth, new) - 0.05


@each_calibration
def test_a_class_that_never_came_and_certain_rows_are_no_trouble(kind: Calibration, classes: int) -> None:
    """Finite, in 0..1, each row's sum 1."""
    shares = np.zeros((5, classes))
    shares[:, :2] = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [1 + 1e-7, -1e-7], [1.0, 0.0]]
    for y in ([0.0, 1.0, 0.0, 0.0, 0.0], [0.0] * 5):
        found = kind.fit(shares, np.array(y)).apply(shares)
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()
        assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


@each_calibration
def test_a_calibration_enlarges_no_difference_by_much(kind: Calibration, classes: int) -> None:
    """Forests that were sure and wrong want steep curves at 0, where float32 sums are off by 1e-7.

    Half of the rows that were given 0 are of that class all the same.
    """
    rng = np.random.default_rng(0)
    first = np.where(rng.random(3000) < 0.5, 0.0, rng.random(3000))
    shares = np.column_stack([first, 1 - first, *[np.zeros(3000)] * (classes - 2)])
    y = np.where(first == 0, rng.random(3000) < 0.5, rng.random(3000) > first).astype(np.float64)
    head = kind.fit(shares, y)
    assert head.floor > 1e-6
    moved = shares.copy()
    moved[:, 0] += 1e-7
    moved[:, 1] -= 1e-7
    assert np.abs(head.apply(moved) - head.apply(shares)).max() < 4e-6


SHARES = st.integers(2, 5).flatmap(
    lambda classes: arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.just(classes)),
        elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 1e-12, 1e-300, 1 + 1e-7, -1e-7])),
    )
)


def agree(head: Any, shares: Values, bound: float) -> None:
    """The graph gives what the head gives."""
    found = run_on_doubles(lambda g, x: head.emit(g, x, shares.shape[1]), shares)
    assert np.abs(found - head.apply(shares)).max() <= bound


FLOORS = st.sampled_from([1e-6, 1e-3, 1e-2])


@given(shares=SHARES, rows=st.integers(1, 500))
def test_the_graphs_succession_is_the_same_and_keeps_the_order(shares: Values, rows: int) -> None:
    """What was never wrong in so many rows is not certain, and sums stay 1."""
    chosen = Succession.of(rows)
    agree(chosen, shares, 1e-15)
    found = chosen.apply(shares)
    assert found.sum(axis=1) == pytest.approx(shares.sum(axis=1) * (1 - chosen.doubt) + chosen.doubt)
    assert np.array_equal(np.take_along_axis(found, shares.argmax(axis=1)[:, None], 1)[:, 0], found.max(axis=1))


@given(shares=SHARES, temperature=st.floats(0.04, 25), floor=FLOORS)
@example(np.array([[0.3, 0.7]]), 1.0, 1e-6)
@example(np.array([[0.3, 0.7], [1e-12, 1.0]]), 1 + 1e-8, 1e-6)
def test_the_graphs_temperature_is_the_same(shares: Values, temperature: float, floor: float) -> None:
    """A temperature near 1 too, which the runtime would leave out as a single constant."""
    agree(Temperature(temperature, floor), shares, 1e-13)


@given(
    second=arrays(
        np.float64, st.integers(1, 6), elements=st.one_of(st.floats(0, 1), st.sampled_from([-1e-7, 1 + 1e-7]))
    ),
    a=st.floats(0.05, 20),
    b=st.floats(0.05, 20),
    c=st.floats(-20, 20),
    floor=FLOORS,
)
@example(np.array([0.7, 0.0, 1.0]), 1 + 1e-8, 1.0, 1e-9, 1e-6)
def test_the_graphs_beta_curve_is_the_same(second: Values, a: float, b: float, c: float, floor: float) -> None:
    """Curves without slope and steep ones."""
    agree(Beta(a, b, c, floor), np.column_stack([1 - second, second]), 1e-13)


def test_a_threshold_near_the_best_f1_is_found() -> None:
    """Against every threshold that there is, on 4,000 rows of which few are of the second class."""
    shares, y = predictions(2, 4000)
    y = np.where(shares[:, 1] > 0.8, y, 0.0)  # rare, so that 0.5 is not best
    found = Threshold.fit(shares, y, lambda labels: f1_score(y, labels))
    every = max(f1_score(y, shares[:, 1] >= threshold) for threshold in np.unique(shares[:, 1]))
    assert found.threshold != 0.5
    assert f1_score(y, found.apply(shares.astype(np.float32))) > every - 0.005


@pytest.mark.parametrize("second", [[0.2, 0.2], [0.4, 0.9]])
def test_a_threshold_that_gains_nothing_stays_at_a_half(second: list[float]) -> None:
    """One probability alone, or a perfect 0.5."""
    shares, y = np.column_stack([1 - np.array(second), second]), np.array([0.0, 1.0])
    assert Threshold.fit(shares, y, lambda labels: f1_score(y, labels)).threshold == 0.5


def unbalanced(rows: int = 3000) -> tuple[Values, Values]:
    """True probabilities of three classes, the last one rare, and the classes that came."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(rows, 3)) + np.array([1.5, 0.0, -2.0])
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return shares, np.array([rng.choice(3, p=p) for p in shares], dtype=np.float64)


def test_a_balance_raises_the_balanced_accuracy_of_rare_classes() -> None:
    """Nearly as far as factors by the inverse share of each class do, which is best where probabilities are true."""
    shares, y = unbalanced()
    found = Balance.fit(shares, y, lambda labels: balanced_accuracy_score(y, labels))
    assert found.factors[2] == 1.0
    inverse = shares / np.bincount(y.astype(int))
    best = balanced_accuracy_score(y, inverse.argmax(axis=1))
    assert balanced_accuracy_score(y, found.apply(shares.astype(np.float32))) > best - 0.01
    assert best > balanced_accuracy_score(y, shares.argmax(axis=1)) + 0.05


def test_a_balance_that_gains_nothing_changes_nothing() -> None:
    """The likeliest class is best for accuracy."""
    shares, y = np.eye(3), np.array([0.0, 1.0, 2.0])
    assert Balance.fit(shares, y, lambda labels: float(np.mean(labels == y))).factors == (1.0, 1.0, 1.0)


@given(
    shares=arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 1, width=32)),
    factors=st.tuples(*[st.floats(1e-3, 1)] * 3),
)
@example(np.array([[0.25, 0.5, 0.25]], dtype=np.float32), (1.0, 0.5, 1.0))
def test_the_graphs_balance_decides_alike_on_ties_too(
    shares: NDArray[np.float32], factors: tuple[float, float, float]
) -> None:
    """Of classes that weigh the same, the first."""
    head = Balance(factors)
    found = run_on_doubles(
        lambda g, x: head.emit(g, g.cast(x, TensorProto.FLOAT)), shares.astype(np.float64), TensorProto.INT64
    )
    assert found.tolist() == head.apply(shares).tolist()


@given(
    second=arrays(np.float32, st.integers(1, 8), elements=st.floats(0, 1, width=32)),
    threshold=st.floats(0, 1),
    at=st.integers(0, 7),
)
@example(np.array([0.1, 0.5], dtype=np.float32), 0.1, 0)
def test_the_graphs_threshold_decides_alike_on_the_threshold_too(
    second: NDArray[np.float32], threshold: float, at: int
) -> None:
    """A probability equal to the threshold, in float32, is the second class."""
    second[at % len(second)] = threshold
    head, shares = Threshold(threshold), np.column_stack([1 - second, second]).astype(np.float32)

    def emit(g: Graph, x: str) -> str:
        return head.emit(g, g.cast(x, TensorProto.FLOAT))

    found = run_on_doubles(emit, shares.astype(np.float64), TensorProto.INT64)
    assert found.tolist() == head.apply(shares).tolist()
    assert head.apply(shares)[at % len(second)] == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_survives_json(classes: int) -> None:
    """To the bit."""
    shares, y = predictions(classes)
    calibration = Beta.fit(shares, y) if classes == 2 else Temperature.fit(shares, y)
    decision = Threshold(1 / 3) if classes == 2 else Balance((1 / 3, 1.0, 0.5))
    head = Head(calibration, decision, Interval.fit(shares[:, 0], y, 0.9, 3), Sets.fit(shares, y))
    assert msgspec.json.decode(msgspec.json.encode(head), type=Head) == head
