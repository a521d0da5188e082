"""Columns that repeat another one are dropped, the later one, with the name of the first."""

from datetime import date

import polars as pl
import pytest

from autopilot.table.infer import infer
from storage.signature import Dropped

N = 40
Y = ["a", "b"] * (N // 2)
X = [None if row % 9 == 0 else row * 7919 % 101 / 4 for row in range(N)]


@pytest.mark.parametrize(
    "again",
    [
        pl.Series(X),
        pl.Series([float("nan") if value is None else value for value in X]),
        pl.Series(X, dtype=pl.Float32),
        pl.Series([None if value is None else f"{value}" for value in X]),
    ],
    ids=["the same", "NaN for null", "Float32", "text"],
)
def test_a_column_with_the_values_of_another_is_dropped(again: pl.Series) -> None:
    """After typing, missing values too."""
    table = infer(pl.DataFrame({"x": X, "again": again, "y": Y}), "y")
    assert table.signature.names == ("x",)
    assert table.signature.dropped == (Dropped("again", "is the same as 'x' in every row"),)
    assert table.frame.columns == ["x"]


def test_one_other_value_makes_another_column() -> None:
    """A null in another place, too."""
    other = [*X[:-1], 0.125]
    hole = [*X[:-1], None]
    assert infer(pl.DataFrame({"x": X, "other": other, "hole": hole, "y": Y}), "y").signature.names == (
        "x",
        "other",
        "hole",
    )


def test_levels_by_another_name_are_the_same_category() -> None:
    """Each level of one goes with one level of the other, and a missing one with a missing one."""
    towns = ["Ulm", "Bonn", "Bonn", "Rome", None] * 8
    letters = ["u", "b", "b", "r", None] * 8
    mixed = ["b", "u", "b", "r", None] * 8
    unknown = ["u", "b", "b", "r", "?"] * 8
    frame = pl.DataFrame({"town": towns, "letter": letters, "mixed": mixed, "unknown": unknown, "y": Y})
    signature = infer(frame, "y").signature
    assert signature.dropped == (Dropped("letter", "has a level for each level of 'town'"),)
    assert signature.names == ("town", "mixed", "unknown")


def test_the_same_values_of_another_kind_are_another_column() -> None:
    """A number and a category are fed to models differently."""
    frame = pl.DataFrame({"n": [1, 2, 3, 4] * 10, "c": [1, 2, 3, 4] * 10, "y": Y})
    assert infer(frame, "y", columns={"c": "category"}).signature.names == ("n", "c")


def test_a_repetition_is_kept_when_it_is_asked_for() -> None:
    """And the first one as well."""
    days = [date(2024, 5, row % 28 + 1) for row in range(N)]
    frame = pl.DataFrame({"a": days, "b": days, "y": Y})
    assert infer(frame, "y").signature.names == ("a",)
    assert infer(frame, "y", columns={"b": "time"}).signature.names == ("a", "b")
