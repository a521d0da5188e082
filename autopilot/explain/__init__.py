"""Explanations: what a model looks at, for one prediction and on the whole, and whom it treats how.

All of it goes through the graph that is served, on raw columns as users know them: a category is one player, however
many features are made of it, and what is told is of the probability or the value that users get.

- `shapley.py`: what each column added to a prediction; start reading here. `explanation.py`: how that is shown;
- `games.py`: Shapley's formula, for coalitions, for random orders and for the leaves of trees;
- `leaves.py`, `anatomy.py`, `influence.py`: trees, read back from a model file; the parts of its graph; which raw
  columns a tensor depends on;
- `importance.py`: how much worse a model gets without a column;
- `dependence.py`: what it says along a column;
- `fairness.py`: how it treats groups;
- `of_run.py`: what of it a run's report tells.

What may not live here: training, and anything that looks at a model otherwise than by its file. Altair is imported by
functions that draw, and by nothing else. Decisions:
    Columns are interventional players: a column that the graph does not read has a value of exactly 0. Conditional
    values, which follow correlations, would give it some, and need a model of the rows.
    Probabilities are explained rather than log-odds: an ensemble of several members has no one log-odds, and
    calibration, which is part of what is served, would be left out.
    Trees are read back from the file and held against the graph on the background before they are trusted.
    The function `fairness` is imported from its file: here it would hide the file, which has the same name.
"""

from autopilot.explain.dependence import Dependence, dependence_chart, partial_dependence
from autopilot.explain.explanation import Explanation
from autopilot.explain.fairness import Fairness, fairness_chart
from autopilot.explain.importance import Importances, importance_chart, permutation_importance
from autopilot.explain.shapley import Explainer, explain

__all__ = [
    "Dependence",
    "Explainer",
    "Explanation",
    "Fairness",
    "Importances",
    "dependence_chart",
    "explain",
    "fairness_chart",
    "importance_chart",
    "partial_dependence",
    "permutation_importance",
]
