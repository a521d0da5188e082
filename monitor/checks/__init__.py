"""Data quality: is each column of a window still what it was, whatever its values are distributed like?

What lives here: a baseline, which holds what a table's columns were and what is asked of later ones (`suggest.py` makes
it of any table), and the check of a window against it (`check.py`). `sagemaker/` reads and writes the three files of
SageMaker Model Monitor, and checks by its rules. What may not: comparisons of distributions, which is drift.

Start reading at `baseline.py`; `questions.py` has one function for each constraint, `chance.py` the tests.

Decisions:
    A baseline is a sample, and a window is another one: the largest of 5,000 values is exceeded in one window of 1,000
    in six although nothing changed. So what a suggestion asks is tested: a violation needs more rows than the sample
    leaves plausible and than chance explains, given both sizes. The tests are exact or bounds and share the level out
    (Bonferroni), so that a window like the baseline breaks anything at all with a chance of at most the level.
    What somebody knows needs no test. `strict` says so, and then one row too many is a violation.
    Columns are read by the rules of serving (`storage.boundary`): what it would refuse is unreadable here.
    Everything is plain data: people edit the constraints as JSON.
"""

from monitor.checks.check import check
from monitor.checks.suggest import suggest
from monitor.checks.violation import Quality, Violation
from storage.baselines.baseline import Baseline, ColumnBaseline, Constraints

__all__ = ["Baseline", "ColumnBaseline", "Constraints", "Quality", "Violation", "check", "suggest"]
