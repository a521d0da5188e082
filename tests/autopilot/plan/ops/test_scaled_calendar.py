"""Parts of the calendar, centred and scaled."""

import numpy as np
import polars as pl
import pytest

from autopilot.plan.ops import ScaledCalendar
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

DAY_US = 86_400_000_000


def test_parts_are_centred_on_their_mean_in_units_of_their_deviation() -> None:
    """Days 0, 1, 2 of 1970: mean 1, deviation 1; weekdays 4, 5, 6; missing is the mean."""
    frame = raw_frame(("time",), [(0,), (DAY_US,), (2 * DAY_US,), (None,)]).cast(pl.Datetime("us"))
    op = ScaledCalendar.fit(rows_of(signature_of(("time",)), frame))
    assert op == ScaledCalendar(("c0",), ("days", "day", "weekday"), (1.0, 2.0, 5.0), (1.0, 1.0, 1.0))
    assert op.names() == ("days of c0", "day of c0", "weekday of c0")
    later = raw_frame(("time",), [(10 * DAY_US,)]).cast(pl.Datetime("us"))
    found = both(op, signature_of(("time",)), pl.concat([frame, later]))
    assert found == [[-1, -1, -1], [0, 0, 0], [1, 1, 1], [0, 0, 0], [9, 9, 2]]


def test_a_part_that_varies_in_one_column_is_zero_in_the_others() -> None:
    """So that all columns have the same parts."""
    kinds = ("time", "time", "time")
    rows = [(0, 0, None), (3_600_000_000, 0, None), (7_200_000_000, 0, None)]
    frame = raw_frame(kinds, rows).cast(pl.Datetime("us"))
    op = ScaledCalendar.fit(rows_of(signature_of(("time",) * 3), frame))
    assert op is not None
    assert op.parts == ("hour",)
    assert both(op, signature_of(kinds), frame) == [[-1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_without_a_part_that_varies_there_is_no_op() -> None:
    """One moment, or none."""
    frame = raw_frame(("time", "time"), [(5, None), (5, None)]).cast(pl.Datetime("us"))
    assert ScaledCalendar.fit(rows_of(signature_of(("time",) * 2), frame)) is None


def test_scaled_parts_have_mean_zero_and_deviation_one() -> None:
    """Over the training rows, by NumPy."""
    micros = np.random.default_rng(0).integers(0, 50 * 365 * DAY_US, 200)
    frame = pl.DataFrame({"c0": pl.Series(micros).cast(pl.Datetime("us"))})
    found = np.array(both(ScaledCalendar.fit(rows_of(signature_of(("time",)), frame)), signature_of(("time",)), frame))
    assert found.shape == (200, 7)
    assert found.mean(axis=0).tolist() == pytest.approx([0.0] * 7, abs=1e-6)
    assert found.std(axis=0, ddof=1).tolist() == pytest.approx([1.0] * 7, abs=1e-6)
