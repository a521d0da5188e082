"""What other products would say of the same two tables: their drift verdicts, by name and exactly.

What lives here: one file for each product's rule with its defaults, and `measures.py` for any single distance with a
threshold. What may not: any promise. These rules keep no false-alarm rate; they are here for who moves from such a
product, or has to report by it. `calibrated.py` is what we stand for.

Start reading at `evidently.py`. Each rule is a function from columns to findings; `level` plays no part in it.

Decisions:
    Each rule is held against the product itself: `tests/monitor/goldens/` has what Evidently 0.7.23 and NannyML 0.13.1
    say of the same tables, and the scripts that asked them. Deequ needs a Java machine, so it is held against its
    formulas and its own tests' numbers.
    A product's guesses belong to its verdict: a convention gets columns as they came (`column.py`), and what is a
    number or a category it decides as the product does, unless whoever compares said it.
    Where a product gives up on the whole report, here one column has no verdict, and its note says so.
"""

from collections.abc import Callable, Sequence

from monitor.calibrated import Finding
from monitor.conventions.column import Column
from monitor.conventions.evidently import DRIFTED_SHARE, evidently
from monitor.conventions.measures import MEASURES, measured
from monitor.conventions.nannyml import nannyml, nannyml_window
from monitor.conventions.sagemaker import sagemaker_robust, sagemaker_simple

#: Each product's rule by its name.
CONVENTIONS: dict[str, Callable[[Sequence[Column]], list[Finding]]] = {
    "evidently": evidently,
    "nannyml": nannyml,
    "nannyml-window": nannyml_window,
    "sagemaker-robust": sagemaker_robust,
    "sagemaker-simple": sagemaker_simple,
}

#: The share of compared columns that makes a table drift, for rules that say so; elsewhere one column is enough.
DRIFTED_SHARES: dict[str, float] = {"evidently": DRIFTED_SHARE}

__all__ = ["CONVENTIONS", "DRIFTED_SHARES", "MEASURES", "Column", "measured"]
