"""What a run's report tells of the model: which columns matter, and how the prediction moves along those that do."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.explain.dependence import Dependence, partial_dependence
from autopilot.explain.importance import Importances, permutation_importance
from autopilot.metrics import Metric
from storage.predictor import Predictor

#: Columns whose dependence is shown: the most important ones that surely matter.
_MOST_SHOWN = 4


class Explained(NamedTuple):
    """importances: of all columns. dependences: of the important ones, but for texts."""

    importances: Importances
    dependences: tuple[Dependence, ...]


def explained_on(
    predictor: Predictor,
    frame: pl.DataFrame,
    y: NDArray[np.float64],
    metric: Metric,
    weights: NDArray[np.float64] | None,
    limit_s: float,
) -> Explained:
    """Of rows that the model has not seen; arguments as of `permutation_importance`."""
    importances = permutation_importance(predictor, frame, y, metric, weights=weights, limit_s=limit_s)
    kinds = {column.name: column.kind for column in predictor.signature.columns}
    ranked = sorted(importances.columns, key=lambda one: one.rank)
    shown = [one.column for one in ranked if one.lower > 0 and kinds[one.column] != "text"][:_MOST_SHOWN]
    return Explained(importances, partial_dependence(predictor, frame, shown) if shown else ())
