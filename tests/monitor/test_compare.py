"""The comparison of two tables as users call it."""

from collections.abc import Callable
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import monitor
from monitor import DriftReport, compare
from monitor.compare import METHODS, MINIMUM_ROWS
from monitor.page import render
from storage import DataError, SettingError

REFERENCE = pl.DataFrame({"age": range(1000), "town": ["Ulm", "Bonn"] * 500})
CURRENT = pl.DataFrame({"age": range(400, 1400), "town": ["Bonn", "Ulm"] * 500})


def test_the_report_says_which_column_drifted() -> None:
    """The age moved by 400 of 1000, the towns did not."""
    report = compare(REFERENCE, CURRENT)
    assert (report.verdict, report.drifted, report.rows, report.reference_rows) == ("drift", True, 1000, 1000)
    age, town = report.columns
    assert (age.name, age.kind, age.drifted, age.effect) == ("age", "number", True, pytest.approx(0.4))
    assert (town.name, town.kind, town.drifted, town.effect) == ("town", "category", False, 0.0)
    assert age.threshold == town.threshold == 0.025


def test_times_that_were_written_as_text_do_not_drift() -> None:
    """Later rows have later ones, whatever has changed, and a file of a month shares none with that of another."""
    days = [f"2024-05-{day:02}T08:00:00Z" for day in range(1, 31)] * 10
    (column,) = compare(
        pl.DataFrame({"at": days}), pl.DataFrame({"at": [day.replace("-05-", "-06-") for day in days]})
    ).columns
    assert (column.kind, column.verdict) == ("time", "not tested")


def test_a_table_like_itself_has_no_drift() -> None:
    """Each p-value is 1."""
    report = compare(REFERENCE, REFERENCE)
    assert (report.verdict, report.drifted) == ("no drift", False)
    assert [column.p_value for column in report.columns] == [1.0, 1.0]


@pytest.mark.parametrize(
    "convert",
    [
        pl.DataFrame.lazy,
        pl.DataFrame.to_arrow,
        lambda frame: pd.DataFrame(frame.to_dict(as_series=False)),
        lambda frame: frame.to_arrow().to_reader(),
    ],
    ids=["polars lazy", "pyarrow", "pandas", "arrow stream"],
)
def test_tables_of_all_kinds_are_taken(convert: Callable[[pl.DataFrame], Any]) -> None:
    """The same table gives the same report."""
    assert compare(convert(REFERENCE), convert(CURRENT)) == compare(REFERENCE, CURRENT)


@pytest.mark.parametrize("method", ["calibrated", "psi"])
def test_files_are_read_column_by_column(method: str, tmp_path: Path) -> None:
    """Parquet files give the report of their tables; a file that is none, or lacks a column, is named."""
    before, after, broken = (tmp_path / name for name in ("before", "after", "broken"))
    REFERENCE.write_parquet(before)
    CURRENT.with_columns(more=1).write_parquet(after)
    broken.write_text("no Parquet")
    report = compare(before, after, method=method)
    assert report == compare(REFERENCE, CURRENT.with_columns(more=1), method=method)
    assert report.extra == ("more",)
    with pytest.raises(DataError, match=r"The current file .*broken' cannot be read as Parquet"):
        compare(before, broken, method=method)
    with pytest.raises(DataError, match="lacks 'more'"):
        compare(after, before, method=method)


def test_gaps_of_pandas_are_missing_values() -> None:
    """NaN and None are the same gap."""
    table = pd.DataFrame({"x": [1.0, np.nan] * 50, "y": ["a", None] * 50})
    report = compare(table, pa.Table.from_pandas(table))
    assert [column.missing.current for column in report.columns] == [50, 50]
    assert report.verdict == "no drift"


@pytest.mark.parametrize("rows", [0, 1, MINIMUM_ROWS - 1])
def test_few_rows_are_not_judged(rows: int) -> None:
    """Nothing is tested then, however different the rows are; each column says why."""
    report = compare(REFERENCE, CURRENT.head(rows).with_columns(age=pl.lit(-1)))
    assert (report.verdict, report.drifted, report.rows) == ("too few rows", False, rows)
    assert [column.p_value for column in report.columns] == [None, None]
    assert report.columns[0].note == f"A comparison needs 30 rows on either side; there are 1,000 and {rows}."
    assert compare(CURRENT.head(rows), REFERENCE).verdict == "too few rows"


def test_the_least_rows_are_judged() -> None:
    """30 rows on either side are enough to find what is plain."""
    assert compare(REFERENCE, CURRENT.tail(MINIMUM_ROWS)).columns[0].drifted


ODD_COLUMNS: dict[str, tuple[list[Any], list[Any]]] = {
    "constant": ([1] * 100, [1] * 100),
    "constant that changed": ([1] * 100, [2] * 100),
    "all null": ([None] * 100, [None] * 100),
    "nulls that got values": ([None] * 100, ["a"] * 100),
    "values that got lost": (list(range(100)), [None] * 100),
    "infinite": ([float("inf")] * 100, [float("-inf")] * 100),
    "nan": ([float("nan")] * 100, [float("nan")] * 100),
    "huge": ([1e308, -1e308] * 50, [1e308, 5e-324] * 50),
    "number to text": (list(range(100)), ["n/a"] * 100),
    "text to number": (["a", "b"] * 50, [0.5, 1.5] * 50),
    "time to text": ([datetime(2024, 5, 1)] * 100, ["soon"] * 100),  # noqa: DTZ001
    "lists": ([[1]] * 100, [[2]] * 100),
    "structs": ([{"a": 1}] * 100, [{"a": 2}] * 100),
    "bytes": ([b"x"] * 100, [b"y"] * 100),
    "empty text": ([""] * 100, ["", "a"] * 50),
    "long text": (["x" * 10_000] * 100, ["y" * 10_000] * 100),
    "one in a hundred": ([1] * 99 + [None], [1] * 100),
}


@pytest.mark.parametrize("name", ODD_COLUMNS)
def test_an_odd_column_does_not_kill_the_report(name: str) -> None:
    """Whatever one column is, the others are judged, and the report can be written."""
    odd = [pl.DataFrame({name: values}, strict=False) for values in ODD_COLUMNS[name]]
    sides = [side.with_columns(age=pl.int_range(100) + shift) for side, shift in zip(odd, (0, 40), strict=True)]
    report = compare(*sides)
    assert [column.name for column in report.columns] == [name, "age"]
    assert report.columns[1].drifted
    assert DriftReport.parse(report.json()) == report


@pytest.mark.parametrize(
    ("name", "drifted"),
    [
        ("constant", False),
        ("constant that changed", True),
        ("nulls that got values", True),
        ("values that got lost", True),
        ("infinite", True),
        ("number to text", True),
        ("text to number", True),
        ("time to text", True),
        ("one in a hundred", False),
    ],
)
def test_odd_columns_have_a_verdict(name: str, drifted: bool) -> None:
    """A type that changed shows as values that went missing; a constant as such."""
    reference, current = (pl.DataFrame({name: values}, strict=False) for values in ODD_COLUMNS[name])
    assert compare(reference, current).drifted is drifted


@pytest.mark.parametrize("name", ["all null", "nan", "lists", "structs", "bytes"])
def test_what_cannot_be_tested_says_why(name: str) -> None:
    """Method `none`, no p-value, and a reason."""
    column = compare(*(pl.DataFrame({name: values}, strict=False) for values in ODD_COLUMNS[name])).columns[0]
    assert (column.method, column.p_value, column.drifted) == ("none", None, False)
    assert column.note


def test_a_lost_column_is_an_error_that_names_it() -> None:
    """It is no drift; something upstream is broken."""
    with pytest.raises(DataError, match="The current table lacks 'town', which the reference has"):
        compare(REFERENCE, CURRENT.drop("town"))


def test_a_column_that_only_the_current_table_has_is_listed() -> None:
    """There is nothing to compare it with."""
    report = compare(REFERENCE, CURRENT.with_columns(extra=1))
    assert report.extra == ("extra",)
    assert len(report.columns) == 2


def test_kinds_can_be_told() -> None:
    """A number that stands for a category, such as a postal code."""
    report = compare(REFERENCE, REFERENCE, kinds={"age": "category"})
    assert [column.kind for column in report.columns] == ["category", "category"]


@pytest.mark.parametrize("level", [0.0, 1.0, -1, 5])
def test_a_level_is_a_chance(level: float) -> None:
    """5 is not 5%."""
    with pytest.raises(SettingError, match=f"level is {level}, which is no chance"):
        compare(REFERENCE, CURRENT, level=level)


def test_an_unknown_method_is_answered_with_the_known_ones() -> None:
    """The list is the registry's own."""
    with pytest.raises(SettingError, match=f"method is 'guess', which is unknown. Methods are: {', '.join(METHODS)}."):
        compare(REFERENCE, CURRENT, method="guess")


@pytest.mark.parametrize("data", [3, "file.csv", None, object()])
def test_what_is_no_table_is_refused(data: object) -> None:
    """The error names the side and what it got."""
    with pytest.raises(DataError, match=f"The current table is a {type(data).__name__} that Polars cannot read"):
        compare(REFERENCE, data)


def test_a_file_by_its_name_is_answered_with_how_files_are_named() -> None:
    """A string may be anything."""
    with pytest.raises(DataError, match=r"The current table is a str .*: a file is named by a pathlib.Path"):
        compare(REFERENCE, "june.parquet")


def test_a_reference_without_columns_is_refused() -> None:
    """An empty frame would compare to everything."""
    with pytest.raises(DataError, match="The reference table has no columns"):
        compare(pl.DataFrame(), CURRENT)


def test_json_has_the_promised_keys() -> None:
    """Scripts rely on them."""
    document = msgspec.json.decode(compare(REFERENCE, CURRENT).json())
    assert document.keys() >= {"verdict", "drifted", "rows", "columns"}
    promised = {"name", "method", "statistic", "p_value", "effect", "threshold", "drifted"}
    assert all(column.keys() >= promised for column in document["columns"])
    assert document["columns"][0]["drifted"] is True


def test_an_infinite_distance_survives_json() -> None:
    """It is null there, and the column was tested all the same."""
    reference = pl.DataFrame({"t": ["a", "b", "c"] * 40, "day": [date(2024, 5, 1)] * 120})
    report = compare(reference, reference.with_columns(t=pl.Series(["a", "b"] * 60)), method="kullback-leibler")
    assert [(column.statistic, column.tested) for column in report.columns] == [(float("inf"), True), (None, False)]
    assert msgspec.json.decode(report.json())["columns"][0]["statistic"] is None
    again = DriftReport.parse(report.json())
    assert again == report
    assert render(again) == render(report)


def test_the_table_begins_with_what_drifted() -> None:
    """Then larger effects, then what was not tested."""
    table = compare(
        REFERENCE.select(a=1, town="town", age="age", when=pl.lit(datetime(2024, 5, 1))),  # noqa: DTZ001
        CURRENT.select(a=1, town="town", age="age", when=pl.lit(datetime(2024, 6, 1))),  # noqa: DTZ001
    ).table()
    assert table.get_column("name").to_list() == ["age", "a", "town", "when"]
    assert table.get_column("drifted").to_list() == [True, False, False, False]
    assert table.columns[:8] == ["name", "kind", "method", "statistic", "p_value", "effect", "threshold", "drifted"]


def test_the_package_exports_what_design_promises() -> None:
    """`monitor.compare` is the function, also after its module was imported."""
    assert monitor.compare is compare
    assert callable(monitor.run)


def test_a_broken_column_costs_no_other_one() -> None:
    """Polars panics at a date of the year five million, as a Parquet file can hold it."""
    broken = pl.Series("day", [2**31 - 1] * 60, dtype=pl.Int32).cast(pl.Date)
    table = pl.DataFrame([broken, pl.Series("x", range(60))])
    for method in ("calibrated", "evidently", "nannyml", "sagemaker-robust", "psi"):
        day, x = compare(table, table, method=method).columns
        assert (day.tested, day.drifted, x.tested) == (False, False, True), method
        assert "It could not be read (PanicException); the log says more." in day.note


def test_files_of_many_columns_are_read_some_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, with names that look like patterns; the report is that of tables in memory."""
    rng = np.random.default_rng(0)
    names = [*(f"x{number}" for number in range(25)), "^x.*$", "*"]
    sides = [pl.DataFrame({name: rng.normal(size=60) for name in order}) for order in (names, names[::-1])]
    paths = [tmp_path / name for name in ("reference", "current")]
    for side, path in zip(sides, paths, strict=True):
        side.write_parquet(path)
    for values in (1, 600, 1_000_000):
        monkeypatch.setattr(import_module("monitor.compare"), "_READ_VALUES", values)
        assert compare(*paths) == compare(*sides)
