"""The report as a page."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import asdict, replace

from monitor import DriftReport, compare
from monitor.charts import percent
from monitor.checks import check, suggest
from monitor.drift import Counts, Histogram, Kind
from monitor.harm import rank_harm
from monitor.multivariate import multivariate
from monitor.over_time import examples, over_time
from monitor.page import DRAWN_COLUMNS, SHOWN_COLUMNS, TIMED_COLUMNS, Subject, render
from monitor.report import EndpointReport

SUBJECT = Subject("till", "flights", 3, datetime(2024, 5, 1, 12, tzinfo=UTC), datetime(2024, 5, 1, 13, tzinfo=UTC))
VOID = {"meta", "rect", "line", "path", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """Tags, and whether each is closed by its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG element without content."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Must close the one that is open."""
        assert self._open.pop() == tag


def table(columns: int, shift: float = 0.0, rows: int = 200) -> pl.DataFrame:
    """Columns of normal numbers, the first of which is shifted."""
    values = np.random.default_rng(columns).normal(size=(rows, columns))
    values[:, 0] += shift
    return pl.DataFrame(values, schema=[f"column {number}" for number in range(columns)])


def test_the_page_says_what_was_found() -> None:
    """Verdict, subject, counts and level, in words."""
    page = render(compare(table(5), table(5, shift=1.0)), SUBJECT)
    for text in (
        "<h1>Drift in 1 of 5 columns</h1>",
        "Endpoint <b>till</b>, model <b>flights:3</b>",
        "<b>2024-05-01 12:00</b> to <b>2024-05-01 13:00</b> UTC",
        "5% (1 in 20), all 5 tested columns taken together",
        "Kolmogorov-Smirnov",
    ):
        assert text in page
    assert page.index("column 0") < page.index("column 1")


@pytest.mark.parametrize(
    ("rows", "headline", "text"),
    [
        (200, "No drift", "by more than chance explains"),
        (5, "Too few rows to judge", "this is not a finding of no drift"),
    ],
)
def test_other_verdicts_are_told(rows: int, headline: str, text: str) -> None:
    """Nothing found is not the same as nothing judged."""
    page = render(compare(table(3), table(3).head(rows)))
    assert f"<h1>{headline}</h1>" in page
    assert text in page


def test_names_of_columns_and_levels_are_escaped() -> None:
    """Whoever sends the traffic must not run a script where the report is read."""
    script = "<script>alert(1)</script>"
    reference = pl.DataFrame({script: [script, '"><img src=x onerror=alert(1)>'] * 50})
    current = reference.with_columns(pl.lit(1).alias('"><script>'))
    page = render(compare(reference, current), Subject(script, script, 1, SUBJECT.start, SUBJECT.end))
    outline = Outline(page)
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_needs_no_other_file() -> None:
    """It can be mailed."""
    page = render(compare(table(3), table(3, shift=1.0)), SUBJECT)
    assert not {"script", "link", "img", "iframe"} & set(Outline(page).tags)
    assert not re.search(r"https?:|url\(|@import|src=", page)


def test_many_columns_keep_the_page_small() -> None:
    """Of 1,000 columns the most changed are drawn, the others named or counted; 300 kB at most."""
    names = [f"a rather long name of a column {number}" for number in range(1000)]
    sides = [
        table(1000, shift, rows=60).rename(dict(zip(table(1000).columns, names, strict=True))) for shift in (0, 3.0)
    ]
    page = render(compare(*sides), SUBJECT)
    assert page.count("<details") == SHOWN_COLUMNS
    assert "950 further columns have smaller effects and are not drawn" in page
    assert len(page.encode()) < 300_000


def test_columns_of_levels_keep_the_page_small() -> None:
    """Bars with long names are the largest charts."""
    rng = np.random.default_rng(0)
    levels = [f"{'a level with a long name ' * 4}{number}" for number in range(40)]
    sides = [pl.DataFrame({f"c{i}": rng.choice(levels, 300) for i in range(SHOWN_COLUMNS)}) for _ in range(2)]
    assert len(render(compare(*sides), SUBJECT).encode()) < 300_000


ODD: dict[str, Any] = {
    "lists": [[1]] * 40,
    "nothing": [None] * 40,
    "times": pl.Series(range(40)).cast(pl.Datetime("us")),
}


def test_columns_that_were_not_tested_are_on_the_page() -> None:
    """With the reason, and a chart where there can be one."""
    page = render(compare(pl.DataFrame(ODD), pl.DataFrame(ODD)), SUBJECT)
    assert page.count("Not compared.") == 3
    assert "Not compared. Later rows have later times, whatever has changed.</p>" in page
    assert "<h1>No drift</h1>" in page


def test_a_trifle_is_told_as_such() -> None:
    """Significant, but too small to alarm."""
    sides = [pl.DataFrame({"x": [0, 1] * 200_000}), pl.DataFrame({"x": [0] * 202_000 + [1] * 198_000})]
    assert f"That is no accident, but less than the {percent(0.02)} that raise an alarm." in render(compare(*sides))


def test_the_effect_that_was_asked_for_is_told() -> None:
    """Not the usual one."""
    sides = [pl.DataFrame({"x": [0, 1] * 500}), pl.DataFrame({"x": [0] * 600 + [1] * 400})]
    assert "less than the 30% that raise an alarm" in render(compare(*sides, minimum_effect=0.3))
    assert "Changes of less than 30% of the rows never raise an alarm." in render(compare(*sides, minimum_effect=0.3))


def test_two_tables_have_no_model() -> None:
    """Nobody says that one learnt from the reference."""
    page = render(compare(table(2), table(2, shift=1.0)))
    assert "no longer look like those of the reference." in page
    assert "training" not in page
    assert "trained" not in page


def test_groups_say_the_least_that_changed() -> None:
    """All of these rows are others; the groups, cut at quantiles of both sides, hold some of either."""
    page = render(compare(pl.DataFrame({"x": range(1000)}), pl.DataFrame({"x": [2000] * 1000})))
    assert "At least 75% of the rows would need another value" in page


def test_the_share_of_missing_values_is_told() -> None:
    """Before and after, of values that are otherwise alike."""
    sides = [
        pl.DataFrame({"x": [None] * gaps + list(range(0, 200, step))[gaps - 200 :]})
        for gaps, step in [(2, 1), (100, 2)]
    ]
    assert "The share of rows without a value: 1% → 50%." in render(compare(*sides))


def test_a_report_of_forty_columns_with_all_sections_is_below_600_kilobytes() -> None:
    """Numbers and long levels, all drifted, each over a day; what is drawn is drawn, the rest is there."""
    rng = np.random.default_rng(1)
    frames = [
        pl.DataFrame(
            {f"number {at}": rng.normal(shift, size=3_000) for at in range(30)}
            | {f"level {at}": rng.choice([f"{'long ' * 11}{n}" for n in range(40)], 3_000) for at in range(9)}
        ).with_columns(pl.Series("times", [SUBJECT.start] * 3_000))
        for shift in (0.0, 1.0)
    ]
    reference, current = frames
    drift = compare(reference, current)
    kinds: dict[str, Kind] = {column.name: column.kind for column in drift.columns}
    start = SUBJECT.start - timedelta(days=1)
    times = pl.Series([start + timedelta(seconds=28 * row) for row in range(3_000)])
    report = EndpointReport(
        **asdict(drift),
        check="drift",
        sentence="Much has drifted.",
        breached=True,
        quality=check(current, suggest(reference)),
        multivariate=multivariate(reference, current),
        harm=rank_harm(drift.columns, dict.fromkeys(kinds, 1.0)),
        over_time=over_time(current, times, reference, kinds, start, SUBJECT.start),
        examples=examples(current, reference, kinds, set()),
    )
    page = render(report, SUBJECT)
    Outline(page)
    assert len(page.encode()) < 600_000
    assert page.count('<svg class="drawing"') == DRAWN_COLUMNS + TIMED_COLUMNS
    assert page.count("<details") == 40
    for title in ("Data quality", "All columns together", "What was tested"):
        assert f"<h2>{title}</h2>" in page


def test_a_column_that_cannot_be_drawn_costs_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    """Its row says so, and the log why."""
    found = compare(table(3), table(3, shift=1.0))
    nothing = Histogram("value", (), (), (), Counts(0, 0), Counts(0, 0))
    broken = replace(found, columns=(replace(found.columns[0], chart=nothing), *found.columns[1:]))
    page = render(broken)
    Outline(page)
    assert "This column could not be drawn (" in page
    assert page.count('<svg class="drawing"') == 2
    assert "column 'column 0' of a report's page failed" in caplog.text


def test_the_title_is_of_the_check_that_was_asked_for() -> None:
    """Not of the columns' drift, which has its place below; nor is it in the colour of an alarm for it."""
    found: DriftReport = compare(table(3), table(3, shift=1.0))
    report = EndpointReport(**asdict(found), check="data-quality", sentence="All is well.", breached=False)
    page = render(report)
    assert "<h1>Data quality: nothing found</h1>" in page
    assert "All is well." in page
    assert '<main class="drift">' not in page
    assert '<main class="drift">' in render(replace(report, breached=True))
