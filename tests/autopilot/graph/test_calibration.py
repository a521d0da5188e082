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
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, log_loss

from autopilot.graph.calibration import Head, Interval, Isotonic, Sigmoid, Temperature, Threshold
from autopilot.graph.graph import Graph
from storage import Column, Signature
from tests.graphs import run

Values = NDArray[np.float64]
Calibration = type[Temperature] | type[Sigmoid] | type[Isotonic]
CALIBRATIONS = (Temperature, Sigmoid, Isotonic)
each_calibration = pytest.mark.parametrize("kind", CALIBRATIONS, ids=lambda kind: kind.__name__.lower())


def run_on_doubles(emit: Callable[[Graph, str], str], X: Values, dtype: int = TensorProto.DOUBLE) -> Any:
    """What nodes give for a float64 matrix."""
    names = tuple(f"x{index}" for index in range(X.shape[1]))
    signature = Signature("regression", "y", tuple(Column(name, "number", "Float64") for name in names))
    return run(signature, lambda g: emit(g, g.columns("number", names)), pl.DataFrame(X, schema=list(names)), dtype)


def predictions(classes: int, rows: int = 400, *, seed: int = 0) -> tuple[Values, Values]:
    """Overconfident probabilities on a grid, and the classes that came."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-8, 9, (rows, classes)) / 4
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(classes, p=p) for p in true], dtype=np.float64)
    bold = np.exp(2.5 * scores + 0.3)
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


class KnownScores(KnownShares):
    """The same with scores; of two classes it tells the second's."""

    predict_proba = None

    def decision_function(self, X: Any) -> Any:
        """As they are."""
        return X[:, 1] if X.shape[1] == 2 else X


def by_sklearn(known: KnownShares, X: Values, y: Values, method: str) -> Values:
    """What scikit-learn's own calibration gives."""
    frozen = FrozenEstimator(known.fit(X, y))
    return CalibratedClassifierCV(frozen, method=method).fit(X, y).predict_proba(X)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_temperature_is_scikit_learns(classes: int) -> None:
    """Fitted and applied; the labels stay."""
    shares, y = predictions(classes)
    found = Temperature.fit(shares, y)
    expected = by_sklearn(KnownShares(), shares, y, "temperature")
    assert found.temperature > 2
    assert found.apply(shares) == pytest.approx(expected, abs=1e-4)  # scikit-learn's search stops earlier
    assert np.array_equal(found.apply(shares).argmax(axis=1), shares.argmax(axis=1))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_sigmoid_is_scikit_learns_on_the_log_odds(classes: int) -> None:
    """Platt's targets included; several classes each against the rest, then normalised."""
    shares, y = predictions(classes)
    odds = np.log(shares / (1 - shares))
    expected = by_sklearn(KnownScores(), odds, y, "sigmoid")
    assert Sigmoid.fit(shares, y).apply(shares) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_isotonic_line_is_scikit_learns(classes: int) -> None:
    """Several classes each against the rest, then normalised."""
    shares, y = predictions(classes)
    expected = by_sklearn(KnownShares(), shares, y, "isotonic")
    assert Isotonic.fit(shares, y).apply(shares) == pytest.approx(expected, abs=1e-12)


def test_the_isotonic_line_interpolates_and_is_level_outside() -> None:
    """Between and beyond the probabilities that it was fitted on, as scikit-learn predicts."""
    shares, y = predictions(2)
    inner = shares[(shares[:, 1] > 0.05) & (shares[:, 1] < 0.9)]
    truth = y[(shares[:, 1] > 0.05) & (shares[:, 1] < 0.9)]
    grid = np.linspace(0, 1, 501)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(inner[:, 1], truth)
    found = Isotonic.fit(inner, truth).apply(np.column_stack([1 - grid, grid]))
    assert found[:, 1] == pytest.approx(oracle.predict(grid), abs=1e-12)


@each_calibration
@pytest.mark.parametrize("classes", [2, 4])
def test_calibrating_lowers_the_log_loss_of_new_rows(kind: Calibration, classes: int) -> None:
    """Overconfident probabilities gain most; isotonic ones need some distance from 0 and 1 to be scored."""
    shares, y = predictions(classes, 4000)
    new, truth = predictions(classes, 4000, seed=1)
    calibrated = np.clip(kind.fit(shares, y).apply(new), 1e-3, 1)
    calibrated /= calibrated.sum(axis=1, keepdims=True)
    assert log_loss(truth, calibrated) < log_loss(truth, new) - 0.05


@each_calibration
def test_a_class_that_never_came_and_certain_rows_are_no_trouble(kind: Calibration) -> None:
    """Finite, in 0..1, each row's sum 1."""
    shares = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [1 + 1e-7, -1e-7, 0.0]])
    found = kind.fit(shares, np.array([0.0, 1.0, 0.0, 0.0])).apply(shares)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


def test_where_no_class_is_left_all_are_equally_likely() -> None:
    """As scikit-learn decides it."""
    nothing = Isotonic(knots=((0.4, 1.0),) * 3, levels=((0.0, 1.0),) * 3)
    assert nothing.apply(np.array([[0.3, 0.3, 0.4]])).tolist() == [[1 / 3] * 3]


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


@given(shares=SHARES, temperature=st.floats(0.04, 25))
@example(np.array([[0.3, 0.7]]), 1.0)
@example(np.array([[0.3, 0.7], [1e-12, 1.0]]), 1 + 1e-8)
def test_the_graphs_temperature_is_the_same(shares: Values, temperature: float) -> None:
    """A temperature near 1 too, which the runtime would leave out as a single constant."""
    agree(Temperature(temperature), shares, 1e-13)


@given(shares=SHARES, a=st.floats(-30, 30), b=st.floats(-20, 20))
@example(np.array([[0.3, 0.7], [0.0, 1.0]]), 1 + 1e-8, 1e-9)
@example(np.array([[0.0, 1.0, 0.0]]), 30.0, -20.0)
def test_the_graphs_sigmoid_is_the_same(shares: Values, a: float, b: float) -> None:
    """Curves without slope and steep ones."""
    classes = shares.shape[1]
    agree(Sigmoid((a,) * classes, tuple(b + index for index in range(classes))), shares, 1e-13)


@st.composite
def lines(draw: st.DrawFn, classes: int) -> Isotonic:
    """Knots, some of them neighbours, one alone too, and rising levels."""
    knots, levels = [], []
    for _ in range(classes):
        count = draw(st.integers(1, 6))
        x = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count, unique=True))
        knots.append(tuple(sorted(x)))
        levels.append(tuple(sorted(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))))
    return Isotonic(tuple(knots), tuple(levels))


@given(data=st.data())
def test_the_graphs_isotonic_line_is_the_same(data: st.DataObject) -> None:
    """At the knots too; to the bit for two classes, beyond that only the sum is added in another order."""
    shares = data.draw(SHARES)
    classes = shares.shape[1]
    head = data.draw(lines(classes))
    at_knots = np.column_stack([np.resize(head.knots[index], 6) for index in range(classes)])
    agree(head, np.vstack([shares, at_knots]), 0.0 if classes == 2 else 1e-15)


def test_the_threshold_of_the_best_f1_is_found() -> None:
    """Against every threshold that there is."""
    shares, y = predictions(2)
    y = np.where(shares[:, 1] > 0.8, y, 0.0)  # rare, so that 0.5 is not best
    found = Threshold.fit(shares, y, f1_score)
    every = max(f1_score(y, shares[:, 1] >= threshold) for threshold in np.unique(shares[:, 1]))
    assert found.threshold != 0.5
    assert f1_score(y, found.apply(shares.astype(np.float32))) == every


@pytest.mark.parametrize("second", [[0.2, 0.2], [0.4, 0.9]])
def test_a_threshold_that_gains_nothing_stays_at_a_half(second: list[float]) -> None:
    """One probability alone, or a perfect 0.5."""
    shares = np.column_stack([1 - np.array(second), second])
    assert Threshold.fit(shares, np.array([0.0, 1.0]), f1_score).threshold == 0.5


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


def test_an_interval_has_the_rank_that_the_theorem_asks_for() -> None:
    """Nine residuals, 80 %: the eighth of nine, ceil(10 * 0.8)."""
    y = np.array([1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0, 9.0])
    assert Interval.fit(np.zeros(9), y, 0.8) == Interval(0.8, (), (8.0,))


@pytest.mark.parametrize("ranges", [1, 5])
def test_an_interval_covers_what_it_says(ranges: int) -> None:
    """Of new rows whose spread grows with the prediction; ranges make it narrow where it can be."""
    rng = np.random.default_rng(0)
    predicted, new = rng.uniform(0, 10, 4000), rng.uniform(0, 10, 4000)
    y, truth = predicted + predicted * rng.normal(size=4000), new + new * rng.normal(size=4000)
    ends = Interval.fit(predicted, y, 0.9, ranges).apply(new)
    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    low = new < 2
    assert inside[low].mean() > (0.99 if ranges == 1 else 0.87)
    assert inside[low].mean() < (1.01 if ranges == 1 else 0.96)


def test_too_few_rows_for_a_coverage_are_refused() -> None:
    """19 rows are the least for 95 %: ceil(20 * 0.95) = 19."""
    assert Interval.fit(np.zeros(19), np.arange(19.0), 0.95).half_widths == (18.0,)
    with pytest.raises(ValueError, match=r"coverage 0\.95 needs 19 rows in each range of predictions; one has 18"):
        Interval.fit(np.zeros(18), np.arange(18.0), 0.95)


@given(
    prediction=arrays(np.float64, st.integers(1, 6), elements=st.floats(-1e9, 1e9)),
    edges=st.lists(st.floats(-1e9, 1e9), max_size=4, unique=True).map(sorted),
    widths=st.lists(st.floats(0, 1e9), min_size=5, max_size=5),
)
def test_the_graphs_interval_is_the_same(prediction: Values, edges: list[float], widths: list[float]) -> None:
    """To the bit, on the edges too."""
    head = Interval(0.9, tuple(edges), tuple(widths[: len(edges) + 1]))
    values = np.concatenate([prediction, edges])
    assert run_on_doubles(head.emit, values.reshape(-1, 1)).tolist() == head.apply(values).tolist()


@each_calibration
def test_a_head_survives_json(kind: Calibration) -> None:
    """To the bit."""
    shares, y = predictions(3)
    interval = Interval.fit(shares[:, 0], y, 0.9, 3)
    head = Head(kind.fit(shares, y), Threshold(1 / 3), interval)
    assert msgspec.json.decode(msgspec.json.encode(head), type=Head) == head
