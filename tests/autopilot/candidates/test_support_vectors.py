"""Support vector machines decide as scikit-learn's, and their scores become probabilities."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import RBF
from sklearn.metrics import log_loss
from sklearn.svm import SVC, SVR

from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.support_vectors import SupportVectors, bumps
from autopilot.deadline import Deadline
from storage.signature import Task

PARAMS = {"cost": 2.0, "gamma": 0.7}


def rows(classes: int, count: int = 300, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Two features; the class is how far from the middle a row lies, and a bit of chance."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 2)).astype(np.float32)
    far = np.hypot(X[:, 0], X[:, 1]) + 0.2 * rng.normal(size=count)
    return X, np.digitize(far, np.linspace(0.8, 1.6, classes - 1)).astype(np.float64)


def fit(X: NDArray[np.float32], y: NDArray[np.float64], task: Task, outputs: int, *, seconds: float = 60) -> Fitted:
    """On all rows."""
    problem = Problem(task, outputs, len(X))
    return SupportVectors().fit(Job(X, y, None, None, PARAMS, 0, Deadline.after(seconds), 0, problem))


def gamma_of(X: NDArray[np.float32]) -> float:
    """In scikit-learn's unit."""
    return PARAMS["gamma"] / (X.shape[1] * X.astype(np.float64).var())


def test_bumps_are_the_radial_basis_functions() -> None:
    """exp(-γ d²) with γ = 1 / (2 · length²)."""
    X, centres = np.random.default_rng(0).normal(size=(5, 3)), np.random.default_rng(1).normal(size=(4, 3))
    assert bumps(X, centres, 0.5) == pytest.approx(RBF(1.0)(X, centres), abs=1e-14)


def test_values_are_scikit_learns() -> None:
    """The same machine in other words."""
    X, _ = rows(2)
    y = np.sin(X[:, 0]).astype(np.float64)
    wide = X.astype(np.float64)
    oracle = SVR(gamma=gamma_of(X), C=2.0).fit(wide, y)
    assert fit(X, y, "regression", 1).predict(X)[:, 0] == pytest.approx(oracle.predict(wide), abs=1e-9)


def test_probabilities_rise_with_scikit_learns_decision() -> None:
    """Platt's sigmoid keeps the order of rows."""
    X, y = rows(2)
    oracle = SVC(gamma=gamma_of(X), C=2.0).fit(X.astype(np.float64), y)
    found = fit(X, y, "binary", 2).predict(X)[:, 1]
    order = np.argsort(oracle.decision_function(X.astype(np.float64)))
    assert (np.diff(found[order]) >= -1e-12).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_mean_what_they_say(classes: int) -> None:
    """A ring around a ring: far better than the classes' shares, on rows not seen, in log loss too."""
    X, y = rows(classes)
    new, truth = rows(classes, 1000, seed=1)
    found = fit(X, y, "binary" if classes == 2 else "multiclass", classes).predict(new)
    shares = np.tile(np.bincount(y.astype(int)) / len(y), (1000, 1))
    assert log_loss(truth, found) < 0.7 * log_loss(truth, shares)


def test_a_deadline_that_has_passed_leaves_a_small_machine() -> None:
    """200 rows: libsvm cannot be stopped on its way."""
    X, y = rows(2, 3000)
    assert len(fit(X, y, "binary", 2, seconds=-1)._centres) <= 200
    assert len(fit(X, y, "binary", 2)._centres) > 200


def test_large_tables_and_many_classes_are_left_to_others() -> None:
    """10,000 rows and 10 classes at most."""
    applies = SupportVectors().applies
    assert applies(Problem("multiclass", 10, 10_000))
    assert not applies(Problem("multiclass", 11, 10_000))
    assert not applies(Problem("regression", 1, 10_001))
