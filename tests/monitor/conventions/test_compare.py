"""Other products' rules and single measures, asked for by name of `compare` and on the page."""

import math

import polars as pl
import pytest
from msgspec.structs import replace

from monitor import compare
from monitor.charts import number, p_text
from monitor.compare import METHODS
from monitor.conventions import CONVENTIONS
from monitor.drift import DriftReport
from monitor.markdown import markdown
from monitor.page import render
from storage.errors import SettingError
from tests.monitor.conventions.asked import answers_of, asked_tables


def sides_of(number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both sides of a table that the products were asked about, without its texts."""
    columns = [c for name, c in asked_tables()[number][1].items() if name not in ("text", "names")]
    return pl.DataFrame([c.reference for c in columns]), pl.DataFrame([c.current for c in columns])


@pytest.mark.parametrize("number", [0, 3, 11])
def test_compare_says_what_evidently_said(number: int) -> None:
    """Column by column; the table's verdict is by half of the columns."""
    report = compare(*sides_of(number), method="evidently")
    said = answers_of("evidently")["tables"][number]["columns"]
    assert {column.name: column.drifted for column in report.columns} == {
        column.name: said[column.name][3] for column in report.columns
    }
    share = sum(column.drifted for column in report.columns) / len(report.columns)
    assert report.drifted == (share >= 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_a_page_and_json(method: str) -> None:
    """With a threshold where it needs one."""
    threshold = 0.1 if method not in (*CONVENTIONS, "calibrated") else None
    report = compare(*sides_of(3), method=method, threshold=threshold)
    assert DriftReport.parse(report.json()) == report
    assert report.tested
    assert all(column.name in render(report) for column in report.columns)
    assert ("Chance of a false alarm" in render(report)) == (method == "calibrated")


def test_psi_by_name_has_a_threshold_and_bins() -> None:
    """A tenth of the rows left the first bin for the last: 0.1 ln(25 / 15) + 0.1 ln(35 / 25) = 0.085."""
    reference, current = pl.DataFrame({"x": range(1000)}), pl.DataFrame({"x": range(100, 1100)})
    found = [compare(reference, current, method="psi", threshold=t, bins=4).columns[0] for t in (0.08, 0.09)]
    assert [(column.method, column.drifted) for column in found] == [("PSI in 4 bins", True), ("PSI in 4 bins", False)]


@pytest.mark.parametrize(
    ("method", "way", "value", "at"),
    [
        ("psi", "whose distance is at least the one that it alarms at", "value", "0.2 or more"),
        ("kolmogorov-smirnov", "whose p-value is at most the one that it alarms at", "p-value", "0.050 or less"),
        ("evidently", "whose distance is at least the one that it alarms at", "value", "0.1 or more"),
    ],
)
def test_which_way_a_rule_goes_is_told(method: str, way: str, value: str, at: str) -> None:
    """On the page and in the Markdown, of the table and of each column, with the value that was measured."""
    report = compare(pl.DataFrame({"x": range(2000)}), pl.DataFrame({"x": range(1000, 3000)}), method=method)
    page, written = render(report), markdown(report)
    (column,) = report.columns
    assert f"It marks a column {way}." in page
    assert f"It marks a column {way}." in written
    assert f"and the rule alarms at {at}." in page
    assert f"<dt>Alarms at</dt><dd>{at}</dd>" in page
    assert f"| column | test | {value} | effect |" in written
    measured = number(column.statistic or 0.0) if value == "value" else p_text(column.p_value or 0.0)
    assert f"| {measured} | 50% | {at} | 0% | **drift** |" in written


def test_a_rule_of_both_kinds_goes_both_ways() -> None:
    """As Evidently's of texts and others does; nothing is said of a rule where nothing was tested."""
    report = compare(*sides_of(3), method="evidently")
    both = replace(report.columns[0], p_value=0.5), replace(report.columns[0], p_value=None)
    told = markdown(replace(report, columns=both))
    assert "whose p-value is at most the one that it alarms at or whose distance is at least the one that" in told
    assert "It marks" not in markdown(replace(report, columns=()))


def test_a_few_rows_are_judged_by_who_judges_a_few_rows() -> None:
    """Ours asks for 30; the others do not."""
    reference, current = pl.DataFrame({"x": range(20)}), pl.DataFrame({"x": range(100, 120)})
    assert compare(reference, current).verdict == "too few rows"
    assert compare(reference, current, method="evidently").verdict == "drift"
    nothing = compare(reference, current.clear(), method="evidently")
    assert nothing.verdict == "too few rows"
    assert nothing.columns[0].note == "A comparison needs 1 row on either side; there are 20 and 0."
    assert "There are 0 current rows and 20 reference rows, and a comparison needs 1 on either side." in render(nothing)


def test_an_infinite_distance_is_a_verdict_in_json_too() -> None:
    """Kullback-Leibler's of a level that is gone; JSON has no such number."""
    both, one = pl.DataFrame({"x": ["a", "b"] * 50}), pl.DataFrame({"x": ["a"] * 100})
    report = compare(both, one, method="kullback-leibler")
    assert '"statistic":null' in report.json().decode()
    read = DriftReport.parse(report.json())
    assert (report.columns[0].statistic, read.columns[0].statistic) == (math.inf, math.inf)
    assert (report.tested, read.tested, read.columns[0].verdict) == (1, 1, "drift")


def test_settings_of_another_method_are_refused() -> None:
    """Rather than ignored."""
    reference = pl.DataFrame({"x": range(100)})
    with pytest.raises(SettingError, match="of its own"):
        compare(reference, reference, method="evidently", threshold=0.2)
    with pytest.raises(SettingError, match="and bins None, of which method 'calibrated' takes none"):
        compare(reference, reference, threshold=0.2)
    with pytest.raises(SettingError, match="Methods are"):
        compare(reference, reference, method="kolmogorov")
