"""Training a perceptron with NumPy, on one core.

Time is what this file is about: arrays are made once and written into (arrays of 128 kB and more would be fetched from
the operating system, and given back, at each step), all parameters lie in one array, so that Adam is a dozen passes
over it, and dropout looks into one pool of random numbers at random places. A step over 256 rows with 128 hidden units
takes 1.4 ms, where plain expressions took 4.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from autopilot.candidates.perceptron import Course, Floats, Layers, Lesson, activate
from storage.signature import Task

#: Adam's decay of the mean gradient and of its square, and the number that keeps the division finite.
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.95, 1e-8
#: Learning rates of the feature scales and of the biases, as multiples of the weights' own.
SCALE_RATE, BIAS_RATE = 6.0, 0.1
#: What ELU leaves of the deviation of a normal number, inverted: weights are drawn so much larger behind it.
GAIN = 1.25
#: What one epoch leaves of the running average of the weights. On five of six sets the average predicted better than
#: the last weights (log loss 0.301 for 0.314 on adult, 0.427 for 0.439 on electricity), on credit_g worse (0.47, 0.46).
AVERAGE_DECAY = 0.8
#: Dropout's pool holds so many times the numbers of a step.
_POOL_STEPS = 4


class Network:
    """The parameters, in one flat array.

    x₀ = x · scale;  xₗ = ELU(xₗ₋₁ Wₗ + bₗ);  scores = the last layer without ELU.

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

    def draw(self, lesson: Lesson) -> None:
        """Scales of 1, hidden layers at random; the output gives the mean, or the classes' shares.

        A weight has deviation 1 / √inputs: the neural tangent parametrisation (Jacot et al., 2018), with the root
        multiplied in; `rates` has it for the steps. It is larger behind an ELU, which makes numbers smaller.
        """
        rng = np.random.default_rng(lesson.seed)
        self.scale[:] = 1
        for layer, (weight, bias) in enumerate(zip(self.weights[:-1], self.biases[:-1], strict=True)):
            weight[:] = rng.standard_normal(weight.shape, dtype=np.float32) * _deviation(layer, weight)
            bias[:] = rng.standard_normal(bias.shape, dtype=np.float32)
        self.biases[-1][:] = lesson.first_biases()

    def fill_rates(self) -> None:
        """Write each parameter's learning rate, as a multiple of the course's, in its place."""
        self.scale[:] = SCALE_RATE
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            weight[:] = _deviation(layer, weight)
            bias[:] = BIAS_RATE

    def layers(self) -> Layers:
        """A copy as plain layers, the scales multiplied in."""
        weights = [weight.copy() for weight in self.weights]
        weights[0] *= self.scale[:, None]
        return Layers(weights, [bias.copy() for bias in self.biases])


class Pass:
    """Forward and back through a network, for a fixed number of rows, in arrays of its own."""

    def __init__(self, network: Network, rows: int) -> None:
        widths = [len(network.scale), *(len(bias) for bias in network.biases)]
        self._network = network
        self._inputs, self._slopes, self._errors = (
            [np.empty((rows, width), dtype=network.flat.dtype) for width in widths] for _ in range(3)
        )

    def write_gradient(
        self, X: Floats, truth: Floats, weights: Floats | None, task: Task, masks: list[Floats] | None, into: Network
    ) -> None:
        """The gradient of the mean loss over some rows, by back-propagation, written into a network of equal widths.

        truth: (rows, scores). weights: (rows, 1). masks: what each hidden layer's activations are multiplied with.
        """
        network, inputs = self._network, self._inputs
        np.multiply(X, network.scale, out=inputs[0])
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            np.matmul(inputs[layer], weight, out=inputs[layer + 1])
            inputs[layer + 1] += bias
            if layer < len(network.weights) - 1:
                self._activate(layer + 1, None if masks is None else masks[layer])
        write_loss_slope(inputs[-1], truth, weights, task, self._errors[-1])
        self._go_back(X, into)

    def _activate(self, layer: int, mask: Floats | None) -> None:
        activate(self._inputs[layer], self._slopes[layer])
        if mask is not None:
            self._inputs[layer] *= mask
            self._slopes[layer] *= mask

    def _go_back(self, X: Floats, into: Network) -> None:
        network, errors = self._network, self._errors
        for layer in range(len(network.weights) - 1, -1, -1):
            error = errors[layer + 1]
            np.add.reduce(error, axis=0, out=into.biases[layer])
            np.matmul(self._inputs[layer].T, error, out=into.weights[layer])
            np.matmul(error, network.weights[layer].T, out=errors[layer])
            errors[layer] *= self._slopes[layer] if layer else X
        np.add.reduce(errors[0], axis=0, out=into.scale)


def write_loss_slope(scores: Floats, truth: Floats, weights: Floats | None, task: Task, into: Floats) -> None:
    """The derivative by the scores of the mean of half the squared error, or of the cross entropy."""
    if task == "regression":
        np.subtract(scores, truth, out=into)
    elif scores.shape[1] == 1:
        np.subtract(1 / (1 + np.exp(-np.clip(scores, -80, 80))), truth, out=into)
    else:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        np.subtract(powers / powers.sum(axis=1, keepdims=True), truth, out=into)
    if weights is not None:
        into *= weights
    into /= len(scores)


class NumpyTrainer:
    """A network, the optimiser's state, and the average."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._rng = np.random.default_rng([lesson.seed, 1])  # another stream than that of the drawn weights
        self._network, self._gradient, self._average = (Network(lesson.widths) for _ in range(3))
        self._network.draw(lesson)
        self._average.flat[:] = self._network.flat
        self._pass = Pass(self._network, lesson.batch_rows)
        self._adam = _Adam(lesson.widths, lesson.params["weight_decay"])
        self._masks = _Masks(lesson, self._rng)
        arrays = [lesson.X, lesson.truth] if lesson.weights is None else [lesson.X, lesson.truth, lesson.weights]
        self._taken = [(array, np.empty_like(array[: lesson.batch_rows])) for array in arrays]

    def train_epoch(self, course: Course) -> None:
        """Visit the rows once in random order."""
        lesson, size = self._lesson, self._lesson.batch_rows
        order = self._rng.permutation(len(lesson.X))
        for start in range(0, lesson.batches * size, size):
            if course.is_over:
                return
            for array, taken in self._taken:
                np.take(array, order[start : start + size], axis=0, out=taken, mode="clip")  # unlike "raise", no copy
            self._step(course)

    def layers(self) -> Layers:
        """Of the average."""
        return self._average.layers()

    def valid_scores(self) -> Floats:
        """By the average."""
        return self.layers().scores(self._lesson.X_valid)

    def _step(self, course: Course) -> None:
        X, truth, *weights = (taken for _, taken in self._taken)
        self._pass.write_gradient(
            X, truth, weights[0] if weights else None, self._lesson.task, self._masks.draw(), self._gradient
        )
        self._adam.step(self._network, self._gradient, course.next_rate())
        # The first steps weigh alike; without this the drawn weights would stay in the average for epochs.
        weight = average_weight(course.steps, self._lesson.batches)
        change = np.subtract(self._network.flat, self._average.flat, out=self._gradient.flat)
        change *= np.float32(weight)
        self._average.flat += change


class _Adam:
    """Kingma and Ba, 2015, with the weights' decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    def __init__(self, widths: list[int], decay: float) -> None:
        rates = Network(widths)
        rates.fill_rates()
        self._rates = rates.flat
        self._mean, self._square, self._scratch = (np.zeros_like(rates.flat) for _ in range(3))
        self._decay = decay
        self._steps = 0

    def step(self, network: Network, gradient: Network, rate: float) -> None:
        """Move the network's parameters; the gradient's array is written over."""
        self._steps += 1
        squares, scratch = gradient.flat, self._scratch
        np.subtract(gradient.flat, self._mean, out=scratch)
        scratch *= np.float32(1 - MEAN_DECAY)
        self._mean += scratch
        squares *= squares
        squares -= self._square
        squares *= np.float32(1 - SQUARE_DECAY)
        self._square += squares
        np.sqrt(self._square, out=scratch)
        scratch *= np.float32(1 / math.sqrt(1 - SQUARE_DECAY**self._steps))
        scratch += np.float32(EPSILON)
        np.divide(self._mean, scratch, out=scratch)
        scratch *= self._rates
        scratch *= np.float32(rate / (1 - MEAN_DECAY**self._steps))
        for weight in network.weights:
            weight *= np.float32(1 - rate * self._decay)
        network.flat -= scratch


class _Masks:
    """Dropout: activations are left out at random, the others enlarged to the same sum."""

    def __init__(self, lesson: Lesson, rng: np.random.Generator) -> None:
        self._rng, self._shape = rng, (lesson.batch_rows, lesson.widths[1])
        self._layers, kept = len(lesson.widths) - 2, 1 - lesson.params["dropout"]
        self._pool: Floats | None = None
        if kept < 1:
            pool = rng.random(_POOL_STEPS * self._layers * math.prod(self._shape), dtype=np.float32)
            self._pool = (pool < kept) * np.float32(1 / kept)

    def draw(self) -> list[Floats] | None:
        """For each hidden layer (rows, width), from a random place of the pool; None leaves nothing out."""
        if self._pool is None:
            return None
        size = math.prod(self._shape)
        start = int(self._rng.integers(len(self._pool) - self._layers * size))
        starts = range(start, start + self._layers * size, size)
        return [self._pool[at : at + size].reshape(self._shape) for at in starts]


def average_weight(step: int, batches: int) -> float:
    """What the parameters after this step, counted from 1, count for in their running average."""
    return max(1 / step, 1 - AVERAGE_DECAY ** (1 / batches))


def _deviation(layer: int, weight: Floats) -> np.float32:
    return np.float32((GAIN if layer else 1.0) / math.sqrt(len(weight)))
