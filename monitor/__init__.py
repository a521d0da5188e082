"""Is an endpoint's traffic still like the rows that its model was trained on? Traffic in, drift report out.

What lives here: the comparison of two tables (`compare.py`), the page that tells it to people (`page.py`, `charts.py`),
the report on an endpoint (`run.py`), the schedules on which reports are made (`schedule/`) and who is told of alarms
(`alerts/`); bias by group (`facets/`), what predictions are made of (`attribution.py`), all columns together
(`multivariate/`) and what matters first (`harm.py`). What may not: anything that trains or serves. Both sides of a
comparison come from the store: the reference sample that training left with the model version, and the traffic that
serving captured.

Start reading at `compare.py`; the statistics are in `calibrated.py` and `two_sample.py`. `python -m monitor --store
URL` is the program that makes the schedules happen.

Decisions:
    One promise stands above power: in a report without drift, the chance of any alarm is at most `level`. So each test
    is one whose p-value can be trusted at the sizes at hand; what is pooled or cut is chosen from both samples together
    (a choice that looks at one of them alone is biased); and Bonferroni shares the level out, since columns depend on
    one another in ways that nobody knows. Bonferroni and not Holm: both raise the first alarm at the same p-value, and
    one threshold for all columns can be said in one sentence.
    Large windows make trifles significant, so an alarm also needs an effect of at least `MINIMUM_EFFECT`.
    Both samples are looked at whole and by the same code; no profile stands for them.
    When a report is due is arithmetic (`storage/timing.py`), and who makes it is one row of the store
    (`Schedules.take`).
    APScheduler only ticks: shared among processes, its own job stores lose and repeat runs.
    NumPy is loaded first of all, so that it sorts as it can on each processor (`processor.py`).
    SciPy's statistics are imported inside functions, because they take half a second to load.
"""

from monitor.processor import load_numpy

load_numpy()

# ruff: noqa: E402
from monitor.compare import compare
from monitor.drift import ColumnDrift, DriftReport
from monitor.run import run

__all__ = ["ColumnDrift", "DriftReport", "compare", "run"]
