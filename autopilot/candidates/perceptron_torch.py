"""Training a perceptron with PyTorch, of the extra `torch`: the same network, loss and optimiser as with NumPy.

For a GPU. On one core it takes 2 to 3 times as long as NumPy (California housing 3.8 s for 1.3 s, adult 2.6 s for
1.3 s), so that without a GPU NumPy trains. Parameters lie in one tensor, so that a step of Adam is a dozen kernels,
whatever the number of layers.
"""

from importlib import import_module
from typing import Any

import numpy as np

from autopilot.candidates.perceptron import Course, Floats, Layers, Lesson
from autopilot.candidates.perceptron_numpy import (
    EPSILON,
    MEAN_DECAY,
    SQUARE_DECAY,
    Network,
    average_weight,
)

#: Steps that are sent to the GPU before it is waited for: the course looks at the clock.
_STEPS_AHEAD = 50


def device() -> str:
    """Where PyTorch would train: `cuda` if there is a GPU that it can use, else `cpu`."""
    torch: Any = import_module("torch")
    return "cuda" if torch.cuda.is_available() else "cpu"


class TorchTrainer:
    """The parameters, the optimiser's state and the average, each a tensor laid out as `Network.flat`."""

    def __init__(self, lesson: Lesson, device: str) -> None:
        self._torch: Any = import_module("torch")  # typed by none, so that checks pass without the extra
        self._lesson, self._device = lesson, device
        self._generator: Any = self._torch.Generator(device).manual_seed(lesson.seed % 2**63)
        self._shapes = _shapes(lesson.widths)
        first, rates = Network(lesson.widths), Network(lesson.widths)
        first.draw(lesson)
        rates.fill_rates()
        decays = Network(lesson.widths)
        for weight in decays.weights:
            weight[:] = lesson.params["weight_decay"]
        self._flat, self._rates, self._decays = (self._sent(one.flat) for one in (first, rates, decays))
        self._flat.requires_grad_(True)
        self._average, self._mean, self._square = (
            self._sent(array) for array in (first.flat.copy(), np.zeros_like(first.flat), np.zeros_like(first.flat))
        )
        self._X, self._truth, self._X_valid = (self._sent(one) for one in (lesson.X, lesson.truth, lesson.X_valid))
        self._weights: Any = None if lesson.weights is None else self._sent(lesson.weights)

    def train_epoch(self, course: Course) -> None:
        """Visit the rows once in random order."""
        torch, size = self._torch, self._lesson.batch_rows
        order = torch.randperm(len(self._X), generator=self._generator, device=self._device)
        for batch in range(self._lesson.batches):
            if batch % _STEPS_AHEAD == 0 and self._device == "cuda":
                torch.cuda.synchronize()
            if course.is_over:
                return
            self._step(order[batch * size : (batch + 1) * size], course)

    def layers(self) -> Layers:
        """Of the average."""
        network = Network(self._lesson.widths)
        network.flat[:] = self._average.cpu().numpy()
        return network.layers()

    def valid_scores(self) -> Floats:
        """By the average."""
        with self._torch.no_grad():
            return self._scores(self._X_valid, self._average, 0.0).cpu().numpy()

    def _sent(self, array: Floats) -> Any:
        """A copy on the device."""
        return self._torch.tensor(np.asarray(array), device=self._device)

    def _scores(self, X: Any, flat: Any, dropout: float) -> Any:
        torch = self._torch
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), self._shapes, strict=True)]
        layers = (len(parts) - 1) // 2
        x = X * parts[0]
        for weight, bias in zip(parts[1:layers], parts[layers + 1 : -1], strict=True):
            x = torch.nn.functional.elu(torch.addmm(bias, x, weight))
            if dropout:
                kept = torch.rand(x.shape, generator=self._generator, device=self._device) >= dropout
                x = x * kept / (1 - dropout)
        return torch.addmm(parts[-1], x, parts[layers])

    def _loss(self, scores: Any, truth: Any, weights: Any) -> Any:
        """The mean over rows; its derivative is `perceptron_numpy.write_loss_slope`."""
        functional = self._torch.nn.functional
        if self._lesson.task == "regression":
            losses = 0.5 * (scores - truth) ** 2
        elif scores.shape[1] == 1:
            losses = functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        else:
            losses = -(truth * functional.log_softmax(scores, dim=1)).sum(dim=1, keepdim=True)
        return (losses if weights is None else losses * weights).sum() / len(scores)

    def _step(self, rows: Any, course: Course) -> None:
        weights = None if self._weights is None else self._weights[rows]
        scores = self._scores(self._X[rows], self._flat, self._lesson.params["dropout"])
        (gradient,) = self._torch.autograd.grad(self._loss(scores, self._truth[rows], weights), self._flat)
        rate = course.next_rate()
        with self._torch.no_grad():
            self._move(gradient, rate, course.steps)
            self._average.lerp_(self._flat, average_weight(course.steps, self._lesson.batches))

    def _move(self, gradient: Any, rate: float, step: int) -> None:
        """Adam, as with NumPy."""
        self._mean.lerp_(gradient, 1 - MEAN_DECAY)
        self._square.lerp_(gradient * gradient, 1 - SQUARE_DECAY)
        deviation = (self._square / (1 - SQUARE_DECAY**step)).sqrt_().add_(EPSILON)
        towards = self._mean / (1 - MEAN_DECAY**step) / deviation * self._rates
        self._flat -= rate * (towards + self._decays * self._flat)


def _shapes(widths: list[int]) -> list[tuple[int, ...]]:
    """Of the parts of `Network.flat`."""
    network = Network(widths)
    return [part.shape for part in (network.scale, *network.weights, *network.biases)]
