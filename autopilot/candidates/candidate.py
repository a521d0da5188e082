"""What a candidate is."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.deadline import Deadline
from autopilot.graph.graph import Graph
from autopilot.plan import Recipe
from autopilot.search.space import Params, Space
from storage.signature import Signature, Task

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]


class Problem(Struct, frozen=True):
    """What is to be learnt.

    outputs: 1 for regression, else the number of classes. rows: that a fold trains on.
    """

    task: Task
    outputs: int
    rows: int

    @classmethod
    def of(cls, signature: Signature, rows: int) -> "Problem":
        """Of a table's signature."""
        return cls(signature.task, max(1, len(signature.classes)), rows)


class Job(NamedTuple):
    """One training.

    X: float32 (rows, features). y: float64 (rows,): class numbers, or values with mean 0 and deviation 1.
    X_valid, y_valid: rows to decide on how long to train, None for a refit. rounds: how long a refit trains.
    deadline: when to stop with what there is. It is the only clock that a training may look at: what it answers is
    recorded, so that the same training can be done again.
    weights: float64 (rows,) above 0, of mean 1: for how many rows each counts. weights_valid: of the validation rows.
    None: all count alike.
    """

    X: Matrix
    y: Values
    X_valid: Matrix | None
    y_valid: Values | None
    params: Params
    rounds: int
    deadline: Deadline
    seed: int
    problem: Problem
    weights: Values | None = None
    weights_valid: Values | None = None

    def sampled(self, most_rows: int) -> tuple[Matrix, Values, Values | None]:
        """X, y and weights, or those of so many rows, drawn by the seed."""
        if len(self.X) <= most_rows:
            return self.X, self.y, self.weights
        rows = np.random.default_rng(self.seed).choice(len(self.X), most_rows, replace=False)
        return self.X[rows], self.y[rows], None if self.weights is None else self.weights[rows]


class Fitted(Protocol):
    """A trained model: predicts here, and emits the nodes that predict the same."""

    @property
    def rounds(self) -> int:
        """Boosting rounds, trees or solver steps that it trained; 0 where there is no such thing."""
        ...

    def predict(self, X: Matrix) -> Values:
        """Probabilities (rows, classes), or values (rows, 1)."""
        ...

    def emit(self, g: Graph, features: str) -> str:
        """double [N, outputs] from float32 [N, features]."""
        ...


class Candidate(Protocol):
    """A family of models.

    `fit` looks at the deadline in its loop and returns the best that it has when it passes. It may raise: the trial
    then counts as failed, with the reason.
    """

    @property
    def name(self) -> str:
        """Its name in leaderboards."""
        ...

    @property
    def recipe(self) -> Recipe:
        """The features that it reads."""
        ...

    def applies(self, problem: Problem) -> bool:
        """Whether to try it at all."""
        ...

    def space(self, problem: Problem) -> Space:
        """Parameters and their ranges; empty if there is nothing to choose."""
        ...

    def points(self, problem: Problem) -> list[Params]:
        """Good first parameters, best first; each names all of the space."""
        ...

    def fit(self, job: Job) -> Fitted:
        """Train."""
        ...


@runtime_checkable
class OutOfBag(Protocol):
    """What a candidate may offer beside `Candidate`: one training that predicts all of its own rows honestly.

    The search then trains it once on all rows, in place of once for each fold.
    """

    def fit_out_of_bag(self, job: Job) -> tuple[Fitted, Values]:
        """Train within the deadline, and predict each training row by parts of the model that have not seen it.

        The predictions are (rows, outputs) in the rows' order, and finite.
        """
        ...
