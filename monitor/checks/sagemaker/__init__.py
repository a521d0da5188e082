"""SageMaker Model Monitor's files: written, read, and a window judged by them as SageMaker does.

`files.py` has the form of two of them, `storage.baselines.sagemaker` that of the constraints; `describe.py` makes them
of a table and turns them into a baseline of ours, `verdicts.py` judges by them with the distances of `distance.py` over
the sketches of `sketch.py`.

    existing baseline    StatisticsFile.read, ConstraintsFile.read -> judge (its rules) or baseline_of (ours)
    our baseline         statistics_of, constraints_of     -> write
"""

from monitor.checks.sagemaker.describe import baseline_of, constraints_of, statistics_of
from monitor.checks.sagemaker.files import ConstraintViolation, StatisticsFile, ViolationsFile
from monitor.checks.sagemaker.translate import violations_of
from monitor.checks.sagemaker.verdicts import judge
from storage.baselines.sagemaker import ConstraintsFile

__all__ = [
    "ConstraintViolation",
    "ConstraintsFile",
    "StatisticsFile",
    "ViolationsFile",
    "baseline_of",
    "constraints_of",
    "judge",
    "statistics_of",
    "violations_of",
]
