"""How fast this machine learns this table: decides how many folds the time allows for."""

import time

import numpy as np
import polars as pl

from autopilot.candidates.candidate import Job, Problem
from autopilot.candidates.lightgbm import LightGBM
from autopilot.deadline import Deadline
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Values
from autopilot.search.portfolio import entry_of
from storage.signature import Signature

#: Rows of the probe: enough for a round's cost to be that of its rows.
SAMPLE_ROWS = 10_000
#: Of them, one in so many validates.
_HOLDOUT_PARTS = 5
#: It takes this share of the budget at most; what is not done by then is taken to need so many times as long.
_MOST_SHARE, _CUT = 0.05, 2.0


def fold_s(frame: pl.DataFrame, y: Values, signature: Signature, rows: int, budget_s: float, seed: int) -> float:
    """Seconds that the usual LightGBM takes on so many rows until it learns no more, on one core; runs in a worker.

    It is trained on a sample, because how long that is depends on the table: bank marketing is learnt in 22 rounds,
    bike sharing in 520. frame, y: the sample, typed, at most SAMPLE_ROWS.
    """
    problem = Problem.of(signature, len(y))
    _, X = Plan.fit(frame, signature, "trees", Target(y, problem.outputs), seed)
    scaled = (y - y.mean()) / (y.std() or 1.0) if signature.task == "regression" else y
    candidate = LightGBM()
    params = entry_of(candidate, "usual", Problem.of(signature, rows), budget_s).params
    order = np.random.default_rng(seed).permutation(len(y))
    valid, train = np.split(order, [max(1, len(y) // _HOLDOUT_PARTS)])

    def train_s(rounds: int, limit_s: float) -> float:
        deadline = Deadline.after(limit_s)
        began = time.process_time()  # of this process, whatever else runs while it is trained
        candidate.fit(Job(X[train], scaled[train], X[valid], scaled[valid], params, rounds, deadline, seed, problem))
        return (time.process_time() - began) * (_CUT if deadline.passed else 1.0)

    limit_s = _MOST_SHARE * budget_s
    train_s(1, limit_s)  # the first one loads the library
    return train_s(0, limit_s) * max(1.0, rows / len(train))


def sample_of(frame: pl.DataFrame, y: Values, seed: int) -> tuple[pl.DataFrame, Values]:
    """At most SAMPLE_ROWS rows, drawn by the seed."""
    if len(y) <= SAMPLE_ROWS:
        return frame, y
    rows = np.sort(np.random.default_rng(seed).choice(len(y), SAMPLE_ROWS, replace=False))
    return frame[rows], y[rows]
