"""What each column is, what is dropped and why, and which tables are refused."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from autopilot.table.expand import expand
from autopilot.table.findings import Finding
from autopilot.table.infer import Table, infer
from autopilot.table.read import read
from storage import Column, DataError, InputError
from storage.boundary import typed
from storage.signature import Dropped
from tests import tables
from tests.refusals import raises

Y = ["a", "b"] * 15
N = len(Y)


def table_of(values: Any, **options: Any) -> Table:
    """A table of one column `x`, thirty cells, beside a target that is always fine and a column that is kept."""
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return infer(pl.DataFrame({"x": series, "kept": [0.5, 1.5, None] * 10, "y": Y}), "y", **options)


def kind_of(values: Any, **options: Any) -> str:
    """What `x` is taken for, or why it is dropped."""
    signature = table_of(values, **options).signature
    kinds = {column.name: column.kind for column in signature.columns}
    reasons = {dropped.name: dropped.reason for dropped in signature.dropped}
    return kinds.get("x") or reasons["x"]


# ------------------------------------------------------------------------------------------------------- kinds

THIRTY_DAYS = [date(2024, 5, 1) + timedelta(days=n) for n in range(N)]
PROSE = [f"the {word} was {n} days late" for n, word in enumerate(("train", "bus", "plane") * 10)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([n % 7 for n in range(N)], "number"),
        ([n / 7 for n in range(N)], "number"),
        ([True, False, None] * 10, "number"),
        (pl.Series([Decimal(n) / 4 for n in range(N)]), "number"),
        ([timedelta(seconds=n) for n in range(N)], "number"),
        ([time(n % 24) for n in range(N)], "number"),
        ([1.0] * (N - 1) + [None], "number"),
        (["Ulm", "Bonn", None] * 10, "category"),
        (["1", "2", "x"] * 10, "category"),
        ([f"{n:05}" for n in range(25)] + ["00001"] * 5, "category"),
        (pl.Series(["Ulm", "Bonn"] * 15, dtype=pl.Categorical), "category"),
        (pl.Series(["Ulm", "Bonn"] * 15, dtype=pl.Enum(["Ulm", "Bonn"])), "category"),
        ([f"{n * 1.5}" for n in range(N)], "number"),
        (PROSE, "text"),
        (THIRTY_DAYS, "time"),
        ([datetime(2024, 5, 1, n % 24) for n in range(N)], "time"),  # noqa: DTZ001 - tables have no zones
        (pl.Series([datetime(2024, 5, 1, n % 24) for n in range(N)]).dt.replace_time_zone("Asia/Tokyo"), "time"),  # noqa: DTZ001
        ([f"{day}" for day in THIRTY_DAYS], "time"),
        ([f"{day}T12:00:00Z" for day in THIRTY_DAYS], "time"),
        ([f"{day:%d.%m.%Y}" for day in THIRTY_DAYS], "time"),
    ],
)
def test_a_columns_kind_is_that_of_its_cells(values: Any, kind: str) -> None:
    """Numbers, booleans, durations and times of day; few words; prose; moments."""
    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([5] * N, "is the same in every row"),
        (["a"] * N, "is the same in every row"),
        ([None] * N, "holds only nulls"),
        ([float("nan")] * N, "holds only nulls"),
        (pl.Series([None] * N, dtype=pl.String), "holds only nulls"),
        (list(range(100, 100 + N)), "counts the rows"),
        ([f"id-{n}" for n in range(N)], "is different in nearly every row, as an identifier is"),
        ([" ", "  ", None] * 10, "holds only blank text"),
        ([""] * N, "holds only nulls"),
        ([bytes([n]) for n in range(N)], "is of type Binary, which no model here takes"),
    ],
)
def test_a_column_that_cannot_help_is_dropped_with_a_reason(values: Any, reason: str) -> None:
    """The signature and a finding tell it."""
    table = table_of(values)
    assert table.signature.dropped == (Dropped("x", reason),)
    assert Finding("info", "dropped", f"'x' {reason}.", "x") in table.findings
    assert table.frame.columns == ["kept"]


@pytest.mark.parametrize(
    "values",
    [list(range(N, 0, -1)), [0, *range(N - 1)], [n * 2 for n in range(N)], [*range(N - 1), None]],
    ids=["falling", "repeated", "with gaps", "with a hole"],
)
def test_numbers_that_only_resemble_row_numbers_are_kept(values: list[int | None]) -> None:
    """A row number rises by one from row to row."""
    assert kind_of(values) == "number"


def test_ignored_columns_are_dropped() -> None:
    """As asked, whatever they hold."""
    assert kind_of(THIRTY_DAYS, ignore=["x"]) == "was ignored as asked"


def test_the_target_is_no_column_to_ignore() -> None:
    """Nor is it among what was dropped."""
    assert table_of(THIRTY_DAYS, ignore=["y"]).signature.dropped == ()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (list(range(N)), "number"),
        (list(range(N)), "category"),
        ([f"id-{n}" for n in range(N)], "category"),
        (["Ulm", "Bonn"] * 15, "text"),
        (PROSE, "category"),
        ([n % 3 for n in range(N)], "time"),
        (["1", "2"] * 15, "number"),
    ],
)
def test_a_kind_can_be_overruled(values: Any, wanted: str) -> None:
    """What was asked for wins over each rule, but not over a column without content."""
    assert kind_of(values, columns={"x": wanted}) == wanted
    assert table_of([n % 3 for n in range(N)], columns={"x": "category"}).frame["x"].to_list() == ["0", "1", "2"] * 10
    assert kind_of([None] * N, columns={"x": wanted}) == "holds only nulls"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (THIRTY_DAYS, "number"),
        (THIRTY_DAYS, "text"),
        ([n / 7 for n in range(N)], "category"),
        (["a", "b"] * 15, "time"),
    ],
)
def test_a_kind_that_the_cells_cannot_have_is_refused(values: Any, wanted: str) -> None:
    """In words of training, not of prediction."""
    with raises(DataError, f"not every cell can be read as {wanted}. Convert it, or let its kind be inferred."):
        table_of(values, columns={"x": wanted})


def test_a_kind_that_there_is_not_is_refused() -> None:
    """With those that there are."""
    with raises(InputError, "Column 'x' cannot be 'float'. Kinds are number, category, text, time; a time's"):
        table_of(list(range(N)), columns={"x": "float"})


# ---------------------------------------------------------------------------------------------- what is recorded


def test_ranges_and_levels_are_those_of_training() -> None:
    """Finite numbers; moments in microseconds; levels, most frequent first."""
    frame = pl.DataFrame(
        {
            "n": [1.0, None, 3.0, float("inf"), float("nan"), -2.0] * 5,
            "c": ["b", "a", "b", None, "b", "a"] * 5,
            "t": [date(1970, 1, 1), date(1970, 1, 2), None] * 10,
            "p": PROSE,
            "y": Y,
        }
    )
    assert infer(frame, "y").signature.columns == (
        Column("n", "number", "Float64", nullable=True, minimum=-2.0, maximum=3.0),
        Column("c", "category", "String", nullable=True, levels=("b", "a")),
        Column("t", "time", "Date", nullable=True, minimum=0.0, maximum=86_400_000_000.0),
        Column("p", "text", "String"),
    )


def test_at_most_a_thousand_levels_are_recorded() -> None:
    """The most frequent ones."""
    cells = [f"{n:04}x" for n in range(1500)] * 2 + ["top"] * 3
    table = infer(pl.DataFrame({"c": cells, "y": [0.5, 1.5, 2.5] * 1001}), "y")
    levels = table.signature.columns[0].levels
    assert len(levels) == 1000
    assert levels[0] == "top"


def test_the_frame_is_typed_and_in_the_tables_order() -> None:
    """Typing it again changes nothing."""
    table = infer(tables.mixed(100), "paid")
    assert table.frame.columns == list(table.signature.names)
    assert typed(table.signature, table.frame).equals(table.frame)


def test_the_docstring_of_kinds_holds_for_a_mixed_table() -> None:
    """As a person would say."""
    found = infer(tables.mixed(300), "paid").signature
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds == {
        "age": "number",
        "income": "number",
        "member": "number",
        "town": "category",
        "note": "text",
        "joined": "time",
    }


# ------------------------------------------------------------------------------------------------------- target


def target_of(values: Any, **options: Any) -> Table:
    """A table whose target is this."""
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return infer(
        pl.DataFrame({"x": [0.5, 1.5, None, 3.5] * 20}).head(len(series)).with_columns(series.alias("y")),
        "y",
        **options,
    )


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a"] * 15, "binary", ("a", "b")),
        (["b", "a", "c"] * 10, "multiclass", ("a", "b", "c")),
        ([True, False] * 15, "binary", ("false", "true")),
        ([1, 0] * 15, "binary", (0, 1)),
        ([1.0, 0.0] * 15, "binary", (0, 1)),
        ([3, 1, 2] * 10, "multiclass", (1, 2, 3)),
        ([n % 20 for n in range(80)], "multiclass", tuple(range(20))),
        ([n % 21 for n in range(80)], "regression", ()),
        ([0.5, 1.5] * 15, "regression", ()),
        ([1.0, 2.0, 3.0] * 10, "regression", ()),
        ([f"{n % 25}" for n in range(75)], "multiclass", tuple(sorted(f"{n}" for n in range(25)))),
        ([date(2024, 1, 1), date(2024, 1, 2)] * 15, "binary", ("2024-01-01", "2024-01-02")),
        (pl.Series(["b", "a"] * 15, dtype=pl.Categorical), "binary", ("a", "b")),
        (pl.Series([Decimal("0.5"), Decimal("1.5"), Decimal("2.5")] * 10), "regression", ()),
    ],
)
def test_the_task_is_told_by_the_target(values: Any, task: str, classes: tuple[str | int, ...]) -> None:
    """Words and few whole numbers are classes, fractions and many numbers quantities."""
    signature = target_of(values).signature
    assert (signature.task, signature.classes) == (task, classes)


def test_y_holds_class_numbers_or_values() -> None:
    """In the order of the classes."""
    assert target_of(["b", "a", "c"] * 10).y.tolist() == [1.0, 0.0, 2.0] * 10
    assert target_of([0.5, -1.5] * 15).y.tolist() == [0.5, -1.5] * 15


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([n % 5 for n in range(N)], "regression", ()),
        ([True, False] * 15, "regression", ()),
        ([n % 25 for n in range(75)], "multiclass", tuple(range(25))),
        (["a", "b"] * 15, "multiclass", ("a", "b")),
    ],
)
def test_the_task_can_be_told(values: Any, task: Any, classes: tuple[str | int, ...]) -> None:
    """It wins over the guess."""
    signature = target_of(values, task=task).signature
    assert (signature.task, signature.classes) == (task, classes)


def test_the_task_and_its_reason_are_a_finding() -> None:
    """So that a wrong guess is seen."""
    assert target_of(["b", "a"] * 15).findings[0].message == "'y' is predicted as binary: it has 2 classes."
    reason = "'y' is predicted as regression: it has 3 distinct numbers."
    assert target_of([0.5, 1.5, 2.5] * 10).findings[0].message == reason


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_rows_without_a_target_are_left_out_with_a_warning(missing: float | None) -> None:
    """Nulls, and NaN in numbers."""
    table = target_of([0.5, 1.5, missing] * 10)
    assert table.frame.height == len(table.y) == 20
    message = "10 of 30 rows have no target and were left out."
    assert table.findings[0] == Finding("warning", "target_missing", message, "y")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([None] * N, {}, "Target 'y' is null in all 30 rows. Name another target."),
        ([float("nan")] * N, {}, "Target 'y' is null in all 30 rows. Name another target."),
        (
            ["a", "b"] * 9,
            {},
            "The data has 18 rows with a target; at least 20 are needed to train and to check",
        ),
        (["a", None] * 15, {}, "The data has 15 rows with a target; at least 20 are needed"),
        (["a"] * N, {}, "Target 'y' is 'a' in every row. There is nothing to predict."),
        ([3] * N, {}, "Target 'y' is 3 in every row. There is nothing to predict."),
        ([1.5] * N, {}, "Target 'y' is 1.5 in every row. There is nothing to predict."),
        ([1.5] * N, {"task": "regression"}, "Target 'y' is 1.5 in every row. There is nothing to predict."),
        ([1.5, float("inf"), 2.5] * 10, {}, "Target 'y' is inf in row 1 of those with a target. Correct or drop it."),
        ([f"{n}" for n in range(N)], {}, "Target 'y' has 30 classes in 30 rows, so most are seen once. Name another"),
        (["a", "b", "c"] * 10, {"task": "binary"}, "Target 'y' has 3 classes, not 2. Use --task multiclass."),
        ([0.5, 1.5] * 15, {"task": "binary"}, "Target 'y' holds fractions such as 0.5. Use --task regression."),
        (["a", "b"] * 15, {"task": "regression"}, "Target 'y' is String, which is no quantity. Use --task multiclass,"),
        ([[1], [2]] * 15, {}, "Target 'y' is List(Int64). Give one value for each row."),
        (
            [timedelta(1), timedelta(2)] * 15,
            {},
            "Target 'y' is Duration(time_unit='us'). Convert it to a number, such as",
        ),
        (["a", "b"] * 15, {"task": "ranking"}, "task is 'ranking'. Use auto, binary, multiclass or regression."),
        ([1e300, -1e300] * 15, {"task": "binary"}, "Target 'y' holds numbers such as 1e+300. Use --task regression."),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(values: Any, options: dict[str, Any], message: str) -> None:
    """With what it holds and what to do."""
    with raises(InputError, message):
        target_of(values, **options)


# ------------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "z"}, "The data has no target 'z'. Its columns are 'x', 'y'."),
        ({"target": "y", "ignore": ["z"]}, "The data has no column 'z'. Its columns are 'x', 'y'."),
        ({"target": "y", "columns": {"z": "number"}}, "The data has no column 'z'. Its columns are 'x', 'y'."),
        (
            {"target": "y", "ignore": ["x"]},
            "No column is left to predict 'y' from: 'x' was ignored as asked. Add",
        ),
    ],
)
def test_names_that_the_table_lacks_are_refused(options: dict[str, Any], message: str) -> None:
    """With those that it has."""
    with raises(DataError, message):
        infer(pl.DataFrame({"x": [0.5, 1.5] * 15, "y": Y}), **options)


def test_a_wide_tables_columns_are_not_all_listed() -> None:
    """The first twelve."""
    frame = pl.DataFrame({f"c{n}": [0.5] for n in range(20)})
    with raises(DataError, "'c10', 'c11', ..."):
        infer(frame, "y")


@pytest.mark.parametrize("name", ["label", "probabilities", "prediction", "interval", "set"])
def test_a_column_with_the_name_of_an_output_is_refused(name: str) -> None:
    """One graph cannot have both; as the target, or dropped, it does no harm."""
    frame = pl.DataFrame({name: [0.5, 1.5] * 15, "x": [0.5, 1.5] * 15, "y": Y})
    with raises(DataError, f"Column '{name}' has the name of a model's output. Rename it."):
        infer(frame, "y")
    assert infer(frame, "y", ignore=[name]).signature.names == ("x",)
    assert infer(frame, name).signature.target == name


@pytest.mark.parametrize("name", ["/number", "/", "autopilot.time"])
def test_a_column_that_begins_as_only_our_names_do_is_refused(name: str) -> None:
    """Tensors of the graph, columns of the captured traffic."""
    frame = pl.DataFrame({name: [0.5, 1.5] * 15, "y": Y})
    with raises(DataError, f"Column '{name}' begins as only names of our own do: '/' and 'autopilot.'. Rename it."):
        infer(frame, "y")


def test_one_wrong_cell_among_numbers_is_named() -> None:
    """A typing mistake would make thousands of categories of a number; the row is the table's own."""
    cells = [f"{n}.5" for n in range(40)]
    cells[33] = "1O.5"
    frame = pl.DataFrame({"x": cells, "y": [None, *(["a", "b"] * 20)][:40]})
    with raises(DataError, "Column 'x' is a number in 38 rows, but row 33 holds '1O.5'. Correct or empty that cell"):
        infer(frame, "y")
    with raises(DataError, "or say what the column is: --column x=category, or --ignore x."):
        infer(frame, "y")
    assert infer(frame, "y", columns={"x": "category"}).signature.columns[0].kind == "category"


def test_types_of_other_libraries_are_dropped_by_their_name() -> None:
    """As pandas' periods and intervals come."""
    periods = pd.DataFrame({"x": pd.period_range("2020-01", periods=N, freq="M"), "kept": [0.5, 1.5] * 15, "y": Y})
    (dropped,) = infer(read(periods), "y").signature.dropped
    assert (
        dropped.reason == "is of type Extension('pandas.period', Int64, '{\"freq\": \"M\"}'), which no model here takes"
    )


@given(frame=dataframes(min_cols=1, max_cols=5, min_size=18, max_size=40, allow_null=True), data=st.data())
@settings(max_examples=60)
def test_any_frame_is_a_table_or_refused(frame: pl.DataFrame, data: st.DataObject) -> None:
    """Of any types that Polars has, with any cells and any target: never another error."""
    target = data.draw(st.sampled_from(frame.columns))
    try:
        table = infer(frame, target)
    except InputError as error:
        assert str(error)  # noqa: PT017 - either is right
        return
    assert table.frame.height == len(table.y)
    assert table.frame.columns == list(table.signature.names)
    told = {*table.signature.names, *(drop.name for drop in table.signature.dropped)}
    assert told == {
        *expand(frame, plain={target}).frame.columns,
        *(d.name for d in expand(frame, {target}).dropped),
    } - {target}
    assert np.isfinite(table.y).all()


@pytest.mark.parametrize("name", ["*", "^x.*$"])
def test_a_name_that_stands_for_other_columns_is_refused(name: str) -> None:
    """Polars would read it as all of them, or as a pattern."""
    frame = pl.DataFrame({"x": [1.5, 2.0, 2.5] * 10, name: [1, 2, 3] * 10, "y": ["a", "b", "a"] * 10})
    with raises(DataError, f"Column {name!r} has a name that stands for other columns in Polars. Rename it."):
        infer(frame, "y")


def test_a_category_may_be_called_as_polars_calls_its_counts() -> None:
    """`count` is a frequent name; one category goes with the other, so that it is dropped."""
    words = {"count": ["few", "many", "none"] * 10, "level": ["b", "c", "a"] * 10}
    table = infer(pl.DataFrame({**words, "x": [1.5, 2.0, 2.5, 0.5] * 7 + [1.0, 1.5], "y": Y}), "y")
    assert table.signature.names == ("count", "x")
    assert sorted(table.signature.columns[0].levels) == ["few", "many", "none"]
