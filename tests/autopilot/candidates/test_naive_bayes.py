"""Naive Bayes is scikit-learn's, except for what its rows lack."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from autopilot.candidates.candidate import Job, Problem
from autopilot.candidates.naive_bayes import NaiveBayes
from autopilot.deadline import Deadline


def job_of(X: np.ndarray, y: np.ndarray, classes: int, smoothing: float, power: float = 1.0) -> Job:
    """Without validation rows: nothing is decided by them."""
    problem = Problem("multiclass" if classes > 2 else "binary", classes, len(X))
    return Job(X, y, None, None, {"smoothing": smoothing, "power": power}, 0, Deadline.after(60), 0, problem)


@pytest.mark.parametrize("smoothing", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_are_scikit_learns(smoothing: float, classes: int) -> None:
    """With the same priors: ours count half a row more for each class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 300).astype(np.float64)
    X = (rng.normal(size=(300, 5)) + y[:, None] * [1.0, 0.5, 0.0, 0.1, -1.0]).astype(np.float32)
    X[:, 2] = 3.0  # never varies
    priors = np.bincount(y.astype(int)) + 0.5
    oracle = GaussianNB(priors=priors / priors.sum(), var_smoothing=smoothing).fit(X.astype(np.float64), y)
    found = NaiveBayes().fit(job_of(X, y, classes, smoothing)).predict(X)
    assert found == pytest.approx(oracle.predict_proba(X.astype(np.float64)), abs=1e-8)


def test_weighted_rows_are_as_in_scikit_learn() -> None:
    """What is added to variances is a share of the largest weighted one here, so the oracle is told that number."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200).astype(np.float64)
    X = (rng.normal(size=(200, 4)) + y[:, None]).astype(np.float32)
    weights = rng.gamma(1.0, 1.0, 200)
    wide = X.astype(np.float64)
    spread = np.average((wide - np.average(wide, axis=0, weights=weights)) ** 2, axis=0, weights=weights).max()
    priors = np.bincount(y.astype(int), weights) + 0.5
    smoothing = 1e-2 * spread / wide.var(axis=0).max()
    oracle = GaussianNB(priors=priors / priors.sum(), var_smoothing=smoothing).fit(wide, y, weights)
    found = NaiveBayes().fit(job_of(X, y, 3, 1e-2)._replace(weights=weights)).predict(X)
    assert found == pytest.approx(oracle.predict_proba(wide), abs=1e-8)


def test_a_power_below_one_tempers_what_repeated_features_say() -> None:
    """A column three times over, to the power of a third, is the column once."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2.0
    once = (rng.normal(size=(200, 1)) + y[:, None]).astype(np.float32)
    thrice = np.hstack([once] * 3)
    expected = NaiveBayes().fit(job_of(once, y, 2, 1e-3)).predict(once)
    found = NaiveBayes().fit(job_of(thrice, y, 2, 1e-3, power=1 / 3)).predict(thrice)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_class_without_rows_is_unlikely_everywhere() -> None:
    """It counts for half a row, spread as all rows are."""
    X = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    y = np.arange(100) % 2.0
    found = NaiveBayes().fit(job_of(X, y, 3, 1e-3)).predict(X)
    assert found[:, 2].mean() == pytest.approx(0.5 / 101.5, abs=0.003)


def test_it_is_not_tried_on_values() -> None:
    """There is no class to be normal within."""
    assert not NaiveBayes().applies(Problem("regression", 1, 100))
    assert NaiveBayes().applies(Problem("binary", 2, 100))
