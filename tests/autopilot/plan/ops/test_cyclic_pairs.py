"""Times stand on circles: the end of a day, a week or a year is near its beginning."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from autopilot.plan.ops import CyclicPairs
from autopilot.plan.ops.cyclic_pairs import CYCLES
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

TIME = signature_of(("time",))
HOUR_US = 3_600_000_000


def at(*moments: datetime | None) -> pl.DataFrame:
    """A typed frame of one column."""
    return pl.DataFrame({"c0": pl.Series(moments, dtype=pl.Datetime("us"))})


def test_quarters_of_a_day_are_at_right_angles() -> None:
    """Midnight, six, noon, six: sine 0 1 0 -1, cosine 1 0 -1 0."""
    op = CyclicPairs(("c0",), ("time of day",))
    assert op.names() == ("sine of the time of day of c0", "cosine of the time of day of c0")
    found = both(op, TIME, at(*(datetime(2024, 5, 1, hour, 0, 59) for hour in (0, 6, 12, 18))))  # noqa: DTZ001 - UTC
    assert np.array(found) == pytest.approx(np.array([[0, 1], [1, 0], [0, -1], [-1, 0]]), abs=1e-6)


def test_monday_is_the_beginning_of_the_week_and_as_near_to_sunday_as_to_tuesday() -> None:
    """1 January 2024 was a Monday."""
    op = CyclicPairs(("c0",), ("day of week",))
    days = np.array(both(op, TIME, at(*(datetime(2024, 1, day) for day in range(1, 8)))))  # noqa: DTZ001 - UTC
    assert days[0].tolist() == [0.0, 1.0]
    steps = np.linalg.norm(days - np.roll(days, 1, axis=0), axis=1)
    assert steps.tolist() == pytest.approx([steps[0]] * 7, abs=1e-6)


def test_each_day_of_a_year_is_one_step_from_the_day_before() -> None:
    """366 steps in a leap year; in others the step over 29 February is twice as long."""
    op = CyclicPairs(("c0",), ("day of year",))
    days = pl.datetime_range(datetime(2023, 1, 1), datetime(2024, 12, 31), "1d", eager=True)  # noqa: DTZ001 - UTC
    found = np.array(both(op, TIME, pl.DataFrame({"c0": days})))
    angles = np.unwrap(np.arctan2(found[:, 0], found[:, 1])) / (2 * np.pi) * 366
    assert np.diff(angles).round(3).tolist().count(2.0) == 1
    assert np.diff(angles).round(3).tolist().count(1.0) == len(days) - 2


def test_a_missing_time_is_the_middle_of_the_circles() -> None:
    """0 everywhere, in its column alone; the nearest end for times outside the calendar."""
    op, kinds = CyclicPairs(("c0", "c1"), CYCLES), ("time", "time")
    frame = raw_frame(kinds, [(None, 0), (-(2**62), 2**62)]).cast(pl.Datetime("us"))
    missing, ends = both(op, signature_of(kinds), frame)
    assert missing[::2] == [0.0] * 6
    assert 0.0 not in missing[7::2]
    assert ends[6] == 1.0  # 1900 begins at midnight


def test_cycles_that_never_vary_are_left_out() -> None:
    """Mondays at all hours; one moment is nothing."""
    hours = raw_frame(("time",), [(hour * HOUR_US + 4 * 24 * HOUR_US,) for hour in range(24)]).cast(pl.Datetime("us"))
    assert CyclicPairs.fit(rows_of(TIME, hours)) == CyclicPairs(("c0",), ("time of day",))
    assert CyclicPairs.fit(rows_of(TIME, hours.head(1))) is None
