"""The perceptron's gradient is the loss's, its layers are scikit-learn's, and it learns what is not linear."""

from importlib.util import find_spec
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
from autopilot.candidates.perceptron import Course, Layers, Lesson, Perceptron, Waves, activate
from autopilot.candidates.perceptron_numpy import Network, NumpyTrainer, Pass
from autopilot.deadline import Deadline
from storage.signature import Task
from tests.graphs import run_on_matrix

Values = NDArray[np.float64]
POINT = {"width": 64, "learning_rate": 0.04, "dropout": 0.0, "weight_decay": 0.02, "waves": 0}

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="PyTorch is not installed: pip install 'autopilot[torch]'"
)


def drawn(widths: list[int]) -> Network:
    """A float64 network with random parameters."""
    network = Network(widths, np.float64)
    network.flat[:] = np.random.default_rng(0).normal(size=network.flat.shape)
    return network


def elu(x: Values) -> Values:
    """By its definition."""
    return np.where(x > 0, x, np.expm1(x))


def loss_of(
    flat: Values, widths: list[int], X: Values, truth: Values, weights: Values, task: Task, masks: list[Values]
) -> float:
    """Half the mean squared error, or the mean cross entropy, by the layers written out."""
    network = Network(widths, np.float64)
    network.flat[:] = flat
    x = X * network.scale
    for weight, bias, mask in zip(network.weights[:-1], network.biases[:-1], masks, strict=True):
        x = elu(x @ weight + bias) * mask
    scores = x @ network.weights[-1] + network.biases[-1]
    if task == "regression":
        losses = np.sum((scores - truth) ** 2, axis=1) / 2
    elif task == "binary":
        losses = (np.logaddexp(0, scores) - truth * scores)[:, 0]
    else:
        losses = np.log(np.exp(scores).sum(axis=1)) - (scores * truth).sum(axis=1)
    return float(np.mean(losses * weights[:, 0]))


@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
@pytest.mark.parametrize("varied", [False, True])
def test_the_gradient_is_that_of_small_differences(task: Task, outputs: int, varied: bool) -> None:
    """Of scales, weights and biases, with activations left out and rows that weigh unlike, too."""
    rng = np.random.default_rng(1)
    widths = [3, 5, 4, outputs]
    network, into = drawn(widths), Network(widths, np.float64)
    X, truth = rng.normal(size=(6, 3)), rng.normal(size=(6, outputs))
    if task != "regression":
        truth = np.eye(outputs)[rng.integers(0, outputs, 6)] if outputs > 1 else rng.integers(0, 2, (6, 1)) * 1.0
    masks = [2.0 * (rng.random((6, width)) < 0.5) if varied else np.ones((6, width)) for width in (5, 4)]
    weights = rng.random((6, 1)) if varied else np.ones((6, 1))
    given: Any = (weights, task, masks) if varied else (None, task, None)
    Pass(network, 6).write_gradient(X, truth, *given, into)
    expected = approx_fprime(network.flat, loss_of, 1e-7, widths, X, truth, weights, task, masks)
    assert into.flat == pytest.approx(expected, abs=1e-5)


def test_the_activation_is_the_standards_elu() -> None:
    """As the ONNX reference computes it; and its slope is 1 above 0, and the exponential below."""
    x = np.array([-1e30, -100.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 3e38], dtype=np.float32)
    node = helper.make_node("Elu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "elu", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 21)]
    )
    onnx.checker.check_model(model)
    with np.errstate(over="ignore"):
        expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    active, slope = x.copy(), np.empty_like(x)
    activate(active, slope)
    assert active == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert slope == pytest.approx([0.0, 0.0, 0.367879, 0.999999, 1.0, 1.0, 1.0, 1.0], abs=1e-6)


def test_layers_give_what_scikit_learns_perceptron_gives_with_their_weights() -> None:
    """Above 0 ELU is ReLU: all weights positive."""
    rng = np.random.default_rng(0)
    widths, X = [4, 6, 5, 2], rng.random((10, 4)).astype(np.float32)
    weights = [rng.random(pair).astype(np.float32) for pair in pairwise(widths)]
    biases = [rng.random(width).astype(np.float32) for width in widths[1:]]
    oracle = MLPRegressor((6, 5), activation="relu", max_iter=1, solver="lbfgs")
    oracle.n_layers_, oracle.out_activation_ = 4, "identity"
    oracle.coefs_, oracle.intercepts_ = weights, biases
    assert Layers(weights, biases).scores(X) == pytest.approx(oracle.predict(X), rel=1e-5)


def test_folded_layers_give_what_the_network_gives() -> None:
    """Scales are in the weights."""
    network = drawn([3, 5, 5, 2])
    X = np.random.default_rng(1).normal(size=(7, 3))
    hidden = elu((X * network.scale) @ network.weights[0] + network.biases[0])
    hidden = elu(hidden @ network.weights[1] + network.biases[1])
    expected = hidden @ network.weights[2] + network.biases[2]
    assert network.layers().scores(X) == pytest.approx(expected, rel=1e-6)


def test_waves_stand_beside_numbers_and_not_beside_indicators() -> None:
    """Two for each column of more than ten values; the file has the same, however far out a number is."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.integers(0, 2, 200), rng.normal(size=200)]).astype(np.float32)
    waves = Waves.draw(X, 2, rng)
    assert waves.columns.tolist() == [0, 0, 2, 2]
    far = np.array([[0.5, 1.0, -1e30], [4.0, 0.0, 3e38]], dtype=np.float32)
    ends = np.clip(far[:, [0, 0, 2, 2]].astype(np.float64), -4, 4)
    expected = np.hstack([far, np.cos(ends * waves.frequencies + waves.phases)])
    assert waves.add(far) == pytest.approx(expected, abs=1e-5)
    found = run_on_matrix(lambda g, features: g.cast(waves.emit(g, features), TensorProto.DOUBLE), far)
    assert found == pytest.approx(expected, abs=1e-5)


def test_many_columns_get_fewer_waves_each() -> None:
    """512 in all, and none where there are more columns than that."""
    X = np.random.default_rng(0).normal(size=(50, 600)).astype(np.float32)
    assert len(Waves.draw(X[:, :100], 8, np.random.default_rng(0)).columns) == 500
    assert Waves.draw(X, 8, np.random.default_rng(0)).add(X) is X


def test_the_learning_rate_falls_as_a_cosine_to_the_last_planned_step() -> None:
    """Where there is time for all of them."""
    course = Course(10, 0.2, Deadline.after(3600))
    assert [course.next_rate() for _ in range(11)] == pytest.approx(
        [0.1 + 0.1 * np.cos(np.pi * k / 10) for k in range(11)]
    )


def test_the_learning_rate_falls_sooner_where_time_is_short() -> None:
    """After 20 steps their pace is known; at the deadline the rate is 0."""
    course = Course(1_000_000, 0.2, Deadline.after(0.2))
    while not course.is_over:
        rate = course.next_rate()
    assert rate < 0.01


def job_of(
    X: Any, y: Any, task: Task, *, rounds: int = 0, seconds: float = 60, has_valid: bool = True, **params: Any
) -> Job:
    """A quarter of the rows decides on the length."""
    held = len(X) // 4 if has_valid else 0
    valid = (X[:held], y[:held]) if has_valid else (None, None)
    problem = Problem(task, 1 if task == "regression" else 2, len(X) - held)
    return Job(X[held:], y[held:], *valid, {**POINT, **params}, rounds, Deadline.after(seconds), 0, problem)


def fit(X: Any, y: Any, task: Task, **how: Any) -> Fitted:
    """As `job_of` says."""
    return Perceptron().fit(job_of(X, y, task, **how))


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


def test_waves_learn_in_few_epochs_what_is_periodic() -> None:
    """Four periods over the range, from 40 visits of each row."""
    X = np.random.default_rng(0).uniform(-2, 2, (1000, 1)).astype(np.float32)
    y = np.sin(2 * np.pi * X[:, 0]).astype(np.float64)
    plain, waved = (fit(X, y, "regression", rounds=40, waves=waves).predict(X)[:, 0] for waves in (0, 8))
    assert np.mean((waved - y) ** 2) < 0.25 * np.mean((plain - y) ** 2)


def test_rows_count_by_their_weights() -> None:
    """Of rows that say opposite things, the heavy ones are believed; those that decide on the length too."""
    X = np.tile(np.linspace(-1, 1, 200, dtype=np.float32), 2).reshape(-1, 1)
    y = np.concatenate([X[:200, 0] > 0, X[200:, 0] <= 0]).astype(np.float64)
    weights = np.repeat([1.9, 0.1], 200)
    order = np.random.default_rng(0).permutation(400)
    job = job_of(X[order], y[order], "binary")
    job = job._replace(weights=weights[order][100:], weights_valid=weights[order][:100])
    found = Perceptron().fit(job).predict(np.array([[-0.7], [0.7]], dtype=np.float32))[:, 1]
    assert found == pytest.approx([0.05, 0.95], abs=0.05)


@needs_torch
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("has_weights", [False, True])
def test_pytorch_trains_the_same_network(task: Task, has_weights: bool) -> None:
    """On one batch, the order in it does not matter: after eight steps, all parameters are NumPy's."""
    from autopilot.candidates.perceptron_torch import TorchTrainer, device

    rng = np.random.default_rng(0)
    X = rng.normal(size=(128, 5)).astype(np.float32)
    y = X[:, 0].astype(np.float64) if task == "regression" else rng.integers(0, 2, 128).astype(np.float64)
    job = job_of(X, y, task, has_valid=False)
    if task == "multiclass":
        job = job._replace(problem=Problem("multiclass", 3, 128))
    if has_weights:
        job = job._replace(weights=rng.random(128) + 0.5)
    trainers = [NumpyTrainer(Lesson.of(job)), TorchTrainer(Lesson.of(job), device())]
    for trainer in trainers:
        course = Course(8, 0.04, Deadline.after(60))
        for _ in range(8):
            trainer.train_epoch(course)
    ours, theirs = (trainer.layers() for trainer in trainers)
    for one, other in zip((*ours.weights, *ours.biases), (*theirs.weights, *theirs.biases), strict=True):
        assert one == pytest.approx(other, abs=2e-4)


@needs_torch
def test_pytorch_learns_a_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the candidate, as if there were a GPU, with dropout and waves; the file is the same as NumPy's."""
    from autopilot.candidates import perceptron
    from autopilot.candidates.perceptron_torch import TorchTrainer, device

    monkeypatch.setattr(perceptron, "_trainer", lambda lesson: TorchTrainer(lesson, device()))
    (X, y), (new, truth) = ring(800, 0), ring(500, 1)
    fitted = fit(X, y, "binary", dropout=0.1, waves=4)
    assert log_loss(truth, fitted.predict(new)) < 0.3
    assert run_on_matrix(fitted.emit, new) == pytest.approx(fitted.predict(new), abs=1e-5)
