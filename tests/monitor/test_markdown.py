"""The report as Markdown."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from monitor import compare, run, sections
from monitor.looked import compared_kinds
from monitor.markdown import markdown
from storage import Store
from tests import portable
from tests.monitor import till

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_names_cannot_break_the_table() -> None:
    """Pipes, backticks, tags and line breaks of a name stay in its cell."""
    evil = "a|b`c`\n<script>"
    told = markdown(compare(pl.DataFrame({evil: range(60)}), pl.DataFrame({evil: range(60)})))
    assert "| a\\|b\\`c\\` \\<script\\> | Kolmogorov-Smirnov |" in told
    assert told.startswith("# No drift\n")


@pytest.mark.parametrize(
    ("method", "level"),
    [("calibrated", "0.05"), ("evidently", "–")],
)
def test_a_level_is_told_of_the_method_that_keeps_one(method: str, level: str) -> None:
    """The others state no chance of a false alarm."""
    frame = pl.DataFrame({"a": range(100)})
    told = markdown(compare(frame, frame, method=method))
    assert f"| each column | 100 | 100 | {level} | 1 of 1 column |" in told


def test_all_sections_of_an_endpoint_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same is in the store; however busy the machine is, which decides whether answers are explained."""
    monkeypatch.setattr(sections, "MOST_EXPLAINING_S", 1e9)
    version = till.deploy(store, portable.classifier(), NOW - timedelta(hours=2))
    till.send(store, version, till.rows(200, seed=1, amount=9.0), NOW - timedelta(hours=1))
    report, found = run(store, till.ENDPOINT, now=NOW, check="data-quality")
    told = store.reports.read_markdown(report).decode()
    assert [line[3:] for line in told.splitlines() if line.startswith("## ")] == [
        "Columns",
        "Quality over time",
        "Data quality",
        "All columns together",
        "What the model looks at",
        "What was tested",
    ]
    assert "| quality by labels |" not in told  # there are none, so nothing was tested by them
    assert "- Left out: bias. No facet was named." in told
    assert found.realised is not None
    assert found.realised.whole.labelled == 0
    page = store.reports.read_html(report).decode()
    for form, cell in ((page, "<td>by labels</td>"), (told.replace("\\`", "`"), "| by labels |")):
        assert cell not in form  # nor rows of dashes, but how labels come
        assert form.count("`autopilot endpoints labels till FILE` brings them, or PUT /api/endpoints/till/labels.") == 1
    assert (report.check, report.verdict, report.breached) == ("data-quality", "violations", True)
    assert found.sentence.startswith("1 constraint of data quality broken in 200 rows of 'till'")


def test_no_value_of_a_sensitive_or_redacted_column_is_in_a_report(store: Store) -> None:
    """In none of its three forms."""
    columns = tuple(
        msgspec.structs.replace(column, sensitive=True, levels=()) if column.name == "town" else column
        for column in portable.COLUMNS
    )
    signature = msgspec.structs.replace(portable.CLASSIFIER, columns=columns)
    assert "town" in compared_kinds(signature)
    version = till.deploy(store, portable.classifier(signature=signature), NOW - timedelta(hours=2))
    sent = [{**row, "town": "Atlantis", "amount": 987654.25} for row in till.rows(200, seed=1)]
    till.send(store, version, sent, NOW - timedelta(hours=1), redact={"amount": "hash"})
    report, found = run(store, till.ENDPOINT, now=NOW, check="bias", facets=("town=Atlantis", "town=Ulm"))
    assert found.bias is not None
    assert [facet.name for facet in found.bias.facets] == ["town group 1", "town group 2"]
    for data in (store.reports.read_json, store.reports.read_html, store.reports.read_markdown):
        for value in (b"Atlantis", b"987654", b"Ulm", b"Bonn", b"Rome"):
            assert value not in data(report)
