"""The probe trains on any table that a run may be given, few rows and rare classes too."""

import math

import numpy as np
import polars as pl
import pytest

from autopilot.search.probe import SAMPLE_ROWS, fold_s, sample_of
from autopilot.table.infer import infer
from storage.signature import Task


@pytest.mark.parametrize("rows", [20, 300])
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_it_tells_seconds_for_each_task(task: Task, rows: int) -> None:
    """The class `c` has one row, which may be missing where the probe trains."""
    x = np.arange(rows) % 7
    labels = np.where(x > 3, "a", "b").astype(object)
    if task == "multiclass":
        labels[0] = "c"
    frame = pl.DataFrame({"x": x, "z": x[::-1] ** 2, "y": x * 2.5 if task == "regression" else labels.tolist()})
    table = infer(frame, "y", task=task)
    seconds = fold_s(*sample_of(table.frame, table.y, 0), table.signature, rows, 10.0, 0)
    assert 0.0 < seconds < math.inf


def test_a_sample_has_some_rows_of_many() -> None:
    """Drawn by the seed, in the order of the table, with their targets."""
    frame = pl.DataFrame({"x": np.arange(3 * SAMPLE_ROWS)})
    some, y = sample_of(frame, np.arange(3.0 * SAMPLE_ROWS), 0)
    assert some.height == SAMPLE_ROWS
    assert some["x"].to_list() == y.astype(int).tolist() == sorted(set(y.astype(int).tolist()))
    again, _ = sample_of(frame, np.arange(3.0 * SAMPLE_ROWS), 1)
    assert not again.equals(some)
