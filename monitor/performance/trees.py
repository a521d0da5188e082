"""Boosted trees with one way of training them: small, on one thread, the same each time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.performance.inputs import Matrix

_PARAMETERS: dict[str, Any] = {
    "num_leaves": 15,
    "min_child_samples": 30,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
}

Predict = Callable[[Matrix], Matrix]


def train(
    X: Matrix,
    y: NDArray[Any],
    categories: list[int],
    *,
    objective: str,
    rounds: int,
    learning_rate: float,
    start: Matrix | None = None,
    classes: int = 1,
) -> Predict:
    """Trees that tell y from X; what they give is raw: log-odds for classes, without `start`, which they began at.

    start: (rows, classes), or (rows, 1). classes: 1 but for the objective `multiclass`; the answer has as many columns.
    """
    import lightgbm

    parameters = {**_PARAMETERS, "objective": objective, "learning_rate": learning_rate}
    if classes > 1:
        parameters["num_class"] = classes
    data = lightgbm.Dataset(
        X, y, categorical_feature=categories, init_score=None if start is None else start.ravel(order="F")
    )
    model = lightgbm.train(parameters, data, rounds)

    def predict(rows: Matrix) -> Matrix:
        return np.asarray(model.predict(rows, raw_score=True), dtype=np.float64).reshape(len(rows), classes)

    return predict


def folds_of(rows: int, count: int) -> NDArray[np.int64]:
    """Which fold each row is in: all about as large, drawn with a fixed seed."""
    return np.random.default_rng(0).permutation(rows) % count
