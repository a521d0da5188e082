"""What a report found beside its columns is on the page and in the Markdown: of real traffic, labels and groups."""

import html
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from monitor import pictures, run
from monitor.charts import number
from monitor.markdown import markdown, text
from monitor.page import render
from monitor.parts import parts, rows_tested
from monitor.performance.figures import Figure
from monitor.performance.windows import Levels
from monitor.report import EndpointReport
from storage import Store
from tests import portable
from tests.monitor import till

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Told(NamedTuple):
    """A report in its three forms."""

    report: EndpointReport
    page: str
    markdown: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Three hours of 200 rows, one answer in five of which was wrong; most large amounts are of Ulm now."""
    store = Store.open(tmp_path_factory.mktemp("told") / "store")
    version = till.deploy(store, portable.classifier(), NOW - 6 * HOUR, truths=True)
    for hours in (2, 3, 4):
        rows = till.rows(200, seed=hours)
        for row in rows[::2]:
            row["town"] = "Ulm" if row["amount"] > 5 else "Bonn"
        till.send(store, version, rows, NOW - hours * HOUR)
    till.label(store, NOW)
    made, report = run(store, till.ENDPOINT, now=NOW, check="attribution", facets=("amount>5", "town=Ulm"))
    page, as_markdown = store.reports.read_html(made).decode(), store.reports.read_markdown(made).decode()
    yield Told(report, html.unescape(page), as_markdown)
    store.close()


def interval(figure: Figure) -> str:
    """The ends of its interval."""
    assert figure.low is not None
    assert figure.high is not None
    return f"{number(figure.low)} to {number(figure.high)}"


@pytest.mark.parametrize("how", ["by labels", "estimated"])
def test_quality_is_told_with_its_interval(told: Told, how: str) -> None:
    """In the whole window and in each hour, by labels and without."""
    found = told.report.realised if how == "by labels" else told.report.estimated
    assert found is not None
    figure = found.whole.figure(found.metric)
    assert figure.value is not None
    cells = (f"<td>{how}</td><td>{found.metric}</td><td>{number(figure.value)}</td><td>{interval(figure)}</td>",)
    hours = [window for window in found.windows if window.rows]
    assert [window.rows for window in hours] == [200] * 3
    cells += tuple(f"<td>{window.start:%Y-%m-%d %H:%M}</td><td>{how}</td>" for window in hours)
    for cell in cells:
        assert cell in told.page
    assert f"<p>{how.capitalize()}: {found.verdict}." in told.page
    assert f"{how.capitalize()}: {found.verdict}." in told.markdown
    name = text(found.metric)
    assert f"| whole | {how} | {name} | {number(figure.value)} | {interval(figure)} |" in told.markdown
    for window in hours:
        (line,) = (one for one in told.markdown.splitlines() if f"| {window.start:%Y-%m-%d %H:%M} | {how} |" in one)
        assert line.endswith(f" | {window.verdict} |")


@pytest.mark.parametrize("how", ["by labels", "estimated"])
def test_it_is_told_who_had_which_part_of_the_level(told: Told, how: str) -> None:
    """On the page, in the Markdown and in the JSON."""
    found = told.report.realised if how == "by labels" else told.report.estimated
    assert found is not None
    words = "2.5% for the whole period, 0.833% for each of 3 pieces"
    assert found.levels == Levels(whole=0.025, piece=0.025 / 3, pieces=3)
    assert f"<td>0.05</td><td>{found.metric}: {words}</td>" in told.page
    name = "quality by labels" if how == "by labels" else "quality estimated"
    (line,) = (one for one in told.markdown.splitlines() if one.startswith(f"| {name} | 600 | "))
    assert line.endswith(f" | 0.05 | {text(found.metric)}: {words} |")


def test_a_report_of_an_older_program_does_not_say_so(told: Told) -> None:
    """Which part of the level was whose; the level is there."""
    assert told.report.realised is not None
    assert told.report.estimated is not None
    realised = replace(told.report.realised, levels=None)
    older = replace(told.report, realised=realised, estimated=replace(told.report.estimated, levels=None))
    page, written = render(older), markdown(older)
    assert "for the whole period" not in page + written
    assert f"<td>0.05</td><td>{realised.metric}</td>" in page
    assert f" | 0.05 | {text(realised.metric)} |\n" in written


def test_page_and_markdown_tell_the_same(told: Told) -> None:
    """Each line and each cell of each section, what was tested among them."""
    sections = parts(told.report)
    assert [part.title for part in sections if part.rows] == [
        "Quality over time",
        "Bias",
        "What the model looks at",
        "What was tested",
    ]
    for part in sections:
        for line in part.lines:
            assert f"<p>{line}</p>" in told.page
            assert f"- {text(line)}\n" in told.markdown
        for row in part.rows:
            assert f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" in told.page
            assert f"| {' | '.join(map(text, row))} |\n" in told.markdown


def test_rows_that_count_are_those_with_labels(told: Told) -> None:
    """To a test of labels; the others were looked at for nothing."""
    assert told.report.realised is not None
    whole = replace(told.report.realised.whole, rows=1000)
    found = replace(told.report, realised=replace(told.report.realised, whole=whole))
    counts = {tested.what: tested.sides.current for tested in rows_tested(found)}
    assert (counts["quality by labels"], counts["quality estimated"], counts["bias"]) == (600, 600, 600)


def test_the_realised_quality_is_that_of_the_labels(told: Told) -> None:
    """One in five was wrong; the page has the share."""
    found = told.report.realised
    assert found is not None
    assert (found.whole.labelled, found.whole.figure("accuracy").value) == (600, 0.8)
    assert "<td>by labels</td><td>accuracy</td><td>0.8</td>" in told.page


def test_bias_is_told_of_each_group(told: Told) -> None:
    """In its words, a threshold with its sign, and each metric in a line."""
    found = told.report.bias
    assert found is not None
    assert [facet.name for facet in found.facets] == ["amount > 5", "town Ulm"]
    assert found.facets[0].alarms
    for facet in found.facets:
        assert f"<p>{facet.words}</p>" in told.page
        assert f"- {text(facet.words)}" in told.markdown
    (share,) = (one for one in found.facets[0].metrics if one.name == "DPPL")
    assert isinstance(share.value, float)
    assert f"<td>amount > 5</td><td>{share.description}</td><td>{number(share.value)}</td>" in told.page
    assert f"| amount \\> 5 | {text(share.description)} | {number(share.value)} |" in told.markdown


def test_attribution_is_told_of_each_column(told: Told) -> None:
    """In words, and the size of each column on both sides."""
    (found,) = told.report.attribution
    assert found.ndcg is not None
    assert f"<p>{found.words}</p>" in told.page
    assert f"- {text(found.words)}" in told.markdown
    assert {column.column for column in found.columns} == {"amount", "town", "visits", "seen"}
    for column in found.columns:
        sizes = f"<td>{number(column.reference)}</td><td>{number(column.current)}</td>"
        assert f"<td>yes</td><td>{column.column}</td>{sizes}" in told.page


def test_quality_over_time_is_drawn(told: Told) -> None:
    """A point for each hour and way, with its interval, and a line for the reference."""
    realised, estimated = told.report.realised, told.report.estimated
    assert realised is not None
    chart = pictures.quality_chart(realised, estimated)
    assert chart is not None
    spec = chart.to_dict()
    points = [one for rows in spec["datasets"].values() for one in rows if "how" in one]
    hours = [window for window in realised.windows if window.rows]
    values = [window.figure(realised.metric).value for window in hours]
    assert [one["value"] for one in points if one["how"] == "by labels"] == values
    assert all(one["low"] <= one["value"] <= one["high"] for one in points)
    (usual,) = (one["usual"] for rows in spec["datasets"].values() for one in rows if "usual" in one)
    assert usual == next(figure.value for figure in realised.reference if figure.metric == realised.metric)
    assert estimated is not None
    same = estimated.metric == realised.metric
    assert len(points) == 3 + 3 * same
    assert "Bars are 95% intervals; the dashed line is the reference." in told.page
    assert pictures.quality_chart(replace(realised, windows=realised.windows[:1]), None) is None
    assert pictures.quality_chart(None, None) is None


def test_a_broken_section_costs_no_other_one(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """A note in its place, on the page and in the Markdown, and a line in the log."""
    assert told.report.realised is not None
    assert told.report.bias is not None
    odd = replace(told.report.realised, metric=None, windows=None)  # what no version of ours writes
    broken = replace(told.report, realised=odd, bias=replace(told.report.bias, facets=None))
    page = render(broken)
    assert page.count("This section could not be drawn (") == 2
    assert "Its chart could not be drawn (TypeError); the log says more." in page
    assert "the chart of quality over time failed" in caplog.text
    written = markdown(broken)
    assert written.count("This section could not be drawn (TypeError); the log says more.") == 2
    for each in (page, written):
        for title in ("All columns together", "What the model looks at", "What was tested"):
            assert title in each


def test_a_chart_that_cannot_be_drawn_leaves_a_note(told: Told) -> None:
    """The figures of its section are there."""
    with patch.object(pictures, "quality_chart", side_effect=ValueError("no")):
        page = render(told.report)
    assert "Its chart could not be drawn (ValueError); the log says more." in page
    assert "<td>by labels</td><td>accuracy</td><td>0.8</td>" in page
