"""What each column is, what is dropped and why, and which tables are refused."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from autopilot.infer import infer
from storage.errors import DataError, InputError

N = 60
TARGET = ["no", "yes"] * (N // 2)


def table_with(values: Any, **options: Any) -> Any:
    return infer(pl.DataFrame({"other": [float(i % 7) for i in range(N)], "c": values, "y": TARGET}), "y", **options)


KINDS = {
    "floats": ([i / 7 for i in range(N)], "number"),
    "whole numbers": ([i % 9 for i in range(N)], "number"),
    "booleans": ([i % 3 == 0 for i in range(N)], "number"),
    "durations": ([timedelta(seconds=i) for i in range(N)], "number"),
    "numbers written as text": ([f" {i}.5" for i in range(N)], "number"),
    "short text": (["a", "b", "c"] * (N // 3), "category"),
    "codes with leading zeros": ([f"{i % 30:03}" for i in range(N)], "category"),
    "a categorical": (pl.Series(["a", "b", "c"] * (N // 3), dtype=pl.Categorical), "category"),
    "an enum": (pl.Series(["a", "b", "c"] * (N // 3), dtype=pl.Enum(["a", "b", "c"])), "category"),
    "prose": ([f"this is sentence number {i}" for i in range(N)], "text"),
    "dates": ([date(2024, 1, 1) + timedelta(days=i) for i in range(N)], "time"),
    "datetimes": ([datetime(2024, 1, 1) + timedelta(hours=i) for i in range(N)], "time"),  # noqa: DTZ001 - naive is a case
    "dates written as text": ([f"2024-01-{i % 28 + 1:02}" for i in range(N)], "time"),
    "instants written as text": ([f"2024-01-{i % 28 + 1:02}T10:00:00Z" for i in range(N)], "time"),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_column_is_recognised(name: str) -> None:
    """From the type, and for text from what it holds."""
    values, kind = KINDS[name]
    assert [column.kind for column in table_with(values).signature.columns if column.name == "c"] == [kind]


DROPPED = {
    "all null": ([None] * N, "only nulls"),
    "constant": ([5] * N, "same in every row"),
    "row numbers": (list(range(100, 100 + N)), "counts the rows"),
    "unique codes": ([f"id-{i}" for i in range(N)], "different in nearly every row"),
    "lists": ([[i] for i in range(N)], "of type List"),
    "structs": ([{"a": i} for i in range(N)], "of type Struct"),
    "bytes": ([bytes([i]) for i in range(N)], "of type Binary"),
}


@pytest.mark.parametrize("name", DROPPED)
def test_what_cannot_help_is_dropped_with_the_reason(name: str) -> None:
    """The signature and the findings both tell."""
    values, reason = DROPPED[name]
    table = table_with(values)
    assert [drop.name for drop in table.signature.dropped] == ["c"]
    assert reason in table.signature.dropped[0].reason
    assert any(finding.column == "c" and reason in finding.message for finding in table.findings)


def test_a_kind_can_be_overruled() -> None:
    """Whole numbers as categories are text to the model."""
    table = table_with([i % 4 for i in range(N)], columns={"c": "category"})
    column = table.signature.columns[1]
    assert (column.kind, column.levels) == ("category", ("0", "1", "2", "3"))
    assert table.frame["c"].to_list()[:4] == ["0", "1", "2", "3"]


def test_a_column_can_be_ignored() -> None:
    """It is listed among the dropped."""
    table = table_with([i % 4 for i in range(N)], ignore=["c"])
    assert table.signature.names == ("other",)
    assert table.signature.dropped[0].reason == "was ignored as asked"


TARGETS = {
    "two strings": (TARGET, "binary", ("no", "yes")),
    "booleans": ([i % 2 == 0 for i in range(N)], "binary", ("false", "true")),
    "zero and one": ([i % 2 for i in range(N)], "binary", (0, 1)),
    "zero and one as floats": ([float(i % 2) for i in range(N)], "binary", (0, 1)),
    "few whole numbers": ([i % 5 for i in range(N)], "multiclass", (0, 1, 2, 3, 4)),
    "many whole numbers": (list(range(N)), "regression", ()),
    "fractions": ([i / 3 for i in range(N)], "regression", ()),
    "five floats": ([float(i % 5) for i in range(N)], "regression", ()),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_task_is_read_from_the_target(name: str) -> None:
    """Text and booleans are classes; numbers are classes if whole and few."""
    values, task, classes = TARGETS[name]
    table = infer(pl.DataFrame({"x": [float(i % 7) for i in range(N)], "y": values}), "y")
    assert table.signature.task == task
    assert table.signature.classes == classes
    if classes:
        assert [classes[int(number)] for number in table.y[:5]] == _as_classes(values[:5], classes)
    else:
        np.testing.assert_array_equal(table.y, np.array(values, dtype=float))


def _as_classes(values: list[Any], classes: tuple[Any, ...]) -> list[Any]:
    if isinstance(values[0], bool):
        return [str(value).lower() for value in values]
    return [type(classes[0])(value) for value in values]


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    """A finding tells how many."""
    frame = pl.DataFrame({"x": [float(i) for i in range(50)], "y": [None] * 10 + [1.5 * i for i in range(40)]})
    table = infer(frame, "y")
    assert table.frame.height == 40
    assert table.y[0] == 0.0
    assert any("10 of 50 rows have no target" in finding.message for finding in table.findings)


def test_ranges_and_levels_are_described() -> None:
    """For documentation and checks: infinities are no range, levels stand in order of frequency."""
    frame = pl.DataFrame(
        {"x": [float("inf"), 2.0, -1.0, None] * 15, "c": ["b", "b", "a", None] * 15, "y": ["u", "v"] * 30}
    )
    x, c = infer(frame, "y").signature.columns
    assert (x.minimum, x.maximum, x.nullable) == (-1.0, 2.0, True)
    assert (c.levels, c.nullable) == (("b", "a"), True)


@pytest.mark.parametrize(
    ("frame", "options", "error", "words"),
    [
        ({"x": [1.0] * N, "y": TARGET}, {"target": "z"}, DataError, "no target 'z'"),
        ({"x": [1.0, 2.0] * 30, "y": [None] * N}, {}, DataError, "null in all 60 rows"),
        ({"x": [1.0, 2.0] * 5, "y": ["a", "b"] * 5}, {}, DataError, "10 rows with a target"),
        ({"x": [1.0, 2.0] * 30, "y": ["a"] * N}, {}, DataError, "'a' in every row"),
        ({"x": [1.0, 2.0] * 30, "y": [7] * N}, {}, DataError, "7 in every row"),
        ({"x": [1.0, 2.0] * 30, "y": [f"c{i}" for i in range(N)]}, {}, DataError, "60 classes in 60 rows"),
        ({"x": [1.0, 2.0] * 30, "y": ["a", "b", "c"] * 20}, {"task": "binary"}, DataError, "3 classes, not 2"),
        ({"x": [1.0, 2.0] * 30, "y": TARGET}, {"task": "regression"}, DataError, "no quantity"),
        ({"x": [1.0, 2.0] * 30, "y": [0.5, 1.5] * 30}, {"task": "multiclass"}, DataError, "fractions"),
        ({"x": [1.0, 2.0] * 30, "y": [float("inf"), 1.5] * 30}, {}, DataError, "is inf in row 0"),
        ({"x": [1.0, 2.0] * 30, "y": [[1], [2]] * 30}, {}, DataError, "one value for each row"),
        ({"x": [1.0, 2.0] * 30, "y": TARGET}, {"task": "guess"}, InputError, "auto, binary, multiclass"),
        ({"x": [1.0, 2.0] * 30, "y": TARGET}, {"columns": {"x": "colour"}}, InputError, "cannot be 'colour'"),
        ({"x": [1.0, 2.0] * 30, "y": TARGET}, {"ignore": ["x"]}, DataError, "No column is left"),
        ({"label": [1.0, 2.0] * 30, "y": TARGET}, {}, DataError, "name of a model's output"),
        ({"x": [str(i) for i in range(N - 1)] + ["n.a."], "y": TARGET}, {}, DataError, "row 59 holds 'n.a.'"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_refused(
    frame: dict[str, Any], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Place, value, remedy."""
    with pytest.raises(error) as caught:
        infer(pl.DataFrame(frame), options.pop("target", "y"), **options)
    assert words in str(caught.value)
