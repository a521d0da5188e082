"""Why a model says what it says of a row: how much each raw column added, read from the model's file alone.

Training shows it to those who made the model, serving to those who are told its answers; so it lives where both may
look. All of it goes through the graph that is served, on raw columns as users know them: a category is one player,
however many features are made of it, and what is told is of the probability or the value that users get.

- `shapley.py`: the `Explainer`, of frames and of rows that are packed already; start reading here;
- `of_version.py`: the explainer of a registered version, held against its stored sample of training rows;
- `explanation.py`, `contributions.py`: what is found, with cells to be shown; and as bare numbers, a class for a row;
- `games.py`: Shapley's formula, for coalitions, for random orders and for the leaves of trees;
- `leaves.py`, `anatomy.py`, `influence.py`: trees, read back from a model file; the parts of its graph; which raw
  columns a tensor depends on.

What may not live here: training, and anything that looks at a model otherwise than by its file. What is told of a model
on the whole, of many rows with their true values, is in `autopilot/explain/`. Decisions:
    Columns are interventional players: a column that the graph does not read has a value of exactly 0. Conditional
    values, which follow correlations, would give it some, and need a model of the rows.
    Probabilities are explained rather than log-odds: an ensemble of several members has no one log-odds, and
    calibration, which is part of what is served, would be left out.
    Trees are read back from the file and held against the graph on the background before they are trusted.
    A row's values are the same whichever rows are explained with it: random orders are drawn by the model's seed and
    the row's cells. So a server, which gets rows one by one, tells what `autopilot explain` tells of a file.
    This package loads onnx, 137 ms and 46 MB, so nothing in `storage` imports it before someone asks why. Polars is
    imported by functions that are given a frame or make one, Altair by those that draw.
"""

from storage.explain.contributions import Contributions
from storage.explain.explanation import Explanation
from storage.explain.of_version import explainer_of
from storage.explain.shapley import Explainer, explain

__all__ = ["Contributions", "Explainer", "Explanation", "explain", "explainer_of"]
