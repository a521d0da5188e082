"""Other products' rules and single measures, asked for by name of `compare` and on the page."""

import math

import polars as pl
import pytest

from monitor import compare
from monitor.compare import METHODS
from monitor.conventions import CONVENTIONS
from monitor.drift import DriftReport
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


def test_a_few_rows_are_judged_by_who_judges_a_few_rows() -> None:
    """Ours asks for 30; the others do not."""
    reference, current = pl.DataFrame({"x": range(20)}), pl.DataFrame({"x": range(100, 120)})
    assert compare(reference, current).verdict == "too few rows"
    assert compare(reference, current, method="evidently").verdict == "drift"
    assert compare(reference, current.clear(), method="evidently").verdict == "too few rows"


def test_an_infinite_distance_is_a_verdict_in_json_too() -> None:
    """Kullback-Leibler's of a level that is gone; JSON has no such number."""
    both, one = pl.DataFrame({"x": ["a", "b"] * 50}), pl.DataFrame({"x": ["a"] * 100})
    report = compare(both, one, method="kullback-leibler")
    read = DriftReport.parse(report.json())
    assert (report.columns[0].statistic, read.columns[0].statistic) == (math.inf, None)
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
