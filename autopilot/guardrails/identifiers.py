"""Identifiers: whole numbers that were handed out, one for each row.

What `infer` drops by its name or order is not seen here. Numbers that were drawn from a range would meet now and then,
as birthdays do: n of them from R numbers repeat n - R (1 - (1 - 1/R)^n) times in the mean. Numbers that should repeat
often and hardly do so were handed out.
"""

import math
from collections.abc import Iterator

import numpy as np

from autopilot.guardrails.caught import Caught, to_ignore, to_keep
from autopilot.guardrails.power import at_least
from autopilot.guardrails.quick import as_numbers
from autopilot.guardrails.sample import Sample
from autopilot.table.findings import Finding

_LEAST_ROWS = 100
#: Repeats that chance would give, and the share of them that there may be, and of all rows.
_EXPECTED, _OBSERVED, _REPEATED = 10.0, 0.1, 0.02
#: The power from which an identifier tells the target.
_TELLS = 0.02


def identifiers(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Numbers that were handed out one by one."""
    for name in sample.table.signature.of_kind("number"):
        if name in gone or not _is_handed_out(sample, name):
            continue
        is_left_out = name not in sample.kept and len(sample.names) > 1 + len(gone)
        tells = at_least(sample.powers[name], sample.effective_rows, len(sample.names)) >= _TELLS
        message = f"{name!r} is a number of its own for each row, as an identifier is" + (
            ", and tells the target: numbers were handed out in an order that new rows do not go on with."
            if tells
            else "; new rows have numbers that were not seen."
        )
        evidence = f"{sample.table.frame.get_column(name).n_unique():,} distinct numbers in {_range(sample, name)}"
        evidence += f"; {sample.told(sample.predicted(name))} of this column alone"
        found = Finding(
            "error" if tells else "warning",
            "identifier",
            message,
            name,
            evidence,
            "It was left out." if is_left_out else "It was kept.",
            to_keep([(name, "number")]) if is_left_out else to_ignore([name]),
        )
        gone |= {name} if is_left_out else set()
        yield Caught(found, left_out=(name,) if is_left_out else ())


def _is_handed_out(sample: Sample, name: str) -> bool:
    few = sample.numbers[name]
    few = few[~np.isnan(few)]
    if len(few) < _LEAST_ROWS or (few % 1 != 0).any() or len(np.unique(few)) < (1 - _REPEATED) * len(few):
        return False
    values = as_numbers(sample.table.frame.get_column(name))
    values = values[~np.isnan(values)]
    rows, numbers = len(values), float(values.max() - values.min()) + 1.0
    by_chance = rows - numbers * -math.expm1(rows * math.log1p(-1.0 / numbers))
    repeats = rows - len(np.unique(values))
    return by_chance >= _EXPECTED and repeats <= min(_OBSERVED * by_chance, _REPEATED * rows)


def _range(sample: Sample, name: str) -> str:
    column = next(column for column in sample.table.signature.columns if column.name == name)
    span = "" if column.sensitive else f", from {column.minimum:.0f} to {column.maximum:.0f}"
    return f"{sample.table.frame.height:,} rows{span}"
