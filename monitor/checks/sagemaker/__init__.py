"""SageMaker Model Monitor's files: written, read, and a window judged by them as SageMaker does.

`files.py` has their form, `describe.py` makes them of a table and turns them into a baseline of ours, `verdicts.py`
judges by them with the distances of `distance.py` over the sketches of `sketch.py`.

    existing baseline    read_statistics, read_constraints -> judge (its rules) or baseline_of (ours)
    our baseline         statistics_of, constraints_of     -> write
"""

from monitor.checks.sagemaker.describe import baseline_of, constraints_of, statistics_of
from monitor.checks.sagemaker.files import (
    ConstraintsFile,
    ConstraintViolation,
    StatisticsFile,
    ViolationsFile,
    read_constraints,
    read_statistics,
    read_violations,
)
from monitor.checks.sagemaker.translate import violations_of
from monitor.checks.sagemaker.verdicts import judge

__all__ = [
    "ConstraintViolation",
    "ConstraintsFile",
    "StatisticsFile",
    "ViolationsFile",
    "baseline_of",
    "constraints_of",
    "judge",
    "read_constraints",
    "read_statistics",
    "read_violations",
    "statistics_of",
    "violations_of",
]
