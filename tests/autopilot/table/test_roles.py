"""What columns say about rows: their order in time, their groups, their weights."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from autopilot.table.findings import Finding
from autopilot.table.infer import Table, infer
from autopilot.table.roles import Roles, read_groups, read_times, read_weights
from storage import DataError, InputError
from storage.signature import Dropped
from tests.refusals import raises

N = 30
Y = ["a", "b", "b"] * 10
X = [0.5, 1.5, None] * 10
DAYS = [date(2024, 5, 1) + timedelta(days=n) for n in range(N)]


def table_of(role: str, values: Any, **options: Any) -> Table:
    """A table of a column `r` with this role, beside a column that is kept."""
    series = values if isinstance(values, pl.Series) else pl.Series(values, strict=False)
    frame = pl.DataFrame({"r": series, "x": (X * 3)[: len(series)], "y": (Y * 3)[: len(series)]})
    return infer(frame, "y", roles=Roles(**{role: "r"}), **options)


def told(table: Table, code: str) -> list[str]:
    """Messages of the findings with this code."""
    return [finding.message for finding in table.findings if finding.code == code]


def test_without_roles_a_table_says_nothing_about_its_rows() -> None:
    """None, rather than numbers that are all alike."""
    table = infer(pl.DataFrame({"x": X, "y": Y}), "y")
    assert (table.weights, table.groups, table.times) == (None, None, None)


# -------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("values", [[1, 2, 3] * 10, [0.5, 1.0, 1.5] * 10, [Decimal(1), Decimal(2), Decimal(3)] * 10])
def test_weights_have_the_mean_one(values: list[Any]) -> None:
    """Whatever unit they had; and the column is no feature."""
    table = table_of("weight", values)
    assert table.weights is not None
    assert table.weights.tolist() == pytest.approx([0.5, 1.0, 1.5] * 10)
    assert table.signature.dropped == (Dropped("r", "is the weight of each row"),)
    assert told(table, "weight") == ["'r' weighs the rows: 30 of them tell as much as 26 that count alike."]


def test_the_largest_weights_do_not_overflow() -> None:
    """Their sum would."""
    table = table_of("weight", [1e308] * N)
    assert table.weights is not None
    assert table.weights.tolist() == [1.0] * N


def test_rows_of_weight_zero_are_left_out() -> None:
    """With a warning; so are those without a target, whatever their weight."""
    frame = pl.DataFrame(
        {"w": [0.0, 2.0, None, 1.0] * 15, "x": list(range(60, 0, -1)), "y": ["a", "b", None, "a"] * 15}
    )
    table = infer(frame, "y", roles=Roles(weight="w"))
    assert table.frame["x"].to_list() == [n for n in range(60, 0, -1) if n % 4 in (3, 1)]
    assert len(table.y) == 30
    assert table.weights is not None
    assert table.weights.tolist() == pytest.approx([4 / 3, 2 / 3] * 15)
    assert told(table, "weight_zero") == ["15 of 45 rows have the weight 0 and were left out."]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1"] * N, "Column 'r' is String, and weights are numbers. Convert it."),
        ([True] * N, "Column 'r' is Boolean, and weights are numbers."),
        ([1.0, None, float("nan")] * 10, "has no value in 20 rows, first in row 1. Give each row a weight, 0 to leave"),
        ([1, 2, -3] * 10, "Column 'r' is the weight of each row, but row 2 holds -3. Give a number of 0 or more."),
        ([1.0, float("inf"), 1.0] * 10, "but row 1 holds inf."),
        ([0] * N, "Column 'r' is above 0 in 0 rows with a target; at least 20 are needed to train and to check"),
        ([0] * 11 + [1] * 19, "Column 'r' is above 0 in 19 rows with a target; at least 20 are needed"),
    ],
)
def test_weights_that_are_none_are_refused(values: list[Any], message: str) -> None:
    """With the row and the value."""
    with raises(DataError, message):
        table_of("weight", values)


def test_rows_are_numbered_as_in_the_table() -> None:
    """Rows without a target come before the faulty one."""
    values = pl.Series("w", [1.0, -1.0])
    with raises(DataError, "row 17 holds -1.0"):
        read_weights(values, pl.Series([3, 17]))


# --------------------------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", "b", "c", "a"] * 6,
        [2, 1, 2, 9, 1] * 6,
        [0.5, 0.1, 0.5, 0.7, 0.1] * 6,
        [DAYS[2], DAYS[1], DAYS[2], DAYS[9], DAYS[1]] * 6,
        [["b"], ["a"], ["b"], [], ["a"]] * 6,
        [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 1, "b": "y"}] * 6,
        [b"b", b"a", b"b", b"c", b"a"] * 6,
        pl.Series(["b", "a", "b", "c", "a"] * 6, dtype=pl.Categorical),
    ],
    ids=lambda values: str(pl.Series(values).dtype),
)
def test_equal_values_of_any_type_are_a_group(values: Any) -> None:
    """Numbered in the order of their first rows; the column is no feature."""
    table = table_of("group", values)
    assert table.groups is not None
    assert table.groups.dtype == np.int64
    assert table.groups.tolist() == [0, 1, 0, 2, 1] * 6
    assert table.signature.dropped == (Dropped("r", "says which rows belong together"),)
    assert table.signature.names == ("x",)
    assert told(table, "group") == ["'r' keeps rows together: 3 groups of 6 to 12 rows."]


def test_a_value_inside_a_struct_can_be_the_group() -> None:
    """By its flat name."""
    frame = pl.DataFrame({"s": [{"id": n % 3, "v": n / 7} for n in range(N)], "y": Y})
    table = infer(frame, "y", roles=Roles(group="s.id"))
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1, 2] * 10
    assert table.signature.names == ("s.v",)


def test_a_group_that_is_given_a_kind_is_a_feature_too() -> None:
    """For groups that come again."""
    table = table_of("group", ["b", "a"] * 15, columns={"r": "category"})
    assert table.signature.names == ("r", "x")
    assert table.groups is not None


@pytest.mark.parametrize(
    "values", [["a", None, "b", ""], ["a", "", "b", None], ["a", " ", "b", None], [1.5, None, 2.5, float("nan")]]
)
def test_rows_of_an_unknown_group_belong_together(values: list[Any]) -> None:
    """They might; with a warning."""
    table = table_of("group", values * 6)
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1, 2, 1] * 6
    assert told(table, "group_missing") == ["'r' has no value in 12 rows; they are taken for one group."]


def test_groups_of_one_row_are_told() -> None:
    """A row number is no group."""
    table = table_of("group", list(range(N)))
    message = "'r' is different in each row, so that it keeps no rows together."
    assert Finding("warning", "group_of_one", message, "r") in table.findings


@pytest.mark.parametrize("values", [["a"] * N, [None] * N])
def test_one_group_is_refused(values: list[Any]) -> None:
    """There is no other to validate on."""
    with raises(DataError, "Column 'r' says which rows belong together, and all belong to one group. Name a column"):
        table_of("group", values)


@given(values=st.lists(st.one_of(st.none(), st.sampled_from(["", " ", "a", "b", "Köln"])), min_size=2))
def test_two_rows_have_one_number_if_they_have_one_value(values: list[str | None]) -> None:
    """Numbers are dense."""
    present = [value if value and value.strip() else None for value in values]
    if len(set(present)) < 2:
        return
    groups, _ = read_groups(pl.Series("g", values, dtype=pl.String))
    assert len(set(zip(present, groups.tolist(), strict=True))) == len(set(present)) == groups.max() + 1


# ---------------------------------------------------------------------------------------------------------- times

MOMENTS = [datetime(2024, 5, 1, n % 24, tzinfo=UTC) for n in range(N)]


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        (DAYS[::-1], range(29, -1, -1)),
        (MOMENTS, [n % 24 for n in range(N)]),
        ([timedelta(seconds=n) for n in range(N)], range(N)),
        ([2020, 2019, 2024] * 10, [1, 0, 2] * 10),
        ([2020.5, -1.0, float("inf")] * 10, [1, 0, 2] * 10),
        ([20240501, 20240430, 20240502] * 10, [1, 0, 2] * 10),
        (["2024-05-01", "2024-04-30T23:00", "2024-05-02"] * 10, [1, 0, 2] * 10),
        (["1.5.2024", "30.4.2024", "02.05.2024"] * 10, [1, 0, 2] * 10),
        (pl.Series(["May 2024", "April 2024", "June 2024"] * 10, dtype=pl.Categorical), [1, 0, 2] * 10),
    ],
)
def test_rows_are_in_the_order_of_their_times(values: Any, ranks: Any) -> None:
    """Equal times have equal numbers, from 0 without gaps."""
    table = table_of("time", values)
    assert table.times is not None
    assert table.times.dtype == np.int64
    assert table.times.tolist() == list(ranks)


def test_the_time_stays_a_feature_and_its_range_is_told() -> None:
    """So that a user sees how it was read."""
    table = table_of("time", DAYS)
    assert table.signature.names == ("r", "x")
    message = "'r' orders the rows in time, from 2024-05-01 to 2024-05-30: 30 distinct times."
    assert told(table, "time") == [message]


@pytest.mark.parametrize(("options", "reason"), [({"ignore": ["r"]}, "was ignored as asked"), ({}, "counts the rows")])
def test_a_time_that_is_no_feature_orders_rows_all_the_same(options: dict[str, Any], reason: str) -> None:
    """Such as a row number."""
    table = table_of("time", list(range(N)), **options)
    assert table.signature.dropped == (Dropped("r", reason),)
    assert table.times is not None
    assert table.times.tolist() == list(range(N))


@pytest.mark.parametrize(
    ("time_format", "ranks"), [("%d/%m/%Y", [0, 1, 2]), ("%m/%d/%Y", [0, 2, 1])], ids=["day first", "month first"]
)
def test_text_is_read_by_the_format_that_the_user_gives(time_format: str, ranks: list[int]) -> None:
    """As the feature is."""
    table = table_of("time", ["01/01/2024", "10/02/2024", "02/10/2024"] * 10, columns={"r": f"time:{time_format}"})
    assert table.times is not None
    assert table.times.tolist() == ranks * 10


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([*DAYS[:-2], None, None], "Column 'r' is the order in time, but has no value in 2 rows, first in row 28."),
        ([*map(str, DAYS[:-1]), " "], "has no value in 1 rows, first in row 29. Fill these cells or drop these rows."),
        ([1.5, 2.5, float("nan")] * 10, "has no value in 10 rows, first in row 2."),
        ([True, False] * 15, "Column 'r' is Boolean, which is no order in time. Name a column of dates, times or"),
        ([[1], [2], [3]] * 10, "Column 'r' is List(Int64), which is no order in time."),
        ([{"a": 1}] * N, "Column 'r' is Struct({'a': Int64}), which is no order in time."),
        (["red", "green", "blue"] * 10, "but row 0 holds 'red', which is not read as a time. Correct it, or say how"),
        ([*map(str, DAYS[:-1]), "soon"], "Column 'r' is the order in time, but row 29 holds 'soon', which is not read"),
        ([2020, 2021] * 15, "Column 'r' is the order in time, and has 2 distinct times; at least 3 are needed: to"),
    ],
)
def test_what_is_no_order_in_time_is_refused(values: list[Any], message: str) -> None:
    """With the row, the value and what to do."""
    with raises(DataError, message):
        table_of("time", values)


def test_rows_without_a_target_need_no_time() -> None:
    """They are left out before; and rows are numbered as in the table."""
    frame = pl.DataFrame({"t": [None, *DAYS], "x": [0.5, *X], "y": [None, *Y]})
    table = infer(frame, "y", roles=Roles(time="t"))
    assert table.times is not None
    assert table.times.tolist() == list(range(N))
    with raises(DataError, "first in row 9."):
        read_times(pl.Series("t", [2020, None]), pl.Series([4, 9]), {})


# ---------------------------------------------------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": Roles(time="z")}, "The data has no column 'z'. Its columns are 'a', 'b', 'y'."),
        ({"roles": Roles(group="z")}, "The data has no column 'z'."),
        ({"roles": Roles(weight="z")}, "The data has no column 'z'."),
        ({"roles": Roles(weight="y")}, "Column 'y' is the target and cannot be the weight too. Name another."),
        ({"roles": Roles(group="a", weight="a")}, "Column 'a' is the group and cannot be the weight too."),
        ({"roles": Roles(time="a", group="b")}, "Rows cannot be divided by the time 'a' and by the group 'b' at once."),
        (
            {"roles": Roles(weight="a"), "columns": {"a": "number"}},
            "Column 'a' is the weight of each row, so it has no",
        ),
    ],
)
def test_roles_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    """Unknown names with those that there are."""
    frame = pl.DataFrame({"a": [1, 2, 3] * 10, "b": [1, 2, 4] * 10, "y": Y})
    with raises(InputError, message):
        infer(frame, "y", **options)


def test_a_weight_goes_with_a_group_or_a_time() -> None:
    """Rows that are left out have neither."""
    weights = [0, *[1] * 29]
    frame = pl.DataFrame({"w": weights, "g": ["a", *["b", "c", "d"] * 9, "b", "c"], "t": DAYS, "x": X, "y": Y})
    grouped = infer(frame, "y", roles=Roles(group="g", weight="w"))
    assert grouped.groups is not None
    assert grouped.groups.tolist() == [*[0, 1, 2] * 9, 0, 1]
    timed = infer(frame, "y", roles=Roles(time="t", weight="w"))
    assert timed.times is not None
    assert timed.times.tolist() == list(range(29))
    assert timed.frame.height == len(timed.y) == 29


@given(
    frame=dataframes(min_cols=2, max_cols=4, min_size=20, max_size=40, allow_null=True),
    role=st.sampled_from(["time", "group", "weight"]),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_any_column_has_a_role_or_is_refused(frame: pl.DataFrame, role: str, data: st.DataObject) -> None:
    """Of any type that Polars has: never another error, and a number for each row."""
    name = data.draw(st.sampled_from(frame.columns))
    frame = frame.with_columns(x=pl.Series(X * 2).head(frame.height), y=pl.Series(Y * 2).head(frame.height))
    try:
        table = infer(frame, "y", roles=Roles(**{role: name}))
    except InputError as error:
        assert str(error)  # noqa: PT017 - either is right
        return
    found = {"time": table.times, "group": table.groups, "weight": table.weights}[role]
    assert found is not None
    assert len(found) == len(table.y) == table.frame.height
    if role == "weight":
        assert found.min() > 0
        assert found.mean() == pytest.approx(1)
    else:
        assert set(found.tolist()) == set(range(int(found.max()) + 1))
