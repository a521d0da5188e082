"""The feature plan: from raw columns to the float32 matrix that models learn from, one plan in two renderings.

Each op is a frozen record of what was fitted, and renders itself twice, a few lines apart: as Polars expressions
(training, millions of rows) and as ONNX nodes (serving). Both give the same float32, which property tests hold.

- `op.py`: what an op is; `ops/`: one op a file, all listed in `ops/__init__.py`;
- `levels.py`, `tokens.py`: the levels of categories and the words of texts, numbered once;
- `recipes.py`: which ops feed which family of candidates, one table;
- `plan.py`: fitting and applying a sequence of ops.

What may not live here: models. Decisions:
    An op owns a block of like columns, not one column: 40 one-column inputs cost 56-124 us a row, packed ones 14-27.
    Never divide: Polars' float32 division by a scalar is not IEEE division. Multiply by a stored reciprocal.
    Centre and scale in float64, cast to float32 last.
"""

from autopilot.plan.plan import Plan
from autopilot.plan.recipes import RECIPES, Recipe

__all__ = ["RECIPES", "Plan", "Recipe"]
