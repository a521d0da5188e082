"""The candidates: families of models that the search may try, one file each.

A candidate says which recipe of features it reads, its parameters' ranges and good first points, how it is trained
within a deadline, and how it becomes ONNX nodes. What cannot be exported exactly cannot be listed: tests train each on
real frames and compare. A new one is a file here and a line in CANDIDATES. Start reading at `candidate.py`.

Decision: one thread for each fit. LightGBM with two threads took 2-7 times as long as with one on busy cores, so cores
are filled by trials at once.
"""

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Candidate
from autopilot.candidates.extra_trees import ExtraTrees
from autopilot.candidates.lightgbm import LightGBM
from autopilot.candidates.linear import Linear

CANDIDATES: tuple[Candidate, ...] = (Baseline(), Linear(), LightGBM(), ExtraTrees())

__all__ = ["CANDIDATES", "Candidate"]
