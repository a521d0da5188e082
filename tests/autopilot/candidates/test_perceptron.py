"""The perceptron's gradient is the loss's, its layers are scikit-learn's, and it learns what is not linear."""

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPRegressor

from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.candidates.perceptron import Layers, Network, Perceptron, activate
from autopilot.deadline import Deadline
from storage.signature import Task

Values = NDArray[np.float64]
POINT = Perceptron().points(Problem("binary", 2, 100))[1]


def drawn(widths: list[int]) -> Network:
    """A float64 network with random parameters."""
    network = Network(widths, np.float64)
    network.flat[:] = np.random.default_rng(0).normal(size=network.flat.shape)
    return network


def loss_of(flat: Values, widths: list[int], X: Values, truth: Values, task: Task, masks: list[Values]) -> float:
    """Half the mean squared error, or the mean cross entropy, by the layers written out."""
    network = Network(widths, np.float64)
    network.flat[:] = flat
    x = X * network.scale
    for weight, bias, mask in zip(network.weights[:-1], network.biases[:-1], masks, strict=True):
        x = activate(x @ weight / np.sqrt(len(weight)) + bias) * mask
    scores = x @ network.weights[-1] / np.sqrt(len(network.weights[-1])) + network.biases[-1]
    if task == "regression":
        return float(np.mean(np.sum((scores - truth) ** 2, axis=1)) / 2)
    if task == "binary":
        return float(np.mean(np.logaddexp(0, scores) - truth * scores))
    return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - (scores * truth).sum(axis=1)))


@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
@pytest.mark.parametrize("dropout", [False, True])
def test_the_gradient_is_that_of_small_differences(task: Task, outputs: int, dropout: bool) -> None:
    """Of scales, weights and biases, with activations left out too."""
    rng = np.random.default_rng(1)
    widths = [3, 5, 4, outputs]
    network, into = drawn(widths), Network(widths, np.float64)
    X, truth = rng.normal(size=(6, 3)), rng.normal(size=(6, outputs))
    if task != "regression":
        truth = np.eye(outputs)[rng.integers(0, outputs, 6)] if outputs > 1 else rng.integers(0, 2, (6, 1)) * 1.0
    masks: list[Any] = [2.0 * (rng.random((6, width)) < 0.5) if dropout else np.ones(()) for width in (5, 4)]
    network.write_gradient(X, truth, task, masks, into)
    expected = approx_fprime(network.flat, loss_of, 1e-7, widths, X, truth, task, masks)
    assert into.flat == pytest.approx(expected, abs=1e-5)


def test_the_activation_is_the_standards_selu() -> None:
    """As the ONNX reference computes it, with the constants of the standard."""
    x = np.array([-1e30, -100.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 3e38], dtype=np.float32)
    node = helper.make_node("Selu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "selu", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 21)]
    )
    onnx.checker.check_model(model)
    with np.errstate(over="ignore"):
        expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
        assert activate(x) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_layers_give_what_scikit_learns_perceptron_gives_with_their_weights() -> None:
    """Above 0 SELU is 1.0507 times ReLU: all weights positive, and that factor in scikit-learn's hidden layers."""
    rng = np.random.default_rng(0)
    widths, X = [4, 6, 5, 2], rng.random((10, 4)).astype(np.float32)
    weights = [rng.random(pair).astype(np.float32) for pair in pairwise(widths)]
    biases = [rng.random(width).astype(np.float32) for width in widths[1:]]
    oracle = MLPRegressor((6, 5), activation="relu", max_iter=1, solver="lbfgs")
    oracle.n_layers_, oracle.out_activation_ = 4, "identity"
    factors = (1.0507009873554805, 1.0507009873554805, 1.0)
    oracle.coefs_ = [factor * weight for factor, weight in zip(factors, weights, strict=True)]
    oracle.intercepts_ = [factor * bias for factor, bias in zip(factors, biases, strict=True)]
    assert Layers(weights, biases).scores(X) == pytest.approx(oracle.predict(X), rel=1e-5)


def test_folded_layers_give_what_the_network_gives() -> None:
    """Scales and roots are in the weights."""
    network = drawn([3, 5, 5, 2])
    X = np.random.default_rng(1).normal(size=(7, 3))
    hidden = activate((X * network.scale) @ network.weights[0] / np.sqrt(3) + network.biases[0])
    hidden = activate(hidden @ network.weights[1] / np.sqrt(5) + network.biases[1])
    expected = hidden @ network.weights[2] / np.sqrt(5) + network.biases[2]
    assert network.layers().scores(X) == pytest.approx(expected, rel=1e-6)


def fit(X: Any, y: Any, task: Task, *, rounds: int = 0, seconds: float = 60, has_valid: bool = True) -> Fitted:
    """A quarter of the rows decides on the length."""
    held = len(X) // 4 if has_valid else 0
    valid = (X[:held], y[:held]) if has_valid else (None, None)
    problem = Problem(task, 1 if task == "regression" else 2, len(X) - held)
    job = Job(X[held:], y[held:], *valid, POINT, rounds, Deadline.after(seconds), 0, problem)
    return Perceptron().fit(job)


def ring(count: int, seed: int) -> tuple[NDArray[np.float32], Values]:
    """Inside and outside of a circle."""
    X = np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)
    return X, (np.hypot(X[:, 0], X[:, 1]) > 1.2).astype(np.float64)


def test_a_ring_is_learnt() -> None:
    """No line can tell inside from outside."""
    (X, y), (new, truth) = ring(800, 0), ring(500, 1)
    linear = log_loss(truth, LogisticRegression().fit(X, y).predict_proba(new))
    assert log_loss(truth, fit(X, y, "binary").predict(new)) < 0.25 * linear


def test_noise_is_not_learnt() -> None:
    """The best epoch is an early one, and no worse than the constant guess by much."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 10)).astype(np.float32), rng.normal(size=600)
    fitted = fit(X, y, "regression")
    assert fitted.rounds < 20
    assert np.mean(fitted.predict(X[:150])[:, 0] ** 2) < 0.1


def test_a_deadline_ends_the_training() -> None:
    """With what was learnt until then."""
    X, y = ring(2000, 0)
    fitted = fit(X, y, "binary", rounds=100_000, seconds=1.0)
    assert fitted.rounds < 100_000
    assert ((fitted.predict(X)[:, 1] > 0.5) == y).mean() > 0.9


def test_a_refit_trains_as_long_as_it_is_told() -> None:
    """There are no rows to decide by."""
    X, y = ring(300, 0)
    assert fit(X, y, "binary", rounds=7, has_valid=False).rounds == 7


def test_values_end_where_the_training_rows_end() -> None:
    """Far out a network would go on straight."""
    X = np.linspace(-1, 1, 400, dtype=np.float32).reshape(-1, 1)
    order = np.random.default_rng(0).permutation(400)
    y = X[:, 0].astype(np.float64)
    fitted = fit(X[order], y[order], "regression")
    far = fitted.predict(np.array([[-1000.0], [1000.0]], dtype=np.float32))[:, 0]
    assert far == pytest.approx([y[order][100:].min(), y[order][100:].max()])
