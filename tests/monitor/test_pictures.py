"""The charts of a report for notebooks and for its page: of real comparisons, and drawn."""

import html
import re
from typing import Any

import polars as pl
import pytest

from monitor import compare
from monitor.charts import overlay
from monitor.pictures import distribution
from storage import DataError, UnknownNameError
from storage.drawing import draw
from tests.refusals import raises

LEVELS = ["", "(empty)", "1 other level", *(f"{'a long name ' * 6}{number}" for number in range(2))]
REFERENCE = pl.DataFrame(
    {"age": list(range(100)) * 2, "town": ["Ulm"] * 150 + ["Bonn"] * 50, "none": [None] * 200, "odd": LEVELS * 40}
)
CURRENT = REFERENCE.with_columns(pl.col("age") + 40, pl.lit("Bonn").alias("town"))


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a chart's data, wherever Altair put them."""
    return next(iter(spec["datasets"].values())) if "datasets" in spec else spec["data"]["values"]


def test_a_reports_chart_of_numbers_shows_both_sides() -> None:
    """Shares of rows over bins, which add up to one, and a step to the last edge."""
    report = compare(REFERENCE, CURRENT)
    rows = values(report.chart("age").to_dict())
    for side in ("reference", "current"):
        assert sum(row[side] for row in rows[:-1]) == pytest.approx(1.0)
        assert rows[-1][side] == rows[-2][side]
    assert (rows[0]["edge"], rows[0]["current"]) == (-0.5, 0.0)
    assert "<path" in draw(report.chart("age"), "c").svg


def test_a_reports_chart_of_levels_shows_both_sides() -> None:
    """Three in four were Ulm, and none is."""
    spec = compare(REFERENCE, CURRENT).chart("town").to_dict()
    shares = {(row["place"], row["side"]): row["share"] for row in values(spec)}
    assert shares == {(0, "reference"): 0.75, (1, "reference"): 0.25, (0, "current"): 0.0, (1, "current"): 1.0}
    drawn = draw(distribution(compare(REFERENCE, CURRENT).columns[1]), "c").svg
    assert [name for name in re.findall(r">([^<]+)</text>", drawn) if name in ("Ulm", "Bonn")] == ["Ulm", "Bonn"]


def test_what_has_no_chart_is_told() -> None:
    """A name that no column has, with those that there are; a column without values."""
    report = compare(REFERENCE, CURRENT)
    with raises(UnknownNameError, "The report has no column 'size'. It has 'age', 'town', 'none', 'odd'."):
        report.chart("size")
    with raises(DataError, "Column 'none' has no values to draw. Its note says why: There is no value on either side."):
        report.chart("none")


def test_levels_never_share_a_bar() -> None:
    """An empty text beside a level called (empty), and two long names that are the same when they are cut."""
    column = compare(REFERENCE, CURRENT).columns[3]
    rows = values(distribution(column))
    assert [row["share"] for row in rows] == [0.2] * 10
    assert len({(row["place"], row["side"]) for row in rows}) == 10
    svg = str(draw(distribution(column), "c").svg)
    labels = re.findall(r">([^<]+)</text>", html.unescape(svg))
    assert [labels.count(name) for name in ("((empty))", "(empty)", "1 other level")] == [1, 1, 1]
    assert html.unescape(str(overlay(column))).count("((empty))") == 1


def test_the_sum_of_all_other_levels_is_named_as_no_level_is() -> None:
    """Also where a level of the data is called so."""
    many = [f"level {number}" for number in range(30)]
    table = pl.DataFrame({"x": many * 20 + ["21 other levels"] * 200})
    (column,) = compare(table, table).columns
    labels = re.findall(r">([^<]+)</text>", str(draw(distribution(column), "c").svg))
    assert [labels.count(name) for name in ("21 other levels", "(21 other levels)")] == [1, 1]


def test_the_sum_of_all_other_levels_has_no_bar() -> None:
    """It would be so long that those of the levels could not be seen; its shares are told."""
    many = pl.Series([f"level {number}" for number in range(500)])
    (column,) = compare(pl.DataFrame({"x": many.extend(many)}), pl.DataFrame({"x": many.head(400)})).columns
    rows = values(distribution(column))
    assert max(row["share"] for row in rows if "share" in row) < 0.01
    assert [row["told"] for row in rows if "told" in row] == ["98% → 98%"]
    labels = re.findall(r">([^<]+)</text>", str(draw(distribution(column), "c").svg))
    assert [labels.count(name) for name in ("490 other levels", "98% → 98%")] == [1, 1]


def test_names_of_levels_are_no_expression() -> None:
    """Whoever sends traffic writes them; quotes and backslashes stay what they are."""
    names = ['"] + now() + ["', "\\u0041", "</script>", "a'b"]
    table = pl.DataFrame({"x": names * 50})
    (column,) = compare(table, table).columns
    labels = re.findall(r">([^<]+)</text>", str(draw(distribution(column), "c").svg))
    assert set(names) <= {html.unescape(label) for label in labels}
