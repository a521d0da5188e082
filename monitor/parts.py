"""A report's sections below its columns: each as sentences and a table, of an endpoint's report or of two tables'.

The page and the Markdown both write them. One that cannot be told gives a note in its place and a line in the log:
nothing that is in a report loses the page. What is in a part comes from strangers as well, and is escaped where it is
written.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from monitor.charts import number, p_text, percent
from monitor.drift import ColumnDrift, Counts, DriftReport
from monitor.performance.estimated import EstimatedQuality
from monitor.performance.realised import RealisedQuality
from monitor.report import EndpointReport
from storage.errors import counted

_log = logging.getLogger(__name__)

#: The section that the page draws too.
QUALITY = "Quality over time"

#: Rows of a table on the page; a sentence counts the others. So many keep a section below some 15 kB.
MOST_ROWS = 60

Rows = Sequence[Sequence[str]]


class Part(Struct, frozen=True):
    """A section: its title, sentences, and a table by the names of its columns, without rows where there is none."""

    title: str
    lines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def parts(report: DriftReport) -> list[Part]:
    """The sections of a report in the page's order, without those that have nothing to tell."""
    made: list[tuple[str, Callable[[EndpointReport], Part | None]]] = [
        (QUALITY, _performance),
        ("Data quality", _quality),
        ("All columns together", _multivariate),
        ("Bias", _bias),
        ("What the model looks at", _attribution),
    ]
    found: list[Part | None] = []
    if isinstance(report, EndpointReport):
        found = [safely(title, partial(tell, report)) for title, tell in made]
    found.append(safely("What was tested", lambda: _tested(report)))
    return [part for part in found if part is not None]


def safely(title: str, tell: Callable[[], Part | None]) -> Part | None:
    """The section, or one that says that it failed."""
    try:
        return tell()
    except Exception as error:  # noqa: BLE001 - whatever breaks a section must not lose the page
        _log.warning("section %r of a report's page failed", title, exc_info=error)
        return Part(title, (f"This section could not be drawn ({type(error).__name__}); the log says more.",))


def _part(title: str, lines: Sequence[str], names: Sequence[str] = (), rows: Rows = ()) -> Part:
    told = [line.strip() for line in lines if line.strip()]
    if len(rows) > MOST_ROWS:
        told.append(f"The JSON report has {counted(len(rows) - MOST_ROWS, 'further line')}.")
    return Part(title, tuple(told), tuple(names), tuple(tuple(row) for row in rows[:MOST_ROWS]))


def _performance(report: EndpointReport) -> Part | None:
    told = [(name, found) for name, found in (("by labels", report.realised), ("estimated", report.estimated)) if found]
    if not told:
        return None
    lines = [f"{name.capitalize()}: {found.verdict}. {' '.join(found.whole.notes)}" for name, found in told]
    rows = [row for name, found in told for row in _windows(name, found)]
    return _part(QUALITY, lines, ("from", "how", "metric", "value", "95% interval", "reference", "verdict"), rows)


def _windows(name: str, found: RealisedQuality | EstimatedQuality) -> Iterator[list[str]]:
    """The whole with all metrics, then the one that is judged in each window; what nobody knows has no row."""
    before = {figure.metric: figure.value for figure in found.reference}
    windows = [("whole", found.whole, found.whole.figures)]
    for window in found.windows if len(found.windows) > 1 else ():
        judged = [figure for figure in window.figures if figure.metric == found.metric]
        windows.append((f"{window.start:%Y-%m-%d %H:%M}", window, tuple(judged)))
    for start, window, figures in windows:
        for figure in figures:
            if figure.value is not None:
                usual, verdict = before.get(figure.metric), window.verdict if figure.metric == found.metric else ""
                value, span = _told(figure.value), _interval(figure.low, figure.high)
                yield [start, name, figure.metric, value, span, _told(usual), verdict]


def _quality(report: EndpointReport) -> Part | None:
    if (found := report.quality) is None:
        return None
    rows = [[one.sentence, ", ".join(one.examples)] for one in found.violations]
    rows += [[f"{one.column} was not checked: {one.note}", ""] for one in found.unchecked]
    baseline = f"The baseline was {found.baseline}." if found.baseline else ""
    lines = [f"{found.verdict.capitalize()}.", found.note, baseline]
    return _part("Data quality", lines, ("finding", "such as"), rows)


def _multivariate(report: EndpointReport) -> Part | None:
    if (found := report.multivariate) is None:
        return None
    return _part("All columns together", [f"{found.verdict.capitalize()}. {found.words}"])


def _bias(report: EndpointReport) -> Part | None:
    if (found := report.bias) is None:
        return None
    rows = [
        [
            facet.name,
            metric.description,
            _told(metric.value),
            _interval(metric.low, metric.high),
            _told(metric.baseline),
            "–" if metric.p_value is None else p_text(metric.p_value),
            "outside" if metric.outside else "drift" if metric.drifted else "",
        ]
        for facet in found.facets
        for metric in facet.metrics
        if metric.value is not None
    ]
    names = ("group", "metric", "value", "interval", "reference", "p-value", "verdict")
    return _part("Bias", [facet.words for facet in found.facets], names, rows)


def _attribution(report: EndpointReport) -> Part | None:
    if not report.attribution:
        return None
    rows = [
        [one.label, column.column, _told(column.reference), _told(column.current), *map(str, places)]
        for one in report.attribution
        for column in one.columns
        for places in [(column.reference_rank, column.current_rank)]
    ]
    names = ("for", "column", "reference", "current", "place before", "place now")
    return _part("What the model looks at", [one.words for one in report.attribution], names, rows)


def _tested(report: DriftReport) -> Part:
    is_of_endpoint = isinstance(report, EndpointReport)
    lines = [f"Left out: {one.section}. {one.reason}" for one in report.left_out] if is_of_endpoint else []
    rows = [
        [what, f"{sides.current:,}", f"{sides.reference:,}", "–" if level is None else f"{level:g}", of]
        for what, sides, level, of in rows_tested(report)
    ]
    return _part("What was tested", lines, ("what", "rows", "reference rows", "level", "of"), rows)


class RowsTested(NamedTuple):
    """What was tested: with how many rows of both sides that count, and which tests or of what.

    level: None of methods that state no chance of a false alarm.
    """

    what: str
    sides: Counts
    level: float | None
    of: str


def rows_tested(report: DriftReport) -> Iterator[RowsTested]:
    """Each test of a report, of which an endpoint's has more than that of its columns."""
    sides = Counts(report.reference_rows, report.rows)
    level = report.level if report.method == "calibrated" else None
    columns = counted(len(report.columns), "column")
    yield RowsTested("each column", sides, level, f"{report.tested} of {columns}")
    if not isinstance(report, EndpointReport):
        return
    if (found := report.realised) is not None and is_judged(found):
        rows = Counts(found.reference_rows, found.whole.labelled)
        yield RowsTested("quality by labels", rows, found.level, shared_out(found.metric, found))
    if (found := report.estimated) is not None and is_judged(found):
        rows = Counts(found.reference_rows, found.whole.rows)
        yield RowsTested("quality estimated", rows, found.level, shared_out(found.metric, found))
    if (quality := report.quality) is not None:
        rows = Counts(quality.baseline_rows, quality.rows)
        each = f"{counted(quality.tests, 'test')}, each at {p_text(quality.threshold)}"
        yield RowsTested("data quality", rows, quality.level, each)
    if (both := report.multivariate) is not None:
        yield RowsTested("all columns together", sides, both.level, "")
    if (bias := report.bias) is not None:
        yield RowsTested("bias", Counts(bias.reference_rows, bias.rows), bias.level, "")
    for one in report.attribution:
        yield RowsTested("attribution", Counts(one.reference_rows, one.rows), one.level, one.label)


def is_judged(found: RealisedQuality | EstimatedQuality) -> bool:
    """Whether anything had rows enough, with labels or without, to be tested; reports of older programs do not say."""
    return found.levels is None or bool(found.levels.words)


def shared_out(what: str, found: RealisedQuality | EstimatedQuality) -> str:
    """With what of the level the whole period and its pieces have; reports of older programs do not say."""
    return ": ".join(filter(None, [what, found.levels.words if found.levels else ""]))


def _told(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else number(value)


def _interval(low: float | str | None, high: float | str | None) -> str:
    return "–" if low is None or high is None else f"{_told(low)} to {_told(high)}"


def harm_text(column: ColumnDrift, report: DriftReport) -> str:
    """How much the model looks at a column and what its drift is likely to do; empty where nobody knows."""
    harm = report.harm if isinstance(report, EndpointReport) else None
    one = next((one for one in harm.columns if one.column == column.name), None) if harm is not None else None
    if one is None or one.importance is None:
        return ""
    return f"importance {percent(one.importance)}" + (f", harm {_told(one.harm)}" if one.harm is not None else "")


def examples_text(column: ColumnDrift, report: DriftReport) -> str:
    """Values of the column that are unlike the reference, and why these; empty where none are told."""
    told = report.examples if isinstance(report, EndpointReport) else ()
    one = next((one for one in told if one.column == column.name), None)
    return "" if one is None else f"{one.why[:1].upper()}{one.why[1:]}: {', '.join(one.values)}."
