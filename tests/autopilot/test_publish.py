"""The reference sample that a published model leaves for its monitor."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter

import autopilot
from autopilot.publish import reference_places
from monitor import compare


def autoregression(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Of 0.9, with a standard deviation of 1."""
    return lfilter([(1 - 0.81) ** 0.5], [1, -0.9], rng.normal(size=rows + 200))[200:]


def test_without_an_order_rows_are_shuffled_and_none_occurs_twice() -> None:
    """Whoever sorted the table has no say in it."""
    places = reference_places(None, 25_000, seed=0)
    assert (len(places), len(np.unique(places))) == (10_000, 10_000)
    assert abs(np.corrcoef(places[1:], places[:-1])[0, 1]) < 0.05


def test_few_rows_are_in_the_order_of_their_times() -> None:
    """All of them, and those of the same time in no order of the table's."""
    times = np.random.default_rng(1).permutation(np.repeat(np.arange(50), 100))
    places = reference_places(times, len(times), seed=0)
    assert sorted(places) == list(range(5000))
    assert times[places].tolist() == np.repeat(np.arange(50), 100).tolist()
    assert places[:100].tolist() != sorted(places[:100])


@pytest.mark.parametrize("rows", [10_001, 12_345, 1_000_000])
def test_of_many_rows_stretches_of_neighbours_are_kept(rows: int) -> None:
    """Twenty of 500, the first and the last row among them; none twice."""
    times = np.random.default_rng(2).permutation(rows)
    kept = times[reference_places(times, rows, seed=0)]
    assert (len(kept), kept[0], kept[-1]) == (10_000, 0, rows - 1)
    assert (np.diff(kept) > 0).all()
    assert np.count_nonzero(np.diff(kept) > 1) <= 19


def test_what_depends_on_its_neighbours_raises_no_alarm_in_short_windows() -> None:
    """Windows of 50 rows of an autoregression are worth fewer than 10 independent ones, which only neighbours tell."""
    rng = np.random.default_rng(3)
    table = autoregression(rng, 30_000)
    reference = {
        name: pl.DataFrame({"x": table[reference_places(times, len(table), seed=0)]})
        for name, times in (("ordered", np.arange(len(table))), ("shuffled", None))
    }
    windows = [pl.DataFrame({"x": autoregression(rng, 50)}) for _ in range(40)]
    alarms = {name: sum(compare(rows, w).drifted for w in windows) for name, rows in reference.items()}
    assert alarms["ordered"] == 0
    assert alarms["shuffled"] > 4


def test_a_fit_in_time_leaves_its_reference_in_time_order(tmp_path: Path) -> None:
    """Though the table was not."""
    rng = np.random.default_rng(4)
    hours = rng.permutation(600)
    frame = pl.DataFrame({"hour": hours, "x": rng.normal(size=600)}).with_columns(y=pl.col("x") + 0.01 * pl.col("hour"))
    result = autopilot.fit(
        frame, "y", time="hour", budget=600, candidates=["linear"], max_trials=1, store=tmp_path, progress=False
    )
    reference = pl.read_parquet(io.BytesIO(result.store.models.read_reference(result.best)))
    kept = reference.join(frame, on="x", maintain_order="left").get_column("hour")
    assert len(kept) > 200
    assert kept.is_sorted()
