"""Multilayer perceptrons."""

import math
import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, shares
from autopilot.plan import Recipe
from autopilot.search.space import CategoricalParameter, ContinuousParameter, Params, Space

#: float32 in training and in the graph; tests hold the gradient against differences in float64.
Floats = NDArray[np.floating[Any]]

_HIDDEN_LAYERS = 3
_BATCH_ROWS = 256
_MOST_ROWS = 100_000
#: Epochs: so many row visits, within these ends.
_VISITED_ROWS, _LEAST_EPOCHS, _MOST_EPOCHS = 1_000_000, 16, 256
#: Steps after which their pace tells whether the planned epochs fit into the time.
_PACE_STEPS = 20
#: Training ends after this share of the planned epochs without a gain on the validation rows.
_PATIENCE = 0.2
#: What one epoch leaves of the running average of the weights. On five of six sets the average predicted better than
#: the last weights (log loss 0.301 for 0.314 on adult, 0.427 for 0.439 on electricity), on credit_g worse (0.47, 0.46).
_AVERAGE_DECAY = 0.8
#: Adam's decay of the mean gradient and of its square, and the number that keeps the division finite.
_MEAN_DECAY, _SQUARE_DECAY, _EPSILON = 0.9, 0.95, 1e-8
#: Learning rates of the feature scales and of the biases, as multiples of the weights' own.
_SCALE_RATE, _BIAS_RATE = 6.0, 0.1
#: SELU's two constants (Klambauer et al., 2017): activations keep mean 0 and deviation 1.
_ALPHA, _LAMBDA = np.float32(1.6732632423543772), np.float32(1.0507009873554805)
#: Rows of one step of a prediction: bounds the memory that activations take.
_CHUNK_ROWS = 8192


class Perceptron:
    """Three hidden layers of equal width, SELU between them.

    After RealMLP-TD-S (Holzmüller et al., "Better by Default", NeurIPS 2024): learnt feature scales, the neural tangent
    parametrisation (weights are drawn with deviation 1 and divided by the root of their inputs), an output layer that
    starts at the classes' shares, Adam, dropout, weight decay, the epoch that was best on the validation rows; and a
    running average of the weights, which is what predicts. The learning rate falls as a cosine to 0 at the last of the
    planned epochs, or at the deadline if that comes first. At most 100,000 rows, drawn by the seed, are used. Values
    end where those of the training rows end. float32 throughout.
    """

    name = "perceptron"
    recipe: Recipe = "dense"

    def applies(self, problem: Problem) -> bool:
        """Always."""
        return True

    def space(self, problem: Problem) -> Space:
        """Width, learning rate and how it is regularised."""
        return {
            "width": CategoricalParameter((64, 128, 256)),
            "learning_rate": ContinuousParameter(5e-3, 0.2, "logarithmic"),
            "dropout": ContinuousParameter(0.0, 0.4),
            "weight_decay": ContinuousParameter(1e-4, 0.2, "logarithmic"),
        }

    def points(self, problem: Problem) -> list[Params]:
        """RealMLP's defaults at half its width, a small one that is quick, and its width."""
        return [
            {"width": 128, "learning_rate": 0.04, "dropout": 0.1, "weight_decay": 0.02},
            {"width": 64, "learning_rate": 0.04, "dropout": 0.0, "weight_decay": 0.02},
            {"width": 256, "learning_rate": 0.02, "dropout": 0.2, "weight_decay": 0.02},
        ]

    def fit(self, job: Job) -> Fitted:
        """Train."""
        return _Training(job).run()


class Network:
    """The parameters, in one flat array, so that an optimiser's step is one expression over all of them.

    x₀ = x · scale;  xₗ = SELU(xₗ₋₁ Wₗ / √inputs + bₗ);  scores = the last layer without SELU.

    scale: (features,). weights: (inputs, outputs) for each layer. biases: (outputs,) for each layer. All begin at 0.
    """

    def __init__(self, widths: list[int], dtype: type[np.floating[Any]] = np.float32) -> None:
        """widths: of the features, the hidden layers and the scores."""
        pairs = list(pairwise(widths))
        shapes = [(widths[0],), *pairs, *((width,) for width in widths[1:])]
        sizes = [math.prod(shape) for shape in shapes]
        self.flat: Floats = np.zeros(sum(sizes), dtype=dtype)
        parts = np.split(self.flat, np.cumsum(sizes)[:-1])
        views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        self.scale, self.weights, self.biases = views[0], views[1 : len(widths)], views[len(widths) :]

    def layers(self) -> "Layers":
        """A copy as plain layers, the scales and the roots multiplied in."""
        weights = [weight / _root(weight) for weight in self.weights]
        weights[0] = self.scale[:, None] * weights[0]
        return Layers(weights, [bias.copy() for bias in self.biases])

    def write_gradient(self, X: Floats, truth: Floats, task: str, masks: list[Floats], into: "Network") -> None:
        """The gradient of the mean loss over some rows, by back-propagation, written into a network of equal widths.

        truth: (rows, scores). masks: what each hidden layer's activations are multiplied with.
        """
        inputs, slopes = [X * self.scale], list[Floats]()
        for weight, bias, mask in zip(self.weights[:-1], self.biases[:-1], masks, strict=True):
            active = activate(inputs[-1] @ weight / _root(weight) + bias)
            slopes.append(_slope(active) * mask)
            inputs.append(active * mask)
        scores = inputs[-1] @ self.weights[-1] / _root(self.weights[-1]) + self.biases[-1]
        error = _loss_slope(scores, truth, task) / np.float32(len(X))
        for layer in range(len(self.weights) - 1, -1, -1):
            np.sum(error, axis=0, out=into.biases[layer])
            error /= _root(self.weights[layer])
            np.matmul(inputs[layer].T, error, out=into.weights[layer])
            error = error @ self.weights[layer].T
            if layer:
                error *= slopes[layer - 1]
        np.sum(error * X, axis=0, out=into.scale)


class Layers(NamedTuple):
    """Plain layers: `x @ weights + biases`, SELU after each but the last."""

    weights: list[Floats]
    biases: list[Floats]

    def scores(self, X: Matrix) -> Floats:
        """(rows, scores) from (rows, features)."""
        chunks = range(0, max(1, len(X)), _CHUNK_ROWS)
        return np.concatenate([self._scores_of_chunk(X[start : start + _CHUNK_ROWS]) for start in chunks])

    def emit(self, g: Graph, features: str) -> str:
        """The same nodes: float [N, scores]."""
        x = features
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = g.op("Selu", _emit_layer(g, x, weight, bias))
        return _emit_layer(g, x, self.weights[-1], self.biases[-1])

    def _scores_of_chunk(self, x: Floats) -> Floats:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = activate(x @ weight + bias)
        return x @ self.weights[-1] + self.biases[-1]


def activate(x: Floats) -> Floats:
    """SELU: λx above 0, λα(exp(x) - 1) below."""
    return _LAMBDA * (np.maximum(x, 0) + _ALPHA * (np.exp(np.minimum(x, 0)) - np.float32(1)))


def _slope(active: Floats) -> Floats:
    """SELU's derivative, by what it gave."""
    return np.where(active > 0, _LAMBDA, active + _LAMBDA * _ALPHA)


def _root(weight: Floats) -> np.float32:
    return np.float32(np.sqrt(len(weight)))


def _emit_layer(g: Graph, x: str, weight: Floats, bias: Floats) -> str:
    return g.op("Add", g.op("MatMul", x, g.const(weight)), g.const(bias))


def _loss_slope(scores: Floats, truth: Floats, task: str) -> Floats:
    """The derivative by the scores of half the squared error, or of the cross entropy."""
    if task == "regression":
        return scores - truth
    if scores.shape[1] == 1:
        return 1 / (1 + np.exp(-np.clip(scores, -80, 80))) - truth
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) - truth


class _Training:
    """One training: the network, the optimiser's state, and how far it is."""

    def __init__(self, job: Job) -> None:
        self._job, self._params = job, job.params
        self._X, y = job.sampled(_MOST_ROWS)
        self._truth = _truth(y, job.problem)
        self._limits = (float(y.min()), float(y.max())) if job.problem.task == "regression" else None
        self._epochs = job.rounds or int(np.clip(_VISITED_ROWS // len(y), _LEAST_EPOCHS, _MOST_EPOCHS))
        self._batch_rows = min(_BATCH_ROWS, len(y))
        self._batches = len(y) // self._batch_rows
        self._rng = np.random.default_rng(job.seed)
        self._widths = [self._X.shape[1], *[self._params["width"]] * _HIDDEN_LAYERS, self._truth.shape[1]]
        self._network, self._gradient, self._average = (Network(self._widths) for _ in range(3))
        self._optimizer = _Adam(self._widths, self._params["weight_decay"])
        self._steps = 0
        self._began = time.monotonic()

    def run(self) -> "_Perceptron":
        """The average as it was after its best epoch, or without validation rows after the last."""
        self._draw_weights()
        best = self._fitted(0)
        best_loss = self._loss(best)
        for epoch in range(1, self._epochs + 1):
            self._train_epoch()
            found = self._fitted(epoch)
            loss = self._loss(found)
            if loss < best_loss or self._job.X_valid is None:
                best, best_loss = found, loss
            if self._job.deadline.passed or epoch - best.rounds > max(8, _PATIENCE * self._epochs):
                break
        return best

    def _draw_weights(self) -> None:
        """Hidden layers at random; the output gives the mean, or the classes' shares with half a row added to each."""
        network = self._network
        network.scale[:] = 1
        for drawn in [*network.weights[:-1], *network.biases[:-1]]:
            drawn[:] = self._rng.standard_normal(drawn.shape, dtype=np.float32)
        if self._job.problem.task != "regression":
            counts = self._truth.sum(axis=0) + 0.5
            rest = len(self._truth) + 1 - counts if len(counts) == 1 else counts.sum()
            network.biases[-1][:] = np.log(counts / rest)
        self._average.flat[:] = network.flat

    def _train_epoch(self) -> None:
        order = self._rng.permutation(len(self._X))
        for batch in range(self._batches):
            if self._job.deadline.passed:
                return
            self._step(order[batch * self._batch_rows : (batch + 1) * self._batch_rows])

    def _step(self, rows: NDArray[np.int64]) -> None:
        task = self._job.problem.task
        self._network.write_gradient(self._X[rows], self._truth[rows], task, self._masks(), self._gradient)
        rate = self._params["learning_rate"] * 0.5 * (1 + np.cos(np.pi * min(self._steps / self._steps_in_all(), 1.0)))
        self._optimizer.step(self._network, self._gradient, np.float32(rate))
        self._steps += 1
        # The first steps weigh alike; without this the drawn weights would stay in the average for epochs.
        weight = max(1 / self._steps, 1 - _AVERAGE_DECAY ** (1 / self._batches))
        self._average.flat += np.float32(weight) * (self._network.flat - self._average.flat)

    def _steps_in_all(self) -> float:
        """Those planned, or fewer if at the pace so far the deadline comes first."""
        planned = self._epochs * self._batches
        if self._steps < _PACE_STEPS:
            return planned
        pace_s = (time.monotonic() - self._began) / self._steps
        return min(planned, self._steps + self._job.deadline.left_s / pace_s)

    def _masks(self) -> list[Floats]:
        """Dropout: activations are left out at random, the others enlarged to the same sum."""
        kept = round(256 * (1 - self._params["dropout"]))  # of 256: a random byte costs a tenth of a random float
        if kept == 256:
            return [np.ones((), dtype=np.float32)] * _HIDDEN_LAYERS
        shape = (_HIDDEN_LAYERS, self._batch_rows, self._widths[1])
        drawn = np.frombuffer(self._rng.bytes(math.prod(shape)), dtype=np.uint8).reshape(shape)
        return list((drawn < kept) * np.float32(256 / kept))

    def _fitted(self, epoch: int) -> "_Perceptron":
        return _Perceptron(self._average.layers(), max(1, epoch), self._limits)

    def _loss(self, fitted: "_Perceptron") -> float:
        """Mean squared error or log loss on the validation rows; infinite without them."""
        if self._job.X_valid is None or self._job.y_valid is None:
            return float("inf")
        predicted, y = fitted.predict(self._job.X_valid), self._job.y_valid
        if self._job.problem.task == "regression":
            return float(np.mean((predicted[:, 0] - y) ** 2))
        right = predicted[np.arange(len(y)), y.astype(np.int64)]
        return float(-np.mean(np.log(np.maximum(right, 1e-12))))


class _Adam:
    """Kingma and Ba, 2015, with the weights' decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    def __init__(self, widths: list[int], decay: float) -> None:
        self._mean, self._square = Network(widths).flat, Network(widths).flat
        rates, decays = Network(widths), Network(widths)
        rates.flat[:] = 1
        rates.scale[:] = _SCALE_RATE
        for bias in rates.biases:
            bias[:] = _BIAS_RATE
        for weight in decays.weights:
            weight[:] = decay
        self._rates, self._decays = rates.flat, decays.flat
        self._steps = 0

    def step(self, network: Network, gradient: Network, rate: np.float32) -> None:
        """Move the network's parameters."""
        self._steps += 1
        self._mean += np.float32(1 - _MEAN_DECAY) * (gradient.flat - self._mean)
        self._square += np.float32(1 - _SQUARE_DECAY) * (np.square(gradient.flat) - self._square)
        mean = self._mean * np.float32(1 / (1 - _MEAN_DECAY**self._steps))
        deviation = np.sqrt(self._square * np.float32(1 / (1 - _SQUARE_DECAY**self._steps)))
        towards = mean / (deviation + np.float32(_EPSILON)) + self._decays * network.flat
        network.flat -= rate * self._rates * towards


def _truth(y: Values, problem: Problem) -> Floats:
    """(rows, scores): the values, 1 for the second of two classes, or an indicator for each class."""
    if problem.outputs > 2:
        return np.eye(problem.outputs, dtype=np.float32)[y.astype(np.int64)]
    return y.astype(np.float32).reshape(-1, 1)


class _Perceptron:
    """limits: least and greatest value, None for classes."""

    def __init__(self, layers: Layers, rounds: int, limits: tuple[float, float] | None) -> None:
        self._layers, self._limits = layers, limits
        self.rounds = rounds

    def predict(self, X: Matrix) -> Values:
        scores = self._layers.scores(X).astype(np.float64)
        return shares(scores) if self._limits is None else np.clip(scores, *self._limits)

    def emit(self, g: Graph, features: str) -> str:
        scores = g.cast(self._layers.emit(g, features), TensorProto.DOUBLE)
        if self._limits is None:
            return emit_shares(g, scores, len(self._layers.biases[-1]))
        low, high = (g.const(np.float64(limit)) for limit in self._limits)
        return g.op("Clip", scores, low, high)
