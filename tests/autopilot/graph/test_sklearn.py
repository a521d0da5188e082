"""Estimators of scikit-learn become nodes of our graph where skl2onnx is exact; where it is not, the gate says so."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import HuberRegressor, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVR

from autopilot.graph.graph import Graph
from autopilot.graph.parity import measure, passes
from autopilot.graph.sklearn import emit_converted
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import infer
from tests.graphs import run_on_matrix

Matrix = NDArray[np.float32]


def rows(classes: int, *, seed: int = 0) -> tuple[Matrix, NDArray[np.int64]]:
    """Three features, and classes that overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, 300)
    return (rng.normal(size=(300, 3)) + y[:, None] * [1.0, -0.5, 0.0]).astype(np.float32), y


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), QuadraticDiscriminantAnalysis(), GaussianNB()],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifiers_nodes_give_its_probabilities(estimator: Any, classes: int) -> None:
    """A column for each class."""
    X, y = rows(classes)
    estimator.fit(X, y)
    new, _ = rows(classes, seed=1)
    found = run_on_matrix(lambda g, x: emit_converted(g, estimator, x), new)
    assert found == pytest.approx(estimator.predict_proba(new), abs=1e-5)


@pytest.mark.parametrize("estimator", [HuberRegressor(), SVR()], ids=lambda estimator: type(estimator).__name__)
def test_a_regressors_nodes_give_its_values(estimator: Any) -> None:
    """One column."""
    X, y = rows(3)
    estimator.fit(X, y)
    found = run_on_matrix(lambda g, x: emit_converted(g, estimator, x), X)
    assert found == pytest.approx(estimator.predict(X).reshape(-1, 1), abs=1e-4)


def test_two_estimators_in_one_graph_do_not_mix_up_names() -> None:
    """skl2onnx calls its tensors alike each time."""
    X, y = rows(2)
    one, other = LogisticRegression().fit(X, y), QuadraticDiscriminantAnalysis().fit(X, y)

    def emit(g: Graph, x: str) -> str:
        return g.op("Sub", emit_converted(g, one, x), emit_converted(g, other, x))

    expected = one.predict_proba(X) - other.predict_proba(X)
    assert run_on_matrix(emit, X) == pytest.approx(expected, abs=1e-5)


def test_what_skl2onnx_cannot_convert_is_refused_by_name() -> None:
    """With what to do instead."""

    class Own(LogisticRegression):
        """An estimator that skl2onnx does not know."""

    X, y = rows(2)
    with pytest.raises(ValueError, match=r"(?s)cannot convert Own: .*Emit the nodes with"):
        run_on_matrix(lambda g, x: emit_converted(g, Own().fit(X, y), x), X)


def test_nodes_that_hold_a_graph_are_refused() -> None:
    """Distances to neighbours are a Scan, whose inner names would have to be told apart too."""
    X, y = rows(3)
    estimator = KNeighborsClassifier(7).fit(X, y)
    with pytest.raises(ValueError, match="wrote a Scan with a graph inside"):
        run_on_matrix(lambda g, x: emit_converted(g, estimator, x), X)


class Wrapped:
    """What a candidate that wraps scikit-learn gives: see the docstring of `emit_converted`."""

    rounds = 0

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def predict(self, X: Matrix) -> NDArray[np.float64]:
        return self._estimator.predict_proba(X)

    def emit(self, g: Graph, features: str) -> str:
        return emit_converted(g, self._estimator, features)


@pytest.mark.parametrize(
    ("estimator", "is_exact"),
    [
        (QuadraticDiscriminantAnalysis(reg_param=0.1), True),
        (LinearDiscriminantAnalysis(), False),
    ],
    ids=["exact", "silently wrong"],
)
def test_the_gate_decides_on_what_was_converted(estimator: Any, is_exact: bool) -> None:
    """For two classes skl2onnx 1.20 doubles the log-odds of scikit-learn 1.9's linear discriminant: off by 0.15."""
    X, y = rows(2)
    frame = pl.DataFrame(X.astype(np.float64), schema=["a", "b", "c"]).with_columns(y=pl.Series(y))
    table = infer(frame, "y")
    plan, features = Plan.fit(table.frame, table.signature, "dense", Target(table.y, 2), seed=0)
    member = TrainedMember(Wrapped(estimator.fit(features, y)), "dense", 1.0)
    model = TrainedModel(table.signature, {"dense": plan}, (member,), Unit())
    found = measure(model, model.export().SerializeToString(), table.frame, seed=0)
    assert passes(found) == is_exact, found
