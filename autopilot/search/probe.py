"""How fast this machine trains on this table: decides how many folds the time allows for."""

import time

import numpy as np
import polars as pl

from autopilot.candidates.candidate import Job, Problem
from autopilot.candidates.lightgbm import LightGBM
from autopilot.deadline import Deadline
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Values
from storage.signature import Signature

#: Rows of the probe: enough for a round's cost to be that of its rows.
SAMPLE_ROWS = 10_000
_ROUNDS = 10
#: Rounds that early stopping usually ends with.
_USUAL_ROUNDS = 250


def fold_s(frame: pl.DataFrame, y: Values, signature: Signature, rows: int, seed: int) -> float:
    """Seconds that LightGBM would take to train on so many rows, by a few rounds on a sample; runs in a worker.

    frame, y: the sample, typed, at most SAMPLE_ROWS.
    """
    problem = Problem.of(signature, len(y))
    _, X = Plan.fit(frame, signature, "trees", Target(y, problem.outputs), seed)
    candidate = LightGBM()
    params = candidate.points(problem)[0]
    scaled = (y - y.mean()) / (y.std() or 1.0) if signature.task == "regression" else y
    _train_s(candidate, Job(X, scaled, None, None, params, 1, Deadline.after(60), seed, problem))
    few = _train_s(candidate, Job(X, scaled, None, None, params, 1, Deadline.after(60), seed, problem))
    more = _train_s(candidate, Job(X, scaled, None, None, params, 1 + _ROUNDS, Deadline.after(60), seed, problem))
    per_round_s = max(more - few, 1e-6) / _ROUNDS
    return float((few + _USUAL_ROUNDS * per_round_s) * max(1.0, rows / len(y)))


def _train_s(candidate: LightGBM, job: Job) -> float:
    began = time.monotonic()
    candidate.fit(job)
    return time.monotonic() - began


def sample_of(frame: pl.DataFrame, y: Values, seed: int) -> tuple[pl.DataFrame, Values]:
    """At most SAMPLE_ROWS rows, drawn by the seed."""
    if len(y) <= SAMPLE_ROWS:
        return frame, y
    rows = np.sort(np.random.default_rng(seed).choice(len(y), SAMPLE_ROWS, replace=False))
    return frame[rows], y[rows]
