"""The safe model: the constant guess as a whole, registered file, before anything else is tried.

It is made in the calling process, without workers, so that there is a valid model within a second or two of any run.
"""

import time

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Job, Problem
from autopilot.deadline import Deadline
from autopilot.metrics import Metric, metrics_of
from autopilot.model import TrainedMember, TrainedModel, outputs_of
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.publish import with_outputs
from autopilot.search.assembly import written
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table
from storage.errors import DataError
from storage.records import Member, Scores

_REFERENCE_ROWS = 1000
#: Real rows that its file is compared on, beside the hostile ones: it gives the same for all, and a wide table's cost.
_COMPARED_ROWS = 200
_MEMBER = Member(0, "baseline", 1.0, {}, "trees")


class SafeModel:
    """The constant guess for a table: its file, and all that is published with it.

    assembled: the graph as it passed the gate, or not. scores: of the guess on all rows, as validation and test.
    metrics_s: seconds that all metrics of a report took on them.
    """

    def __init__(self, table: Table, metric: Metric, seed: int) -> None:
        began = time.monotonic()
        problem = Problem.of(table.signature, len(table.y))
        plan = _small_plan(table, problem.outputs, seed)
        none = np.empty((0, 0), dtype=np.float32)
        job = Job(none, table.y, None, None, {}, 0, Deadline.after(60), seed, problem, table.weights)
        fitted = Baseline().fit(job)
        member = TrainedMember(fitted, "trees", 1.0)
        model = TrainedModel(table.signature, {"trees": plan}, (member,), Unit())
        self.assembled = written(model, table.frame.head(_COMPARED_ROWS), seed, began)
        self.members = (_MEMBER,)
        asked, guess = time.monotonic(), fitted.predict(np.empty((1, 0), dtype=np.float32))
        self.scores = _scores(table, metric, guess)
        self.metrics_s = time.monotonic() - asked
        rows = table.frame.head(_REFERENCE_ROWS)
        outputs = outputs_of(table.signature, Unit(), np.repeat(guess, rows.height, axis=0))
        self.reference = with_outputs(rows, table.y[: rows.height], outputs, table.signature)


def _small_plan(table: Table, outputs: int, seed: int) -> Plan:
    """Of one column: the guess needs no features, only to know how many rows there are."""
    target = Target(table.y, outputs, table.weights)
    for column in table.signature.columns:
        narrow = replace(table.signature, columns=(column,))
        try:
            return Plan.fit(table.frame.select(column.name), narrow, "trees", target, seed)[0]
        except DataError:
            continue
    raise DataError("No column varies in the rows that have a target. Add columns, or rows that differ.")


def _scores(table: Table, metric: Metric, guess: NDArray[np.float64]) -> Scores:
    y, weights = table.y, table.weights
    predicted = np.broadcast_to(guess, (len(y), guess.shape[1]))
    others = {other.name: other.score(y, predicted, weights) for other in metrics_of(table.signature.task, y, metric)}
    score = others[metric.name]
    return Scores(metric.name, score, score, score, 0, others, others, greater_is_better=metric.greater_is_better)
