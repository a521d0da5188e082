"""Intervals and sets hold the truth as often as they say, and the graph gives the same ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto
from scipy.stats import binom
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autopilot.graph.conformal import Interval, Sets, conformal_quantile
from autopilot.graph.graph import Graph
from storage import Column, Signature
from tests.graphs import run

Values = NDArray[np.float64]


def run_on_doubles(emit: Callable[[Graph, str], str], X: Values, dtype: int) -> Any:
    """What nodes give for a float64 matrix."""
    names = tuple(f"x{index}" for index in range(X.shape[1]))
    signature = Signature("regression", "y", tuple(Column(name, "number", "Float64") for name in names))
    return run(signature, lambda g: emit(g, g.columns("number", names)), pl.DataFrame(X, schema=list(names)), dtype)


def within(hits: int, rows: int, level: float) -> bool:
    """Whether so many of the rows are no surprise at this level: all but one in 10,000 times."""
    return bool(binom.ppf(5e-5, rows, level) <= hits <= binom.ppf(1 - 5e-5, rows, level))


# -------------------------------------------------------------------------------------------------- the quantile


def test_the_quantile_has_the_rank_that_the_theorem_asks_for() -> None:
    """Nine scores, 80 %: the eighth of nine, ceil(10 * 0.8)."""
    assert conformal_quantile(np.array([3.0, 1.0, 2.0, 9.0, 8.0, 7.0, 4.0, 6.0, 5.0]), 0.8) == 8.0


@given(scores=st.lists(st.integers(0, 20), min_size=30, max_size=60), level=st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_equal_weights_and_repeated_rows_change_nothing(scores: list[int], level: float) -> None:
    """Three copies of a row are one row for the rank."""
    plain = np.array(scores, dtype=np.float64)
    expected = np.sort(plain)[int(np.ceil((len(plain) + 1) * level - 1e-9)) - 1]
    assert conformal_quantile(plain, level) == expected
    assert conformal_quantile(plain, level, np.full(len(plain), 0.3)) == expected
    assert conformal_quantile(np.tile(plain, 3), level, copies=3.0) == expected


def test_rows_of_little_weight_do_not_decide() -> None:
    """Nine tenths of the weight lie on scores up to 90."""
    scores = np.arange(1.0, 1101.0)
    weights = np.where(scores <= 100, 1.0, 1e-9)
    assert conformal_quantile(scores, 0.9, weights) == 91.0


def test_too_few_rows_for_a_coverage_are_refused() -> None:
    """19 rows are the least for 95 %: ceil(20 * 0.95) = 19. Weights may make 100 rows tell as little."""
    assert conformal_quantile(np.arange(19.0), 0.95) == 18.0
    with pytest.raises(ValueError, match=r"coverage of 0\.95 needs 19 rows in each range .* one has 18"):
        conformal_quantile(np.arange(18.0), 0.95)
    with pytest.raises(ValueError, match="one has 0"):
        conformal_quantile(np.zeros(0), 0.9)
    with pytest.raises(ValueError, match="one has 2"):
        conformal_quantile(np.arange(100.0), 0.9, np.where(np.arange(100) < 2, 1.0, 1e-6))


# -------------------------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(("rows", "ranges"), [(60, 1), (400, 4), (2000, 20)])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_interval_covers_what_it_says(rows: int, ranges: int, weighted: bool) -> None:
    """Over 300 draws of rows whose spread grows with the prediction, skewed, by weights too: as often as it says.

    Each draw is asked for one new row, so that the answers are independent. Ranges cost at most one in so many rows.
    """
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        predicted = rng.uniform(0, 10, rows + 1)
        y = predicted + (predicted + 1) * (rng.exponential(size=rows + 1) - 1)
        weights = rng.uniform(0.5, 1.5, rows) if weighted else None
        ends = Interval.fit(predicted[:-1], y[:-1], 0.9, ranges, weights).apply(predicted[-1:])
        inside += bool((ends[0, 0] <= y[-1]) & (y[-1] <= ends[0, 1]))
    assert within(inside, 300, 0.9)


def test_ranges_make_an_interval_as_wide_as_it_has_to_be() -> None:
    """Nine of ten rows with small predictions and with large ones, though these are further off."""
    rng = np.random.default_rng(0)
    predicted, new = rng.uniform(0, 10, 4000), rng.uniform(0, 10, 4000)
    y, truth = predicted + predicted * rng.normal(size=4000), new + new * rng.normal(size=4000)
    for ranges, least, most in ((1, 0.99, 1.0), (10, 0.87, 0.95)):
        ends = Interval.fit(predicted, y, 0.9, ranges).apply(new)
        inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        assert inside.mean() == pytest.approx(0.9, abs=0.02)
        assert least <= inside[new < 2].mean() <= most


@pytest.mark.parametrize("copies", [1, 3])
def test_equal_predictions_are_in_one_range_and_each_range_has_enough_rows(copies: int) -> None:
    """A constant has one; two values have two, but not if there are few of the second; copies are no rows."""
    rows = 300
    half = np.repeat(np.arange(rows) % 2, copies).astype(np.float64)
    assert Interval.fit(np.zeros(rows * copies), half, 0.9, 20, copies=copies).edges == ()
    assert Interval.fit(half, half, 0.9, 20, copies=copies).edges == (0.0,)
    few = np.repeat(np.arange(rows) < 49, copies).astype(np.float64)
    assert Interval.fit(few, few, 0.9, 20, copies=copies).edges == ()


@given(
    prediction=arrays(np.float64, st.integers(1, 6), elements=st.floats(-1e9, 1e9)),
    edges=st.lists(st.floats(-1e9, 1e9), max_size=4, unique=True).map(sorted),
    widths=st.lists(st.floats(0, 1e9), min_size=5, max_size=5),
)
@example(np.array([np.inf, -np.inf]), [0.0], [1.0] * 5)
def test_the_graphs_interval_is_the_same(prediction: Values, edges: list[float], widths: list[float]) -> None:
    """To the bit, on the edges too."""
    head = Interval(0.9, tuple(edges), tuple(widths[: len(edges) + 1]))
    values = np.concatenate([prediction, edges])
    assert run_on_doubles(head.emit, values.reshape(-1, 1), TensorProto.DOUBLE).tolist() == head.apply(values).tolist()


# -------------------------------------------------------------------------------------------------- sets


def outcomes(rows: int, rng: np.random.Generator) -> tuple[Values, Values]:
    """Probabilities of four classes, the last one rare, and the classes that came, which they are none too sure of."""
    scores = rng.normal(size=(rows, 4)) + np.array([1.0, 0.0, 0.0, -2.0])
    shares, wild = (np.exp(k * scores) / np.exp(k * scores).sum(axis=1, keepdims=True) for k in (1.0, 3.0))
    picks = (shares.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return wild, np.minimum(picks, 3).astype(np.float64)


@pytest.mark.parametrize("rows", [60, 400, 2000])
def test_sets_cover_what_they_say(rows: int) -> None:
    """Over 300 draws, each asked for one new row: by their cuts as often as they say, with labels more."""
    rng = np.random.default_rng(0)
    by_cuts = with_label = 0
    for _ in range(300):
        shares, y = outcomes(rows + 1, rng)
        sets = Sets.fit(shares[:-1], y[:-1], 0.9)
        new = shares[-1:].astype(np.float32)
        true = int(y[-1])
        by_cuts += bool(new[0, true] >= np.float32(sets.cuts[true]))
        with_label += bool(sets.apply(new, new.argmax(axis=1))[0, true])
    assert within(by_cuts, 300, 0.9)
    assert with_label >= by_cuts


def test_a_rare_class_is_covered_as_well() -> None:
    """Of each class's own rows, nine of ten; a single cut for all would miss the rare one more often than not."""
    rng = np.random.default_rng(0)
    (shares, y), (new, truth) = outcomes(20_000, rng), outcomes(20_000, rng)
    reached = new.astype(np.float32) >= np.array(Sets.fit(shares, y, 0.9).cuts, dtype=np.float32)
    single = np.quantile(shares[np.arange(len(y)), y.astype(int)], 0.1)
    for number in range(4):
        own = truth == number
        assert reached[own, number].mean() == pytest.approx(0.9, abs=0.05)
    assert (new[truth == 3, 3] >= single).mean() < 0.5


def test_classes_of_few_rows_share_a_cut() -> None:
    """With the next larger one, until they are 50; copies of a row are one row."""
    y = np.repeat([0.0, 1.0, 2.0, 3.0], [100, 200, 20, 10])
    shares = np.random.default_rng(0).random((330, 5))
    cuts = Sets.fit(shares, y).cuts
    assert cuts[2] == cuts[3] == cuts[4] == cuts[0] != cuts[1]
    assert Sets.fit(np.tile(shares, (3, 1)), np.tile(y, 3), copies=3.0).cuts == cuts


def test_no_set_is_empty() -> None:
    """The label is in it, whatever its probability."""
    sets = Sets(0.9, (0.9, 0.9, 0.9))
    shares = np.array([[0.4, 0.35, 0.25], [0.95, 0.03, 0.02]], dtype=np.float32)
    assert sets.apply(shares, np.array([1, 0])).tolist() == [[False, True, False], [True, False, False]]


@given(
    shares=arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 1, width=32)),
    cuts=st.tuples(*[st.floats(0, 1, width=32)] * 3),
)
def test_the_graphs_sets_are_the_same(shares: NDArray[np.float32], cuts: tuple[float, float, float]) -> None:
    """On the cuts too."""
    head = Sets(0.9, cuts)
    both = np.vstack([shares, np.array([cuts], dtype=np.float32)])

    def emit(g: Graph, x: str) -> str:
        return head.emit(g, g.cast(x, TensorProto.FLOAT), g.op("ArgMax", x, axis=1, keepdims=0))

    found = run_on_doubles(emit, both.astype(np.float64), TensorProto.BOOL)
    assert found.tolist() == head.apply(both, both.argmax(axis=1)).tolist()


# ------------------------------------------------------------------------------------ real rows, over random splits


def test_intervals_hold_for_real_rows() -> None:
    """Diabetes, 442 patients: residuals of five folds, a model of all training rows, 40 random halves."""
    X, y = load_diabetes(return_X_y=True)
    rng, covered = np.random.default_rng(0), []
    for _ in range(40):
        order = rng.permutation(len(y))
        train, new = order[:221], order[221:]
        unseen = cross_val_predict(LinearRegression(), X[train], y[train], cv=5)
        ends = Interval.fit(unseen, y[train], 0.9, 2).apply(LinearRegression().fit(X[train], y[train]).predict(X[new]))
        covered.append(np.mean((ends[:, 0] <= y[new]) & (y[new] <= ends[:, 1])))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["breast cancer", "wine"])
def test_sets_hold_for_real_rows(load: Any) -> None:
    """Random halves of bundled sets: models that are nearly always right cover more, never less."""
    X, y = load(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    rng, cuts, sets = np.random.default_rng(0), [], []
    for _ in range(20):
        order = rng.permutation(len(y))
        train, new = order[: len(y) // 2], order[len(y) // 2 :]
        unseen = cross_val_predict(model, X[train], y[train], cv=5, method="predict_proba")
        head = Sets.fit(unseen, y[train].astype(np.float64), 0.9)
        shares = model.fit(X[train], y[train]).predict_proba(X[new]).astype(np.float32)
        true = np.arange(len(new)), y[new]
        cuts.append((shares >= np.array(head.cuts, dtype=np.float32))[true].mean())
        sets.append(head.apply(shares, shares.argmax(axis=1))[true].mean())
    assert np.mean(cuts) == pytest.approx(0.91, abs=0.03)
    assert np.mean(sets) > 0.95
