"""How both sides of a column are brought to one type."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from monitor.drift import Counts
from monitor.pair import kind_of, pair_up

SENTENCES = ["the parcel came two days late", "all was well and quick", "where is the order that I made"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([1.5, None], "number"),
        ([Decimal("1.50")], "number"),
        ([timedelta(hours=1)], "number"),
        ([time(12)], "number"),
        ([True, False], "category"),
        (["Ulm", "Bonn"], "category"),
        (SENTENCES, "text"),
        (SENTENCES[:1] * 4, "category"),
        (["2013-01-01 05:00:00", " 2013-01-02T06:00Z", "", None], "time"),
        (["2013-01-01"] * 4, "time"),
        (["2013-01-01", "2013-01-02", "soon"], "category"),
        (["2013", "2014"], "category"),
        ([""], "category"),
        ([date(2024, 5, 1)], "time"),
        ([datetime(2024, 5, 1)], "time"),  # noqa: DTZ001 - a time without a zone is what is read from most files
        (["2024-05-01T10:00:00Z", None, "2024-05-02"], "time"),
        (["2024-05-01", "soon"], "category"),
        (["2024", "2025"], "category"),
        ([[1, 2]], "other"),
        ([None], "category"),
    ],
)
def test_the_type_tells_the_kind(values: list[Any], kind: str) -> None:
    """Strings are times where they are ISO 8601; text only where they have many words and most of them differ."""
    series = pl.Series(values)
    assert kind_of(series, series) == kind


def test_an_all_null_reference_takes_the_kind_of_the_current_column() -> None:
    """Nothing but the current values tells then what the column is."""
    assert kind_of(pl.Series([None, None]), pl.Series([1.0, 2.0])) == "number"


def test_nan_and_null_are_missing() -> None:
    """NaN is what pandas writes for a missing number."""
    pair = pair_up(pl.Series([1.0, float("nan"), None]), pl.Series([2.0, 3.0, float("nan")]))
    assert (pair.missing, pair.present, pair.note) == (Counts(2, 1), Counts(1, 2), "")


def test_numbers_written_as_text_are_read() -> None:
    """A column that arrives as text is compared as what it was, and what is no number is told."""
    pair = pair_up(pl.Series([1, 2, 3]), pl.Series([" 4", "5e1", "six", "seven"]))
    assert pair.current.to_list() == [None, None, 4.0, 50.0]
    assert pair.note == "2 current values are no number (it is String now) and count as missing."


@pytest.mark.parametrize("values", [[date(2024, 5, 1)], [[1, 2]], [b"x"]])
def test_values_of_another_nature_count_as_missing(values: list[Any]) -> None:
    """A day is no number, though Polars would make one of it."""
    pair = pair_up(pl.Series([1, 2, 3]), pl.Series(values))
    assert pair.missing.current == 1
    assert "1 current value is no number" in pair.note


def test_whole_floats_are_the_same_categories_as_integers() -> None:
    """Integers with gaps come back from csv and pandas as floats."""
    pair = pair_up(pl.Series(["1", "2"]), pl.Series([1.0, None, 2.0]), "category")
    assert pair.current.to_list() == ["1", None, "2"]


@pytest.mark.parametrize("values", [[0.5, 1.0], [1e300, 2.0], [float("inf"), 1.0]])
def test_fractions_are_categories_as_they_are_written(values: list[float]) -> None:
    """Where a value is not whole, none is shortened."""
    assert pair_up(pl.Series(["a"]), pl.Series(values), "category").missing.current == 0


def test_infinities_are_kept_and_told() -> None:
    """They are the largest and smallest numbers, and somebody should know."""
    pair = pair_up(pl.Series([1.0, float("inf")]), pl.Series([float("-inf"), float("inf")]))
    assert pair.note == "1 reference value is infinite. 2 current values are infinite."


def test_text_becomes_its_length_in_characters() -> None:
    """Characters, not bytes."""
    assert pair_up(pl.Series(["é", "abc"]), pl.Series([None, ""]), "text").reference.to_list() == [1.0, 3.0]


def test_times_are_read_from_text_and_from_zones() -> None:
    """All become UTC without a zone."""
    zoned = pl.Series(["2024-05-01T12:00:00Z"]).str.to_datetime(time_zone="UTC").dt.convert_time_zone("Europe/Berlin")
    pair = pair_up(zoned, pl.Series(["2024-05-01 12:00", "soon"]))
    assert pair.reference.to_list() == [datetime(2024, 5, 1, 12)]  # noqa: DTZ001
    assert pair.current.to_list() == [None, datetime(2024, 5, 1, 12)]  # noqa: DTZ001


def test_times_that_are_written_as_text_are_times_on_both_sides() -> None:
    """As CSV has them; a mistake in a hundred counts as missing, and is told."""
    hours = [f"2013-01-{day:02} {hour:02}:00:00" for day in range(1, 6) for hour in range(20)]
    pair = pair_up(pl.Series(["soon", *hours[1:]]), pl.Series([datetime(2013, 2, 1)] * 30))  # noqa: DTZ001
    assert (pair.kind, pair.reference[-1], pair.current[0]) == (
        "time",
        datetime(2013, 1, 5, 19),  # noqa: DTZ001
        datetime(2013, 2, 1),  # noqa: DTZ001
    )
    assert pair.note == "1 reference value is no time and counts as missing."
