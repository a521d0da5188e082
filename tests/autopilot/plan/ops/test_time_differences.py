"""Days between the times of a row."""

import math
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.ops import TimeDifferences
from autopilot.plan.ops.calendar_parts import DAY_US
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

KINDS = ("time", "time")
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 12, 31))  # noqa: DTZ001 - UTC


def frame_of(*rows: tuple[int | None, ...]) -> pl.DataFrame:
    """A typed frame of microseconds."""
    return raw_frame(("time",) * len(rows[0]), list(rows)).cast(pl.Datetime("us"))


def test_a_day_and_a_half_later_is_one_and_a_half() -> None:
    """Negative where the second is earlier; missing where either is."""
    frame = frame_of((0, DAY_US * 3 // 2), (DAY_US, 0), (None, 0), (0, None))
    op = TimeDifferences.fit(rows_of(signature_of(KINDS), frame))
    assert op == TimeDifferences(("c0", "c1"), (("c0", "c1"),))
    assert op.names() == ("days from c0 to c1",)
    found = [row[0] for row in both(op, signature_of(KINDS), frame)]
    assert found[:2] == [1.5, -1.0]
    assert all(map(math.isnan, found[2:]))


@given(start=moments, end=moments)
def test_differences_agree_with_python(start: datetime, end: datetime) -> None:
    """To float32."""
    frame = pl.DataFrame({"c0": [start], "c1": [end]}, schema=dict.fromkeys(("c0", "c1"), pl.Datetime("us")))
    op = TimeDifferences(("c0", "c1"), (("c0", "c1"),))
    assert both(op, signature_of(KINDS), frame)[0][0] == pytest.approx((end - start) / timedelta(days=1), rel=1e-7)


def test_times_outside_the_calendar_count_as_its_nearest_end() -> None:
    """So that no difference overflows: 73,414 days at most."""
    op = TimeDifferences(("c0", "c1"), (("c0", "c1"),))
    assert both(op, signature_of(KINDS), frame_of((-(2**63) + 1, 2**63 - 1))) == [[73_414.0]]


def test_pairs_whose_difference_does_not_vary_are_left_out() -> None:
    """A column that follows another by an hour; one column has no pair."""
    frame = frame_of((0, 5, DAY_US), (DAY_US, DAY_US + 5, 0), (7, 12, None))
    op = TimeDifferences.fit(rows_of(signature_of(("time",) * 3), frame))
    assert op is not None
    assert op.pairs == (("c0", "c2"), ("c1", "c2"))
    assert op.narrowed([1]) == TimeDifferences(("c1", "c2"), (("c1", "c2"),))
    assert TimeDifferences.fit(rows_of(signature_of(("time",)), frame.select("c0"))) is None
    assert TimeDifferences.fit(rows_of(signature_of(KINDS), frame.select("c0", "c1"))) is None


def test_of_many_columns_the_first_five_are_paired() -> None:
    """10 pairs."""
    frame = frame_of(tuple(range(7)), tuple(index * DAY_US for index in range(7)))
    op = TimeDifferences.fit(rows_of(signature_of(("time",) * 7), frame))
    assert op is not None
    assert len(op.pairs) == 10
    assert op.columns == ("c0", "c1", "c2", "c3", "c4")
