"""The sections below the columns: told, escaped, and never the end of the page."""

from typing import Any

import msgspec
import polars as pl
import pytest

from monitor import compare
from monitor.checks import check, suggest
from monitor.harm import Harm, HarmRanking
from monitor.page import render
from monitor.parts import parts, safely
from monitor.report import EndpointReport, Examples, LeftOut

NASTY = "<script>alert(1)</script>"


def endpoint_report(**sections: Any) -> EndpointReport:
    """Of two equal tables of three columns."""
    frame = pl.DataFrame({"a": range(100), "b": range(100), NASTY: range(100)})
    drift = compare(frame, frame)
    told = {name: getattr(drift, name) for name in drift.__struct_fields__}
    return EndpointReport(**told, check="drift", sentence=f"All is well, {NASTY}", breached=False, **sections)


def test_sentence_and_what_was_left_out_are_told_and_escaped() -> None:
    """Reasons, sentences and examples hold what strangers wrote."""
    report = endpoint_report(
        left_out=(LeftOut("bias", f"No facet {NASTY}"),), examples=(Examples("a", "new levels", (NASTY,)),)
    )
    page = render(report)
    assert "<script" not in page
    assert "Left out: bias. No facet &lt;script&gt;" in page
    assert "New levels: &lt;script&gt;" in page


def test_columns_are_sorted_by_harm() -> None:
    """The most harmful one first; one without a harm last."""
    harm = HarmRanking(columns=(Harm("b", 0.7, 0.1, 0.07, ""), Harm("a", 0.3, 0.1, 0.03, "")), loss=None, note="")
    page = render(endpoint_report(harm=harm))
    assert page.index("<b>b</b>") < page.index("<b>a</b>") < page.index("<b>&lt;script&gt;")
    assert "importance 70%, harm 0.07" in page


def test_broken_section_gives_a_note(caplog: pytest.LogCaptureFixture) -> None:
    """A section of the wrong type breaks; the page has all others, the log the error."""
    broken = msgspec.structs.replace(endpoint_report(), multivariate=object())  # type: ignore[arg-type]
    page = render(broken)
    assert "This section could not be drawn (AttributeError)" in page
    assert "What was tested" in page
    assert "'All columns together' of a report's page failed" in caplog.text


def test_why_few_rows_say_nothing_of_data_quality_is_told() -> None:
    """On the page and in Markdown too, whatever check the report is of."""
    usual = pl.DataFrame({"a": range(100)})
    (quality, _) = parts(endpoint_report(quality=check(usual.head(5), suggest(usual))))
    why = "There are 5 rows, and the baseline has 100: that nothing was found in fewer than 30 says nothing."
    assert quality.lines == ("Too few rows.", why)


def test_what_was_tested_is_told_of_two_tables() -> None:
    """Rows, level and columns; there are no other sections."""
    frame = pl.DataFrame({"a": range(100)})
    (tested,) = parts(compare(frame, frame.head(40)))
    assert tested.rows == (("each column", "40", "100", "0.05", "1 of 1 column"),)


def test_other_methods_are_tested_at_no_level() -> None:
    """They state no chance of a false alarm."""
    frame = pl.DataFrame({"a": range(100)})
    (tested,) = parts(compare(frame, frame.head(40), method="sagemaker-robust"))
    assert tested.rows == (("each column", "40", "100", "–", "1 of 1 column"),)


def test_nothing_to_tell_is_no_section() -> None:
    """None stays None."""
    assert safely("x", lambda: None) is None
