"""Explanations: what a model looks at, for one prediction and on the whole, and whom it treats how.

All of it goes through the graph that is served, on raw columns as users know them. What each column added to one
prediction is found in `storage/explain/`, where the server tells it too; its names are exported here beside the others.
What is told of a model on the whole lives here:

- `importance.py`: how much worse a model gets without a column; start reading here;
- `dependence.py`: what it says along a column;
- `fairness.py`: how it treats groups;
- `explain_file.py`: the rows of a file, explained into another;
- `of_run.py`: what of it a run's report tells.

What may not live here: training, and anything that looks at a model otherwise than by its file. Altair is imported by
functions that draw, and by nothing else. The function `fairness` is imported from its file: here it would hide the
file, which has the same name.
"""

from autopilot.explain.dependence import Dependence, dependence_chart, partial_dependence
from autopilot.explain.fairness import Fairness, fairness_chart
from autopilot.explain.importance import Importances, importance_chart, permutation_importance
from storage.explain import Explainer, Explanation, explain

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
