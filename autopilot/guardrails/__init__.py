"""Guardrails: what is wrong with a table, told before anything is trained on it.

A score is believed when the rows that gave it are like those to come. The checks here look for what breaks that:
columns that hold the answer, rows that are on both sides of a fold, order and groups that random folds ignore. They
also tell of targets and columns from which little can be learnt.

- `guard.py`: all checks in their order, within a time; what was caught, and the table after it. Start reading here;
- `sample.py`: the rows that checks look at, each column as levels; `power.py`: how much of the target levels, or
  predictions, explain on rows that they were not learnt from, and how much of that may be chance;
- `quick.py`: a small LightGBM, for what all other columns tell together and for what another division of rows gives;
- the checks: `leaks.py` (one column), `pairs.py` (two columns), `aggregates.py` (means of the target),
  `identifiers.py`, `twins.py` (equal rows), `order.py` (rows and times), `entities.py` (groups), `target.py`,
  `cells.py`;
- `caught.py`: what a check gives, and the words that all use.

A check is a generator of what it caught, given the sample and the columns that earlier ones left out. To add one, write
it and list it in `CHECKS` in `guard.py`, its codes in the table of docs/guardrails.md, and put its fault into
bench/guardrails.py.

Evidence, not names, decides: a column is left out where it explains nearly all of the target and the others together
explain far less; the validation scheme is switched where another scheme was tried and gave far less. Each decision
is a finding with its evidence and what to type to have it otherwise. docs/guardrails.md tells all rules to users, and
bench/guardrails.py measures how many of known faults are found, and how many alarms are false.
"""

from autopilot.guardrails.guard import Guarded, guard

__all__ = ["Guarded", "guard"]
