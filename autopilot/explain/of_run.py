"""What a run's report tells of the model: which columns matter, and how the prediction moves along those that do."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.explain.dependence import Dependence, partial_dependence
from autopilot.explain.fairness import Fairness, fairness, groups_of
from autopilot.explain.importance import Importances, permutation_importance
from autopilot.graph.calibration import Head
from autopilot.metrics import Metric
from autopilot.model import outputs_of
from autopilot.search.ensemble import Blend
from autopilot.search.study import Study
from storage.predictor import Predictor

#: Columns whose dependence is shown: the most important ones that surely matter.
_MOST_SHOWN = 4


class Explained(NamedTuple):
    """importances: of all columns. dependences: of the important ones, but for texts and sensitive ones."""

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
    drawable = {one.name for one in predictor.signature.columns if one.kind != "text" and not one.sensitive}
    ranked = sorted(importances.columns, key=lambda one: one.rank)
    shown = [one.column for one in ranked if one.lower > 0 and one.column in drawable][:_MOST_SHOWN]
    return Explained(importances, partial_dependence(predictor, frame, shown) if shown else ())


def fairness_of(study: Study, blend: Blend, head: Head) -> tuple[Fairness, ...]:
    """How the model treats the groups of each facet of the table, on the rows that `scores_of` scores."""
    table = study.table
    if table.facets is None:
        return ()
    rows, predicted = study.folds.test, blend.test
    if study.folds.is_nested:
        rows, first = np.unique(study.folds.validated, return_index=True)
        predicted = blend.valid[first]
    weights = None if table.weights is None else table.weights[rows]
    outputs = outputs_of(table.signature, study.unit, predicted, head)
    return tuple(
        fairness(table.y[rows], outputs, groups_of(facet)[rows], table.signature, weights=weights)
        for facet in table.facets.iter_columns()
    )
