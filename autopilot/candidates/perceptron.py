"""Multilayer perceptrons."""

import math
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.deadline import Deadline
from autopilot.graph.graph import Graph
from autopilot.graph.shares import emit_shares, shares
from autopilot.plan import Recipe
from autopilot.search.space import CategoricalParameter, ContinuousParameter, Params, Space
from storage.signature import Task

#: float32 in training and in the graph; tests hold the gradient against differences in float64.
Floats = NDArray[np.floating[Any]]

_HIDDEN_LAYERS = 3
_BATCH_ROWS = 256
_MOST_ROWS = 100_000
#: Epochs: so many row visits, without waves and with, within these ends.
_VISITED_ROWS, _VISITED_ROWS_WITH_WAVES, _LEAST_EPOCHS, _MOST_EPOCHS = 1_000_000, 350_000, 16, 256
#: Steps after which their pace tells whether the planned epochs fit into the time.
_PACE_STEPS = 20
#: Training ends after this share of the planned epochs, and at least so many, without a gain on the validation rows.
_PATIENCE, _LEAST_PATIENCE = 0.1, 8
#: A column with more different values than this, among so many rows, is a number, and gets waves.
_MOST_LEVELS, _LEVEL_ROWS = 10, 2000
#: Waves of all columns together: more would make the first layer slower than all others.
_MOST_WAVES = 512
#: Deviation of the waves' frequencies, in radians for one unit of a feature; and where features end for them.
_FREQUENCY, _LIMIT = np.float32(3.0), np.float32(4.0)
#: Rows of one step of a prediction: bounds the memory that activations take.
_CHUNK_ROWS = 4096


class Perceptron:
    """Three hidden layers of equal width, ELU between them, and for numbers, if wanted, cosine waves beside them.

    After RealMLP-TD-S (Holzmüller et al., "Better by Default", NeurIPS 2024): learnt feature scales, the neural tangent
    parametrisation, an output layer that starts at the classes' shares, Adam, dropout, weight decay, the epoch that was
    best on the validation rows; and a running average of the weights, which is what predicts. ELU (Clevert et al.,
    2016) in place of SELU: its slope is the exponential that it has computed, which saves a fifth of a step; it did
    better on six of eight tables. Waves: cosines of each number at random frequencies (after Gorishniy et al., "On
    Embeddings for Numerical Features", 2022), which learn steps and peaks in a third of the epochs.

    The learning rate falls as a cosine to 0 at the last of the planned epochs, or at the deadline if that comes first.
    At most 100,000 rows, drawn by the seed, are used. Values end where those of the training rows end. float32
    throughout. Trained with NumPy, or with PyTorch where that is installed and finds a GPU.
    """

    name = "perceptron"
    recipe: Recipe = "dense"

    def applies(self, problem: Problem) -> bool:
        """Always."""
        return True

    def space(self, problem: Problem) -> Space:
        """Width, learning rate, how it is regularised, and waves for each number."""
        return {
            "width": CategoricalParameter((64, 128, 256)),
            "learning_rate": ContinuousParameter(5e-3, 0.2, "logarithmic"),
            "dropout": ContinuousParameter(0.0, 0.4),
            "weight_decay": ContinuousParameter(1e-4, 0.2, "logarithmic"),
            "waves": CategoricalParameter((0, 4, 8)),
        }

    def points(self, problem: Problem) -> list[Params]:
        """A small one with waves, a second or two for 10,000 rows; RealMLP's defaults at half its width; both."""
        return [
            {"width": 64, "learning_rate": 0.03, "dropout": 0.1, "weight_decay": 0.02, "waves": 8},
            {"width": 128, "learning_rate": 0.04, "dropout": 0.1, "weight_decay": 0.02, "waves": 0},
            {"width": 128, "learning_rate": 0.02, "dropout": 0.1, "weight_decay": 0.02, "waves": 8},
        ]

    def fit(self, job: Job) -> Fitted:
        """Train."""
        lesson = Lesson.of(job)
        return _train(_trainer(lesson), lesson, job)


class Waves(NamedTuple):
    """x -> [x, cos(clip(x[columns]) · frequencies + phases)].

    columns: int (waves,); frequencies, phases: float32 (waves,).
    """

    columns: NDArray[np.int64]
    frequencies: Floats
    phases: Floats

    @classmethod
    def draw(cls, X: Matrix, each: int, rng: np.random.Generator) -> "Waves":
        """So many for each column that holds numbers, fewer if there are too many columns."""
        distinct = 1 + np.count_nonzero(np.diff(np.sort(X[:_LEVEL_ROWS], axis=0), axis=0), axis=0)
        numbers = np.flatnonzero(distinct > _MOST_LEVELS) if each else np.empty(0, dtype=np.int64)
        each = min(each, _MOST_WAVES // max(1, len(numbers)))
        columns = np.repeat(numbers, each)
        frequencies = _FREQUENCY * rng.standard_normal(len(columns), dtype=np.float32)
        phases = (2 * np.pi * rng.random(len(columns))).astype(np.float32)
        return cls(columns, frequencies, phases)

    def add(self, X: Matrix) -> Matrix:
        """(rows, features) with the waves behind them."""
        if not len(self.columns):
            return X
        clipped = np.clip(X[:, self.columns], -_LIMIT, _LIMIT)
        return np.hstack([X, np.cos(clipped * self.frequencies + self.phases)])

    def emit(self, g: Graph, features: str) -> str:
        """The same nodes: float [N, features and waves]."""
        if not len(self.columns):
            return features
        taken = g.op("Clip", g.take(features, self.columns.tolist()), g.const(-_LIMIT), g.const(_LIMIT))
        angles = g.op("Add", g.op("Mul", taken, g.const(self.frequencies)), g.const(self.phases))
        return g.op("Concat", features, g.op("Cos", angles), axis=1)


class Layers(NamedTuple):
    """Plain layers: `x @ weights + biases`, ELU after each but the last."""

    weights: list[Floats]
    biases: list[Floats]

    def scores(self, X: Matrix) -> Floats:
        """(rows, scores) from (rows, features)."""
        chunks = range(0, max(1, len(X)), _CHUNK_ROWS)
        return np.concatenate([self._scores_of_chunk(X[start : start + _CHUNK_ROWS]) for start in chunks])

    def emit(self, g: Graph, x: str) -> str:
        """The same nodes: float [N, scores]."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = g.op("Elu", _emit_layer(g, x, weight, bias))
        return _emit_layer(g, x, self.weights[-1], self.biases[-1])

    def _scores_of_chunk(self, x: Floats) -> Floats:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = x @ weight
            x += bias
            activate(x, np.empty_like(x))
        return x @ self.weights[-1] + self.biases[-1]


def activate(x: Floats, slope: Floats) -> None:
    """ELU in place: x above 0, exp(x) - 1 below. `slope` gets its derivative: 1 above 0, exp(x) below."""
    np.minimum(x, 0, out=slope)
    np.exp(slope, out=slope)
    np.maximum(x, 0, out=x)
    x += slope
    x -= 1


class Lesson(NamedTuple):
    """What a trainer learns from, as arrays of float32.

    X: (rows, features and waves). truth: (rows, scores): the values, 1 for the second of two classes, or an indicator
    for each class. weights: (rows, 1) or None. X_valid: rows to predict after each epoch, if any. widths: of the
    features, the hidden layers and the scores.
    """

    X: Matrix
    truth: Floats
    weights: Floats | None
    X_valid: Matrix
    waves: Waves
    widths: list[int]
    batch_rows: int
    params: Params
    task: Task
    seed: int

    @classmethod
    def of(cls, job: Job) -> "Lesson":
        """From at most 100,000 of the job's rows."""
        X, y, weights = job.sampled(_MOST_ROWS)
        waves = Waves.draw(X, job.params["waves"], np.random.default_rng(job.seed))
        truth = _truth(y, job.problem)
        return cls(
            waves.add(X),
            truth,
            None if weights is None else weights.astype(np.float32).reshape(-1, 1),
            waves.add(X[:0] if job.X_valid is None else job.X_valid),
            waves,
            [X.shape[1] + len(waves.columns), *[job.params["width"]] * _HIDDEN_LAYERS, truth.shape[1]],
            min(_BATCH_ROWS, len(X)),
            job.params,
            job.problem.task,
            job.seed,
        )

    @property
    def batches(self) -> int:
        """Steps in an epoch; rows that fill no batch wait for the next epoch's order."""
        return len(self.X) // self.batch_rows

    def first_biases(self) -> Floats:
        """Of the output layer: scores that give the classes' shares, with half a row added to each; 0 for values."""
        if self.task == "regression":
            return np.zeros(self.truth.shape[1], dtype=np.float32)
        counts = (self.truth if self.weights is None else self.truth * self.weights).sum(axis=0) + 0.5
        rest = len(self.truth) + 1 - counts if len(counts) == 1 else counts.sum()
        return np.log(counts / np.maximum(rest, 0.5)).astype(np.float32)


class Course:
    """The learning rate, step by step, and when to stop.

    It falls as a cosine over the planned steps, or fewer if at the pace so far the deadline comes first, which is seen
    to every 20 steps.
    """

    def __init__(self, steps: int, rate: float, deadline: Deadline) -> None:
        self._planned, self._rate, self._deadline = steps, rate, deadline
        self._at_first_s = deadline.left_s
        self._in_all = float(steps)
        self.steps = 0

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline.passed

    def next_rate(self) -> float:
        """Of the next step."""
        if self.steps and self.steps % _PACE_STEPS == 0:
            left_s = self._deadline.left_s
            pace_s = max(self._at_first_s - left_s, 1e-9) / self.steps
            self._in_all = min(self._planned, self.steps + left_s / pace_s)
        rate = self._rate * 0.5 * (1 + math.cos(math.pi * min(self.steps / self._in_all, 1.0)))
        self.steps += 1
        return rate


class Trainer(Protocol):
    """Learns a lesson epoch by epoch. What it gives is of the running average of its weights."""

    def train_epoch(self, course: Course) -> None:
        """Visit the rows once, in an order of its own, or as many of them as the deadline allows."""
        ...

    def layers(self) -> Layers:
        """A copy, the feature scales multiplied in."""
        ...

    def valid_scores(self) -> Floats:
        """Of the lesson's validation rows, (rows, scores)."""
        ...


def _trainer(lesson: Lesson) -> Trainer:
    """NumPy's; PyTorch's with a GPU. Neither is imported before it is needed."""
    if find_spec("torch") is not None:
        from autopilot.candidates.perceptron_torch import TorchTrainer, device

        if device() != "cpu":
            return TorchTrainer(lesson, device())
    from autopilot.candidates.perceptron_numpy import NumpyTrainer

    return NumpyTrainer(lesson)


def _train(trainer: Trainer, lesson: Lesson, job: Job) -> "_Perceptron":
    """The average as it was after its best epoch, or without validation rows after the last."""
    visited = _VISITED_ROWS_WITH_WAVES if len(lesson.waves.columns) else _VISITED_ROWS
    epochs = job.rounds or int(np.clip(visited // len(lesson.X), _LEAST_EPOCHS, _MOST_EPOCHS))
    course = Course(epochs * lesson.batches, job.params["learning_rate"], job.deadline)
    best, best_epoch, best_loss = trainer.layers(), 0, _loss(trainer, job)
    for epoch in range(1, epochs + 1):
        trainer.train_epoch(course)
        loss = _loss(trainer, job)
        if loss < best_loss or job.X_valid is None:
            best, best_epoch, best_loss = trainer.layers(), epoch, loss
        if course.is_over or epoch - best_epoch > max(_LEAST_PATIENCE, _PATIENCE * epochs):
            break
    limits = (float(lesson.truth.min()), float(lesson.truth.max())) if lesson.task == "regression" else None
    return _Perceptron(lesson.waves, best, max(1, best_epoch), limits)


def _loss(trainer: Trainer, job: Job) -> float:
    """Mean squared error or log loss on the validation rows; infinite without them."""
    if job.y_valid is None:
        return float("inf")
    scores, y = trainer.valid_scores().astype(np.float64), job.y_valid
    if job.problem.task == "regression":
        return float(np.average((scores[:, 0] - y) ** 2, weights=job.weights_valid))
    right = shares(scores)[np.arange(len(y)), y.astype(np.int64)]
    return float(-np.average(np.log(np.maximum(right, 1e-12)), weights=job.weights_valid))


def _truth(y: Values, problem: Problem) -> Floats:
    if problem.outputs > 2:
        return np.eye(problem.outputs, dtype=np.float32)[y.astype(np.int64)]
    return y.astype(np.float32).reshape(-1, 1)


def _emit_layer(g: Graph, x: str, weight: Floats, bias: Floats) -> str:
    return g.op("Add", g.op("MatMul", x, g.const(weight)), g.const(bias))


class _Perceptron:
    """limits: least and greatest value, None for classes."""

    def __init__(self, waves: Waves, layers: Layers, rounds: int, limits: tuple[float, float] | None) -> None:
        self._waves, self._layers, self._limits = waves, layers, limits
        self.rounds = rounds

    def predict(self, X: Matrix) -> Values:
        scores = self._layers.scores(self._waves.add(X)).astype(np.float64)
        return shares(scores) if self._limits is None else np.clip(scores, *self._limits)

    def emit(self, g: Graph, features: str) -> str:
        scores = g.cast(self._layers.emit(g, self._waves.emit(g, features)), TensorProto.DOUBLE)
        if self._limits is None:
            return emit_shares(g, scores, len(self._layers.biases[-1]))
        low, high = (g.const(np.float64(limit)) for limit in self._limits)
        return g.op("Clip", scores, low, high)
