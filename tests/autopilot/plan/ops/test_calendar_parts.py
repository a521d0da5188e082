"""Times become parts of the calendar, by pure integer arithmetic that is right for each day of 1900-2100."""

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopilot.plan.ops import CalendarParts
from autopilot.plan.ops.calendar_parts import FIRST_US, LAST_US, PARTS
from storage.boundary import MISSING_TIME
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of

TIME = signature_of(("time",))
ALL = CalendarParts(("c0",), PARTS)
DAY_US = 86_400_000_000


def frame_of(*micros: int | None) -> pl.DataFrame:
    """A typed frame of one column."""
    return raw_frame(("time",), [(us,) for us in micros]).cast(pl.Datetime("us"))


def test_the_parts_of_a_moment() -> None:
    """2024-05-01 13:30 UTC, a Wednesday; and the last microsecond of 1969, also one."""
    assert both(ALL, TIME, frame_of(1_714_570_200_000_000, -1)) == [
        [19_844, 2024, 5, 1, 3, 13, 30],
        [-1, 1969, 12, 31, 3, 23, 59],
    ]


def test_every_day_from_1900_to_2100_agrees_with_polars_and_with_python() -> None:
    """All 73,414 of them, each at another time of day."""
    count = (date(2100, 12, 31) - date(1900, 1, 1)).days + 1
    days = [date(1900, 1, 1) + timedelta(days=number) for number in range(count)]
    minutes = np.random.default_rng(0).integers(0, 1440, count)
    micros = FIRST_US + np.arange(count) * DAY_US + minutes * 60_000_000 + np.arange(count) % 60_000_000
    expected = np.array([(day.year, day.month, day.day, day.isoweekday()) for day in days])
    found = np.array(both(ALL, TIME, pl.DataFrame({"c0": pl.Series(micros).cast(pl.Datetime("us"))})))
    assert found[:, 0].tolist() == (np.arange(count) - 25_567).tolist()
    assert found[:, 1:5].tolist() == expected.tolist()
    assert found[:, 5].tolist() == (minutes // 60).tolist()
    assert found[:, 6].tolist() == (minutes % 60).tolist()


@given(when=st.datetimes(datetime(1900, 1, 1), datetime(2100, 12, 31, 23, 59, 59, 999_999)))  # noqa: DTZ001 - UTC
def test_any_moment_agrees_with_python(when: datetime) -> None:
    """To the microsecond."""
    micros = (when.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    expected = [when.year, when.month, when.day, when.isoweekday(), when.hour, when.minute]
    assert both(ALL, TIME, frame_of(micros))[0][1:] == expected


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (FIRST_US, [-25_567, 1900, 1, 1, 1, 0, 0]),
        (FIRST_US - 1, [-25_567, 1900, 1, 1, 1, 0, 0]),
        (MISSING_TIME + 1, [-25_567, 1900, 1, 1, 1, 0, 0]),
        (LAST_US, [47_846, 2100, 12, 31, 5, 23, 59]),
        (LAST_US + 1, [47_846, 2100, 12, 31, 5, 23, 59]),
        (2**63 - 1, [47_846, 2100, 12, 31, 5, 23, 59]),
    ],
)
def test_times_outside_the_calendar_count_as_its_nearest_end(micros: int, expected: list[float]) -> None:
    """From the first microsecond of 1900 to the last of 2100."""
    assert both(ALL, TIME, frame_of(micros)) == [expected]


def test_a_missing_time_has_missing_parts() -> None:
    """All of them, in its column alone."""
    op = CalendarParts(("c0", "c1"), ("year", "hour"))
    kinds = ("time", "time")
    frame = raw_frame(kinds, [(None, 0), (0, None)]).cast(pl.Datetime("us"))
    found = both(op, signature_of(kinds), frame)
    assert op.names() == ("year of c0", "year of c1", "hour of c0", "hour of c1")
    assert [[None if math.isnan(x) else x for x in row] for row in found] == [
        [None, 1970, None, 0],
        [1970, None, 0, None],
    ]


def test_parts_that_never_vary_are_left_out() -> None:
    """Days of one month at midnight have neither year, month nor time of day."""
    op = CalendarParts.fit(rows_of(signature_of(("time",)), frame_of(0, DAY_US, None, 3 * DAY_US)))
    assert op == CalendarParts(("c0",), ("days", "day", "weekday"))
    assert CalendarParts.fit(rows_of(signature_of(("time",)), frame_of(0, 0, None))) is None


def test_parts_and_columns_that_no_feature_needs_go() -> None:
    """The year of the second column needs neither the hour nor the first column."""
    op = CalendarParts(("c0", "c1"), ("year", "hour"))
    assert op.narrowed([1]) == CalendarParts(("c1",), ("year",))
    assert op.narrowed([0, 3]) == op
