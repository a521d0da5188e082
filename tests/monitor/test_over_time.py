"""Columns over the window keep to their bands where nothing changed, and examples show what is unlike the reference."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.over_time import PIECES, examples, over_time

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def hourly(rows: int) -> pl.Series:
    return pl.Series("time", [START + timedelta(hours=hour) for hour in range(rows)]).cast(pl.Datetime("us", "UTC"))


def test_pieces_by_hand() -> None:
    """Six rows in three hours of a day; the other 21 hours have no rows."""
    times = pl.Series([START + timedelta(minutes=30 * half) for half in range(6)]).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {"age": [1.0, 3.0, None, 5.0, float("inf"), 7.0], "town": ["Ulm", "Ulm", "Bonn", None, "Ulm", "x"]}
    )
    reference = pl.DataFrame({"age": [2.0, 4.0] * 10, "town": ["Ulm"] * 15 + ["Bonn"] * 5})
    age, town = over_time(frame, times, reference, {"age": "number", "town": "category"}, START, START + DAY)
    assert [(moment.rows, moment.value) for moment in age.moments[:4]] == [(2, 2.0), (1, 5.0), (1, 7.0), (0, None)]
    assert len(age.moments) == 24
    assert (age.of, age.usual, town.of, town.usual) == ("mean", 3.0, "share of 'Ulm'", 0.75)
    assert [(moment.rows, moment.value) for moment in town.moments[:3]] == [(2, 1.0), (1, 0.0), (2, 0.5)]
    assert (town.moments[0].low, town.moments[0].high) == (0.0, 1.0)
    assert age.moments[3].low is None


def test_text_is_told_by_its_length() -> None:
    """In characters."""
    frame = pl.DataFrame({"note": ["abcd", "ab"]})
    (note,) = over_time(frame, hourly(2), frame, {"note": "text"}, START, START + timedelta(hours=2))
    assert (note.of, note.usual) == ("mean length in characters", 3.0)


def test_what_has_no_values_has_no_entry() -> None:
    """All null, nothing but infinities, times, and columns that are not there; a constant one has a band of width 0."""
    frame = pl.DataFrame({"none": [None, None], "far": [float("inf")] * 2, "same": [4.0, 4.0], "when": [START, START]})
    frame = frame.with_columns(pl.col("none").cast(pl.Float64))
    kinds = {"none": "number", "far": "number", "same": "number", "when": "time", "absent": "number"}
    (same,) = over_time(frame, hourly(2), frame, kinds, START, START + DAY)  # type: ignore[arg-type]
    assert same.column == "same"
    assert (same.moments[0].low, same.moments[0].value, same.moments[0].high) == (4.0, 4.0, 4.0)


@pytest.mark.parametrize("rows", [1, 5, 100])
def test_bands_hold_95_of_100_pieces_of_the_reference(rows: int) -> None:
    """Of a skewed column and of a share, whatever the rows of a piece: at least 92 of 100, in 3,000 pieces."""
    chance = np.random.default_rng(7)
    reference = pl.DataFrame(
        {"x": chance.lognormal(0, 1, 20_000), "c": chance.choice(["a", "b"], 20_000, p=[0.8, 0.2])}
    )
    held = {"x": 0, "c": 0}
    times = pl.Series([START + timedelta(hours=hour) for hour in range(30) for _ in range(rows)])
    for _ in range(100):
        frame = reference.sample(30 * rows, with_replacement=True, seed=int(chance.integers(1 << 30)))
        window = over_time(frame, times, reference, {"x": "number", "c": "category"}, START, START + 30 * DAY / 24)
        for column in window:
            held[column.column] += sum(
                moment.low <= moment.value + 1e-12 and moment.value - 1e-12 <= moment.high
                for moment in column.moments
                if moment.value is not None and moment.low is not None and moment.high is not None
            )
    assert min(held.values()) >= 0.92 * 3000


@given(st.lists(st.floats(), min_size=1, max_size=40), st.integers(1, 10**7))
def test_no_rows_are_lost_and_nothing_told_is_infinite(values: list[float], length_s: int) -> None:
    """Whatever the numbers and the window: at most 30 pieces, as many rows as are finite and inside."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    times = pl.Series([START + timedelta(hours=hour) for hour in range(len(values))]).cast(pl.Datetime("us", "UTC"))
    end = START + timedelta(seconds=length_s)
    for column in over_time(frame, times, frame, {"x": "number"}, START, end):
        assert len(column.moments) <= PIECES
        known = [value for value, time in zip(values, times, strict=True) if np.isfinite(value) and START <= time < end]
        assert sum(moment.rows for moment in column.moments) == len(known)
        told = [number for moment in column.moments for number in (moment.value, moment.low, moment.high)]
        assert all(number is None or np.isfinite(number) for number in told)
        assert np.isfinite(column.usual)


def test_examples_show_what_is_new() -> None:
    """Unseen levels, values beyond the range, texts with other words; of hidden columns nothing."""
    reference = pl.DataFrame(
        {"town": ["Ulm", "Bonn"], "age": [20.0, 40.0], "note": ["late again", "all is well"], "ssn": ["1", "2"]}
    )
    frame = pl.DataFrame(
        {
            "town": ["Rome", "Rome", "Oslo"],
            "age": [30.0, 99.0, -5.0],
            "note": ["late again", "refund it", None],
            "ssn": ["3", "4", "5"],
        }
    )
    kinds = {"town": "category", "age": "number", "note": "text", "ssn": "category"}
    found = {one.column: one for one in examples(frame, reference, kinds, {"ssn"})}  # type: ignore[arg-type]
    assert found["town"].values == ("Rome", "Oslo")
    assert found["age"].values == ("99", "-5")
    assert found["note"].values == ("refund it",)
    assert "ssn" not in found


def test_examples_of_what_grew_and_of_nothing() -> None:
    """Where nothing is unseen, the level whose share grew; where nothing grew, no entry; long texts are cut."""
    reference = pl.DataFrame({"town": ["Ulm", "Bonn"] * 2, "note": ["ab"] * 4})
    frame = pl.DataFrame({"town": ["Ulm", "Ulm", "Ulm", "Bonn"], "note": ["x" * 100] * 4})
    town, note = examples(frame, reference, {"town": "category", "note": "text"}, ())
    assert town.values == ("Ulm",)
    assert note.values == ("x" * 59 + "…",)
    assert examples(reference, reference, {"town": "category", "note": "text"}, ()) == ()


@given(st.lists(st.floats(), max_size=30), st.lists(st.floats(), max_size=30))
def test_examples_take_any_numbers(before: list[float], after: list[float]) -> None:
    """Empty, infinite and missing ones too; what is told is in the current table."""
    sides = [pl.DataFrame({"x": pl.Series(side, dtype=pl.Float64)}) for side in (before, after)]
    for one in examples(sides[1], sides[0], {"x": "number"}, ()):
        assert 1 <= len(one.values) <= 5
        assert set(one.values) <= {f"{value:.6g}" for value in after}
