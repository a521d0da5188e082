"""Which rows are chosen: by values of any type, or above a threshold."""

import polars as pl
import pytest

from monitor.facets import Choice, Facet, facets_named, facets_of
from monitor.facets.choice import group_codes
from storage import Column, SettingError, Signature


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (("f",), ["f", "m", None, ""], [1, 0, -1, 0]),
        (("a", "b"), ["a", "b", "c"], [1, 1, 0]),
        ((1,), [1.0, 0.0, None, float("nan")], [1, 0, -1, -1]),
        ((1.0,), ["1", "0"], [1, 0]),
        (("1",), [1, 2], [1, 0]),
        ((True,), [True, False, None], [1, 0, -1]),
        (("true",), [True, False], [1, 0]),
        ((2.5,), [2.5, 2.0], [1, 0]),
        (("nobody",), ["f", "m"], [0, 0]),
    ],
)
def test_values_mean_what_they_show(values: tuple[str | float, ...], column: list[object], expected: list[int]) -> None:
    """As text of a csv file or typed; a missing value is neither."""
    assert Choice(values=values).of(pl.Series(column)).tolist() == expected


@pytest.mark.parametrize("column", [[39, 40, 41, None], ["39", "40", " 41", "n/a"], [39.0, 40.0, 40.5, float("nan")]])
def test_a_threshold_parts_numbers(column: list[object]) -> None:
    """A value at it is not above it; what cannot be read is missing."""
    assert Choice(threshold=40).of(pl.Series(column)).tolist() == [0, 0, 1, -1]


def test_infinities_are_numbers() -> None:
    """The largest and the smallest."""
    assert Choice(threshold=0).of(pl.Series([float("inf"), float("-inf")])).tolist() == [1, 0]


@pytest.mark.parametrize("given", [{}, {"values": ("a",), "threshold": 1.0}])
def test_there_is_one_way_to_choose(given: dict[str, object]) -> None:
    """Neither none nor both."""
    with pytest.raises(SettingError, match="Give one of the two"):
        Choice(**given)  # type: ignore[arg-type]


def test_a_column_of_nothing_chooses_nobody() -> None:
    """All rows are missing."""
    assert Facet(column="x", values=("a",)).of(pl.Series([None, None])).tolist() == [-1, -1]
    assert Choice(values=("a",)).of(pl.Series([[1], [2]])).tolist() == [-1, -1]


def test_each_value_can_be_a_facet() -> None:
    """The commonest first, as many as are asked for."""
    towns = pl.Series("town", ["Ulm", "Bonn", "Rome", "Bonn", None, "Ulm", "Bonn"])
    assert [facet.values for facet in facets_of(towns, most=2)] == [("Bonn",), ("Ulm",)]
    assert {facet.column for facet in facets_of(towns)} == {"town"}


def test_groups_of_two_tables_have_the_same_numbers() -> None:
    """Missing is none of them; whole numbers are the same whichever type they have."""
    codes, groups = group_codes(pl.Series([3, 1, 10]), pl.Series([1.0, None]), pl.Series(["3"]))
    assert ([part.tolist() for part in codes], groups) == ([[2, 0, 1], [0, -1], [2]], 3)
    assert group_codes(pl.Series([None, None]))[1] == 0


def test_a_schedules_facets_are_values_thresholds_or_each_value() -> None:
    """Values are looked for in the rows that are usual, the commonest first."""
    usual = pl.DataFrame({"sex": ["m", "f", "m", None], "age": [20, 30, 40, 50], "flag": [True, True, False, None]})
    kinds = {"sex": "category", "age": "number", "flag": "number"}
    signature = Signature("binary", "paid", tuple(Column(name, kind, "x") for name, kind in kinds.items()))  # type: ignore[arg-type]
    assert facets_named(["age>40", "sex=f", "sex", "flag"], signature, usual) == (
        Facet(column="age", threshold=40.0),
        Facet(column="sex", values=("f",)),
        Facet(column="sex", values=("m",)),
        Facet(column="sex", values=("f",)),
        Facet(column="flag", values=("true",)),
        Facet(column="flag", values=("false",)),
    )
    assert Facet(column="flag", values=("true",)).of(usual["flag"]).tolist() == [1, 1, 0, -1]
    with pytest.raises(SettingError, match="of no column that the model takes"):
        facets_named(["town"], signature, usual)
